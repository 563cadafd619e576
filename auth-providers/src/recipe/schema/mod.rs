//! What a recipe's author writes. Each leaf is read into what it means when it is loaded, so this
//! is also the form that runs.

mod attach;
mod condition;
mod leaf;
mod life;
mod pattern;
mod step;
mod take;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(super) use attach::{Attach, Attached, Only, PartTemplate};
#[cfg(all(feature = "demo", feature = "recipes"))]
pub(super) use condition::Kind;
pub(super) use condition::{Clause, Expected, HeaderTest, Methods, NoMeaning, Reads, Wait};
pub(super) use leaf::{CookieName, Pointer, Several, Span, Statuses, read_span};
pub(super) use life::{Life, Stated, Unit};
pub(super) use pattern::Pattern;
pub(super) use step::{Basic, Compute, Meaning, Node, Step, TimeUnit};
#[cfg(feature = "recipes")]
pub(super) use step::{Bytes, Hash};
pub(super) use take::{Take, Takes};

use super::template::Template;

/// A login described as data, in format 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(title = "Recipe of a login")
)]
pub(super) struct Schema {
    /// The version of the format: 1.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1)))]
    pub(super) recipe: u32,
    /// The kind of API, as part of the identity of a login.
    pub(super) name: String,
    /// The documents that the facts come from.
    #[serde(default)]
    pub(super) documents: Vec<String>,
    /// The URL that paths are appended to. Only fields that are no secrets may stand in it.
    pub(super) base: Template,
    /// The origins that requests may carry the session to. The default is that of the base URL.
    #[serde(default)]
    pub(super) scope: Vec<Template>,
    /// The field that names the account, unless the API has no names.
    pub(super) account: Option<String>,
    /// The field that is the secret that logs in.
    #[serde(default = "password")]
    pub(super) secret: String,
    /// Says that the API does not document what a wrong secret looks like.
    pub(super) refused: Option<Undocumented>,
    /// The fields beside the account and the secret, or more about those.
    #[serde(default)]
    pub(super) fields: BTreeMap<String, Field>,
    /// The requests of a login, in order.
    pub(super) login: Several<Step>,
    /// How long a session is good.
    #[serde(default)]
    pub(super) life: Life,
    /// What requests carry.
    #[serde(default)]
    pub(super) attach: Attach,
    /// What responses of the API say about the session. The first that matches counts.
    #[serde(default)]
    pub(super) verdicts: Vec<Clause<Verdict>>,
    /// Which successful responses are read for that.
    #[serde(default)]
    pub(super) judged_body: JudgedBody,
    /// Values that any response of the API may bring anew.
    #[serde(default)]
    pub(super) capture: BTreeMap<String, Takes>,
    /// How a part of the session is fetched.
    pub(super) repair: Option<Repair>,
    /// How a session is refreshed without the secret.
    pub(super) refresh: Option<Refresh>,
    /// How a session is ended.
    pub(super) logout: Option<Logout>,
    /// A request that tells a live session from a dead one.
    pub(super) probe: Option<Probe>,
    /// How often logins are allowed.
    pub(super) limits: Option<Limits>,
}

fn password() -> String {
    "password".to_owned()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) enum Undocumented {
    Undocumented,
}

/// A value that the recipe's user gives.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Field {
    /// What it is, for the user who has not given it.
    pub(super) about: Option<String>,
    /// The value unless the user gives one.
    pub(super) default: Option<String>,
    /// It is a secret of its own, such as that of an OAuth client.
    pub(super) secret: bool,
    /// It may be left out.
    pub(super) optional: bool,
    /// The smallest number of characters that the API takes, in UTF-16 units.
    pub(super) at_least: Option<usize>,
}

/// What a response says about the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) enum Verdict {
    /// The session is good.
    Accepted,
    /// The session is over.
    Rejected,
    /// The session is good, but not permitted to do this.
    NotPermitted,
    /// The request lacks a part of the session, or has an old one.
    Repair,
    /// The API has answered, and does not say.
    Unproven,
    /// Something between may have answered.
    Unclear,
}

/// Which successful responses are read ahead for `verdicts` and `capture`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct JudgedBody {
    /// The largest that are read, in bytes.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 65536)))]
    pub(super) at_most: usize,
    /// Also those that state no length, as a server that writes in chunks.
    pub(super) without_length: bool,
}

impl Default for JudgedBody {
    fn default() -> Self {
        Self {
            at_most: 4 * 1024,
            without_length: false,
        }
    }
}

/// A request that fetches a part of the session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Repair {
    /// The request. It carries the session unless it says otherwise.
    pub(super) step: Step,
}

/// A request that refreshes a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Refresh {
    /// The value that the login took for it. Without one, it is done with the session itself.
    pub(super) with: Option<String>,
    /// The server takes each value once.
    #[serde(default)]
    pub(super) single_use: bool,
    /// The server counts a refresh as a login.
    #[serde(default)]
    pub(super) counts_as_login: bool,
    /// The request.
    pub(super) step: Step,
}

/// A request that ends a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Logout {
    /// The request. It carries the session unless it says otherwise.
    pub(super) step: Step,
    /// Responses that say that the session was over already.
    #[serde(default)]
    pub(super) over: Vec<Clause<NoMeaning>>,
    /// What it ends.
    #[serde(default)]
    pub(super) ends: Ends,
}

/// What a logout ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) enum Ends {
    /// The session that it carries.
    #[default]
    Session,
    /// All sessions of the account.
    Account,
}

/// A request that tells a live session from a dead one, by what it counts as a success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Probe {
    /// The request. It carries the session unless it says otherwise.
    pub(super) step: Step,
}

/// How often logins are allowed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Limits {
    /// The largest number of logins in any window.
    pub(super) logins: std::num::NonZeroU32,
    /// The window.
    pub(super) window: Span,
}

impl Schema {
    /// The names of all fields: the account, the secret, and the others.
    pub(super) fn field_names(&self) -> impl Iterator<Item = &str> {
        let first = self.account.iter().chain([&self.secret]);
        let is_first =
            |name: &&String| Some(*name) == self.account.as_ref() || **name == self.secret;
        let others = self.fields.keys().filter(move |name| !is_first(name));
        first.chain(others).map(String::as_str)
    }

    pub(super) fn has_field(&self, name: &str) -> bool {
        self.field_names().any(|field| field == name)
    }

    /// Whether a field is a secret. The one that logs in is.
    pub(super) fn is_secret(&self, name: &str) -> bool {
        name == self.secret || self.fields.get(name).is_some_and(|field| field.secret)
    }

    /// The smallest number of characters of the secret that logs in.
    pub(super) fn shortest_secret(&self) -> Option<usize> {
        self.fields.get(&self.secret)?.at_least
    }

    /// What the recipe says about a field.
    pub(super) fn about(&self, name: &str) -> &str {
        let field = self.fields.get(name);
        match field.and_then(|field| field.about.as_deref()) {
            Some(about) => about,
            None if name == self.secret => "the secret that logs in",
            None if Some(name) == self.account.as_deref() => "the name of the account",
            None => "the recipe says no more about it",
        }
    }

    /// The values that a name stands for: those that a step of the login or the session computes it
    /// from, or itself.
    pub(super) fn roots<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        let of_login = self.login.0.iter().find_map(|step| step.compute.get(name));
        match of_login.or_else(|| self.attach.compute.get(name)) {
            Some(compute) => {
                let names = compute
                    .templates()
                    .flat_map(|(_, template)| template.names());
                names.flat_map(|name| self.roots(name)).collect()
            }
            None => vec![name],
        }
    }

    /// Whether the server counts a refresh as a login: the recipe says so, or sends it to where it
    /// sends the secret that logs in.
    pub(super) fn refresh_is_login(&self) -> bool {
        let Some(refresh) = &self.refresh else {
            return false;
        };
        let goes_to = |step: &Step| step.urls().next().map(|url| self.path_of(url.template));
        let goes_there = |step| goes_to(step) == goes_to(&refresh.step);
        refresh.counts_as_login || self.secret_steps().any(goes_there)
    }

    /// The path of a URL, as the recipe writes it, with that of the base and without its host.
    fn path_of(&self, url: &Template) -> String {
        let path = |url: &str| {
            let whole = url.split_once("://");
            let path = whole.map(|(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
            (
                whole.is_some(),
                path.unwrap_or(url).trim_matches('/').to_owned(),
            )
        };
        let (is_whole, path_of_url) = path(url.source());
        let (_, base) = path(self.base.source());
        if is_whole || base.is_empty() {
            path_of_url
        } else {
            format!("{base}/{path_of_url}")
        }
    }

    /// The step of the login that sends its secret, which is what a server counts.
    pub(super) fn secret_step(&self) -> Option<&Step> {
        self.secret_steps().next()
    }

    fn secret_steps(&self) -> impl Iterator<Item = &Step> {
        self.login.0.iter().filter(|step| {
            let templates = step.templates();
            let mut names = templates.iter().flat_map(|(_, template)| template.names());
            names.any(|name| self.roots(name).contains(&self.secret.as_str()))
        })
    }

    /// What a step computes: of its own, or as a step of the login does.
    pub(super) fn compute<'a>(&'a self, step: &'a Step, name: &str) -> Option<&'a Compute> {
        let of_login = || self.login.0.iter().find_map(|step| step.compute.get(name));
        step.compute.get(name).or_else(of_login)
    }

    /// Everything that a step computes, also what it names of what the login computes.
    pub(super) fn computes(&self, step: &Step) -> BTreeMap<String, Compute> {
        let mut computes = step.compute.clone();
        let mut names: Vec<String> = step.names().map(str::to_owned).collect();
        while let Some(name) = names.pop() {
            if computes.contains_key(&name) {
                continue;
            }
            if let Some(compute) = self.compute(step, &name) {
                let templates = compute.templates().map(|(_, template)| template);
                names.extend(templates.flat_map(Template::names).map(str::to_owned));
                computes.insert(name, compute.clone());
            }
        }
        computes
    }

    /// Where a step of the login stands.
    pub(super) fn login_step(index: usize) -> String {
        format!("login[{index}]")
    }

    /// The steps after a login, each with the table that it is in.
    pub(super) fn later_steps(&self) -> impl Iterator<Item = (&'static str, &Step)> {
        [
            ("repair", self.repair.as_ref().map(|repair| &repair.step)),
            (
                "refresh",
                self.refresh.as_ref().map(|refresh| &refresh.step),
            ),
            ("logout", self.logout.as_ref().map(|logout| &logout.step)),
            ("probe", self.probe.as_ref().map(|probe| &probe.step)),
        ]
        .into_iter()
        .filter_map(|(table, step)| Some((table, step?)))
    }
}
