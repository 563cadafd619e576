//! A recipe against the server of its dialect, by what an integration does with each request.

use std::sync::Arc;
use std::time::Duration;

use auth_core::clock::ManualClock;
use auth_core::{
    Ask, Attempt, BodyField, Conclusion, Credential, Credentials, Error, LoginErrorKind, Quota,
    RequestHead, ResponseView, Target,
};
use auth_providers::recipe::{Recipe, RecipeLogin, Values};
use auth_providers::{Login as _, ReqwestTransport, Transport as _};
use axum::Router;
use http::{Request, Response};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::world::{NAME, PASSWORD, Server, World};

/// A recipe, the server that it is for, and two requests of its API.
pub(crate) struct Dialect {
    pub(crate) recipe: &'static str,
    pub(crate) routes: fn() -> Router<Arc<World>>,
    /// The values beside the URL and the secret.
    pub(crate) values: &'static [(&'static str, &'static str)],
    /// The field of the secret.
    pub(crate) secret: &'static str,
    pub(crate) read: Call,
    pub(crate) write: Call,
    /// How long to wait where too many logins were sent.
    pub(crate) wait: Duration,
    /// The life that is told or documented, and the inactivity, in seconds. 0 is unknown.
    pub(crate) expires_in: u64,
    pub(crate) idle_in: u64,
    /// How many values are fetched before the first write.
    pub(crate) fetches: usize,
}

/// The wait where a server states none.
pub(crate) const UNSTATED: Duration = Duration::from_secs(60);

/// A request of an API.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// JSON.
    pub(crate) body: &'static str,
}

impl Call {
    pub(crate) const fn get(path: &'static str) -> Self {
        let (method, body) = ("GET", "");
        Self { method, path, body }
    }

    pub(crate) const fn post(path: &'static str, body: &'static str) -> Self {
        let method = "POST";
        Self { method, path, body }
    }

    fn request(&self, url: &str) -> Request<String> {
        let request = Request::builder().method(self.method);
        let request = request.uri(format!("{url}{}", self.path));
        let request = match self.body {
            "" => request,
            _ => request.header("content-type", "application/json"),
        };
        request.body(self.body.to_owned()).unwrap()
    }
}

/// A program that uses the API.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) dialect: &'static Dialect,
    pub(crate) credentials: Credentials,
    login: RecipeLogin,
    place: Place,
}

/// What the programs of several accounts share.
#[derive(Clone)]
struct Place {
    server: Arc<Server>,
    clock: ManualClock,
    transport: ReqwestTransport,
    client: reqwest::Client,
}

impl Program {
    pub(crate) async fn start(dialect: &'static Dialect) -> Self {
        Self::with_password(dialect, PASSWORD).await
    }

    pub(crate) async fn with_password(dialect: &'static Dialect, password: &str) -> Self {
        let client = reqwest::Client::builder().no_proxy();
        let client = client.redirect(reqwest::redirect::Policy::none());
        let place = Place {
            server: Arc::new(Server::start(dialect.routes).await),
            clock: ManualClock::new(),
            transport: ReqwestTransport::new().unwrap(),
            client: client.build().unwrap(),
        };
        Self::of_account(dialect, place, NAME, password)
    }

    /// A program of another account at the same server, which has not logged in yet.
    pub(crate) fn of_another(&self, number: usize) -> Self {
        let name = format!("{NAME}{number}");
        Self::of_account(self.dialect, self.place.clone(), &name, PASSWORD)
    }

    fn of_account(dialect: &'static Dialect, place: Place, name: &str, password: &str) -> Self {
        let recipe: Recipe = dialect.recipe.parse().unwrap();
        let has_url = recipe.fields().any(|field| field == "url");
        let url = has_url.then(|| ("url", &*place.server.url));
        let values = url.into_iter().fold(Values::new(), |values, (field, url)| {
            values.with(field, url)
        });
        let values = values.with(dialect.secret, password);
        let given = dialect.values.iter();
        // The account's name may stand beside a realm.
        let values = given.fold(values, |values, (field, value)| {
            let own = value.strip_prefix(NAME);
            let own = own.map_or_else(|| (*value).to_owned(), |rest| format!("{name}{rest}"));
            values.with(*field, own)
        });
        let mut login = recipe.login(&values).unwrap();
        if !has_url {
            // Its base is fixed.
            let account = login.account_mut();
            account.set_base_url(&place.server.url).unwrap();
        }
        let cache = Credentials::builder(login.clone().via(place.transport.clone()));
        Self {
            dialect,
            credentials: cache.clock(place.clock.clock()).build(),
            login,
            place,
        }
    }

    pub(crate) fn clock(&self) -> &ManualClock {
        &self.place.clock
    }

    pub(crate) fn world(&self) -> &World {
        &self.place.server.world
    }

    pub(crate) async fn read(&self) -> Result<u16, Error> {
        let answer = self.send(&self.dialect.read).await?;
        Ok(answer.status().as_u16())
    }

    pub(crate) async fn write(&self) -> Result<u16, Error> {
        let answer = self.send(&self.dialect.write).await?;
        Ok(answer.status().as_u16())
    }

    /// So many reads at once. Each must be answered.
    pub(crate) async fn read_at_once(&self, requests: usize) {
        let mut crowd = JoinSet::new();
        for _ in 0..requests {
            let program = self.clone();
            crowd.spawn(async move { program.read().await });
        }
        while let Some(status) = crowd.join_next().await {
            assert_eq!(status.unwrap().unwrap(), 200);
        }
    }

    /// Sends a request as often as its attempts conclude.
    pub(crate) async fn send(&self, call: &Call) -> Result<Response<Vec<u8>>, Error> {
        let url = format!("{}{}", self.place.server.url, call.path)
            .parse()
            .unwrap();
        let method = call.method.parse().unwrap();
        let target = Target::of(&url).with_method(&method);
        let mut credential = self.credentials.get_for(target, Ask::new()).await?;
        let (request, head) = self.request(call, &credential);
        let mut attempt = Attempt::new(&self.credentials, &credential).of_request(Some(head));
        let mut answer = self.exchange(request).await;
        loop {
            let conclusion = conclude(&attempt, &answer);
            credential = match conclusion {
                Conclusion::Replay => self.credentials.get_for(target, Ask::new()).await?,
                Conclusion::Repair => attempt.repaired(target, Ask::new()).await?,
                _ => return Ok(answer),
            };
            let (request, _) = self.request(call, &credential);
            attempt = match conclusion {
                Conclusion::Replay => attempt.replay(&credential),
                _ => attempt.after_repair(&credential),
            };
            answer = self.exchange(request).await;
        }
    }

    fn request(&self, call: &Call, credential: &Credential) -> (Request<String>, RequestHead) {
        let mut request = call.request(&self.place.server.url);
        let head = RequestHead::new(request.method().clone(), request.uri().clone());
        credential.attach(&mut request).unwrap();
        let target = Target::of(&head.uri).with_method(&head.method);
        for field in credential.body_fields(target) {
            let BodyField::Json { pointer, value } = field else {
                panic!("no dialect has a field in a form: {field:?}");
            };
            let mut body: Value = serde_json::from_str(request.body()).unwrap();
            *body.pointer_mut(pointer).unwrap() = value.into();
            *request.body_mut() = body.to_string();
        }
        (request, head)
    }

    async fn exchange(&self, request: Request<String>) -> Response<Vec<u8>> {
        let request = reqwest::Request::try_from(request).unwrap();
        let answer = self.place.client.execute(request).await.unwrap();
        let mut whole = Response::new(Vec::new());
        *whole.status_mut() = answer.status();
        *whole.headers_mut() = answer.headers().clone();
        *whole.body_mut() = answer.bytes().await.unwrap().into();
        whole
    }

    /// Whether the recipe's probe tells that the session is live.
    pub(crate) async fn is_live(&self) -> bool {
        let credential = self.credentials.get().await.unwrap();
        let probe = self.login.probe_request(&credential).unwrap().unwrap();
        let answer = self.place.transport.carry(probe).await.unwrap();
        self.login.is_live(&answer)
    }

    /// How many logins the recipe allows in a window.
    pub(crate) fn quota(&self) -> Quota {
        self.login.account().quota()
    }

    /// How long logins are held back, for a caller that does not wait.
    pub(crate) async fn held(&self) -> Duration {
        let at_once = Ask::new().fail_fast();
        let error = self.credentials.get_with(at_once).await.unwrap_err();
        assert!(error.is_rate_limited(), "{error:?}");
        error.retry_after().unwrap()
    }

    /// How long the last failure holds the next login back.
    pub(crate) async fn held_back(&self) -> Duration {
        let at_once = Ask::new().fail_fast();
        let error = self.credentials.get_with(at_once).await.unwrap_err();
        error.retry_after().unwrap()
    }

    /// Why the last login failed, asked by a caller that waits for no other one.
    pub(crate) async fn login_failure(&self) -> (LoginErrorKind, Option<Duration>) {
        let at_once = Ask::new().fail_fast();
        let error = self.credentials.get_with(at_once).await.unwrap_err();
        let login = error.login_error();
        let login = login.unwrap_or_else(|| panic!("{error:?}"));
        (login.kind(), login.retry_after())
    }
}

fn conclude(attempt: &Attempt, answer: &Response<Vec<u8>>) -> Conclusion {
    let view = ResponseView::new(answer.status(), answer.headers());
    let wanted = attempt.wants_body(&view);
    let read = wanted.then(|| view.with_body(answer.body()));
    attempt.conclude(&read.unwrap_or(view))
}
