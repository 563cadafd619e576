//! The clients, and the cases in which they are measured.

use std::sync::Arc;
use std::time::Duration;

use auth_benches::{monotonic, quickly, report};
use futures_util::FutureExt;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use tokio::runtime::Runtime;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::server::{PASSWORD, Server};
use super::{by_hand, ours};
use crate::caches::Get;
use crate::harness::Contest;
use crate::row::{Row, print};

/// Requests with a fresh session, one after the other.
pub const FRESH: &str = "http_fresh";

/// Herds whose session was revoked: the case, and the number of callers.
pub const HERDS: [(&str, usize); 2] =
    [("http_revoked_1000", 1_000), ("http_revoked_10000", 10_000)];

pub const OURS: &str = "auth-middleware";
pub const SIMPLE: &str = "by hand: jar, login on 401";
pub const LOCKED: &str = "by hand: jar, login in a Mutex";

const PATH: &str = "/me";

struct Entry {
    name: &'static str,
    note: &'static str,
    /// Makes a client, which shares the connections of earlier ones. The function that it returns
    /// sends a request, and says whether the last response to it was a 200.
    make: Box<dyn Fn() -> Get>,
}

fn entries(server: &Server) -> [Entry; 3] {
    let (simple, locked) = (
        Arc::new(by_hand::Simple::new(server.url())),
        Arc::new(by_hand::Locked::new(server.url())),
    );
    let client = reqwest::Client::builder().no_proxy().build();
    let (client, api) = (client.expect("a client"), server.url().to_owned());
    [
        Entry {
            name: OURS,
            note: "AuthMiddleware, no jar",
            make: Box::new(move || {
                let (client, url) = (ours::client(&client, &api), format!("{api}{PATH}"));
                Arc::new(move || {
                    let request = client.get(&url).send();
                    async move { request.await.is_ok_and(|response| response.status() == 200) }
                        .boxed()
                })
            }),
        },
        Entry {
            name: SIMPLE,
            note: "each task logs in for itself",
            make: Box::new(move || {
                let simple = Arc::clone(&simple);
                Arc::new(move || {
                    let simple = Arc::clone(&simple);
                    async move { is_ok(simple.get(PATH).await) }.boxed()
                })
            }),
        },
        Entry {
            name: LOCKED,
            note: "one login at a time, and none if another has succeeded meanwhile",
            make: Box::new(move || {
                let locked = Arc::clone(&locked);
                Arc::new(move || {
                    let locked = Arc::clone(&locked);
                    async move { is_ok(locked.get(PATH).await) }.boxed()
                })
            }),
        },
    ]
}

fn is_ok(response: reqwest::Result<reqwest::Response>) -> bool {
    response.is_ok_and(|response| response.status() == StatusCode::OK)
}

/// Microseconds of a request with a fresh session, one request after the other.
pub fn fresh(runtime: &Runtime) -> Vec<Row> {
    let server = Server::start();
    let mut contest = Contest::new(FRESH, "us", 31);
    let alone = without_login(runtime, &server);
    contest
        .enter("reqwest alone", move || requests(runtime, &alone))
        .note("a constant cookie; no jar, no login");
    for entry in entries(&server) {
        let get = (entry.make)();
        assert!(runtime.block_on(get()), "{} logs in", entry.name);
        contest
            .enter(entry.name, move || requests(runtime, &get))
            .note(entry.note);
    }
    let before = server.logins();
    let rows = contest.run();
    assert_eq!(server.logins(), before, "all sessions stay fresh");
    rows
}

fn requests(runtime: &Runtime, get: &Get) -> f64 {
    let requests = quickly(200, 20);
    let start = monotonic();
    runtime.block_on(async {
        for _ in 0..requests {
            assert!(get().await);
        }
    });
    start.elapsed().as_secs_f64() * 1e6 / f64::from(requests)
}

/// The request with its cookie and nothing more, beside which the clients are measured.
fn without_login(runtime: &Runtime, server: &Server) -> Get {
    let client = reqwest::Client::builder().no_proxy().build();
    let client = client.expect("a client");
    let url = format!("{}{PATH}", server.url());
    let login = client.post(&url).body(PASSWORD).send();
    let login = runtime.block_on(login).expect("a login");
    let cookie = login.headers()[SET_COOKIE].to_str().expect("a cookie");
    let (pair, _) = cookie.split_once(';').expect("a pair and attributes");
    let cookie = HeaderValue::try_from(pair).expect("a pair");
    Arc::new(move || {
        let request = client.get(&url).header(COOKIE, cookie.clone()).send();
        async move { is_ok(request.await) }.boxed()
    })
}

/// The number of callers in this run, for a herd of so many.
pub fn callers(usual: usize) -> usize {
    quickly(usual, usual / 10)
}

/// Microseconds from the start of a herd to the return of its last caller. Before each round the
/// client has logged in, and the server has revoked the session.
pub fn herd(runtime: &Runtime, case: &'static str, callers: usize) -> Vec<Row> {
    let callers = self::callers(callers);
    // Each client has a connection for each caller, and this process has both ends of it.
    let (needed, limit) = (6 * callers + 500, open_files());
    if limit < needed {
        report(format_args!(
            "{case:<22} left out: it takes {needed} open files, and the limit is {limit}"
        ));
        return Vec::new();
    }
    let server = Server::start();
    let entries = entries(&server);
    let mut lags = entries.each_ref().map(|_| Vec::new());
    let (mut logins, mut failures) = ([0; 3], [0; 3]);
    for round in 0..=quickly(9, 2) {
        for (index, entry) in entries.iter().enumerate() {
            let get = (entry.make)();
            assert!(runtime.block_on(get()), "{} logs in", entry.name);
            server.revoke();
            let before = server.logins();
            let (lag, failed) = release(runtime, callers, &get);
            // The first round is the warm-up, which opens the connections.
            if round > 0 {
                lags[index].push(lag.as_secs_f64() * 1e6);
                logins[index] = logins[index].max(server.logins() - before);
                failures[index] = failures[index].max(failed);
            }
        }
    }
    let rows: Vec<Row> = (entries.iter().zip(lags))
        .zip(logins.into_iter().zip(failures))
        .map(|((entry, lags), (logins, failed))| Row {
            logins: Some(logins),
            failed: Some(failed),
            note: format!("{}; the most logins and failures of a round", entry.note),
            ..Row::new(case, entry.name, "us", lags)
        })
        .collect();
    print(&rows);
    rows
}

/// The time to the last of the callers, which start at once, and the number of failed requests.
fn release(runtime: &Runtime, callers: usize, get: &Get) -> (Duration, u64) {
    let start_line = Arc::new(Barrier::new(callers + 1));
    let mut herd = JoinSet::new();
    for _ in 0..callers {
        let (start_line, request) = (Arc::clone(&start_line), get());
        herd.spawn_on(
            async move {
                start_line.wait().await;
                request.await
            },
            runtime.handle(),
        );
    }
    runtime.block_on(async {
        start_line.wait().await;
        let start = monotonic();
        let mut failed = 0;
        while let Some(served) = herd.join_next().await {
            failed += u64::from(!served.unwrap_or(false));
        }
        (start.elapsed(), failed)
    })
}

/// The limit of open files of this process.
fn open_files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits
        .lines()
        .find_map(|it| it.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    soft.and_then(|soft| soft.parse().ok())
        .unwrap_or(usize::MAX)
}
