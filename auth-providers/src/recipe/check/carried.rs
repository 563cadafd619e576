//! What requests carry.

use std::collections::BTreeSet;

use http::HeaderName;

use super::step::{check_scheme, one_authorization};
use super::{Check, Checked, Role, check_path, fail, reserved};
use crate::recipe::error::RecipeError;
use crate::recipe::schema::{Attach, CookieName, PartTemplate};
use crate::recipe::template::Template;

impl Check<'_> {
    pub(super) fn attach(&mut self) -> Checked {
        let schema = self.schema;
        let attach = &schema.attach;
        if *attach == Attach::default() {
            return fail("attach", "requests would carry nothing of the session");
        }
        let is_authorization =
            |name: &Template| name.source().eq_ignore_ascii_case("authorization");
        let in_header = attach.header.keys().any(is_authorization);
        one_authorization(
            "attach",
            attach.basic.is_some(),
            attach.bearer.is_some(),
            in_header,
        )?;
        if let Some(name) = attach.compute.iter().find(|(_, compute)| compute.uuid) {
            let problem = "a UUID is one for each login; compute it in a step";
            return fail(format!("attach.compute.{}", name.0), problem);
        }
        let mut begun: BTreeSet<String> = &self.taken | &self.computed_by_login;
        let mut known = &begun | &self.repaired;
        self.compute("attach", &attach.compute, Role::Login, &mut known)?;
        let is_begun = |name: &&String| {
            let roots = attach.roots(name);
            roots
                .iter()
                .all(|root| begun.contains(*root) || schema.has_field(root))
        };
        let computed: Vec<_> = attach.compute.keys().filter(is_begun).cloned().collect();
        begun.extend(computed);
        if let Some(bearer) = &attach.bearer {
            self.carried("attach.bearer", bearer, &begun)?;
            self.needs("attach.bearer", bearer, None)?;
        }
        if let Some(basic) = &attach.basic {
            for (key, value) in [("user", &basic.user), ("password", &basic.password)] {
                let at = format!("attach.basic.{key}");
                self.carried(&at, value, &begun)?;
                self.needs(&at, value, None)?;
            }
        }
        let mut optional = attach.optional_cookies.iter();
        if let Some(twice) = optional.find(|name| attach.cookies.contains(name)) {
            let problem = format!("{:?} is in `cookies` already", twice.as_str());
            return fail("attach.optional_cookies", problem);
        }
        for (name, value) in &attach.cookie {
            let at = format!("attach.cookie.{name}");
            CookieName::try_from(name.clone()).map_err(|problem| RecipeError::new(&at, problem))?;
            if attach.lists_cookie(name) {
                return fail(at, "the cookie is listed as one that the login sets");
            }
            self.carried(&at, value, &begun)?;
            self.needs(&at, value, None)?;
        }
        self.headers_differ()?;
        for (name, part) in &attach.header {
            let at = format!("attach.header.{}", name.source());
            self.header_name(&at, name)?;
            if let Some(value) = part.0.value.as_ref().filter(|_| is_authorization(name)) {
                check_scheme(&at, value)?;
            }
            self.part(&at, &part.0, &known)?;
        }
        for (name, part) in &attach.query {
            self.part(&format!("attach.query.{name}"), &part.0, &known)?;
        }
        for (pointer, part) in &attach.body {
            let at = format!("attach.body.{}", pointer.as_str());
            if pointer.as_str().is_empty() {
                return fail(at, "a field is less than the whole body, as \"/params/0\"");
            }
            self.part(&at, &part.0, &known)?;
        }
        for (name, part) in &attach.form {
            self.part(&format!("attach.form.{name}"), &part.0, &known)?;
        }
        Ok(())
    }

    /// A name is fixed, or of values that are no secrets and are there when a session begins.
    fn plain_names(&self, at: &str, name: &Template) -> Checked {
        for part in name.names() {
            if !self.schema.has_field(part) && !self.taken.contains(part) {
                return fail(at, self.unknown(part, &self.taken));
            }
            if !self.is_plain(part) {
                let problem =
                    format!("`{part}` may be a secret; if it is none, take it with plain = true");
                return fail(at, problem);
            }
        }
        Ok(())
    }

    /// No header is there twice, in another case.
    fn headers_differ(&self) -> Checked {
        let mut names = BTreeSet::new();
        for name in self.schema.attach.header.keys().map(Template::source) {
            if !names.insert(name.to_ascii_lowercase()) {
                let problem = "the header is there already, in another case";
                return fail(format!("attach.header.{name}"), problem);
            }
        }
        Ok(())
    }

    fn header_name(&self, at: &str, name: &Template) -> Checked {
        self.plain_names(at, name)?;
        if name.names().next().is_some() {
            return Ok(());
        }
        if HeaderName::try_from(name.source()).is_err() {
            return fail(at, "this is not the name of a header");
        }
        reserved(at, name.source())
    }

    /// Whether a value is no secret, wherever it is from.
    fn is_plain(&self, name: &str) -> bool {
        if self.schema.has_field(name) {
            return !self.schema.is_secret(name);
        }
        let later = self.schema.later_steps().map(|(_, step)| step);
        let steps = self.schema.login.0.iter().chain(later);
        let takes: Vec<_> = steps.filter_map(|step| step.take.get(name)).collect();
        let mut places = takes.iter().flat_map(|takes| &takes.0);
        !takes.is_empty() && places.all(|take| take.plain)
    }

    fn carried(&self, at: &str, value: &Template, known: &BTreeSet<String>) -> Checked {
        if value.url_name().is_some() || value.json_name().is_some() || value.mixes() {
            return fail(at, "{+name} stands for a step's URL alone");
        }
        self.names(at, value, Role::Login, known)
    }

    fn part(&self, at: &str, part: &PartTemplate, known: &BTreeSet<String>) -> Checked {
        let attach = &self.schema.attach;
        let has_cookie = |name: &Template| {
            let text = name.source();
            let is_made = || name.names().next().is_some();
            let some = || attach.cookies.iter().chain(&attach.optional_cookies);
            attach.all_cookies
                || attach.lists_cookie(text)
                || attach.cookie.contains_key(text)
                || (is_made() && some().any(|listed| listed.as_str().ends_with('*')))
        };
        match (&part.value, &part.cookie) {
            (Some(_), None) if part.percent_decoded => {
                return fail(at, "only a cookie's value can be decoded");
            }
            (Some(value), None) => self.carried(at, value, known)?,
            (None, Some(cookie)) if has_cookie(cookie) => {
                self.plain_names(at, cookie)?;
            }
            (None, Some(cookie)) => {
                let problem =
                    format!("the session has no cookie {cookie:?}; add it to attach.cookies");
                return fail(at, problem);
            }
            _ => return fail(at, "a part has either a `value` or a `cookie`"),
        }
        let at = format!("{at}.below");
        (part.below.iter()).try_for_each(|path| check_path(&at, path))
    }

    /// The templates of headers, query pairs and fields of the body, with where they stand.
    pub(super) fn carried_parts(&self) -> Vec<(String, &Template)> {
        let attach = &self.schema.attach;
        let bearer = attach.bearer.iter();
        let mut all: Vec<_> = bearer
            .map(|token| ("attach.bearer".to_owned(), token))
            .collect();
        for (name, part) in &attach.header {
            let at = format!("attach.header.{}", name.source());
            all.extend(part.0.value.iter().map(|value| (at.clone(), value)));
            all.push((at, name));
        }
        let query = (attach.query.iter()).map(|(name, part)| (format!("query.{name}"), part));
        let body = attach.body.iter();
        let body = body.map(|(pointer, part)| (format!("body.{}", pointer.as_str()), part));
        let form = (attach.form.iter()).map(|(name, part)| (format!("form.{name}"), part));
        for (at, part) in query.chain(body).chain(form) {
            let values = part.0.value.iter();
            all.extend(values.map(|value| (format!("attach.{at}"), value)));
        }
        all
    }
}
