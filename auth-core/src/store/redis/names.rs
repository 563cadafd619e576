//! The names of the keys in Redis.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The prefix of all keys of a store. The keys of one entry share a hash tag, so that they are in
/// one slot of a cluster, and so do those of one origin.
#[derive(Clone)]
pub(super) struct Names(String);

/// What a prefix keeps as it is. Braces would be taken for a hash tag, and `*`, `?`, `[` and `\`
/// for a pattern.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b':');

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        Self(utf8_percent_encode(prefix, KEPT).to_string())
    }

    /// The keys of an entry, in the order of the scripts.
    pub(super) fn entry(&self, name: &str) -> [String; 3] {
        let prefix = &self.0;
        ["entry", "session", "notes"].map(|part| format!("{prefix}:{{{name}}}:{part}"))
    }

    /// The keys of the permits of an origin, in the order of the scripts.
    pub(super) fn permits(&self, origin: &str) -> [String; 2] {
        let prefix = &self.0;
        ["permits", "quota"].map(|part| format!("{prefix}:{{{origin}}}:{part}"))
    }

    /// Where the name of an entry that has changed is published.
    pub(super) fn channel(&self) -> String {
        format!("{}:changes", self.0)
    }

    /// A pattern for the first key of every entry.
    pub(super) fn entries(&self) -> String {
        format!("{}:{{*}}:entry", self.0)
    }

    /// The name of an entry, of its first key.
    pub(super) fn name<'a>(&self, key: &'a str) -> Option<&'a str> {
        let key = key.strip_prefix(self.0.as_str())?;
        key.strip_prefix(":{")?.strip_suffix("}:entry")
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_can_neither_be_a_hash_tag_nor_a_pattern() {
        let names = Names::new("a{b}*");
        assert_eq!(names.entries(), "a%7Bb%7D%2A:{*}:entry");
        let [key, ..] = names.entry("c0ffee");
        assert_eq!(names.name(&key), Some("c0ffee"));
        assert_eq!(Names::new("a").name(&key), None);
        assert_ne!(key, Names::new("a%7Bb%7D*").entry("c0ffee")[0]);
    }

    #[test]
    fn a_store_prints_its_prefix() {
        assert_eq!(format!("{:?}", Names::new("prefix")), "\"prefix\"");
    }
}
