//! A login server and an API, which count what arrives. They run in the test's own process, so that
//! they outlive the processes that log in.

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::future::pending;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::sync::{Mutex, MutexGuard};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub(crate) const PASSWORD: &str = "correct+horse/canary?battery";

/// What the server does with a login.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    #[default]
    Answers,
    /// 503.
    IsDown,
    /// It reads the request, and then nothing happens.
    Stalls,
}

/// The server. It stops when it is dropped.
pub(crate) struct Site {
    pub(crate) base_url: String,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct State {
    mood: Mood,
    /// How long a login or a refresh takes.
    takes: Duration,
    /// How long a session is said to be good.
    life: Option<Duration>,
    /// When each attempt to log in has arrived.
    attempts: Vec<Instant>,
    logins: BTreeMap<String, u64>,
    refused: u64,
    refreshes: u64,
    spent: HashSet<String>,
    reused: Vec<String>,
    /// The access tokens that are good.
    live: HashSet<String>,
    /// The refresh tokens that are good, with their accounts.
    refreshable: BTreeMap<String, String>,
    issued: u64,
    secrets: Vec<String>,
    served: u64,
    unauthorized: u64,
}

impl Site {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let state: Arc<Mutex<State>> = Arc::default();
        let of_server = Arc::clone(&state);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&of_server);
                let service = service_fn(move |request: Request<Incoming>| {
                    let state = Arc::clone(&state);
                    async move { Ok::<_, Infallible>(serve(request, &state).await) }
                });
                connections.spawn(async move {
                    // A client that is killed breaks its connection off.
                    let connection = http1::Builder::new();
                    let _ = connection
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            base_url,
            state,
            _tasks: tasks,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn set_mood(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// How long each login and each refresh takes.
    pub(crate) fn takes(&self, time: Duration) {
        self.state().takes = time;
    }

    /// What the server says of the life of a session from now on. It ends a second later.
    pub(crate) fn says_life(&self, life: Duration) {
        self.state().life = Some(life);
    }

    pub(crate) fn revoke_all(&self) {
        let mut state = self.state();
        state.live.clear();
        state.refreshable.clear();
    }

    /// Ends all access tokens. The refresh tokens stay good.
    pub(crate) fn end_access(&self) {
        self.state().live.clear();
    }

    /// Attempts to log in.
    pub(crate) fn attempts(&self) -> usize {
        self.state().attempts.len()
    }

    /// The most attempts to log in within any window of this length.
    pub(crate) fn most_in_any(&self, window: Duration) -> usize {
        let attempts = self.state().attempts.clone();
        let count = |(index, start): (usize, &Instant)| {
            attempts.partition_point(|at| *at < *start + window) - index
        };
        attempts.iter().enumerate().map(count).max().unwrap_or(0)
    }

    /// Logins of an account that have brought a session.
    pub(crate) fn logins(&self, account: &str) -> u64 {
        self.state().logins.get(account).copied().unwrap_or(0)
    }

    pub(crate) fn refused(&self) -> u64 {
        self.state().refused
    }

    pub(crate) fn refreshes(&self) -> u64 {
        self.state().refreshes
    }

    /// The refresh tokens that were sent again.
    pub(crate) fn reused(&self) -> Vec<String> {
        self.state().reused.clone()
    }

    /// Each secret that it has ever issued.
    pub(crate) fn secrets(&self) -> Vec<String> {
        self.state().secrets.clone()
    }

    /// Requests to the API that were served.
    pub(crate) fn served(&self) -> u64 {
        self.state().served
    }
}

async fn serve(request: Request<Incoming>, state: &Arc<Mutex<State>>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return answer(StatusCode::BAD_REQUEST, String::new());
    };
    let body = body.to_bytes();
    let form: BTreeMap<String, String> = form(&String::from_utf8_lossy(&body));
    match parts.uri.path() {
        "/login" => log_in(&form, state).await,
        "/refresh" => refresh(&form, state).await,
        _ => {
            let carried = parts.headers.get(AUTHORIZATION);
            let carried = carried.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
            let mut state = state.lock().unwrap();
            if carried.is_some_and(|token| state.live.contains(token)) {
                state.served += 1;
                answer(StatusCode::OK, String::new())
            } else {
                state.unauthorized += 1;
                answer(StatusCode::UNAUTHORIZED, String::new())
            }
        }
    }
}

async fn log_in(
    form: &BTreeMap<String, String>,
    state: &Arc<Mutex<State>>,
) -> Response<Full<Bytes>> {
    let (mood, takes) = {
        let mut state = state.lock().unwrap();
        state.attempts.push(Instant::now());
        (state.mood, state.takes)
    };
    if mood == Mood::Stalls {
        pending::<()>().await;
    }
    tokio::time::sleep(takes).await;
    if mood == Mood::IsDown {
        return answer(StatusCode::SERVICE_UNAVAILABLE, String::new());
    }
    let (account, password) = (form.get("account"), form.get("password"));
    let Some(account) = account.filter(|_| password.is_some_and(|given| given == PASSWORD)) else {
        state.lock().unwrap().refused += 1;
        return answer(StatusCode::UNAUTHORIZED, String::new());
    };
    *state
        .lock()
        .unwrap()
        .logins
        .entry(account.clone())
        .or_default() += 1;
    issue(account, state)
}

async fn refresh(
    form: &BTreeMap<String, String>,
    state: &Arc<Mutex<State>>,
) -> Response<Full<Bytes>> {
    let token = form.get("token").cloned().unwrap_or_default();
    let account = {
        let mut locked = state.lock().unwrap();
        if !locked.spent.insert(token.clone()) {
            locked.reused.push(token.clone());
        }
        locked.refreshable.remove(&token)
    };
    let Some(account) = account else {
        return answer(StatusCode::BAD_REQUEST, String::new());
    };
    let takes = state.lock().unwrap().takes;
    tokio::time::sleep(takes).await;
    state.lock().unwrap().refreshes += 1;
    issue(&account, state)
}

/// A session, whose life begins now.
fn issue(account: &str, state: &Arc<Mutex<State>>) -> Response<Full<Bytes>> {
    let of_task = Arc::clone(state);
    let mut state = state.lock().unwrap();
    state.issued += 1;
    let number = state.issued;
    let made = |kind: &str| format!("{kind}-{number}-Canary+Of/Fleet");
    let (access, refresh, cookie) = (made("access"), made("refresh"), made("cookie"));
    state.live.insert(access.clone());
    state
        .refreshable
        .insert(refresh.clone(), account.to_owned());
    for secret in [&access, &refresh, &cookie] {
        state.secrets.push(secret.clone());
    }
    let life = state.life;
    if let Some(life) = life {
        let (ends, access) = (life + Duration::from_secs(1), access.clone());
        tokio::task::spawn(async move {
            tokio::time::sleep(ends).await;
            of_task.lock().unwrap().live.remove(&access);
        });
    }
    let life = life.map(|life| u64::try_from(life.as_millis()).unwrap());
    let session = serde_json::json!({
        "number": number, "access": access, "refresh": refresh, "cookie": cookie, "life": life,
    });
    answer(StatusCode::OK, session.to_string())
}

fn answer(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// The pairs of a form.
fn form(body: &str) -> BTreeMap<String, String> {
    let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
    let decoded = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced)
            .decode_utf8_lossy()
            .into_owned()
    };
    pairs
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}
