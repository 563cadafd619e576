//! The headers of a request, kept for the few requests that are sent again.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Headers in one buffer, after a first line that is a URL or empty.
///
/// To clone a map of headers allocates for each of them, which would be a sixth of the whole call.
///
/// The line of a header is its name, a colon or, if it is sensitive, an equals sign, and its value.
/// Neither sign is in a name, and no value and no URL has a line feed.
pub(crate) struct KeptHeaders(Vec<u8>);

impl KeptHeaders {
    #[inline]
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        if headers.is_empty() {
            return Self(Vec::new());
        }
        Self::after("", headers)
    }

    pub(crate) fn after(first: &str, headers: &HeaderMap) -> Self {
        // Room for lines of a usual length. Longer ones make it grow.
        let mut lines = Vec::with_capacity(first.len() + 1 + 32 * headers.len());
        lines.extend_from_slice(first.as_bytes());
        lines.push(b'\n');
        for (name, value) in headers {
            lines.extend_from_slice(name.as_str().as_bytes());
            lines.push(if value.is_sensitive() { b'=' } else { b':' });
            lines.extend_from_slice(value.as_bytes());
            lines.push(b'\n');
        }
        Self(lines)
    }

    /// Whether this is the line before the headers.
    #[cfg(any(feature = "reqwest", test))]
    pub(crate) fn begins_with(&self, first: &str) -> bool {
        let rest = self.0.strip_prefix(first.as_bytes());
        rest.is_some_and(|rest| rest.first() == Some(&b'\n'))
    }

    /// The line before the headers.
    #[cfg(any(feature = "reqwest", test))]
    pub(crate) fn first(&self) -> &str {
        let line = self.lines().next().unwrap_or_default();
        std::str::from_utf8(line).unwrap_or_default()
    }

    /// The headers, in their order.
    pub(crate) fn read(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in self.lines().skip(1) {
            let Some(end) = line.iter().position(|byte| matches!(byte, b':' | b'=')) else {
                continue;
            };
            // They were a header's name and value before, so the conversions succeed.
            let name = HeaderName::from_bytes(&line[..end]);
            let value = HeaderValue::from_bytes(&line[end + 1..]);
            if let (Ok(name), Ok(mut value)) = (name, value) {
                value.set_sensitive(line[end] == b'=');
                headers.append(name, value);
            }
        }
        headers
    }

    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'\n')
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_they_were_kept() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("a", "x=1: y"), ("a", ""), ("x-b", "é"), ("accept", "*/*")] {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers.get_mut("x-b").unwrap().set_sensitive(true);
        let first = "https://u:p@a.example:8/x%20y/?q=%0A#f";
        let kept = KeptHeaders::after(first, &headers);
        assert_eq!(kept.first(), first);
        assert!(kept.begins_with(first) && !kept.begins_with(&first[..9]));
        assert!(!kept.begins_with("https://other.example/"));
        let read = kept.read();
        assert_eq!(read, headers);
        assert!(read["x-b"].is_sensitive() && !read["accept"].is_sensitive());
        let none = KeptHeaders::of(&HeaderMap::new());
        assert_eq!((none.first(), none.read()), ("", HeaderMap::new()));
    }
}
