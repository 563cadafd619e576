use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use auth_core::Lifetime;
use http::header::ACCEPT;

use super::unserved::Unserved;
use crate::recipe::schema::{self, CookieName, Schema, Span, Stated, Step};
use crate::recipe::template::Template;
use crate::recipe::{Compiled, Recipe, RecipeLogin};

/// How long a session is good whose life only its answers state.
const STATED_LIFE: Duration = Duration::from_secs(60 * 60);

/// How long a value is good whose own life the recipe reads, such as a refresh token.
pub(super) const KEPT_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What a server that behaves as a recipe says has to know of it.
#[derive(Debug)]
pub(crate) struct Served {
    pub(super) recipe: Arc<Compiled>,
    /// The steps of a login that are sent, by their index.
    steps: Vec<usize>,
    /// The values that are the URL of a later step.
    pub(super) urls: BTreeSet<String>,
    /// The values that are JWTs, and the claims that are taken from each.
    pub(super) tokens: BTreeMap<String, Vec<String>>,
}

/// A step of a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// Of those of a login that are sent, counted from 0.
    Login(usize),
    Refresh,
    Repair,
    Logout,
    Probe,
}

impl Served {
    /// `login` has values for the fields.
    pub(crate) fn new(recipe: &Recipe, login: &RecipeLogin) -> Result<Self, Unserved> {
        let recipe = Arc::clone(&recipe.0);
        let schema = &recipe.schema;
        let has = |name: &String| *name == schema.secret || login.field(name).is_some();
        let is_sent = |step: &Step| step.when.as_ref().is_none_or(has);
        let steps = schema.login.0.iter().enumerate();
        let steps = steps.filter(|(_, step)| is_sent(step));
        let mut served = Self {
            steps: steps.map(|(index, _)| index).collect(),
            urls: BTreeSet::new(),
            tokens: BTreeMap::new(),
            recipe: Arc::clone(&recipe),
        };
        for at in served.all() {
            served.look_at(at, login)?;
        }
        for stated in schema.life.stated.iter().chain(&schema.life.idle_stated) {
            if let Some(name) = &stated.jwt {
                served.tokens.entry(name.clone()).or_default();
            }
        }
        Ok(served)
    }

    /// All steps.
    pub(crate) fn all(&self) -> Vec<At> {
        let later = [At::Refresh, At::Repair, At::Logout, At::Probe];
        let logins = (0..self.logins()).map(At::Login);
        let later = later.into_iter().filter(|at| self.has(*at));
        logins.chain(later).collect()
    }

    /// How many requests a login sends.
    pub(crate) fn logins(&self) -> usize {
        self.steps.len()
    }

    /// What is documented of the life of a session. What only answers state is a choice.
    pub(crate) fn lifetime(&self, login: &RecipeLogin) -> Lifetime {
        let life = &self.schema().life;
        let span = |span: &Option<Span>| span.as_ref()?.get(|name| login.field(name));
        let chosen = |places: &[Stated]| (!places.is_empty()).then_some(STATED_LIFE);
        let hard = span(&life.fixed).or_else(|| span(&life.default));
        let hard = hard.or_else(|| chosen(&life.stated));
        let idle = span(&life.idle).or_else(|| chosen(&life.idle_stated));
        let lifetime = hard.map_or(Lifetime::unknown(), Lifetime::of);
        let lifetime = idle.map_or(lifetime, |idle| lifetime.idle(idle));
        span(&life.absolute).map_or(lifetime, |absolute| lifetime.absolute(absolute))
    }

    pub(crate) fn has(&self, at: At) -> bool {
        self.step(at).is_some()
    }

    /// The field of a recipe with one for the whole base URL.
    pub(crate) fn url_field(recipe: &Recipe) -> Option<&str> {
        recipe.0.schema.base.only_name()
    }

    /// The fields of the account and of the secret.
    pub(crate) fn account_fields(recipe: &Recipe) -> (Option<&str>, &str) {
        let schema = &recipe.0.schema;
        (schema.account.as_deref(), &schema.secret)
    }

    /// Whether the step says what the answer's type is to be. If not, that is this crate's.
    pub(crate) fn states_accept(&self, at: At) -> bool {
        let names = |step: &Step| step.header.keys().any(|name| *name.get() == ACCEPT);
        self.step(at).is_some_and(names)
    }

    /// Whether a refresh spends a value that is good once, and counts as a login.
    pub(crate) fn refresh_rules(&self) -> (bool, bool) {
        let refresh = self.schema().refresh.as_ref();
        refresh.map_or((false, false), |refresh| {
            (refresh.single_use, self.schema().refresh_is_login())
        })
    }

    /// Whether a refresh is done with a value of its own, which outlives the session.
    pub(crate) fn refreshes_with_value(&self) -> bool {
        let refresh = self.schema().refresh.as_ref();
        refresh.is_some_and(|refresh| refresh.with.is_some())
    }

    /// How long the value that is spent by a refresh is good, if the recipe reads it.
    pub(crate) fn refresh_life(&self) -> Option<Duration> {
        let name = self.schema().refresh.as_ref()?.with.as_ref()?;
        let steps = self
            .steps
            .iter()
            .map(|index| &self.schema().login.0[*index]);
        let mut takes = steps.filter_map(|step| step.take.get(name));
        takes
            .any(|takes| takes.0.iter().any(|take| take.life.is_some()))
            .then_some(KEPT_LIFE)
    }

    pub(crate) fn logout_ends_account(&self) -> bool {
        let logout = self.schema().logout.as_ref();
        logout.is_some_and(|logout| logout.ends == schema::Ends::Account)
    }

    /// What requests carry that a repair fetches, as `header.NAME`, `query.NAME` or `cookie.NAME`.
    pub(crate) fn repaired(&self) -> BTreeSet<String> {
        let (mut all, attach) = (BTreeSet::new(), &self.schema().attach);
        let Some(repair) = &self.schema().repair else {
            return all;
        };
        let takes = &repair.step.take;
        let places = takes.values().flat_map(|takes| &takes.0);
        let cookies = places.filter_map(|take| take.cookie.as_ref());
        let cookies: Vec<&str> = cookies.map(CookieName::as_str).collect();
        all.extend(cookies.iter().map(|name| format!("cookie.{name}")));
        let is_fetched = |part: &schema::PartTemplate| {
            let names = part.value.iter().flat_map(Template::names);
            let mut names = names.flat_map(|name| attach.roots(name));
            let cookie = part.cookie.as_ref().map(Template::source);
            names.any(|name| takes.contains_key(name))
                || cookie.is_some_and(|name| cookies.contains(&name))
        };
        for (name, part) in &attach.header {
            if is_fetched(&part.0) {
                all.insert(format!("header.{}", name.source().to_ascii_lowercase()));
            }
        }
        for (name, part) in &attach.query {
            if is_fetched(&part.0) {
                all.insert(format!("query.{name}"));
            }
        }
        for (pointer, part) in &attach.body {
            if is_fetched(&part.0) {
                all.insert(format!("json{}", pointer.as_str()));
            }
        }
        for (name, part) in &attach.form {
            if is_fetched(&part.0) {
                all.insert(format!("form.{name}"));
            }
        }
        all
    }

    pub(super) fn schema(&self) -> &Schema {
        &self.recipe.schema
    }

    fn step(&self, at: At) -> Option<&Step> {
        let schema = self.schema();
        match at {
            At::Login(number) => schema.login.0.get(*self.steps.get(number)?),
            At::Refresh => schema.refresh.as_ref().map(|refresh| &refresh.step),
            At::Repair => schema.repair.as_ref().map(|repair| &repair.step),
            At::Logout => schema.logout.as_ref().map(|logout| &logout.step),
            At::Probe => schema.probe.as_ref().map(|probe| &probe.step),
        }
    }

    pub(super) fn need(&self, at: At) -> &Step {
        let step = self.step(at);
        step.unwrap_or_else(|| unreachable!("only steps that there are have answers"))
    }

    /// Where a step stands in the recipe.
    pub(crate) fn name(&self, at: At) -> String {
        match at {
            At::Login(number) => Schema::login_step(self.steps[number]),
            At::Refresh => "refresh.step".to_owned(),
            At::Repair => "repair.step".to_owned(),
            At::Logout => "logout.step".to_owned(),
            At::Probe => "probe.step".to_owned(),
        }
    }

    /// Notes what the values of a step have to be, and that its request can be told.
    fn look_at(&mut self, at: At, login: &RecipeLogin) -> Result<(), Unserved> {
        let (name, step) = (self.name(at), self.need(at).clone());
        for (value, compute) in &step.compute {
            let has =
                |template: &Template| template.names().all(|name| login.field(name).is_some());
            // Of an optional value that is not there, nothing is computed.
            let is_code = compute.totp.as_ref().is_some_and(has);
            if compute.time.is_some() || compute.uuid || is_code {
                let field = format!("{name}.compute.{value}");
                return Err(Unserved::new(field, "each request has another one"));
            }
        }
        for url in step.urls() {
            if url.template.beginning().contains("://") {
                let field = format!("{name}.{}", url.key);
                return Err(Unserved::new(field, "its request goes to another server"));
            }
            self.urls.extend(url.template.url_name().map(str::to_owned));
        }
        let takes = step.take.values().flat_map(|takes| &takes.0);
        for take in takes {
            if let (Some(claim), Some(of)) = (&take.claim, &take.of) {
                let claims = self.tokens.entry(of.clone()).or_default();
                claims.push(claim.as_str().to_owned());
            }
        }
        Ok(())
    }
}
