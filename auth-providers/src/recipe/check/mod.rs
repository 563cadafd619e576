//! What a recipe has to be beyond the types of its fields, and what follows from it.

mod answers;
mod carriable;
mod carried;
mod changes;
mod clauses;
mod head;
mod step;
mod steps;

use std::collections::{BTreeMap, BTreeSet};

use http::HeaderName;

pub(super) use self::step::origin_of;

use super::ask::has_dot_segment;
use super::error::RecipeError;
use super::schema::{Schema, Take, Takes};
use super::template::Template;

/// What follows from a recipe, found when it is checked.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The values that a session keeps, because something later names them.
    pub(super) kept: BTreeSet<String>,
    /// The values that requests carry, themselves or by what is computed from them.
    pub(super) carried: BTreeSet<String>,
    /// The values that only a repair takes. What carries them is fetched.
    pub(super) fetched: BTreeSet<String>,
    /// The headers of responses that secrets are taken from.
    pub(super) secret_headers: Vec<HeaderName>,
    /// For each step, the order in which its values are computed.
    pub(super) computed: BTreeMap<String, Vec<String>>,
    /// Whether a verdict looks at the request.
    pub(super) judges_requests: bool,
}

type Checked = Result<(), RecipeError>;

/// Where a step stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Login,
    /// With a session, and without the secret.
    Later,
}

impl Plan {
    /// Checks a recipe.
    pub(super) fn new(schema: &Schema) -> Result<Self, RecipeError> {
        let repair = schema.repair.iter();
        let mut check = Check {
            schema,
            computed: BTreeMap::new(),
            taken: BTreeSet::new(),
            computed_by_login: BTreeSet::new(),
            repaired: repair
                .flat_map(|repair| repair.step.take.keys().cloned())
                .collect(),
        };
        check.head()?;
        check.login()?;
        check.life()?;
        check.attach()?;
        check.carriable()?;
        check.captures()?;
        check.repair()?;
        check.verdicts()?;
        let later = check.later_steps()?;
        let captured = schema.capture.values().flat_map(|takes| &takes.0);
        let headers = captured.filter_map(|take| take.header.as_ref());
        let mut verdicts = schema.verdicts.iter();
        Ok(Self {
            kept: check.kept(&later),
            carried: check.carried_values(),
            fetched: check.all_fetched(),
            secret_headers: headers.map(|name| name.get().clone()).collect(),
            judges_requests: verdicts
                .any(|clause| clause.method.is_some() || clause.path.is_some()),
            computed: check.computed,
        })
    }
}

struct Check<'a> {
    schema: &'a Schema,
    computed: BTreeMap<String, Vec<String>>,
    /// What the login takes.
    taken: BTreeSet<String>,
    /// What it computes, which is there when its session begins, and not later.
    computed_by_login: BTreeSet<String>,
    /// What a repair takes.
    repaired: BTreeSet<String>,
}

impl Check<'_> {
    /// Every name in a template is known, and no secret is where it can't be.
    fn names(
        &self,
        at: &str,
        template: &Template,
        role: Role,
        known: &BTreeSet<String>,
    ) -> Checked {
        for name in template.names() {
            if !known.contains(name) && !self.schema.has_field(name) {
                return fail(at, self.unknown(name, known));
            }
            if role == Role::Later && name == self.schema.secret {
                return fail(at, format!("`{name}` is for logins alone, and is not kept"));
            }
        }
        Ok(())
    }

    /// What is needed names no field that may be left out, unless that is what it is sent `when`.
    fn needs(&self, at: &str, template: &Template, when: Option<&str>) -> Checked {
        let fields = &self.schema.fields;
        let is_optional = |name: &str| fields.get(name).is_some_and(|field| field.optional);
        let may_be_absent = |name: &&str| {
            let roots = self.schema.roots(name);
            roots
                .iter()
                .any(|root| is_optional(root) && Some(*root) != when)
        };
        match template.names().find(may_be_absent) {
            Some(name) => fail(at, format!("`{name}` may be absent, and this needs it")),
            None => Ok(()),
        }
    }

    fn unknown(&self, name: &str, known: &BTreeSet<String>) -> String {
        let fields = self.schema.field_names();
        let names: Vec<&str> = fields.chain(known.iter().map(String::as_str)).collect();
        format!(
            "nothing is called `{name}` here; there are {}. Declare a value of the user's as \
             [fields.{name}]",
            names.join(", ")
        )
    }

    /// What only a repair takes.
    fn fetched(&self) -> BTreeSet<String> {
        self.repaired.difference(&self.taken).cloned().collect()
    }

    /// Whether a value changes while a session lasts.
    fn changes(&self, name: &str) -> bool {
        let changes =
            |root: &&str| self.repaired.contains(*root) || self.schema.capture.contains_key(*root);
        self.schema.attach.roots(name).iter().any(changes)
    }

    /// What only a repair takes, and what is computed from it.
    fn all_fetched(&self) -> BTreeSet<String> {
        let fetched = self.fetched();
        let attach = &self.schema.attach;
        let is_fetched = |name: &&String| {
            attach
                .roots(name)
                .iter()
                .any(|root| fetched.contains(*root))
        };
        let computed: Vec<_> = attach.compute.keys().filter(is_fetched).cloned().collect();
        fetched.into_iter().chain(computed).collect()
    }

    /// What the session has to keep: what later steps name, and what stands beside something that
    /// changes.
    fn kept(&self, later: &BTreeSet<String>) -> BTreeSet<String> {
        let schema = self.schema;
        let mut kept: BTreeSet<String> = self.taken.intersection(later).cloned().collect();
        let own = |template: &Template| self.taken_in(template);
        let parts = self.carried_parts();
        for (at, value) in &parts {
            // A header's name and its value change together.
            let together = parts.iter().filter(|(other, _)| other == at);
            let mut names = together.flat_map(|(_, template)| template.names());
            if names.any(|name| self.changes(name)) {
                kept.extend(own(value));
            }
        }
        if let Some(refresh) = &schema.refresh {
            kept.extend(refresh.with.clone());
            let fresh = schema.refresh_takes();
            let claims = fresh.values().flat_map(|takes| &takes.0);
            let of = claims.filter_map(|take| take.of.as_ref());
            kept.extend(
                of.filter(|of| !fresh.contains_key(*of) && self.taken.contains(*of))
                    .cloned(),
            );
            let lacks = |name: &String| fresh.get(name).is_none_or(is_optional);
            kept.extend(self.carried_values().into_iter().filter(lacks));
        }
        kept
    }

    /// What requests carry of what the login takes.
    fn carried_values(&self) -> BTreeSet<String> {
        let attach = &self.schema.attach;
        let basic = (attach.basic.iter()).flat_map(|basic| [&basic.user, &basic.password]);
        let fixed = attach.cookie.values().chain(basic);
        let parts = self.carried_parts();
        let all = parts.iter().map(|(_, value)| *value).chain(fixed);
        all.flat_map(|template| self.taken_in(template)).collect()
    }

    /// What a template of the session names of what the login takes.
    fn taken_in(&self, template: &Template) -> Vec<String> {
        let names = template
            .names()
            .flat_map(|name| self.schema.attach.roots(name));
        let taken = names.filter(|name| self.taken.contains(*name));
        taken.map(str::to_owned).collect()
    }
}

impl Schema {
    /// What a refresh takes: what it says, or else what the login's last step takes.
    pub(super) fn refresh_takes(&self) -> &BTreeMap<String, Takes> {
        let own = self.refresh.as_ref().map(|refresh| &refresh.step.take);
        let last = self.login.0.last().map(|step| &step.take);
        match (own, last) {
            (Some(own), Some(last)) if own.is_empty() => last,
            (Some(own), _) => own,
            (None, Some(last)) => last,
            (None, None) => unreachable!("a recipe has a login"),
        }
    }
}

fn is_optional(takes: &Takes) -> bool {
    takes.0.iter().any(|take: &Take| take.optional)
}

/// Headers that the client, or another field of the recipe, writes.
const RESERVED: [(&str, &str); 8] = [
    ("host", "the URL says it"),
    ("content-length", "the client writes it"),
    ("transfer-encoding", "the client writes it"),
    ("connection", "the client writes it"),
    ("te", "the client writes it"),
    ("upgrade", "the client writes it"),
    ("cookie", "cookies have fields of their own"),
    (
        "proxy-authorization",
        "the client's proxy has one of its own",
    ),
];

/// Whether the client, or another field of the recipe, writes this header.
pub(super) fn is_reserved(name: &str) -> bool {
    let mut names = RESERVED.iter();
    names.any(|(reserved, _)| name.eq_ignore_ascii_case(reserved))
}

fn reserved(at: &str, name: &str) -> Checked {
    let of_name = |(reserved, _): &&(&str, &str)| name.eq_ignore_ascii_case(reserved);
    match RESERVED.iter().find(of_name) {
        Some((_, why)) => fail(at, format!("this header can't be set: {why}")),
        None => Ok(()),
    }
}

/// A path of requests, as clients write it.
fn check_path(at: &str, path: &str) -> Checked {
    if !path.starts_with('/') {
        return fail(at, "a path begins with a slash");
    }
    if path.contains(['?', '#']) {
        return fail(at, "a path has no query and no fragment");
    }
    check_segments(at, path)
}

/// What stands in a path or a URL is sent as it is written, and leads nowhere else.
fn check_segments(at: &str, url: &str) -> Checked {
    // Clients take a backslash for a slash (WHATWG URL, section 4.4).
    if has_dot_segment(url) || url.contains('\\') {
        return fail(at, LEADS_ELSEWHERE);
    }
    if url.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
        return fail(at, "white space in a URL is written as %20");
    }
    if !url.is_ascii() {
        return fail(
            at,
            "a letter that can't stand in a URL is written as %C3%A9",
        );
    }
    Ok(())
}

const LEADS_ELSEWHERE: &str = "an empty segment, one of dots, or a backslash leads elsewhere";

const NAME_IS_TAKEN: &str = "another value has this name already";

fn fail<T>(field: impl Into<String>, problem: impl Into<String>) -> Result<T, RecipeError> {
    Err(RecipeError::new(field, problem))
}
