//! A step's request.

use auth_core::{Credential, LoginError};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, Uri};
use percent_encoding::percent_decode_str;
use serde::ser::{Error as _, SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::Value;
use zeroize::Zeroizing;

use super::schema::{Basic, Node, Step};
use super::template::{Missing, Place, Template, encoded};
use super::values::Known;
use crate::account::Account;
use crate::answers::resolved;
use crate::request;

/// What a step's templates are filled with.
pub(super) struct Ask<'a> {
    pub(super) account: &'a Account,
    pub(super) known: &'a Known<'a>,
    /// The session, if the step carries it.
    pub(super) session: Option<&'a Credential>,
}

impl Ask<'_> {
    /// The request of a step. Entries that name a value that is not there are left out.
    pub(super) fn request(&self, step: &Step) -> Result<Request<Bytes>, LoginError> {
        let mut request = self.body(step)?;
        let Some(url) = step.urls().next() else {
            unreachable!("a checked step has a URL");
        };
        *request.method_mut() = url.method;
        for (name, template) in &step.header {
            if let Some(value) = self.optional(template, Place::Whole) {
                let value = header(value.as_bytes())?;
                request.headers_mut().insert(name.get(), value);
            }
        }
        if let Some(template) = &step.bearer {
            let token = self.required(template, Place::Whole)?;
            request.headers_mut().insert(AUTHORIZATION, bearer(&token)?);
        }
        if let Some(Basic { user, password }) = &step.basic {
            let user = self.required(user, Place::Whole)?;
            let password = self.required(password, Place::Whole)?;
            request = request::with_basic(request, &user, &password)?;
        }
        self.check_origin(request.uri())?;
        if let Some(session) = self.session {
            session.attach(&mut request).map_err(|error| {
                LoginError::misconfigured("the session can't be attached").with_source(error)
            })?;
        }
        Ok(request)
    }

    /// A step goes to the login's origin or into the scope, wherever an answer leads; and with the
    /// session into the scope alone.
    fn check_origin(&self, uri: &Uri) -> Result<(), LoginError> {
        let (account, scope) = (self.account, self.account.scope());
        if self.session.is_some() && !scope.contains_uri(uri) {
            return Err(LoginError::malformed(
                "a step that carries the session leads out of the scope",
            ));
        }
        account.check_origin(uri).map_err(LoginError::malformed)
    }

    /// The request with its URL and its body.
    fn body(&self, step: &Step) -> Result<Request<Bytes>, LoginError> {
        let url = self.url(step)?;
        let usual = if let Some(json) = &step.json {
            let (node, known) = (&json.0, self.known);
            request::post_json(&url, &Filled { node, known })?
        } else if let Some(form) = &step.form {
            let mut fields = Vec::with_capacity(form.len());
            for (name, template) in form {
                if let Some(value) = self.optional(template, Place::Whole) {
                    fields.push((name.as_str(), value));
                }
            }
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            request::post_form(&url, &fields)?
        } else if let Some(template) = &step.xml {
            let text = self.required(template, Place::Xml)?;
            request::post_text(&url, "text/xml; charset=utf-8", &*text)?
        } else if let Some(template) = &step.text {
            let text = self.required(template, Place::Whole)?;
            request::post_text(&url, "text/plain; charset=utf-8", &*text)?
        } else {
            request::get(&url)?
        };
        let mut request = usual;
        if let Some(kind) = &step.content_type {
            let kind = HeaderValue::try_from(kind)
                .map_err(|_| LoginError::misconfigured("the content type can't be in a header"))?;
            request.headers_mut().insert(CONTENT_TYPE, kind);
        }
        Ok(request)
    }

    /// The URL of a step, with its query.
    pub(super) fn url(&self, step: &Step) -> Result<Zeroizing<String>, LoginError> {
        let Some(url) = step.urls().next() else {
            unreachable!("a checked step has a URL");
        };
        let text = self.required(url.template, Place::Url)?;
        let is_stated = url.template.url_name().is_some();
        let is_whole = text.starts_with("https://") || text.starts_with("http://");
        let mut whole = if is_stated {
            // As a user agent resolves it; a fragment is not sent.
            let text = text.split('#').next().unwrap_or_default();
            let base: Option<Uri> = self.account.url("/").parse().ok();
            let resolved = base.and_then(|base| resolved(&base, text));
            let none = || LoginError::malformed("a URL that an answer states is none");
            Zeroizing::new(resolved.ok_or_else(none)?)
        } else if is_whole {
            text
        } else {
            Zeroizing::new(self.account.url(&text))
        };
        if url.template.url_name().is_none() && has_dot_segment(&whole) {
            return Err(LoginError::misconfigured(
                "a value makes a path that leads elsewhere: a segment of dots, or an empty one",
            ));
        }
        for (name, template) in &step.query {
            let Some(value) = self.optional(template, Place::Url) else {
                continue;
            };
            let separator = if whole.contains('?') { '&' } else { '?' };
            let name = encoded(name);
            whole = Zeroizing::new(format!("{}{separator}{name}={}", *whole, *value));
        }
        Ok(whole)
    }

    fn required(&self, template: &Template, place: Place) -> Result<Zeroizing<String>, LoginError> {
        template.render(self.known, place).map_err(|Missing(name)| {
            LoginError::misconfigured(format!("the recipe needs the value `{name}`"))
        })
    }

    /// `None` if the template names a value that is not there.
    fn optional(&self, template: &Template, place: Place) -> Option<Zeroizing<String>> {
        template.render(self.known, place).ok()
    }
}

/// A header of a request, marked sensitive.
pub(super) fn header(value: &[u8]) -> Result<HeaderValue, LoginError> {
    request::secret_header(Zeroizing::new(value.to_vec()))
}

/// `Authorization: Bearer` with a token.
pub(super) fn bearer(token: &str) -> Result<HeaderValue, LoginError> {
    let value = [b"Bearer ", token.trim().as_bytes()].concat();
    request::secret_header(Zeroizing::new(value))
}

/// Whether a path has a segment that leads elsewhere, as clients resolve it (WHATWG URL, section
/// 4.4), or an empty one before its end.
pub(super) fn has_dot_segment(url: &str) -> bool {
    let behind = url.split_once("://").map_or(url, |(_, behind)| behind);
    let path = behind.split_once('/').map_or("", |(_, path)| path);
    let is_dots = |segment: &str| {
        let decoded: Vec<u8> = percent_decode_str(segment).collect();
        decoded == b"." || decoded == b".."
    };
    let mut segments = path.split('/').rev();
    let last = segments.next().unwrap_or_default();
    is_dots(last) || segments.any(|segment| segment.is_empty() || is_dots(segment))
}

/// JSON with its values, written without a copy of them.
struct Filled<'a> {
    node: &'a Node,
    known: &'a Known<'a>,
}

impl Filled<'_> {
    /// Whether it is a text that names a value that is not there.
    fn is_left_out(&self) -> bool {
        match self.node {
            Node::Text(template) => template.names().any(|name| self.known.get(name).is_none()),
            _ => false,
        }
    }
}

impl Serialize for Filled<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let known = self.known;
        match self.node {
            Node::Fixed(value) => value.serialize(serializer),
            Node::Text(template) if template.json_name().is_some() => {
                let text = template.render(known, Place::Whole);
                let text = text.map_err(|Missing(name)| S::Error::custom(name))?;
                match serde_json::from_str::<Value>(&text) {
                    Ok(value @ (Value::Number(_) | Value::Bool(_))) => value.serialize(serializer),
                    _ => Err(S::Error::custom("neither a number nor a boolean")),
                }
            }
            Node::Text(template) => {
                let text = template.render(known, Place::Whole);
                let text = text.map_err(|Missing(name)| S::Error::custom(name))?;
                serializer.serialize_str(&text)
            }
            Node::List(nodes) => {
                let mut list = serializer.serialize_seq(Some(nodes.len()))?;
                for node in nodes {
                    list.serialize_element(&Filled { node, known })?;
                }
                list.end()
            }
            Node::Table(nodes) => {
                let mut table = serializer.serialize_map(None)?;
                for (name, node) in nodes {
                    let value = Filled { node, known };
                    if !value.is_left_out() {
                        table.serialize_entry(name, &value)?;
                    }
                }
                table.end()
            }
        }
    }
}
