//! Fields of a body of `application/x-www-form-urlencoded` (WHATWG URL, section 5).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use zeroize::Zeroizing;

/// All characters but those that a form leaves as they are in any serializer (RFC 3986, section
/// 2.3, without the tilde).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// The form with these pairs in place of those of the same names. The others stay byte for byte and
/// in their order, and ours come last.
pub(super) fn with(form: &[u8], fields: &[(&str, &str)]) -> Zeroizing<Vec<u8>> {
    let encoded = |text: &str| 3 * text.len();
    let ours = fields
        .iter()
        .map(|(name, value)| encoded(name) + encoded(value) + 2);
    // It is large enough from the start: a buffer that grows would leave copies behind.
    let mut out = Zeroizing::new(Vec::with_capacity(form.len() + ours.sum::<usize>()));
    let mut push = |pair: &mut dyn Iterator<Item = &[u8]>| {
        if !out.is_empty() {
            out.push(b'&');
        }
        pair.for_each(|piece| out.extend_from_slice(piece));
    };
    for pair in form.split(|byte| *byte == b'&') {
        if !pair.is_empty() && fields.iter().all(|(name, _)| !is_named(pair, name)) {
            push(&mut std::iter::once(pair));
        }
    }
    for (name, value) in fields {
        let name = utf8_percent_encode(name, ESCAPED);
        let value = utf8_percent_encode(value, ESCAPED);
        let pair = name.chain(["="]).chain(value);
        push(&mut pair.map(str::as_bytes));
    }
    out
}

/// Whether a pair has this name, however it is encoded.
fn is_named(pair: &[u8], name: &str) -> bool {
    let theirs = pair.split(|byte| *byte == b'=').next().unwrap_or(pair);
    let spaced: Vec<u8> = theirs
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    percent_decode(&spaced).eq(name.bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use super::*;

    fn set(form: &str, fields: &[(&str, &str)]) -> String {
        let set = with(form.as_bytes(), fields);
        let most = set.capacity();
        assert!(set.len() <= most && most >= form.len());
        String::from_utf8(set.to_vec()).unwrap()
    }

    #[test]
    fn rule_16_a_field_replaces_those_of_its_name_and_leaves_the_others() {
        let sid = [("_sid", "s 1&=+é~")];
        let ours = "_sid=s%201%26%3D%2B%C3%A9%7E";
        for (before, after) in [
            ("a=1&b=%20+x", format!("a=1&b=%20+x&{ours}")),
            ("_sid=old&a=1&%5fsid=older&_sid", format!("a=1&{ours}")),
            ("_sid", ours.to_owned()),
            ("&&a&&", format!("a&{ours}")),
            ("_sids=1&sid=2&=_sid", format!("_sids=1&sid=2&=_sid&{ours}")),
            ("a=%ff%zz", format!("a=%ff%zz&{ours}")),
        ] {
            assert_eq!(set(before, &sid), after, "{before}");
        }
        let two = [("a b", "1"), ("c", "2")];
        assert_eq!(set("a+b=0&a%20b=0&d=3", &two), "d=3&a%20b=1&c=2");
    }

    #[test]
    fn rule_17_the_buffer_of_a_form_does_not_grow() {
        let value = "é&".repeat(50);
        let set = with(b"a=1", &[("_sid", &value)]);
        assert!(set.len() > 300 && set.capacity() <= 3 + 3 * 154 + 2);
        // Of these characters, each is escaped.
        let set = with(b"a=1", &[("é[", "&=")]);
        assert_eq!(*set, b"a=1&%C3%A9%5B=%26%3D");
        assert_eq!(set.capacity(), set.len());
    }
}
