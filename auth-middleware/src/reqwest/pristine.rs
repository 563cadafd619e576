//! What is kept of a request, before a credential is attached, for a replay or for the next hop.

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use reqwest::{Request, Url};

use crate::redirect::{Hop, Redirects};

/// What is kept of a request before a credential is attached.
pub(super) enum Pristine {
    /// A copy with the body.
    Whole(Request),
    /// All but the body.
    Head(Head),
}

/// All but the body of a request.
pub(super) struct Head {
    method: Method,
    lines: Lines,
    version: Version,
    timeout: Option<Duration>,
    has_body: bool,
}

/// A URL and headers in one buffer: the URL and a line feed, and for each header its name, a colon
/// or, if it is sensitive, an equals sign, its value and a line feed. Neither sign is in a name, and
/// no value and no URL has a line feed.
///
/// To clone the headers would allocate for each of them, which is a sixth of the whole call, and
/// few requests are redirected.
struct Lines(Vec<u8>);

impl Pristine {
    /// Keeps all of a request, or all but its body if that is a stream.
    pub(super) fn of(request: &Request) -> Self {
        let whole = request.try_clone().map(Self::Whole);
        whole.unwrap_or_else(|| Self::head(request))
    }

    /// Keeps all but the body of a request.
    pub(super) fn head(request: &Request) -> Self {
        Self::Head(Head::of(request))
    }

    pub(super) fn method(&self) -> &Method {
        match self {
            Self::Whole(request) => request.method(),
            Self::Head(head) => &head.method,
        }
    }

    pub(super) fn url(&self) -> Cow<'_, Url> {
        match self {
            Self::Whole(request) => Cow::Borrowed(request.url()),
            Self::Head(head) => Cow::Owned(head.lines.url()),
        }
    }

    /// Whether the request can be sent again with its body.
    pub(super) const fn is_repeatable(&self) -> bool {
        match self {
            Self::Whole(_) => true,
            Self::Head(head) => !head.has_body,
        }
    }

    /// The same request once more, without its body if that was not kept.
    pub(super) fn into_request(self) -> Request {
        match self {
            Self::Whole(request) => request,
            Self::Head(head) => head.into_request(),
        }
    }

    /// The request of the next hop.
    pub(super) fn into_hop(self, hop: Hop, redirects: &Redirects) -> Request {
        let mut request = self.into_request();
        hop.rewrite(request.headers_mut(), redirects);
        if !hop.keeps_body {
            *request.body_mut() = None;
        }
        *request.method_mut() = hop.method;
        *request.url_mut() = hop.url;
        request
    }
}

impl Head {
    fn of(request: &Request) -> Self {
        Self {
            method: request.method().clone(),
            lines: Lines::of(request.url(), request.headers()),
            version: request.version(),
            timeout: request.timeout().copied(),
            has_body: request.body().is_some(),
        }
    }

    fn into_request(self) -> Request {
        let mut request = Request::new(self.method, self.lines.url());
        *request.headers_mut() = self.lines.headers();
        *request.version_mut() = self.version;
        if self.timeout.is_some() {
            *request.timeout_mut() = self.timeout;
        }
        request
    }
}

impl Lines {
    fn of(url: &Url, headers: &HeaderMap) -> Self {
        let length =
            |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 2;
        let (url, lengths) = (url.as_str(), headers.iter().map(length));
        let mut lines = Vec::with_capacity(url.len() + 1 + lengths.sum::<usize>());
        lines.extend_from_slice(url.as_bytes());
        lines.push(b'\n');
        for (name, value) in headers {
            lines.extend_from_slice(name.as_str().as_bytes());
            lines.push(if value.is_sensitive() { b'=' } else { b':' });
            lines.extend_from_slice(value.as_bytes());
            lines.push(b'\n');
        }
        Self(lines)
    }

    fn url(&self) -> Url {
        let line = self.0.split(|byte| *byte == b'\n').next();
        let text = line.and_then(|line| std::str::from_utf8(line).ok());
        let url = text.and_then(|text| Url::parse(text).ok());
        url.unwrap_or_else(|| unreachable!("it was a URL before"))
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in self.0.split(|byte| *byte == b'\n').skip(1) {
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
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use super::*;

    #[test]
    fn the_url_and_the_headers_are_read_as_they_were_kept() {
        let url = Url::parse("https://u:p@a.example:8/x%20y/?q=%0A#f").unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in [("a", "x=1: y"), ("a", ""), ("x-b", "é"), ("accept", "*/*")] {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers.get_mut("x-b").unwrap().set_sensitive(true);
        let lines = Lines::of(&url, &headers);
        assert_eq!(lines.url(), url);
        let read = lines.headers();
        assert_eq!(read, headers);
        assert!(read["x-b"].is_sensitive() && !read["accept"].is_sensitive());
        let none = Lines::of(&url, &HeaderMap::new());
        assert_eq!((none.url(), none.headers()), (url, HeaderMap::new()));
    }
}
