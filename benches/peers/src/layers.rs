//! Whole calls through a tower stack and a reqwest chain, neither of which ends in a network.

use std::hint::black_box;

use auth_benches::ours::Credentials;
use auth_benches::{
    CloneOnce, Inserting, Responding, Terminal, URL, header_of, monotonic, quickly, request,
    reqwest_request, token,
};
use auth_middleware::{AuthLayer, AuthMiddleware};
use bytes::Bytes;
use futures_util::FutureExt;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Uri};
use http_body_util::Full;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;
use tower::retry::RetryLayer;
use tower::{Layer, Service};
use tower_http::auth::AddAuthorizationLayer;
use tower_http::set_header::SetRequestHeaderLayer;

use crate::harness::Contest;
use crate::layer_by_hand::Authorizing;
use crate::row::{Row, allocations_of};

pub const TOWER_OFF: &str = "tower_replay_off";
pub const TOWER_ON: &str = "tower_replay_on";
pub const REQWEST_INSTRUCTIONS: &str = "reqwest_instructions";

pub const TOWER_OURS: &str = "auth-middleware";
pub const TOWER_CONSTANT: &str = "SetRequestHeader";
pub const TOWER_BY_HAND: &str = "by hand: ArcSwap, one origin";
pub const TOWER_RETRY: &str = "Retry over SetRequestHeader";
pub const REPLAY_ON: &str = "auth-middleware, replay on";
pub const REPLAY_OFF: &str = "auth-middleware, replay off";
pub const REQWEST_RETRY: &str = "reqwest-retry over an inserting one";

/// The number of requests that are made before the clock runs: few enough for the cache.
const CHUNK: u64 = 32;

/// Calls the service with `chunks` times [`CHUNK`] requests; nanoseconds of a call.
fn tower_calls<S: Service<Request<Full<Bytes>>>>(service: &mut S, chunks: u64) -> f64 {
    let mut spent = 0;
    for _ in 0..chunks {
        let requests: Vec<_> = (0..CHUNK).map(|_| request()).collect();
        let start = monotonic();
        for request in requests {
            let response = service.call(request).now_or_never();
            assert!(matches!(response, Some(Ok(_))));
        }
        spent += start.elapsed().as_nanos();
    }
    spent as f64 / (chunks * CHUNK) as f64
}

fn tower_allocations<S: Service<Request<Full<Bytes>>>>(service: &mut S) -> f64 {
    let requests: Vec<_> = (0..CHUNK).map(|_| request()).collect();
    allocations_of(CHUNK, || {
        for request in requests {
            drop(service.call(request).now_or_never());
        }
    })
}

fn enter<'a, S>(contest: &mut Contest<'a>, name: &'static str, note: &'static str, mut service: S)
where
    S: Service<Request<Full<Bytes>>> + 'a,
{
    tower_calls(&mut service, 1);
    let allocations = tower_allocations(&mut service);
    let chunks = quickly(200, 2);
    let contestant = contest.enter(name, move || tower_calls(&mut service, chunks));
    contestant.note(note).allocations(allocations);
}

fn constant() -> SetRequestHeaderLayer<HeaderValue> {
    SetRequestHeaderLayer::overriding(AUTHORIZATION, header_of(&token()))
}

pub fn tower_stacks(ours: &Credentials) -> Vec<Row> {
    let responding = Responding::default;
    let mut off = Contest::new(TOWER_OFF, "ns", 61);
    let layer = AuthLayer::new(ours.clone()).without_replay();
    enter(&mut off, TOWER_OURS, "", layer.layer(responding()));
    enter(
        &mut off,
        TOWER_CONSTANT,
        "a constant",
        constant().layer(responding()),
    );
    let bearer = AddAuthorizationLayer::bearer(&token()).as_sensitive(true);
    enter(
        &mut off,
        "AddAuthorization",
        "a constant",
        bearer.layer(responding()),
    );
    let origin = Uri::from_static(URL);
    enter(
        &mut off,
        TOWER_BY_HAND,
        "checks the origin, two coarse clocks and the status",
        Authorizing::new(responding(), origin, &token()),
    );
    let mut rows = off.run();

    let mut on = Contest::new(TOWER_ON, "ns", 61);
    enter(
        &mut on,
        TOWER_OURS,
        "",
        AuthLayer::new(ours.clone()).layer(responding()),
    );
    let retry = RetryLayer::new(CloneOnce::default());
    let note = "a policy that clones the request";
    enter(
        &mut on,
        TOWER_RETRY,
        note,
        retry.layer(constant().layer(responding())),
    );
    rows.extend(on.run());
    rows
}

/// The chains of reqwest-middleware: the name on the command line, and the name in the table.
pub const CHAINS: &[(&str, &str)] = &[
    ("nothing", "an empty chain"),
    ("replay-on", REPLAY_ON),
    ("replay-off", REPLAY_OFF),
    ("retry", REQWEST_RETRY),
];

fn chain(which: &str, ours: &Credentials) -> ClientWithMiddleware {
    let builder = reqwest::Client::builder();
    let (client, ours) = AuthMiddleware::with_client(builder, ours.clone()).expect("a client");
    let chain = ClientBuilder::new(client);
    let chain = match which {
        "replay-on" => chain.with(ours),
        "replay-off" => chain.with(ours.without_replay()),
        "retry" => {
            let policy = ExponentialBackoff::builder().build_with_max_retries(1);
            let retry = RetryTransientMiddleware::new_with_policy(policy);
            chain.with(retry).with(Inserting::new(header_of(&token())))
        }
        _ => chain,
    };
    chain.with(Terminal::default()).build()
}

fn reqwest_calls(client: &ClientWithMiddleware, chunks: u64) -> f64 {
    let mut spent = 0;
    for _ in 0..chunks {
        let requests: Vec<_> = (0..CHUNK).map(|_| reqwest_request()).collect();
        let start = monotonic();
        for request in requests {
            let response = client.execute(request).now_or_never();
            assert!(matches!(response, Some(Ok(_))));
        }
        spent += start.elapsed().as_nanos();
    }
    spent as f64 / (chunks * CHUNK) as f64
}

/// The works whose instructions are counted, by case: the name on the command line, and the name in
/// the table. The first work of a case is what all works of the case have in common.
pub const COUNTED: &[(&str, &[(&str, &str)])] = &[
    (
        "tower_instructions",
        &[
            ("tower", "making the request"),
            ("tower-off", REPLAY_OFF),
            ("tower-constant", TOWER_CONSTANT),
            ("tower-on", REPLAY_ON),
            ("tower-retry", TOWER_RETRY),
        ],
    ),
    (REQWEST_INSTRUCTIONS, CHAINS),
];

/// Runs a counted work: makes and sends so many requests.
pub fn counted_work(which: &str, ours: &Credentials, calls: u64) {
    let responding = Responding::default;
    match which {
        "tower" => (0..calls).for_each(|_| drop(black_box(request()))),
        "tower-off" => {
            let layer = AuthLayer::new(ours.clone()).without_replay();
            tower_work(layer.layer(responding()), calls);
        }
        "tower-on" => tower_work(AuthLayer::new(ours.clone()).layer(responding()), calls),
        "tower-constant" => tower_work(constant().layer(responding()), calls),
        "tower-retry" => {
            let retry = RetryLayer::new(CloneOnce::default());
            tower_work(retry.layer(constant().layer(responding())), calls);
        }
        _ => reqwest_work(&chain(which, ours), calls),
    }
}

fn tower_work<S: Service<Request<Full<Bytes>>>>(mut service: S, calls: u64) {
    for _ in 0..calls {
        let response = service.call(request()).now_or_never();
        assert!(matches!(response, Some(Ok(_))));
    }
}

fn reqwest_work(client: &ClientWithMiddleware, calls: u64) {
    for _ in 0..calls {
        let response = client.execute(reqwest_request()).now_or_never();
        assert!(matches!(response, Some(Ok(_))));
    }
}

pub fn reqwest_chains(ours: &Credentials) -> Vec<Row> {
    let mut contest = Contest::new("reqwest_time", "ns", 61);
    let chunks = quickly(100, 2);
    for &(which, name) in CHAINS {
        let client = chain(which, ours);
        reqwest_calls(&client, 1);
        let requests: Vec<_> = (0..CHUNK).map(|_| reqwest_request()).collect();
        let allocations = allocations_of(CHUNK, || {
            for request in requests {
                drop(client.execute(request).now_or_never());
            }
        });
        let contestant = contest.enter(name, move || reqwest_calls(&client, chunks));
        contestant.allocations(allocations);
    }
    contest.run()
}
