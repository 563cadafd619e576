//! What is kept of a request, before a credential is attached, for a replay or for the next hop.

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
    url: Url,
    headers: Lines,
    version: Version,
    timeout: Option<Duration>,
    has_body: bool,
}

/// Headers in one buffer: for each of them its name, a colon or, if it is sensitive, an equals
/// sign, its value and a line feed. Neither sign is in a name, and no value has a line feed.
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

    pub(super) fn url(&self) -> &Url {
        match self {
            Self::Whole(request) => request.url(),
            Self::Head(head) => &head.url,
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
            url: request.url().clone(),
            headers: Lines::of(request.headers()),
            version: request.version(),
            timeout: request.timeout().copied(),
            has_body: request.body().is_some(),
        }
    }

    fn into_request(self) -> Request {
        let mut request = Request::new(self.method, self.url);
        *request.headers_mut() = self.headers.read();
        *request.version_mut() = self.version;
        if self.timeout.is_some() {
            *request.timeout_mut() = self.timeout;
        }
        request
    }
}

impl Lines {
    fn of(headers: &HeaderMap) -> Self {
        let length =
            |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 2;
        let mut lines = Vec::with_capacity(headers.iter().map(length).sum());
        for (name, value) in headers {
            lines.extend_from_slice(name.as_str().as_bytes());
            lines.push(if value.is_sensitive() { b'=' } else { b':' });
            lines.extend_from_slice(value.as_bytes());
            lines.push(b'\n');
        }
        Self(lines)
    }

    fn read(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in self.0.split(|byte| *byte == b'\n') {
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
    fn headers_are_read_as_they_were_kept() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("a", "x=1: y"), ("a", ""), ("x-b", "é"), ("accept", "*/*")] {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers.get_mut("x-b").unwrap().set_sensitive(true);
        let read = Lines::of(&headers).read();
        assert_eq!(read, headers);
        assert!(read["x-b"].is_sensitive() && !read["accept"].is_sensitive());
        assert_eq!(Lines::of(&HeaderMap::new()).read(), HeaderMap::new());
    }
}
