//! The lines of a session's plain form.

use std::time::Duration;

use percent_encoding::{percent_decode_str, percent_encode};
use zeroize::Zeroizing;

use super::InvalidValue;
use super::encoded::UNRESERVED;

/// Writes lines of words with one space between them. A word is `key` or `key=value`, in which the
/// value is percent-encoded.
///
/// A first pass counts the bytes and a second one writes them, because a text that grows would
/// leave copies that are not zeroed.
pub(crate) struct Lines {
    text: Zeroizing<String>,
    length: usize,
    counts: bool,
}

impl Lines {
    /// The text that `write` writes when it is called twice, in a buffer of its exact size.
    pub(crate) fn written(write: impl Fn(&mut Self)) -> String {
        let mut lines = Self {
            text: Zeroizing::default(),
            length: 0,
            counts: true,
        };
        write(&mut lines);
        lines.text = Zeroizing::new(String::with_capacity(lines.length));
        lines.counts = false;
        write(&mut lines);
        std::mem::take(&mut *lines.text)
    }

    fn push(&mut self, text: &str) {
        if self.counts {
            self.length += text.len();
        } else {
            self.text.push_str(text);
        }
    }

    /// Begins a line.
    pub(crate) fn line(&mut self, kind: &str) -> &mut Self {
        self.push(kind);
        self
    }

    pub(crate) fn end(&mut self) {
        self.push("\n");
    }

    pub(crate) fn flag(&mut self, key: &str, set: bool) -> &mut Self {
        if set {
            self.push(" ");
            self.push(key);
        }
        self
    }

    pub(crate) fn word(&mut self, key: &str, value: &[u8]) -> &mut Self {
        self.push(" ");
        self.push(key);
        self.push("=");
        for piece in percent_encode(value, UNRESERVED) {
            self.push(piece);
        }
        self
    }

    pub(crate) fn text(&mut self, key: &str, value: &str) -> &mut Self {
        self.word(key, value.as_bytes())
    }

    /// A number, unless it is zero.
    pub(crate) fn number(&mut self, key: &str, number: u32) -> &mut Self {
        if number > 0 {
            self.text(key, &number.to_string());
        }
        self
    }

    /// Seconds with up to nine decimals.
    pub(crate) fn time(&mut self, key: &str, time: Option<Duration>) -> &mut Self {
        if let Some(time) = time {
            let text = format!("{}.{:09}", time.as_secs(), time.subsec_nanos());
            let text = text.trim_end_matches('0').trim_end_matches('.');
            self.text(key, text);
        }
        self
    }
}

/// One line, as it is read.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a>(&'a str);

impl<'a> Line<'a> {
    pub(crate) const fn new(line: &'a str) -> Self {
        Self(line)
    }

    pub(crate) fn kind(self) -> &'a str {
        self.0.split(' ').next().unwrap_or_default()
    }

    pub(crate) fn flag(self, key: &str) -> bool {
        self.0.split(' ').skip(1).any(|word| word == key)
    }

    /// All values of a key, still encoded.
    fn encoded(self, key: &str) -> impl Iterator<Item = &'a str> {
        let words = self.0.split(' ').skip(1);
        let pairs = words.filter_map(|word| word.split_once('='));
        pairs.filter_map(move |(known, value)| (known == key).then_some(value))
    }

    pub(crate) fn bytes(self, key: &str) -> Option<Zeroizing<Vec<u8>>> {
        let value = self.encoded(key).next()?;
        // The length is known to be enough, so that the buffer does not grow.
        let mut bytes = Zeroizing::new(Vec::with_capacity(value.len()));
        bytes.extend(percent_decode_str(value));
        Some(bytes)
    }

    pub(crate) fn text(self, key: &str) -> Result<Option<Zeroizing<String>>, InvalidValue> {
        let Some(mut bytes) = self.bytes(key) else {
            return Ok(None);
        };
        match String::from_utf8(std::mem::take(&mut *bytes)) {
            Ok(text) => Ok(Some(Zeroizing::new(text))),
            Err(error) => {
                drop(Zeroizing::new(error.into_bytes()));
                Err(damaged())
            }
        }
    }

    /// A text that the line must have.
    pub(crate) fn need(self, key: &str) -> Result<Zeroizing<String>, InvalidValue> {
        self.text(key)?.ok_or_else(damaged)
    }

    pub(crate) fn texts(self, key: &str) -> Result<Vec<String>, InvalidValue> {
        let decoded = |value| percent_decode_str(value).decode_utf8();
        self.encoded(key)
            .map(|value| Ok(decoded(value).map_err(|_| damaged())?.into_owned()))
            .collect()
    }

    /// Zero where there is none.
    pub(crate) fn number(self, key: &str) -> Result<u32, InvalidValue> {
        let text = self.encoded(key).next().unwrap_or("0");
        text.parse().map_err(|_| damaged())
    }

    /// All times of a key.
    pub(crate) fn times(self, key: &str) -> Result<Vec<Duration>, InvalidValue> {
        let times = self.encoded(key).map(read_seconds);
        times.map(|time| time.ok_or_else(damaged)).collect()
    }

    pub(crate) fn time(self, key: &str) -> Result<Option<Duration>, InvalidValue> {
        let Some(text) = self.encoded(key).next() else {
            return Ok(None);
        };
        read_seconds(text).map(Some).ok_or_else(damaged)
    }
}

fn read_seconds(text: &str) -> Option<Duration> {
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(seconds) || !digits(decimals) || decimals.len() > 9 {
        return None;
    }
    let nanos = format!("{decimals:0<9}").parse().ok()?;
    Some(Duration::new(seconds.parse().ok()?, nanos))
}

pub(crate) const fn damaged() -> InvalidValue {
    InvalidValue::new("plain form of a session", "is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_17_the_text_is_written_into_a_buffer_that_does_not_grow() {
        let text = Lines::written(|lines| {
            let line = lines.line("kept").text("name", "a b").flag("unsafe", true);
            line.time("life", Some(Duration::from_millis(1_250))).end();
        });
        assert_eq!(text, "kept name=a%20b unsafe life=1.25\n");
        assert_eq!(text.capacity(), text.len());
    }
}
