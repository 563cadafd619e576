//! One step: its request, and what is taken from the answer.

use std::collections::{BTreeMap, BTreeSet};

use http::header::AUTHORIZATION;

use super::answers::{NO_BODY, answers};
use super::carriable::sendable;
use super::clauses::check_reads;
use super::{Check, Checked, NAME_IS_TAKEN, Role, check_segments, fail, reserved};
use crate::recipe::error::RecipeError;
use crate::recipe::schema::{Compute, Step, Take, Wait};
use crate::recipe::template::{Template, check_name};

impl Check<'_> {
    /// One step. Adds what it computes and takes to what is known.
    pub(super) fn step(
        &mut self,
        at: &str,
        step: &Step,
        role: Role,
        known: &mut BTreeSet<String>,
    ) -> Checked {
        let computes = match role {
            Role::Login => step.compute.clone(),
            Role::Later => self.schema.computes(step),
        };
        self.compute(at, &computes, role, known)?;
        self.request(at, step, role, known)?;
        answers(at, step, role)?;
        for (name, takes) in &step.take {
            let at = format!("{at}.take.{name}");
            check_name(name).map_err(|problem| RecipeError::new(&at, problem))?;
            if self.schema.has_field(name) {
                return fail(at, "a field has this name already");
            }
            for take in &takes.0 {
                self.take(&at, take, step, known)?;
            }
        }
        known.extend(step.take.keys().cloned());
        Ok(())
    }

    fn request(&self, at: &str, step: &Step, role: Role, known: &BTreeSet<String>) -> Checked {
        let method = step.method.as_deref();
        let is_name = |name: &str| name.bytes().all(|letter| letter.is_ascii_uppercase());
        if method.is_some() != step.url.is_some() || method.is_some_and(|name| !is_name(name)) {
            let problem = "another method is written as method = \"PROPFIND\" and url = \"/path\"";
            return fail(format!("{at}.method"), problem);
        }
        // Where they are written in two ways, what is checked of one is forgotten of the other.
        if let Some(name) = method.filter(|name| OWN_KEYS.contains(name)) {
            let key = name.to_ascii_lowercase();
            let problem = format!("{name} has a key of its own: {key} = \"/path\"");
            return fail(format!("{at}.method"), problem);
        }
        let mut urls = step.urls();
        let (Some(url), None) = (urls.next(), urls.next()) else {
            let problem = "a step has one method: get, head, post, put, patch or delete, or another \
                           one as method and url";
            return fail(at, problem);
        };
        let bodies: Vec<_> = step.bodies().collect();
        match (bodies.as_slice(), url.key) {
            ([one, another, ..], _) => {
                let problem = format!("the step has a body already: {one}");
                return fail(format!("{at}.{another}"), problem);
            }
            ([body], "get" | "head") => {
                return fail(format!("{at}.{body}"), format!("a {} has no body", url.key));
            }
            ([], _) if step.content_type.is_some() => {
                return fail(format!("{at}.content_type"), "the step has no body");
            }
            _ => {}
        }
        let in_header = step.header.keys().any(|name| *name.get() == AUTHORIZATION);
        one_authorization(at, step.basic.is_some(), step.bearer.is_some(), in_header)?;
        for name in step.header.keys() {
            reserved(&format!("{at}.header.{}", name.get()), name.get().as_str())?;
        }
        for (key, template) in step.templates() {
            let at = format!("{at}.{key}");
            if key == "header.authorization" {
                check_scheme(&at, template)?;
            }
            self.names(&at, template, role, known)?;
            if template.mixes() || (template.url_name().is_some() && key != url.key) {
                let problem = "{+name} is a whole URL or path, and stands for a step's URL alone";
                return fail(at, problem);
            }
            if template.json_name().is_some() && !key.starts_with("json") {
                return fail(at, "{#name} is a number or a boolean in a body of JSON");
            }
        }
        for (key, template) in step.required() {
            self.needs(&format!("{at}.{key}"), template, step.when.as_deref())?;
        }
        check_texts(at, step)?;
        sendable(at, step)?;
        if role == Role::Later && (step.basic.is_some() || step.bearer.is_some()) {
            let carries = step.session.unwrap_or(!at.starts_with("refresh"));
            if carries && self.schema.attach.authorizes() {
                let problem = "the session has an Authorization of its own; say session = false";
                return fail(at, problem);
            }
        }
        self.url(&format!("{at}.{}", url.key), url.template)
    }

    /// The URL of a step leads to where the recipe says it logs in.
    fn url(&self, at: &str, url: &Template) -> Checked {
        let token = self
            .schema
            .refresh
            .as_ref()
            .and_then(|refresh| refresh.with.as_deref());
        let shows = |name: &&str| {
            let mut roots = self.schema.roots(name).into_iter();
            roots.any(|root| self.schema.is_secret(root) || Some(root) == token)
        };
        if let Some(name) = url.names().find(shows) {
            let problem = format!("the secret `{name}` would show in logs; send it in the body");
            return fail(at, problem);
        }
        if url.url_name().is_some() {
            return Ok(());
        }
        let text = url.source();
        if text.contains(['?', '#']) {
            let problem = "a query has a field of its own: query = { name = \"value\" }";
            return fail(at, problem);
        }
        check_segments(at, text)?;
        if text.starts_with('/') {
            return Ok(());
        }
        if text.starts_with("ws:") || text.starts_with("wss:") {
            let problem = "a login over a WebSocket is none that a recipe can say; implement Login";
            return fail(at, problem);
        }
        if !text.starts_with("https://") && !text.starts_with("http://") {
            let problem = "a path begins with a slash, and a whole URL with https://";
            return fail(at, problem);
        }
        let origin = origin_of(text);
        let is_named = |url: &Template| origin_of(url.source()) == origin;
        if is_named(&self.schema.base) || self.schema.scope.iter().any(is_named) {
            return Ok(());
        }
        let problem = format!(
            "{origin} is neither the base URL's origin nor one of `scope`, so no secret goes there"
        );
        fail(at, problem)
    }

    fn take(&self, at: &str, take: &Take, step: &Step, known: &BTreeSet<String>) -> Checked {
        if take.places() != 1 {
            let problem = "a value is taken from one place: json, header, cookie, text, field, \
                           xml or claim";
            return fail(at, problem);
        }
        if step.head.is_some() && take.needs_body() {
            return fail(at, NO_BODY);
        }
        match (&take.claim, &take.of) {
            (Some(_), None) => {
                let problem = "say which JWT the claim is of: { claim = .., of = \"token\" }";
                return fail(at, problem);
            }
            (None, Some(_)) => return fail(at, "only a claim is `of` another value"),
            (Some(_), Some(of)) => match step.take.get(of) {
                Some(takes) if takes.0.iter().any(|take| take.claim.is_some()) => {
                    return fail(at, format!("`{of}` is a claim itself"));
                }
                None if !known.contains(of) => return fail(at, self.unknown(of, known)),
                _ => {}
            },
            (None, None) => {}
        }
        match &take.life {
            Some(Wait::Read(reads)) => check_reads(&format!("{at}.life"), Some(reads)),
            Some(Wait::Fixed(span)) if span.field().is_some() => {
                fail(format!("{at}.life"), "a documented life is no field")
            }
            _ => Ok(()),
        }
    }

    /// What a step, or the session, computes. Finds the order: what names only known values comes
    /// first.
    pub(super) fn compute(
        &mut self,
        at: &str,
        computes: &BTreeMap<String, Compute>,
        role: Role,
        known: &mut BTreeSet<String>,
    ) -> Checked {
        for (name, compute) in computes {
            let at = format!("{at}.compute.{name}");
            check_name(name).map_err(|problem| RecipeError::new(&at, problem))?;
            let steps = &self.schema.login.0;
            let is_taken = steps.iter().any(|step| step.take.contains_key(name));
            if self.schema.has_field(name) || is_taken {
                return fail(at, NAME_IS_TAKEN);
            }
            check_compute(&at, compute)?;
        }
        let mut order: Vec<String> = Vec::new();
        let mut rest: BTreeSet<&String> = computes.keys().collect();
        while !rest.is_empty() {
            let names = |name: &String| computes[name].templates();
            let waits = |name: &&&String| {
                let mut templates = names(name).map(|(_, template)| template);
                templates.any(|template| rest.iter().any(|other| template.mentions(other)))
            };
            let Some(next) = rest
                .iter()
                .find(|name| !waits(name))
                .map(|name| (*name).clone())
            else {
                let problem = "these values are computed from each other";
                return fail(format!("{at}.compute"), problem);
            };
            for (key, template) in names(&next) {
                self.names(&format!("{at}.compute.{next}.{key}"), template, role, known)?;
            }
            rest.remove(&next);
            known.insert(next.clone());
            order.push(next);
        }
        self.computed.insert(at.to_owned(), order);
        Ok(())
    }
}

/// The methods that are not written as `method` and `url`.
const OWN_KEYS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// Values stand in XML and in text where they can stand.
fn check_texts(at: &str, step: &Step) -> Checked {
    if let Some(xml) = step.xml.as_ref().map(Template::source) {
        for (begin, end) in [("<![CDATA[", "]]>"), ("<!--", "-->")] {
            let mut sections = xml.split(begin).skip(1);
            if sections.any(|rest| {
                rest.split(end)
                    .next()
                    .is_some_and(|inner| inner.contains('{'))
            }) {
                return fail(
                    format!("{at}.xml"),
                    "no value can stand in CDATA or in a comment",
                );
            }
        }
    }
    let kind = step.content_type.as_deref().unwrap_or_default();
    let has_names = step
        .text
        .as_ref()
        .is_some_and(|text| text.names().next().is_some());
    if has_names
        && ["json", "xml", "urlencoded", "html"]
            .iter()
            .any(|form| kind.contains(form))
    {
        let problem = "a value in a text is not escaped; write the body as json, form or xml";
        return fail(format!("{at}.text"), problem);
    }
    Ok(())
}

fn check_compute(at: &str, compute: &Compute) -> Checked {
    if compute.kinds() != 1 {
        let problem = "a value is computed in one way: base64, hex, percent, percent_decoded, \
                       md5, sha1, sha256, hmac, totp, time or uuid";
        return fail(at, problem);
    }
    let is_hmac = compute.hmac.is_some();
    if compute.key.is_some() != is_hmac || compute.of.is_some() != is_hmac {
        let problem = "an HMAC has a `key` and is `of` a text, and nothing else has these";
        return fail(at, problem);
    }
    Ok(())
}

/// Schemes that sign each request, or take several exchanges on one connection.
const UNSAID: [&str; 7] = [
    "OAuth ",
    "AWS4-HMAC-SHA256",
    "Digest ",
    "NTLM",
    "Negotiate",
    "Kerberos",
    "Hawk ",
];

/// Refuses what a recipe can't say.
pub(super) fn check_scheme(at: &str, value: &Template) -> Checked {
    let begins = |scheme: &&&str| {
        let beginning = value.beginning().get(..scheme.len());
        beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(scheme))
    };
    match UNSAID.iter().find(begins) {
        Some(scheme) => {
            let scheme = scheme.trim();
            let problem = format!(
                "{scheme} answers each request or connection by itself, which no recipe can say; \
                 use a client that does"
            );
            fail(at, problem)
        }
        None => Ok(()),
    }
}

/// At most one of those that write the header `Authorization`.
pub(super) fn one_authorization(at: &str, basic: bool, bearer: bool, header: bool) -> Checked {
    let writers = [basic, bearer, header]
        .into_iter()
        .filter(|is_there| *is_there);
    if writers.count() > 1 {
        let problem = "basic, bearer and the header Authorization are the same header";
        return fail(at, problem);
    }
    Ok(())
}

/// The scheme and authority of a URL's text.
pub(in crate::recipe) fn origin_of(url: &str) -> &str {
    let Some(at) = url.find("://") else {
        return url;
    };
    let behind = &url[at + 3..];
    let end = behind.find('/').unwrap_or(behind.len());
    &url[..at + 3 + end]
}
