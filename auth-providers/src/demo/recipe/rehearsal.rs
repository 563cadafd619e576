//! What the client of a recipe sends, found by logging in without a server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use auth_core::{
    Credential, LoginError, LoginErrorKind, RequestHead, Secret, SecretSource, Verdict, testing,
};
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, Uri};
use parking_lot::Mutex;

use super::expected::Expected;
use super::serve_error::ServeError;
use crate::answers::Answers;
use crate::login::Login;
use crate::recipe::served::{At, Issue, Served, Unserved};
use crate::recipe::{Recipe, RecipeLogin, Values, ValuesError};
use crate::step::Step;

/// The logins of a recipe's accounts at a server.
#[derive(Clone, Debug)]
pub(super) struct Logins {
    recipe: Recipe,
    values: Values,
    base: String,
    /// Those that were asked for.
    made: Arc<Mutex<BTreeMap<String, RecipeLogin>>>,
}

/// It is never sent: each request is made with the secret that the server knows.
const NO_SECRET: &str = "a secret that no request carries, longer than any recipe asks for";

impl Logins {
    pub(super) fn new(recipe: &Recipe, values: &Values, base: &str) -> Self {
        let values = match Served::url_field(recipe) {
            Some(field) => values.clone().with(field, base),
            None => values.clone(),
        };
        Self {
            recipe: recipe.clone(),
            values,
            base: base.to_owned(),
            made: Arc::default(),
        }
    }

    pub(super) const fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    pub(super) fn of(&self, account: &str) -> Result<RecipeLogin, ValuesError> {
        if let Some(login) = self.made.lock().get(account) {
            return Ok(login.clone());
        }
        let login = self.with_secret(account, NO_SECRET)?;
        let made = &mut self.made.lock();
        made.insert(account.to_owned(), login.clone());
        Ok(login)
    }

    pub(super) fn with_secret(
        &self,
        account: &str,
        secret: impl Into<SecretSource>,
    ) -> Result<RecipeLogin, ValuesError> {
        let (name, secret_field) = Served::account_fields(&self.recipe);
        let mut values = self.values.clone().with(secret_field, secret);
        if let Some(name) = name {
            values = values.with(name, account);
        }
        Ok(self.recipe.login(&values)?.base_url(&self.base)?)
    }

    /// Where a request was sent.
    pub(super) fn url(&self, parts: &Parts) -> Uri {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        format!("{}{path}", self.base).parse().unwrap_or_default()
    }
}

/// What follows these answers.
pub(super) fn next(
    login: &RecipeLogin,
    secret: &Secret,
    answers: &[(Uri, Response<Bytes>)],
) -> Result<Step, LoginError> {
    let Some(((sent_to, first), rest)) = answers.split_first() else {
        return login.request(secret).map(Step::Request);
    };
    let answers = Answers::new(sent_to, first.clone(), secret);
    let more = rest.iter();
    let answers = more.fold(answers, |all, (sent_to, answer)| {
        all.and(sent_to, answer.clone())
    });
    let mut step = login.read(&answers)?;
    if let Step::Request(next) = &mut step {
        answers.add_cookies(next);
    }
    Ok(step)
}

/// The requests of one step.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) sample: Expected,
    /// What differs from one login or session to another.
    varying: BTreeSet<String>,
    /// What differs from one account or secret to another.
    pub(super) of_account: BTreeSet<String>,
}

impl Form {
    /// Whether a request is one of these, with whatever values.
    pub(super) fn is_met(&self, parts: &Parts, body: &[u8]) -> bool {
        self.sample.amiss(parts, body).is_subset(&self.varying)
    }

    pub(super) fn varies_in_path(&self) -> bool {
        self.varying.contains("path")
    }

    /// Whether such a request has all of these entries anyway.
    pub(super) fn covers(&self, carried: &Expected) -> bool {
        self.sample.has_keys_of(carried)
    }
}

pub(super) struct Rehearsal {
    pub(super) forms: Vec<(At, Form)>,
    /// The session of a login.
    pub(super) sample: Credential,
}

impl Rehearsal {
    /// Logs in as two accounts that there are not, and reads each answer that the server makes.
    pub(super) fn of(served: &Served, logins: &Logins, issue: &Issue) -> Result<Self, ServeError> {
        let one = Run::of(
            served,
            logins,
            ("one@example.com", "the first secret, which is long"),
            issue,
        )?;
        let two = Run::of(
            served,
            logins,
            ("two@example.org", "another secret, and no shorter"),
            issue,
        )?;
        let mut forms = Vec::new();
        for ((at, sample), (_, other)) in one.requests.iter().zip(&two.requests) {
            let of_account = match at {
                // The same answers, so that only the account differs.
                At::Login(number) => {
                    let answers = &one.answers[..*number];
                    match next(&two.login, &two.secret, answers) {
                        Ok(Step::Request(request)) => {
                            let accept = served.states_accept(*at);
                            sample.varying(&Expected::step(&request, accept))
                        }
                        _ => BTreeSet::new(),
                    }
                }
                _ => BTreeSet::new(),
            };
            if let At::Login(number) = at
                && !of_account.is_empty()
            {
                one.check_refusal(served, *number, issue)?;
            }
            let form = Form {
                varying: sample.varying(other),
                sample: sample.clone(),
                of_account,
            };
            forms.push((*at, form));
        }
        one.check_verdicts(served, issue)?;
        Ok(Self {
            forms,
            sample: one.credential,
        })
    }
}

/// One login, and the requests that its session sends.
struct Run {
    login: RecipeLogin,
    secret: Secret,
    requests: Vec<(At, Expected)>,
    answers: Vec<(Uri, Response<Bytes>)>,
    credential: Credential,
}

impl Run {
    fn of(
        served: &Served,
        logins: &Logins,
        (account, secret): (&str, &str),
        issue: &Issue,
    ) -> Result<Self, ServeError> {
        let login = logins.with_secret(account, secret)?;
        let secret = Secret::from(secret);
        let (mut requests, mut answers) = (Vec::new(), Vec::new());
        let mut at = At::Login(0);
        let session = loop {
            let name = served.name(at);
            let unread = |error: LoginError| {
                Unserved::new(
                    &name,
                    format!("the answer that was made is not read: {error}"),
                )
            };
            match next(&login, &secret, &answers).map_err(unread)? {
                Step::Session(session) => break session,
                Step::Request(request) => {
                    at = At::Login(answers.len());
                    if answers.len() == served.logins() {
                        let problem = "no session follows the answer that was made";
                        return Err(Unserved::new(served.name(at), problem).into());
                    }
                    let accept = served.states_accept(at);
                    requests.push((at, Expected::step(&request, accept)));
                    answers.push((request.uri().clone(), served.success(at, issue)?));
                }
            }
        };
        if session.is_empty() {
            return Err(
                Unserved::new("attach", "requests carry nothing to know a session by").into(),
            );
        }
        let credential = testing::credential(session);
        let mut run = Self {
            login,
            secret,
            requests,
            answers,
            credential,
        };
        for at in served.all() {
            run.check_later(served, at, issue)?;
        }
        Ok(run)
    }

    /// Sends the request of a later step, and reads its answer.
    fn check_later(&mut self, served: &Served, at: At, issue: &Issue) -> Result<(), Unserved> {
        let (login, credential) = (&self.login, &self.credential);
        let request: Result<Option<Request<Bytes>>, LoginError> = match at {
            At::Login(_) => return Ok(()),
            At::Refresh => login.refresh_request(credential).map(Some),
            At::Repair => login.repair_request(credential).map(Some),
            At::Logout => login.logout_request(credential),
            At::Probe => login.probe_request(credential),
        };
        let name = served.name(at);
        let unread = |error: &LoginError| {
            Unserved::new(
                &name,
                format!("the answer that was made is not read: {error}"),
            )
        };
        let Ok(Some(request)) = request else {
            return Err(Unserved::new(
                name,
                "it has no request with the session that was made",
            ));
        };
        let answer = served.success(at, issue)?;
        match at {
            At::Refresh => {
                let read = login.read_refresh(&answer, credential);
                read.map_err(|error| unread(&error))?;
            }
            At::Repair => {
                let read = login.read_repair(&answer, credential);
                read.map_err(|error| unread(&error))?;
            }
            At::Probe if !login.is_live(&answer) => {
                let problem = "the answer that was made is none of a live session";
                return Err(Unserved::new(name, problem));
            }
            _ => {}
        }
        let expected = Expected::step(&request, served.states_accept(at));
        self.requests.push((at, expected));
        Ok(())
    }

    /// Reads the answer to a wrong password.
    fn check_refusal(&self, served: &Served, number: usize, issue: &Issue) -> Result<(), Unserved> {
        let at = At::Login(number);
        let mut answers = self.answers[..=number].to_vec();
        answers[number].1 = served.refusal(at, issue)?;
        match next(&self.login, &self.secret, &answers) {
            Err(error) if error.kind() == LoginErrorKind::Refused => Ok(()),
            _ => {
                let field = format!("{}.failures", served.name(at));
                let problem = "no answer is made that refuses a secret";
                Err(Unserved::new(field, problem))
            }
        }
    }

    /// Judges the answers of the API.
    fn check_verdicts(&self, served: &Served, issue: &Issue) -> Result<(), Unserved> {
        let head = RequestHead::new(Method::GET, Uri::from_static("/"));
        served.accepted(&head, &serde_json::json!({}), issue)?;
        let dead = served.rejection(&head, issue)?;
        let view = auth_core::ResponseView::new(dead.status(), dead.headers());
        let view = view.with_body(dead.body()).to_request(&head);
        if self.login.judge().judge(&view) != Verdict::Rejected {
            let problem = "no answer is made that says that a session is over";
            return Err(Unserved::new("verdicts", problem));
        }
        if let Some(asks) = served.asks_repair(&head, issue) {
            asks?;
        }
        Ok(())
    }
}
