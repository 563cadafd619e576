//! What changes while a session lasts, and the verdicts that lead there.

use super::clauses::{check_conditions, check_order};
use super::{Check, Checked, check_path, fail};
use crate::recipe::schema::Verdict;
use crate::recipe::template::Template;

impl Check<'_> {
    /// What responses bring anew: values that are carried where they can change.
    pub(super) fn captures(&self) -> Checked {
        for (name, takes) in &self.schema.capture {
            let at = format!("capture.{name}");
            if !self.taken.contains(name) && !self.repaired.contains(name) {
                let problem = format!("neither the login nor the repair takes `{name}`");
                return fail(at, problem);
            }
            for take in &takes.0 {
                if take.cookie.is_some() {
                    let problem = "a session follows its cookies by itself; leave this out";
                    return fail(at, problem);
                }
                if take.claim.is_some() || take.places() != 1 {
                    let problem =
                        "a value is captured from one place: header, json, text, field or xml";
                    return fail(at, problem);
                }
            }
        }
        for name in self.schema.attach.header.keys() {
            if let Some(part) = name.names().find(|part| self.changes(part)) {
                let problem =
                    format!("`{part}` is the name of a header, which no response changes");
                let is_captured = self.schema.capture.contains_key(part);
                let at = if is_captured {
                    "capture"
                } else {
                    "repair.step.take"
                };
                return fail(format!("{at}.{part}"), problem);
            }
        }
        for (at, value) in self.fixed_parts() {
            if let Some(name) = value.names().find(|name| self.changes(name)) {
                let problem = format!(
                    "`{name}` changes during a session; attach it as a header or in the query"
                );
                return fail(at, problem);
            }
        }
        let secret = self.schema.secret.as_str();
        for (at, value) in self.carried_parts() {
            let mut roots = value
                .names()
                .flat_map(|name| self.schema.attach.roots(name));
            if roots.any(|root| root == secret) && value.names().any(|name| self.changes(name)) {
                let problem =
                    format!("it changes during a session, which does not keep `{secret}`");
                return fail(at, problem);
            }
        }
        Ok(())
    }

    /// What is attached once, when a session begins.
    fn fixed_parts(&self) -> impl Iterator<Item = (String, &Template)> {
        let attach = &self.schema.attach;
        let cookies = attach.cookie.iter();
        let cookies = cookies.map(|(name, value)| (format!("attach.cookie.{name}"), value));
        let basic = attach.basic.iter().flat_map(|basic| {
            let both = [("user", &basic.user), ("password", &basic.password)];
            both.map(|(key, value)| (format!("attach.basic.{key}"), value))
        });
        cookies.chain(basic)
    }

    /// A repair brings something that requests carry, and something asks for it.
    pub(super) fn repair(&self) -> Checked {
        let parts = self.carried_parts();
        let attach = &self.schema.attach;
        let is_carried = |name: &String| {
            let mut names = parts.iter().flat_map(|(_, value)| value.names());
            names.any(|carried| attach.roots(carried).contains(&name.as_str()))
        };
        if let Some(name) = self.repaired.iter().find(|name| !is_carried(name)) {
            let problem = format!("nothing carries `{name}`");
            return fail(format!("repair.step.take.{name}"), problem);
        }
        let mut verdicts = self.schema.verdicts.iter();
        let asks = verdicts.any(|clause| clause.means == Some(Verdict::Repair));
        let has_cookies = self.schema.attach.has_cookies();
        match self.schema.repair {
            Some(_) if self.repaired.is_empty() && !has_cookies => {
                fail("repair.step.take", "a repair takes what the session lacks")
            }
            Some(_) if !asks && self.fetched().is_empty() => {
                fail("repair", "no verdict says when: { .., means = \"repair\" }")
            }
            None if asks && self.schema.capture.is_empty() && !has_cookies => fail(
                "verdicts",
                "a repair is asked for, and nothing brings one: [repair] or [capture]",
            ),
            _ => Ok(()),
        }
    }

    pub(super) fn verdicts(&self) -> Checked {
        for (index, clause) in self.schema.verdicts.iter().enumerate() {
            let at = format!("verdicts[{index}]");
            if clause.means.is_none() {
                let problem = "a verdict says what it means: accepted, rejected, not_permitted, \
                               repair, unproven or unclear";
                return fail(at, problem);
            }
            if clause.wait.is_some() {
                return fail(at + ".wait", "only a failed login is waited for");
            }
            if let Some(path) = &clause.path {
                check_path(&format!("{at}.path"), path)?;
            }
            check_conditions(&at, clause)?;
        }
        check_order("verdicts", &self.schema.verdicts)?;
        if !(1..=auth_core::MAX_JUDGED_BODY).contains(&self.schema.judged_body.at_most) {
            let problem = format!("from 1 to {} bytes", auth_core::MAX_JUDGED_BODY);
            return fail("judged_body.at_most", problem);
        }
        Ok(())
    }
}
