//! What is kept of a request, before a credential is attached, for a replay or for the next hop.

use std::borrow::Cow;
use std::mem;
use std::time::Duration;

use http::{Method, Version};
use reqwest::{Body, Request, Url};

use crate::headers::KeptHeaders;
use crate::redirect::{Hop, Redirects};

/// What is kept of a request before a credential is attached.
pub(super) enum Pristine {
    /// A copy with the body, and its headers beside it.
    Whole {
        copy: Box<Request>,
        headers: KeptHeaders,
    },
    /// All but the body.
    Head(Head),
}

/// All but the body of a request.
pub(super) struct Head {
    method: Method,
    /// The URL, and the headers.
    lines: KeptHeaders,
    version: Version,
    timeout: Option<Duration>,
    has_body: bool,
}

impl Pristine {
    /// Keeps all of a request, or all but its body if that is a stream.
    pub(super) fn of(request: &mut Request) -> Self {
        let headers = mem::take(request.headers_mut());
        let copy = request.try_clone();
        *request.headers_mut() = headers;
        match copy {
            Some(copy) => {
                let headers = KeptHeaders::of(request.headers());
                let copy = Box::new(copy);
                Self::Whole { copy, headers }
            }
            None => Self::head(request),
        }
    }

    /// Keeps all but the body of a request.
    pub(super) fn head(request: &Request) -> Self {
        Self::Head(Head::of(request))
    }

    pub(super) fn method(&self) -> &Method {
        match self {
            Self::Whole { copy, .. } => copy.method(),
            Self::Head(head) => &head.method,
        }
    }

    pub(super) fn url(&self) -> Cow<'_, Url> {
        match self {
            Self::Whole { copy, .. } => Cow::Borrowed(copy.url()),
            Self::Head(head) => Cow::Owned(head.url()),
        }
    }

    /// Whether it goes to this URL.
    pub(super) fn goes_to(&self, url: &Url) -> bool {
        match self {
            Self::Whole { copy, .. } => copy.url() == url,
            Self::Head(head) => head.lines.begins_with(url.as_str()),
        }
    }

    pub(super) fn has_body(&self) -> bool {
        match self {
            Self::Whole { copy, .. } => copy.body().is_some_and(has_data),
            Self::Head(head) => head.has_body,
        }
    }

    /// Whether the request can be sent again with its body.
    pub(super) const fn is_repeatable(&self) -> bool {
        match self {
            Self::Whole { .. } => true,
            Self::Head(head) => !head.has_body,
        }
    }

    /// The same request once more, without its body if that was not kept.
    pub(super) fn into_request(self) -> Request {
        match self {
            Self::Whole { mut copy, headers } => {
                *copy.headers_mut() = headers.read();
                *copy
            }
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

/// Whether a body has anything. A stream may have.
pub(super) fn has_data(body: &Body) -> bool {
    body.as_bytes().is_none_or(|bytes| !bytes.is_empty())
}

impl Head {
    fn of(request: &Request) -> Self {
        Self {
            method: request.method().clone(),
            lines: KeptHeaders::after(request.url().as_str(), request.headers()),
            version: request.version(),
            timeout: request.timeout().copied(),
            has_body: request.body().is_some_and(has_data),
        }
    }

    fn url(&self) -> Url {
        let url = Url::parse(self.lines.first());
        url.unwrap_or_else(|_| unreachable!("it was a URL before"))
    }

    fn into_request(self) -> Request {
        let mut request = Request::new(self.method.clone(), self.url());
        *request.headers_mut() = self.lines.read();
        *request.version_mut() = self.version;
        if self.timeout.is_some() {
            *request.timeout_mut() = self.timeout;
        }
        request
    }
}
