//! Removes query secrets from the responses and errors that the caller gets.

use std::fmt;

use auth_core::Credential;
use http::header::LOCATION;
use percent_encoding::percent_decode_str;
use reqwest::{Response, ResponseBuilderExt, Url};
use reqwest_middleware::Error;

/// The pairs that a credential has put into the query of a request. Reqwest shows the URL in its
/// responses and errors.
///
/// It exists only for credentials that have query pairs.
pub(super) struct Redactor {
    /// The URL as the caller wrote it.
    clean: Url,
    /// The URL as it was sent.
    sent: Url,
    pairs: Vec<Pair>,
}

struct Pair {
    name: String,
    value: String,
    encoded: String,
}

impl Redactor {
    pub(super) fn new(credential: &Credential, clean: &Url, sent: &Url) -> Option<Self> {
        let query = credential.attach_query(None)?;
        let pairs = query.split('&').filter_map(|pair| {
            let (name, encoded) = pair.split_once('=')?;
            Some(Pair {
                name: decoded(name),
                value: decoded(encoded),
                encoded: encoded.to_owned(),
            })
        });
        Some(Self {
            pairs: pairs.collect(),
            clean: clean.clone(),
            sent: sent.clone(),
        })
    }

    /// The URL without the secrets. After a redirect, the server may have repeated a secret under
    /// the same name, within the value of another pair, or in the path.
    fn clean(&self, url: &Url) -> Url {
        let mut clean = url.clone();
        // A fragment is not sent, so the URLs are compared without regard to it.
        clean.set_fragment(self.sent.fragment());
        if clean == self.sent {
            clean.set_query(self.clean.query());
            clean.set_fragment(url.fragment());
            return clean;
        }
        clean.set_fragment(url.fragment());
        if let Some(query) = url.query() {
            let kept: Vec<&str> = query
                .split('&')
                .filter(|pair| self.may_show(pair))
                .collect();
            clean.set_query((!kept.is_empty()).then(|| kept.join("&")).as_deref());
        }
        if self.is_in(clean.as_str()) {
            clean.set_path("");
            clean.set_query(None);
            clean.set_fragment(None);
        }
        clean
    }

    /// Whether the URL that the response came from still has all the pairs.
    pub(super) fn is_in_query_of(&self, url: &Url) -> bool {
        let query = url.query().unwrap_or_default();
        let all = |ours: &Pair| {
            query.split('&').any(|pair| {
                pair.split_once('=').is_some_and(|(name, value)| {
                    decoded(name) == ours.name && decoded(value) == ours.value
                })
            })
        };
        self.pairs.iter().all(all)
    }

    fn may_show(&self, pair: &str) -> bool {
        let name = decoded(pair.split('=').next().unwrap_or(pair));
        !self.is_in(pair) && self.pairs.iter().all(|ours| ours.name != name)
    }

    fn is_in(&self, text: &str) -> bool {
        let plain = decoded(text);
        self.pairs.iter().any(|ours| {
            text.contains(&ours.encoded)
                || text.contains(&ours.value)
                || plain.contains(&ours.value)
        })
    }

    /// The response, with a URL that may be shown. A header that repeats a secret, as `Location`
    /// may, is marked sensitive. The rest of the response is unchanged.
    pub(super) fn clean_response(&self, mut response: Response) -> Response {
        for (name, value) in response.headers_mut() {
            // `Location` may hold a newer secret as well.
            if name == LOCATION || self.is_in(&String::from_utf8_lossy(value.as_bytes())) {
                value.set_sensitive(true);
            }
        }
        let clean = self.clean(response.url());
        if clean == *response.url() {
            return response;
        }
        with_url(response.into(), clean)
    }

    /// The error, with a URL that may be shown.
    pub(super) fn clean_error(&self, error: Error) -> Error {
        let error = match error.url().map(|url| self.clean(url)) {
            Some(clean) => error.with_url(clean),
            None => error,
        };
        let printed = format!("{error:?} {error}");
        if self.is_in(&printed) {
            // A middleware below has wrapped an error of reqwest, whose URL is then out of reach.
            return Error::middleware(Withheld);
        }
        error
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

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
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
