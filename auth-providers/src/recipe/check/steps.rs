//! The steps of a login, and those that come after it.

use std::collections::BTreeSet;

use super::clauses::check_clause;
use super::{Check, Checked, Role, fail, is_optional};
use crate::login_via::MOST_REQUESTS;
use crate::recipe::error::RecipeError;
use crate::recipe::schema::{Meaning, Schema, Step, Take, Takes};

impl Check<'_> {
    /// The steps of a login, which together say what a refusal is.
    pub(super) fn login(&mut self) -> Checked {
        let schema = self.schema;
        let mut known = BTreeSet::new();
        for (index, step) in schema.login.0.iter().enumerate() {
            let at = Schema::login_step(index);
            if step.session.is_some() {
                let problem = "a login carries nothing of an earlier session";
                return fail(at + ".session", problem);
            }
            let when = step.when.as_ref();
            if let Some(name) = when.filter(|name| !self.may_be_absent(name, index)) {
                let problem = format!(
                    "`{name}` is neither an optional field nor an optional value of an earlier step"
                );
                return fail(at + ".when", problem);
            }
            if let Some(name) = self.stale_name(index) {
                let problem =
                    format!("`{name}` is of the moment of an earlier step; compute it anew");
                return fail(at, problem);
            }
            self.step(&at, step, Role::Login, &mut known)?;
            for (key, template) in step.required() {
                let mut names = template.names();
                if let Some(name) = names.find(|name| self.may_be_lacking(name, index)) {
                    let problem = format!("`{name}` may be absent, and this needs it; say `when`");
                    return fail(format!("{at}.{key}"), problem);
                }
            }
        }
        if schema.login.0.len() > MOST_REQUESTS {
            return fail(
                "login",
                format!("a login sends at most {MOST_REQUESTS} requests"),
            );
        }
        self.uses_its_fields()?;
        let takes = schema.login.0.iter().flat_map(|step| step.take.keys());
        self.taken = takes.cloned().collect();
        self.computed_by_login = known.difference(&self.taken).cloned().collect();
        let mut failures = schema.login.0.iter().flat_map(|step| &step.failures);
        let refuses = failures.any(|failure| failure.means == Some(Meaning::Refused));
        match (refuses, schema.refused) {
            (false, None) => fail(
                "login",
                "no failure says what a wrong secret looks like, as `failures = [{ status = 401, \
                 means = \"refused\" }]`; if no document says it, write `refused = \
                 \"undocumented\"` at the top",
            ),
            (true, Some(_)) => {
                let problem = "a failure says what a refusal is; leave this out";
                fail("refused", problem)
            }
            _ => Ok(()),
        }
    }

    /// A refresh sends what it spends, and brings what requests carry.
    fn refresh_works(&self) -> Checked {
        let schema = self.schema;
        let Some(refresh) = &schema.refresh else {
            return Ok(());
        };
        let attach = &schema.attach;
        if let Some(token) = &refresh.with {
            let sends = |step: &Step| {
                let mut roots = step.names().flat_map(|name| schema.roots(name));
                roots.any(|root| root == token)
            };
            // Or as the cookie of the session that it is.
            let is_listed = |take: &Take| {
                take.cookie
                    .as_ref()
                    .is_some_and(|name| attach.lists_cookie(name.as_str()))
            };
            let mut takes = (schema.login.0.iter()).filter_map(|step| step.take.get(token));
            let is_cookie = takes.any(|takes| takes.0.iter().any(is_listed));
            let carries = refresh.step.session == Some(true) && is_cookie;
            if !sends(&refresh.step) && !carries {
                return fail(
                    "refresh.with",
                    format!("the step does not send {{{token}}}"),
                );
            }
            let others = [("repair", schema.repair.as_ref().map(|repair| &repair.step))];
            let probe = ("probe", schema.probe.as_ref().map(|probe| &probe.step));
            for (at, step) in others.into_iter().chain([probe]) {
                if step.is_some_and(sends) {
                    let problem = format!("`{token}` is for the refresh and the logout alone");
                    return fail(format!("{at}.step"), problem);
                }
            }
        }
        if attach
            .names()
            .flat_map(|name| schema.roots(name))
            .any(|root| root == schema.secret)
        {
            let secret = &schema.secret;
            let problem = format!("a refreshed session has no `{secret}`, and [attach] names it");
            return fail("refresh", problem);
        }
        let own = &refresh.step.take;
        let may_be_left_out = schema
            .login
            .0
            .last()
            .is_some_and(|step| step.when.is_some());
        if own.is_empty() && may_be_left_out {
            let problem = "say what the answer has: the last step of the login may be left out";
            return fail("refresh.step.take", problem);
        }
        let carries = |name: &String| {
            let mut roots = attach.names().flat_map(|carried| schema.roots(carried));
            roots.any(|root| root == name)
        };
        if !own.is_empty() && !attach.has_cookies() && !own.keys().any(carries) {
            let problem = "it takes nothing that requests carry";
            return fail("refresh.step.take", problem);
        }
        Ok(())
    }

    /// Some step of a login, or what it computes, sends the account and the secret.
    fn uses_its_fields(&self) -> Checked {
        let schema = self.schema;
        let names = |field: &str| {
            let mut steps = schema.login.0.iter();
            steps.any(|step| step.names().any(|name| name == field))
        };
        if !names(&schema.secret) {
            let secret = &schema.secret;
            return fail("login", format!("no step sends the secret: {{{secret}}}"));
        }
        match &schema.account {
            Some(account) if !names(account) => fail(
                "account",
                format!("no step sends it: {{{account}}}; where there are no names, leave it out"),
            ),
            _ => Ok(()),
        }
    }

    /// A time or a code of a second factor that an earlier step has computed and this one names. It
    /// would be another one by now.
    fn stale_name(&self, step: usize) -> Option<&str> {
        let (earlier, rest) = self.schema.login.0.split_at(step);
        let own = rest.first()?;
        let is_stale = |name: &&str| {
            let mut computes = earlier.iter().filter_map(|step| step.compute.get(*name));
            !own.compute.contains_key(*name)
                && computes.any(|compute| compute.time.is_some() || compute.totp.is_some())
        };
        own.names().find(is_stale)
    }

    /// Whether no earlier step is sure to have taken what one of them may take, and this step is
    /// sent all the same.
    fn may_be_lacking(&self, name: &str, step: usize) -> bool {
        let (earlier, rest) = self.schema.login.0.split_at(step);
        let when = rest.first().and_then(|own| own.when.as_deref());
        let is_sure = |(takes, taken_when): (&Takes, Option<&str>)| {
            !is_optional(takes) && (taken_when.is_none() || taken_when == when)
        };
        let taken = |step: &'_ &Step| step.take.contains_key(name);
        let mut taken = earlier.iter().filter(taken).peekable();
        taken.peek().is_some()
            && when != Some(name)
            && !taken.any(|step| is_sure((&step.take[name], step.when.as_deref())))
    }

    /// Whether a value may be absent when a step begins.
    fn may_be_absent(&self, name: &str, step: usize) -> bool {
        let field = self.schema.fields.get(name);
        let mut earlier = self.schema.login.0[..step].iter();
        field.is_some_and(|field| field.optional)
            || earlier.any(|step| {
                let takes = step.take.get(name);
                takes.is_some_and(|takes| step.when.is_some() || is_optional(takes))
            })
    }

    /// The steps after a login. Returns the names in them.
    pub(super) fn later_steps(&mut self) -> Result<BTreeSet<String>, RecipeError> {
        let schema = self.schema;
        if let Some(refresh) = &schema.refresh {
            match &refresh.with {
                Some(name) if !self.taken.contains(name) => {
                    return fail("refresh.with", self.unknown(name, &self.taken));
                }
                None if refresh.single_use => {
                    return fail("refresh.single_use", "say which value: `with`");
                }
                None if refresh.step.session == Some(false) => {
                    let problem = "without a value `with`, it is done with the session";
                    return fail("refresh.step.session", problem);
                }
                _ => {}
            }
        }
        self.refresh_works()?;
        let mut names = BTreeSet::new();
        for (at, step) in schema.later_steps() {
            let at = format!("{at}.step");
            if step.when.is_some() {
                return fail(at + ".when", "only steps of a login can be left out");
            }
            let mut known = self.taken.clone();
            self.step(&at, step, Role::Later, &mut known)?;
            names.extend(step.names().map(str::to_owned));
            for compute in schema.computes(step).values() {
                let inner = compute
                    .templates()
                    .flat_map(|(_, template)| template.names());
                names.extend(inner.map(str::to_owned));
            }
            let claims = step.take.values().flat_map(|takes| &takes.0);
            names.extend(claims.filter_map(|take| take.of.clone()));
        }
        let over = schema.logout.iter().flat_map(|logout| &logout.over);
        for (index, clause) in over.enumerate() {
            check_clause(&format!("logout.over[{index}]"), clause, false)?;
        }
        Ok(names)
    }
}
