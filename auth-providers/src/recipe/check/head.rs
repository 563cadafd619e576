//! The fields before the first step.

use std::collections::BTreeSet;

use super::step::origin_of;
use super::{Check, Checked, LEADS_ELSEWHERE, NAME_IS_TAKEN, fail};
use crate::base_url::BaseUrl;
use crate::recipe::ask::has_dot_segment;
use crate::recipe::error::RecipeError;
use crate::recipe::login::is_too_short;
use crate::recipe::template::{Template, check_name};

impl Check<'_> {
    pub(super) fn head(&self) -> Checked {
        let schema = self.schema;
        if schema.recipe != 1 {
            let problem = format!("this library reads format 1, and not {}", schema.recipe);
            return fail("recipe", problem);
        }
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        if schema.name.is_empty() || !schema.name.chars().all(is_plain) {
            return fail("name", "a name is letters, digits, `-`, `_` and `.`");
        }
        for name in schema.field_names() {
            check_name(name)
                .map_err(|problem| RecipeError::new(format!("fields.{name}"), problem))?;
        }
        for (name, field) in &schema.fields {
            let at = |key: &str| format!("fields.{name}.{key}");
            if field.default.is_some() && schema.is_secret(name) {
                return fail(at("default"), "a recipe holds no secret; its user gives it");
            }
            if field.default.is_some() && field.optional {
                return fail(
                    at("optional"),
                    "a field with a default is never without a value",
                );
            }
            let default = field.default.as_deref();
            if default.is_some_and(|default| is_too_short(default, field.at_least)) {
                return fail(at("default"), "it is shorter than `at_least`");
            }
            let logs_in = *name == schema.secret || Some(name) == schema.account.as_ref();
            if field.optional && logs_in {
                return fail(at("optional"), "a login needs its account and its secret");
            }
            if field.secret && Some(name) == schema.account.as_ref() {
                return fail(
                    at("secret"),
                    "the name of an account is part of what is logged",
                );
            }
        }
        if schema.account.as_ref() == Some(&schema.secret) {
            return fail("account", "the account and the secret are two fields");
        }
        self.names_are_free()?;
        self.url_of_fields("base", &schema.base)?;
        for (index, origin) in schema.scope.iter().enumerate() {
            let at = format!("scope[{index}]");
            self.url_of_fields(&at, origin)?;
            let source = origin.source();
            if origin_of(source) != source.strip_suffix('/').unwrap_or(source) {
                let problem = "an origin has no path; what goes below a path alone says `below`";
                return fail(at, problem);
            }
        }
        if (schema.limits.as_ref()).is_some_and(|limits| limits.window.field().is_some()) {
            return fail(
                "limits.window",
                "the window is documented, so it is no field",
            );
        }
        Ok(())
    }

    /// What the session computes has names of its own. This comes first, since a name stands for
    /// what it is computed from: one that were taken as well could be computed from itself.
    fn names_are_free(&self) -> Checked {
        let schema = self.schema;
        let later = schema.later_steps().map(|(_, step)| step);
        let steps: Vec<_> = schema.login.0.iter().chain(later).collect();
        let is_taken = |name: &String| {
            let mut steps = steps.iter();
            schema.has_field(name) || steps.any(|step| step.take.contains_key(name))
        };
        match schema.attach.compute.keys().find(|name| is_taken(name)) {
            Some(name) => fail(format!("attach.compute.{name}"), NAME_IS_TAKEN),
            None => Ok(()),
        }
    }

    /// A base URL or an origin: of fields that are no secrets.
    fn url_of_fields(&self, at: &str, url: &Template) -> Checked {
        for name in url.names() {
            if !self.schema.has_field(name) {
                return fail(at, self.unknown(name, &BTreeSet::new()));
            }
            if self.schema.is_secret(name) {
                return fail(at, format!("the secret `{name}` would show in every URL"));
            }
        }
        if url.url_name().is_some() || url.json_name().is_some() || url.mixes() {
            return fail(
                at,
                "write the field without `+`; a URL is taken as it is here",
            );
        }
        if has_dot_segment(url.source().trim_end_matches('/')) {
            return fail(at, LEADS_ELSEWHERE);
        }
        if url.names().next().is_none() {
            return BaseUrl::parse(url.source())
                .map(drop)
                .map_err(|error| RecipeError::new(at, explained(&error)));
        }
        if url.source().contains(['?', '#', '@', '\\']) {
            return fail(at, "a base URL has no query, no fragment and no user");
        }
        let begins = url.beginning();
        if url.only_name().is_none() && !begins.starts_with("https://") {
            return fail(at, "a URL begins with https://, or is a field alone");
        }
        Ok(())
    }
}

fn explained(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
