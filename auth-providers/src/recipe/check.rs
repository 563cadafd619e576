//! What a recipe has to be beyond the types of its fields, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};

use http::HeaderName;

use super::error::RecipeError;
use super::schema::{Attached, Clause, Meaning, Reads, Schema, Stated, Step, Take, Takes, Verdict};
use super::template::{Template, check_name};
use crate::base_url::BaseUrl;

/// What follows from a recipe, found when it is checked.
#[derive(Debug)]
pub(super) struct Plan {
    /// The values that a session keeps, because something later names them.
    pub(super) kept: BTreeSet<String>,
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

impl Plan {
    /// Checks a recipe.
    pub(super) fn new(schema: &Schema) -> Result<Self, RecipeError> {
        let mut check = Check {
            schema,
            computed: BTreeMap::new(),
        };
        check.head()?;
        let taken = check.login()?;
        let repaired: BTreeSet<String> = match &schema.repair {
            Some(repair) => repair.step.take.keys().cloned().collect(),
            None => BTreeSet::new(),
        };
        let fetched: BTreeSet<_> = repaired.difference(&taken).cloned().collect();
        check.life(&taken)?;
        check.attach(&taken, &repaired)?;
        check.changes(&taken, &repaired, &fetched)?;
        let after = check.later_steps(&taken)?;
        let kept = check.kept(&taken, &repaired, &after);
        let computed = check.computed;
        let headers = schema.capture.values().flat_map(|takes| &takes.0);
        let headers = headers.filter_map(|take| take.header.as_ref());
        Ok(Self {
            kept,
            fetched,
            secret_headers: headers.map(|name| name.get().clone()).collect(),
            computed,
            judges_requests: (schema.verdicts.iter())
                .any(|clause| clause.method.is_some() || clause.path.is_some()),
        })
    }
}

struct Check<'a> {
    schema: &'a Schema,
    computed: BTreeMap<String, Vec<String>>,
}

impl Check<'_> {
    fn head(&self) -> Checked {
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
        self.url_of_fields("base", &schema.base)?;
        for (index, origin) in schema.scope.iter().enumerate() {
            self.url_of_fields(&format!("scope[{index}]"), origin)?;
        }
        if let Some(limits) = &schema.limits {
            if limits.window.field().is_some() {
                return fail(
                    "limits.window",
                    "the window is documented, so it is no field",
                );
            }
        }
        Ok(())
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
        if url.url_name().is_some() || url.mixes_url() {
            return fail(
                at,
                "write the field without `+`; a URL is taken as it is here",
            );
        }
        if url.names().next().is_none() {
            return BaseUrl::parse(url.source())
                .map(drop)
                .map_err(|error| RecipeError::new(at, explained(&error)));
        }
        let begins = url.beginning();
        if url.only_name().is_none() && !begins.starts_with("https://") {
            return fail(at, "a URL begins with https://, or is a field alone");
        }
        Ok(())
    }

    /// The steps of a login. Returns what they take.
    fn login(&mut self) -> Result<BTreeSet<String>, RecipeError> {
        let schema = self.schema;
        if schema.login.is_empty() {
            return fail("login", "a login has at least one step: [[login]]");
        }
        let mut taken = BTreeSet::new();
        for (index, step) in schema.login.iter().enumerate() {
            let at = format!("login[{index}]");
            if step.session.is_some() {
                return fail(
                    at + ".session",
                    "a login carries nothing of an earlier session",
                );
            }
            if let Some(name) = &step.when {
                if !self.is_optional(name, index) {
                    return fail(
                        at + ".when",
                        format!(
                            "`{name}` is neither an optional field nor an optional value of an earlier step"
                        ),
                    );
                }
            }
            self.step(&at, step, Role::Login, &mut taken)?;
        }
        let mut failures = schema.login.iter().flat_map(|step| &step.failures);
        let refuses = failures.any(|failure| failure.means == Some(Meaning::Refused));
        match (refuses, schema.refused) {
            (false, None) => fail(
                "login",
                "no failure says what a wrong secret looks like, as `failures = [{ status = 401, \
                 means = \"refused\" }]`; if no document says it, write `refused = \
                 \"undocumented\"` at the top",
            ),
            (true, Some(_)) => fail(
                "refused",
                "a failure says what a refusal is; leave this out",
            ),
            _ => Ok(taken),
        }
    }

    fn is_optional(&self, name: &str, before: usize) -> bool {
        let field = self.schema.fields.get(name);
        field.is_some_and(|field| field.optional)
            || (self.schema.login[..before].iter()).any(|step| {
                let takes = step.take.get(name);
                takes.is_some_and(|takes| step.when.is_some() || is_optional(takes))
            })
    }

    /// One step. Adds what it takes and computes to what is known.
    fn step(&mut self, at: &str, step: &Step, role: Role, known: &mut BTreeSet<String>) -> Checked {
        let mut urls = step.urls();
        let (Some(url), None) = (urls.next(), urls.next()) else {
            return fail(
                at,
                "a step has one method: get, head, post, put, patch or delete",
            );
        };
        let bodies: Vec<_> = step.bodies().collect();
        if let [one, another, ..] = bodies.as_slice() {
            return fail(
                format!("{at}.{another}"),
                format!("the step has a body already: {one}"),
            );
        }
        if let ([body], "get" | "head") = (bodies.as_slice(), url.key) {
            return fail(format!("{at}.{body}"), format!("a {} has no body", url.key));
        }
        if step.content_type.is_some() && bodies.is_empty() {
            return fail(format!("{at}.content_type"), "the step has no body");
        }
        let authorizes = [
            step.basic.is_some(),
            step.bearer.is_some(),
            step.header
                .keys()
                .any(|name| name.get() == http::header::AUTHORIZATION),
        ];
        if authorizes.into_iter().filter(|is_there| *is_there).count() > 1 {
            return fail(
                at,
                "basic, bearer and the header Authorization are the same header",
            );
        }
        for name in step.header.keys() {
            reserved(&format!("{at}.header.{}", name.get()), name.get().as_str())?;
        }
        self.compute(at, step, role, known)?;
        for (key, template) in step.templates() {
            let at = format!("{at}.{key}");
            self.names(&at, template, role, known)?;
            if template.mixes_url() || (template.url_name().is_some() && key != url.key) {
                return fail(
                    at,
                    "{+name} is a whole URL or path, and stands for a step's URL alone",
                );
            }
        }
        self.url(&format!("{at}.{}", url.key), url.template)?;
        for (index, clause) in step.ok.iter().enumerate() {
            check_clause(&format!("{at}.ok[{index}]"), clause, false)?;
        }
        for (index, failure) in step.failures.iter().enumerate() {
            let at = format!("{at}.failures[{index}]");
            if failure.means.is_none() {
                return fail(
                    at,
                    "a failure says what it means: refused, locked, limited ...",
                );
            }
            check_clause(&at, failure, true)?;
        }
        let before = known.clone();
        for (name, takes) in &step.take {
            let at = format!("{at}.take.{name}");
            check_name(name).map_err(|problem| RecipeError::new(&at, problem))?;
            if self.schema.has_field(name) {
                return fail(at, "a field has this name already");
            }
            self.takes(&at, takes, &before, step)?;
            known.insert(name.clone());
        }
        Ok(())
    }

    fn takes(&self, at: &str, takes: &Takes, before: &BTreeSet<String>, step: &Step) -> Checked {
        for take in &takes.0 {
            match (take.places(), take.claim.is_some(), &take.of) {
                (1, true, Some(of)) if before.contains(of) || step.take.contains_key(of) => {
                    let claims = |takes: &Takes| takes.0.iter().any(|take| take.claim.is_some());
                    if step.take.get(of).is_some_and(claims) {
                        return fail(at, format!("`{of}` is a claim itself"));
                    }
                }
                (1, true, Some(of)) => return fail(at, self.unknown(of, before)),
                (1, true, None) => {
                    return fail(
                        at,
                        "say which JWT the claim is of: { claim = .., of = \"token\" }",
                    );
                }
                (1, false, None) => {}
                (1, false, Some(_)) => return fail(at, "only a claim is `of` another value"),
                _ => {
                    return fail(
                        at,
                        "a value is taken from one place: json, header, cookie, text, field, xml \
                         or claim",
                    );
                }
            }
            check_reads(at, take.life.as_ref())?;
        }
        Ok(())
    }

    fn compute(
        &mut self,
        at: &str,
        step: &Step,
        role: Role,
        known: &mut BTreeSet<String>,
    ) -> Checked {
        let mut order = Vec::new();
        for (name, compute) in &step.compute {
            let at = format!("{at}.compute.{name}");
            check_name(name).map_err(|problem| RecipeError::new(&at, problem))?;
            if self.schema.has_field(name) || known.contains(name) {
                return fail(at, "another value has this name already");
            }
            if compute.kinds() != 1 {
                return fail(
                    at,
                    "a value is computed in one way: base64, hex, percent, md5, sha1, sha256, \
                     hmac, totp, time or uuid",
                );
            }
            let parts = (compute.key.is_some(), compute.of.is_some());
            if (compute.hmac.is_some(), compute.hmac.is_some()) != parts {
                return fail(
                    at,
                    "an HMAC has a `key` and is `of` a text, and nothing else is",
                );
            }
        }
        // What names only known values is computed first.
        while order.len() < step.compute.len() {
            let is_next = |name: &&String| {
                let compute = &step.compute[*name];
                let mut names = compute
                    .templates()
                    .flat_map(|(_, template)| template.names());
                !order.contains(*name)
                    && names.all(|name| {
                        order.contains(&name.to_owned()) || !step.compute.contains_key(name)
                    })
            };
            let Some(next) = step.compute.keys().find(is_next) else {
                return fail(
                    format!("{at}.compute"),
                    "these values are computed from each other",
                );
            };
            for (key, template) in step.compute[next].templates() {
                self.names(&format!("{at}.compute.{next}.{key}"), template, role, known)?;
            }
            known.insert(next.clone());
            order.push(next.clone());
        }
        self.computed.insert(at.to_owned(), order);
        Ok(())
    }

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

    fn unknown(&self, name: &str, known: &BTreeSet<String>) -> String {
        let fields = self.schema.field_names();
        let names: Vec<&str> = fields.chain(known.iter().map(String::as_str)).collect();
        format!(
            "nothing is called `{name}` here; there are {}. Declare a value of the user's as \
             [fields.{name}]",
            names.join(", ")
        )
    }

    /// The URL of a step leads to where the recipe says it logs in.
    fn url(&self, at: &str, url: &Template) -> Checked {
        if url.url_name().is_some() {
            return Ok(());
        }
        for name in url.names().filter(|name| self.schema.is_secret(name)) {
            return fail(
                at,
                format!("the secret `{name}` would show in logs; send it in the body"),
            );
        }
        let text = url.source();
        if text.contains(['?', '#']) {
            return fail(
                at,
                "a query has a field of its own: query = { name = \"value\" }",
            );
        }
        if text.starts_with('/') {
            return Ok(());
        }
        if !text.starts_with("https://") && !text.starts_with("http://") {
            return fail(
                at,
                "a path begins with a slash, and a whole URL with https://",
            );
        }
        let origin = origin_of(text);
        let named = |url: &Template| origin_of(url.source()) == origin;
        if named(&self.schema.base) || self.schema.scope.iter().any(named) {
            return Ok(());
        }
        fail(
            at,
            format!(
                "{origin} is neither the base URL's origin nor one of `scope`, so no secret goes there"
            ),
        )
    }

    fn life(&self, taken: &BTreeSet<String>) -> Checked {
        let life = &self.schema.life;
        if life.fixed.is_some() && life.default.is_some() {
            return fail(
                "life.default",
                "`fixed` holds whatever a response states, and `default` only where it states \
                 nothing; write one of them",
            );
        }
        if life.default.is_some() && life.stated.is_empty() {
            return fail("life.default", "nothing is stated otherwise; write `fixed`");
        }
        for (key, span) in [
            ("fixed", &life.fixed),
            ("default", &life.default),
            ("idle", &life.idle),
            ("absolute", &life.absolute),
            ("margin", &life.margin),
        ] {
            let Some(name) = span.as_ref().and_then(|span| span.field()) else {
                continue;
            };
            let at = format!("life.{key}");
            if !self.schema.has_field(name) || self.schema.is_secret(name) {
                return fail(
                    at,
                    format!("`{name}` is no field that could hold a span of time"),
                );
            }
        }
        for (index, stated) in life.stated.iter().enumerate() {
            check_stated(&format!("life.stated[{index}]"), stated, taken)?;
        }
        Ok(())
    }

    fn attach(&self, taken: &BTreeSet<String>, repaired: &BTreeSet<String>) -> Checked {
        let attach = &self.schema.attach;
        let carries = [
            attach.bearer.is_some(),
            attach.basic.is_some(),
            !attach.cookies.is_empty(),
            !attach.optional_cookies.is_empty(),
            attach.all_cookies,
            !attach.cookie.is_empty(),
            !attach.header.is_empty(),
            !attach.query.is_empty(),
        ];
        if !carries.contains(&true) {
            return fail("attach", "requests would carry nothing of the session");
        }
        let is_authorization =
            |name: &&Template| name.source().eq_ignore_ascii_case("authorization");
        let authorizes = [
            attach.bearer.is_some(),
            attach.basic.is_some(),
            attach.header.keys().any(|name| is_authorization(&name)),
        ];
        if authorizes.into_iter().filter(|is_there| *is_there).count() > 1 {
            return fail(
                "attach",
                "basic, bearer and the header Authorization are the same header",
            );
        }
        let known: BTreeSet<String> = taken.union(repaired).cloned().collect();
        if let Some(bearer) = &attach.bearer {
            self.carried("attach.bearer", bearer, &known)?;
        }
        if let Some(basic) = &attach.basic {
            self.carried("attach.basic.user", &basic.user, taken)?;
            self.carried("attach.basic.password", &basic.password, taken)?;
        }
        for (name, value) in &attach.cookie {
            let at = format!("attach.cookie.{name}");
            let mut listed = attach.cookies.iter().chain(&attach.optional_cookies);
            if listed.any(|listed| listed.is_of(name)) {
                return fail(at, "the cookie is listed as one that the login sets");
            }
            self.carried(&at, value, taken)?;
        }
        let listed = attach.optional_cookies.iter();
        if let Some(twice) = listed.clone().find(|name| attach.cookies.contains(name)) {
            let problem = format!("{:?} is in `cookies` already", twice.as_str());
            return fail("attach.optional_cookies", problem);
        }
        for (name, part) in &attach.header {
            let at = format!("attach.header.{}", name.source());
            for part in name.names() {
                if !self.is_plain(part) {
                    return fail(
                        at,
                        format!("`{part}` is a secret, or may be; take it with plain = true"),
                    );
                }
            }
            if name.names().next().is_none() {
                if HeaderName::try_from(name.source()).is_err() {
                    return fail(at, "this is not the name of a header");
                }
                reserved(&at, name.source())?;
            }
            self.part(&at, part, &known)?;
        }
        for (name, part) in &attach.query {
            self.part(&format!("attach.query.{name}"), part, &known)?;
        }
        Ok(())
    }

    fn is_plain(&self, name: &str) -> bool {
        let steps = self.schema.steps();
        let mut takes = steps.filter_map(|(_, step)| step.take.get(name));
        let is_field = self.schema.has_field(name) && !self.schema.is_secret(name);
        let mut any = false;
        let all = takes.all(|takes| {
            any = true;
            takes.0.iter().all(|take| take.plain)
        });
        is_field || (any && all)
    }

    fn carried(&self, at: &str, value: &Template, known: &BTreeSet<String>) -> Checked {
        if value.url_name().is_some() || value.mixes_url() {
            return fail(at, "{+name} stands for a step's URL alone");
        }
        self.names(at, value, Role::Login, known)
    }

    fn part(&self, at: &str, part: &Attached, known: &BTreeSet<String>) -> Checked {
        let part = &part.0;
        match (&part.value, &part.cookie) {
            (Some(value), None) if part.percent_decoded => {
                let _ = value;
                return fail(at, "only a cookie's value can be decoded");
            }
            (Some(value), None) => self.carried(at, value, known)?,
            (None, Some(cookie)) => {
                let attach = &self.schema.attach;
                let mut listed = attach.cookies.iter().chain(&attach.optional_cookies);
                let is_there = listed.any(|name| name.is_of(cookie))
                    || attach.all_cookies
                    || attach.cookie.contains_key(cookie);
                if !is_there {
                    return fail(
                        at,
                        format!("the session has no cookie {cookie:?}; add it to attach.cookies"),
                    );
                }
            }
            _ => return fail(at, "a part has either a `value` or a `cookie`"),
        }
        if part.below.iter().any(|path| !path.starts_with('/')) {
            return fail(format!("{at}.below"), "a path begins with a slash");
        }
        Ok(())
    }

    /// What changes while a session lasts can be changed.
    fn changes(
        &self,
        taken: &BTreeSet<String>,
        repaired: &BTreeSet<String>,
        fetched: &BTreeSet<String>,
    ) -> Checked {
        let schema = self.schema;
        let attach = &schema.attach;
        for (name, takes) in &schema.capture {
            let at = format!("capture.{name}");
            if !taken.contains(name) && !repaired.contains(name) {
                return fail(
                    at,
                    format!("neither the login nor the repair takes `{name}`"),
                );
            }
            for take in &takes.0 {
                if take.cookie.is_some() {
                    return fail(
                        at,
                        "a session follows its cookies by itself; leave this out",
                    );
                }
                if take.claim.is_some() || take.places() != 1 {
                    return fail(
                        at,
                        "a value is captured from one place: header, json, text, field or xml",
                    );
                }
            }
        }
        let changing: BTreeSet<&String> = schema.capture.keys().chain(repaired).collect();
        let fixed = attach
            .cookie
            .iter()
            .map(|(name, value)| (format!("attach.cookie.{name}"), value));
        let basic = attach.basic.iter().flat_map(|basic| {
            [("user", &basic.user), ("password", &basic.password)]
                .map(|(key, value)| (format!("attach.basic.{key}"), value))
        });
        for (at, value) in fixed.chain(basic) {
            if let Some(name) = value
                .names()
                .find(|name| changing.contains(&(*name).to_owned()))
            {
                return fail(
                    at,
                    format!(
                        "`{name}` changes during a session; attach it as a header or in the query"
                    ),
                );
            }
        }
        let parts = self.carried_parts();
        for (at, value) in &parts {
            let changes = value
                .names()
                .any(|name| changing.contains(&name.to_owned()));
            if changes && value.names().any(|name| name == schema.secret) {
                return fail(
                    at,
                    format!(
                        "it changes during a session, which does not keep `{}`",
                        schema.secret
                    ),
                );
            }
        }
        for name in repaired {
            if !parts
                .iter()
                .any(|(_, value)| value.names().any(|other| other == name))
            {
                return fail(
                    format!("repair.step.take.{name}"),
                    format!("nothing carries `{name}`"),
                );
            }
        }
        let mut verdicts = schema.verdicts.iter();
        let asks = verdicts.any(|clause| clause.means == Some(Verdict::Repair));
        let cookies =
            !attach.cookies.is_empty() || !attach.optional_cookies.is_empty() || attach.all_cookies;
        match &schema.repair {
            Some(_) if repaired.is_empty() && !cookies => {
                return fail("repair.step.take", "a repair takes what the session lacks");
            }
            Some(_) if !asks && fetched.is_empty() => {
                return fail("repair", "no verdict says when: { .., means = \"repair\" }");
            }
            None if asks && schema.capture.is_empty() && !cookies => {
                return fail(
                    "verdicts",
                    "a repair is asked for, and nothing brings one: [repair] or [capture]",
                );
            }
            _ => {}
        }
        for (index, clause) in schema.verdicts.iter().enumerate() {
            let at = format!("verdicts[{index}]");
            if clause.means.is_none() {
                return fail(
                    at,
                    "a verdict says what it means: accepted, rejected, not_permitted, repair ...",
                );
            }
            if clause.wait.is_some() {
                return fail(at + ".wait", "only a failed login is waited for");
            }
            if clause
                .path
                .as_ref()
                .is_some_and(|path| !path.starts_with('/'))
            {
                return fail(at + ".path", "a path begins with a slash");
            }
            check_body_tests(&at, clause)?;
        }
        if !(1..=auth_core::MAX_JUDGED_BODY).contains(&schema.judged_body.at_most) {
            let problem = format!("from 1 to {} bytes", auth_core::MAX_JUDGED_BODY);
            return fail("judged_body.at_most", problem);
        }
        Ok(())
    }

    /// The templates of headers and query pairs, with where they stand.
    fn carried_parts(&self) -> Vec<(String, &Template)> {
        let attach = &self.schema.attach;
        let mut all = Vec::new();
        if let Some(bearer) = &attach.bearer {
            all.push(("attach.bearer".to_owned(), bearer));
        }
        for (name, part) in &attach.header {
            all.push((format!("attach.header.{}", name.source()), name));
            if let Some(value) = &part.0.value {
                all.push((format!("attach.header.{}", name.source()), value));
            }
        }
        for (name, part) in &attach.query {
            if let Some(value) = &part.0.value {
                all.push((format!("attach.query.{name}"), value));
            }
        }
        all
    }

    /// The steps after a login. Returns the names in them.
    fn later_steps(&mut self, taken: &BTreeSet<String>) -> Result<BTreeSet<String>, RecipeError> {
        let schema = self.schema;
        if let Some(refresh) = &schema.refresh {
            match &refresh.with {
                Some(name) if !taken.contains(name) => {
                    return fail("refresh.with", self.unknown(name, taken));
                }
                None if refresh.single_use => {
                    return fail("refresh.single_use", "say which value: `with`");
                }
                None if refresh.step.session == Some(false) => {
                    return fail(
                        "refresh.step.session",
                        "without a value `with`, it is done with the session",
                    );
                }
                _ => {}
            }
        }
        let mut names = BTreeSet::new();
        for (at, step) in schema.steps().filter(|(at, _)| !at.starts_with("login")) {
            if step.when.is_some() {
                return fail(at + ".when", "only steps of a login can be left out");
            }
            let mut known = taken.clone();
            self.step(&at, step, Role::Later, &mut known)?;
            let templates = step.templates();
            let computed = step
                .compute
                .values()
                .flat_map(super::schema::Compute::templates);
            let of_step = templates.iter().map(|(_, template)| *template);
            for template in of_step.chain(computed.map(|(_, template)| template)) {
                names.extend(template.names().map(str::to_owned));
            }
            let claims = step.take.values().flat_map(|takes| &takes.0);
            names.extend(claims.filter_map(|take| take.of.clone()));
        }
        if let Some(logout) = &schema.logout {
            for (index, clause) in logout.over.iter().enumerate() {
                check_clause(&format!("logout.over[{index}]"), clause, false)?;
            }
        }
        Ok(names)
    }

    /// What the session has to keep: what later steps name, and what stands beside something that
    /// changes.
    fn kept(
        &self,
        taken: &BTreeSet<String>,
        repaired: &BTreeSet<String>,
        later: &BTreeSet<String>,
    ) -> BTreeSet<String> {
        let schema = self.schema;
        let mut kept: BTreeSet<String> = taken.intersection(later).cloned().collect();
        let changing: BTreeSet<&String> = schema.capture.keys().chain(repaired).collect();
        let own = |template: &Template| {
            let names = template.names().map(str::to_owned);
            names
                .filter(|name| taken.contains(name))
                .collect::<Vec<_>>()
        };
        let parts = self.carried_parts();
        for (at, value) in &parts {
            // A header's name and its value change together.
            let together = parts.iter().filter(|(other, _)| other == at);
            let mut names = together.flat_map(|(_, template)| template.names());
            if names.any(|name| changing.contains(&name.to_owned())) {
                kept.extend(own(value));
            }
        }
        if let Some(refresh) = &schema.refresh {
            kept.extend(refresh.with.clone());
            let takes = schema.refresh_takes();
            let lacks = |name: &String| takes.get(name).is_none_or(is_optional);
            let attach = &schema.attach;
            let basic = attach
                .basic
                .iter()
                .flat_map(|basic| [&basic.user, &basic.password]);
            let others = parts
                .iter()
                .map(|(_, value)| *value)
                .chain(attach.cookie.values())
                .chain(basic);
            kept.extend(others.flat_map(own).filter(lacks));
        }
        kept
    }
}

impl Schema {
    /// What a refresh takes: what it says, or else what the login's last step takes.
    pub(super) fn refresh_takes(&self) -> &BTreeMap<String, Takes> {
        let own = self.refresh.as_ref().map(|refresh| &refresh.step.take);
        let last = self.login.last().map(|step| &step.take);
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

fn check_clause<M>(at: &str, clause: &Clause<M>, may_wait: bool) -> Checked {
    if clause.method.is_some() || clause.path.is_some() {
        return fail(
            at,
            "`method` and `path` are for verdicts; a step knows its request",
        );
    }
    match &clause.wait {
        Some(_) if !may_wait => return fail(format!("{at}.wait"), "only a failure is waited for"),
        Some(super::schema::Wait::Read(reads)) => check_reads(&format!("{at}.wait"), Some(reads))?,
        Some(super::schema::Wait::Fixed(span)) if span.field().is_some() => {
            return fail(
                format!("{at}.wait"),
                "a wait is documented, so it is no field",
            );
        }
        _ => {}
    }
    check_body_tests(at, clause)
}

fn check_body_tests<M>(at: &str, clause: &Clause<M>) -> Checked {
    let tests = [
        clause.status.is_some(),
        clause.media_type.is_some(),
        !clause.header.is_empty(),
        !clause.json.is_empty(),
        !clause.present.is_empty(),
        !clause.absent.is_empty(),
        clause.text.is_some(),
        clause.sets_cookie.is_some(),
        clause.redirect.is_some(),
        clause.method.is_some(),
        clause.path.is_some(),
    ];
    if !tests.contains(&true) {
        return fail(
            at,
            "a clause without a condition would match every response",
        );
    }
    let mut both = clause
        .present
        .iter()
        .filter(|at| clause.absent.contains(at));
    if let Some(pointer) = both.next() {
        return fail(
            at,
            format!("{:?} can't be present and absent", pointer.as_str()),
        );
    }
    let mut expected = clause.json.keys().filter(|at| clause.absent.contains(at));
    if let Some(pointer) = expected.next() {
        return fail(
            at,
            format!("{:?} can't have a value and be absent", pointer.as_str()),
        );
    }
    Ok(())
}

fn check_reads(at: &str, reads: Option<&Reads>) -> Checked {
    let Some(reads) = reads else { return Ok(()) };
    let places = [
        reads.json.is_some(),
        reads.header.is_some(),
        reads.text.is_some(),
    ];
    if places.into_iter().filter(|is_there| *is_there).count() == 1 {
        return Ok(());
    }
    fail(at, "a time is read from one place: json, header or text")
}

fn check_stated(at: &str, stated: &Stated, taken: &BTreeSet<String>) -> Checked {
    let places = [
        stated.json.is_some(),
        stated.header.is_some(),
        stated.text.is_some(),
        stated.cookie.is_some(),
        stated.jwt.is_some(),
    ];
    if places.into_iter().filter(|is_there| *is_there).count() != 1 {
        return fail(
            at,
            "a life is stated in one place: json, header, text, cookie or jwt",
        );
    }
    match &stated.jwt {
        Some(name) if !taken.contains(name) => {
            fail(format!("{at}.jwt"), format!("no step takes `{name}`"))
        }
        _ => Ok(()),
    }
}

fn reserved(at: &str, name: &str) -> Checked {
    let of_name = |(reserved, _): &&(&str, &str)| name.eq_ignore_ascii_case(reserved);
    match RESERVED.iter().find(of_name) {
        Some((_, why)) => fail(at, format!("this header can't be set: {why}")),
        None => Ok(()),
    }
}

/// The scheme and authority of a URL's text.
fn origin_of(url: &str) -> &str {
    let Some(at) = url.find("://") else {
        return url;
    };
    let behind = &url[at + 3..];
    let end = behind.find('/').unwrap_or(behind.len());
    &url[..at + 3 + end]
}

fn explained(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn fail<T>(field: impl Into<String>, problem: impl Into<String>) -> Result<T, RecipeError> {
    Err(RecipeError::new(field, problem))
}
