//! Removes secrets from the responses and errors that the caller gets: those of the query, and
//! after a redirect what else requests carry.

use std::fmt;

use auth_core::Credential;
use reqwest::{Response, ResponseBuilderExt, Url};
use reqwest_middleware::Error;

use crate::redirect::Secrets;

/// The query secrets that the hops of one request have sent. Reqwest shows URLs in its responses
/// and errors, and a server may repeat such a URL in a redirect, encoded in any way.
///
/// It is empty for credentials without query pairs.
#[derive(Default)]
pub(super) struct Redactor {
    secrets: Secrets,
    /// The URL of the first hop, as the caller wrote it and as it was sent.
    first: Option<Box<FirstHop>>,
    /// Whether a redirect was followed. The server has written the URLs from then on.
    redirected: bool,
}

struct FirstHop {
    written: Url,
    sent: Url,
}

impl Redactor {
    /// Notes that a hop is sent with the query pairs of a credential. `written` is its URL before
    /// they were attached.
    pub(super) fn note(&mut self, credential: &Credential, written: Url, sent: &Url) {
        self.secrets.add(Secrets::of_query(credential));
        match &mut self.first {
            // A replay of the first hop, with a newer secret.
            Some(first) if first.written == written => first.sent = sent.clone(),
            // A later hop, whose URL the server wrote.
            Some(_) => {}
            None if self.redirected => {}
            None => {
                let sent = sent.clone();
                self.first = Some(Box::new(FirstHop { written, sent }));
            }
        }
    }

    /// What the hops have sent.
    pub(super) const fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Notes that a redirect is followed, here or by the client.
    pub(super) fn redirected(&mut self) {
        self.redirected = true;
    }

    /// The URL as it may be shown. Where the query has secrets, that is what the caller wrote, or
    /// else no query. A URL of the server's that holds what requests carry otherwise has no query
    /// either.
    fn shown(&self, url: &Url, carried: Option<&Secrets>) -> Url {
        let mut shown = if self.secrets.is_empty() {
            url.clone()
        } else {
            self.without_query_secrets(url)
        };
        let carried = carried.filter(|_| self.redirected);
        if let Some(carried) = carried.filter(|carried| carried.is_in(shown.as_str())) {
            hide(&mut shown, carried);
        }
        shown
    }

    fn without_query_secrets(&self, url: &Url) -> Url {
        let mut shown = url.clone();
        if let Some(first) = &self.first {
            // A fragment is not sent, so the URLs are compared without regard to it.
            shown.set_fragment(first.sent.fragment());
            if shown == first.sent {
                shown.set_query(first.written.query());
                shown.set_fragment(url.fragment());
                return shown;
            }
        }
        hide(&mut shown, &self.secrets);
        shown
    }

    /// The response, with a URL that may be shown. A header that repeats a secret is marked
    /// sensitive. The rest of the response is unchanged.
    ///
    /// `carried` is what requests carry, if there was a redirect.
    #[inline]
    pub(super) fn clean_response(&self, response: Response, carried: Option<&Secrets>) -> Response {
        if self.secrets.is_empty() && carried.is_none() {
            return response;
        }
        self.cleaned(response, carried)
    }

    fn cleaned(&self, mut response: Response, carried: Option<&Secrets>) -> Response {
        for value in response.headers_mut().values_mut() {
            let text = String::from_utf8_lossy(value.as_bytes());
            let is_carried = |carried: &Secrets| carried.is_in(&text);
            if self.secrets.is_in(&text) || carried.is_some_and(is_carried) {
                value.set_sensitive(true);
            }
        }
        let shown = self.shown(response.url(), carried);
        if shown == *response.url() {
            return response;
        }
        with_url(response.into(), shown)
    }

    /// The error, with a URL that may be shown. `carried` is what requests carry, if there was a
    /// redirect.
    #[cold]
    pub(super) fn clean_error(&self, error: Error, carried: Option<&Secrets>) -> Error {
        let carried = carried.filter(|_| self.redirected);
        if self.secrets.is_empty() && carried.is_none() {
            return error;
        }
        let error = match error {
            // Of what was sent it has the URL alone. Its words may be values by chance.
            Error::Reqwest(error) => {
                let Some(shown) = error.url().map(|url| self.shown(url, carried)) else {
                    return error.into();
                };
                return error.with_url(shown).into();
            }
            Error::Middleware(error) => error,
        };
        // One of reqwest may be in it, whose URL is out of reach. The frames of a backtrace, which
        // it prints as well, hold no value.
        let printed = |error: &(dyn std::error::Error + 'static)| format!("{error:?} {error}");
        let printed: String = error.chain().map(printed).collect();
        let is_carried = |carried: &Secrets| carried.is_printed_in(&printed);
        if self.secrets.is_printed_in(&printed) || carried.is_some_and(is_carried) {
            return Error::middleware(Withheld);
        }
        Error::Middleware(error)
    }
}

/// Takes the query away, and the path if it holds a secret, or a part of one that goes on behind
/// it.
fn hide(url: &mut Url, secrets: &Secrets) {
    let behind = [url.query(), url.fragment()];
    let is_behind = behind.into_iter().flatten().any(|part| secrets.is_in(part));
    let goes_on = !is_behind && secrets.is_in(url.as_str());
    url.set_fragment(None);
    url.set_query(None);
    if goes_on || secrets.is_in(url.path()) {
        url.set_path("");
    }
}

/// A response of reqwest that has this URL.
pub(super) fn with_url(mut response: http::Response<reqwest::Body>, url: Url) -> Response {
    // The extension that carries the URL is private to reqwest. Only this builder can make one.
    let mut carrier = http::Response::new(());
    if let Ok(built) = http::Response::builder().url(url).body(()) {
        carrier = built;
    }
    let (carrier, ()) = carrier.into_parts();
    response.extensions_mut().extend(carrier.extensions);
    response.into()
}

/// It replaces an error that would have shown a secret.
#[derive(Debug)]
struct Withheld;

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the request failed in a middleware below AuthMiddleware; its error holds a secret and \
             is withheld",
        )
    }
}

impl std::error::Error for Withheld {}
