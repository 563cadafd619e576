//! The steps of a scenario, and what each of them promises.

use std::time::Duration;

use auth_providers::demo::{Api, Counts};
use bytes::Bytes;
use http::StatusCode;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::integration::Integration;
use crate::report::minus;
use crate::scenario::Scenario;

/// How many requests are in flight at once.
pub(crate) const REQUESTS: u64 = 2_000;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
pub(crate) const OTHER_PASSWORD: &str = "another horse entirely";

/// What a step must leave at the server, besides requests.
#[derive(Clone, Copy, Default)]
struct Promise {
    logins: u64,
    refused: u64,
    unavailable: u64,
    /// How many callers must be told that the password is wrong.
    told: u64,
    /// Whether sessions were rejected, so that requests had to be replayed.
    replays: bool,
}

const ONE_LOGIN: Promise = Promise {
    logins: 1,
    refused: 0,
    unavailable: 0,
    told: 0,
    replays: false,
};

const ONE_LOGIN_AND_REPLAYS: Promise = Promise {
    replays: true,
    ..ONE_LOGIN
};

pub(crate) async fn run(scenario: &mut Scenario) -> anyhow::Result<()> {
    lifetime(scenario).await;
    revocation(scenario).await;
    outage(scenario).await;
    wrong_password(scenario).await?;
    Ok(())
}

async fn lifetime(scenario: &mut Scenario) {
    let step = Step::begin(scenario, "cold start", "one login per cold start");
    let seen = send(scenario, 1).await;
    step.end(scenario, ONE_LOGIN, seen);

    let step = Step::begin(
        scenario,
        "a normal run",
        "no login while the session is good",
    );
    let seen = send(scenario, 2).await;
    step.end(scenario, Promise::default(), seen);

    if let Some(lifetime) = lifetime_known_to_the_client(scenario.api) {
        scenario.advance(lifetime.saturating_sub(MINUTE));
        let step = Step::begin(scenario, "renewal", "one renewal beside the traffic");
        let seen = send(scenario, 4).await;
        step.end(scenario, ONE_LOGIN, seen);
    }

    scenario.advance(lifetime_at_the_server(scenario.api) + MINUTE);
    let step = Step::begin(scenario, "expiry", "one login per expiry");
    let seen = send(scenario, 1).await;
    // CloudIO documents no lifetime, so only the server can say that the session is over.
    let promise = if scenario.api == Api::CloudIo {
        ONE_LOGIN_AND_REPLAYS
    } else {
        ONE_LOGIN
    };
    step.end(scenario, promise, seen);
}

async fn revocation(scenario: &mut Scenario) {
    let step = Step::begin(
        scenario,
        "revocation in mid-flight",
        "one login per revocation",
    );
    let revoke_after = scenario.server.counts().calls.ok + REQUESTS;
    let mut revoked = false;
    let server = &scenario.server;
    let seen = send_while(
        &scenario.integration,
        server,
        &mut scenario.next_id,
        3,
        || {
            if !revoked && server.counts().calls.ok > revoke_after {
                server.revoke_all();
                revoked = true;
            }
        },
    );
    let seen = seen.await;
    step.end(scenario, ONE_LOGIN_AND_REPLAYS, seen);
}

async fn outage(scenario: &mut Scenario) {
    let step = Step::begin(
        scenario,
        "login outage",
        "a good session is served while logins fail",
    );
    scenario.server.set_login_outage(true);
    let renewal = scenario.credentials.renew().await;
    if !renewal.is_err_and(|error| error.is_unavailable()) {
        let broken = "a forced renewal in an outage must say that the login is unavailable";
        scenario.broken.push(broken.into());
    }
    let seen = send(scenario, 1).await;
    scenario.server.set_login_outage(false);
    let promise = Promise {
        unavailable: 1,
        ..Promise::default()
    };
    step.end(scenario, promise, seen);
    // The back-off after the failure is over.
    scenario.advance(MINUTE);
}

async fn wrong_password(scenario: &mut Scenario) -> anyhow::Result<()> {
    scenario.change_password(OTHER_PASSWORD);
    scenario.server.revoke_all();
    let step = Step::begin(
        scenario,
        "wrong password",
        "one attempt with a wrong password, however many callers ask",
    );
    let mut seen = send(scenario, 1).await;
    seen.add(send(scenario, 1).await);
    // No login can recover these requests, so each must get the error.
    let promise = Promise {
        refused: 1,
        told: 2 * REQUESTS,
        ..Promise::default()
    };
    step.end(scenario, promise, seen);

    scenario.correct_password(OTHER_PASSWORD).await?;
    scenario.advance(Duration::from_secs(2));
    let step = Step::begin(
        scenario,
        "corrected password",
        "a corrected password logs in at once",
    );
    let seen = send(scenario, 1).await;
    step.end(scenario, ONE_LOGIN, seen);
    Ok(())
}

/// The lifetime that the client knows, if use does not extend it.
fn lifetime_known_to_the_client(api: Api) -> Option<Duration> {
    matches!(api, Api::Clay | Api::V1Login).then_some(DAY)
}

/// How long an idle session lives at the server.
fn lifetime_at_the_server(api: Api) -> Duration {
    match api {
        Api::Quinn => 7 * DAY,
        Api::CloudIo => HOUR / 2,
        _ => DAY,
    }
}

/// What the callers saw.
#[derive(Clone, Copy, Default)]
struct Seen {
    good: u64,
    failed: u64,
    /// Errors that said that the password is wrong.
    told: u64,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.good += other.good;
        self.failed += other.failed;
        self.told += other.told;
    }
}

/// Runs [`REQUESTS`] callers at once. Each of them sends `rounds` requests in a row.
async fn send(scenario: &mut Scenario, rounds: u64) -> Seen {
    send_while(
        &scenario.integration,
        &scenario.server,
        &mut scenario.next_id,
        rounds,
        || {},
    )
    .await
}

async fn send_while(
    integration: &Integration,
    server: &auth_providers::demo::DemoServer,
    next_id: &mut u64,
    rounds: u64,
    mut meanwhile: impl FnMut(),
) -> Seen {
    let probe = server.url(server.api().probe_path());
    let mut callers = JoinSet::new();
    for _ in 0..REQUESTS {
        let first = *next_id;
        *next_id += rounds;
        callers.spawn(call(
            integration.clone(),
            probe.clone(),
            first..first + rounds,
        ));
    }
    let mut seen = Seen::default();
    let mut look = tokio::time::interval(Duration::from_millis(5));
    loop {
        tokio::select! {
            caller = callers.join_next() => match caller {
                Some(Ok(caller)) => seen.add(caller),
                Some(Err(_panic)) => seen.failed += rounds,
                None => return seen,
            },
            _ = look.tick() => meanwhile(),
        }
    }
}

async fn call(integration: Integration, probe: String, ids: std::ops::Range<u64>) -> Seen {
    let mut seen = Seen::default();
    for id in ids {
        // Every other request is a POST, whose body the server must echo unchanged.
        let body = (id % 2 == 1).then(|| Bytes::from(format!("the body of request {id}")));
        match integration.send(&probe, id, body.clone()).await {
            Ok(response)
                if response.status == StatusCode::OK
                    && body.is_none_or(|body| body == response.body) =>
            {
                seen.good += 1;
            }
            Ok(_) => seen.failed += 1,
            Err(error) => match Integration::auth_error(&error) {
                Some(error) if error.is_login_refused() => seen.told += 1,
                _ => seen.failed += 1,
            },
        }
    }
    seen
}

/// A number of things, whose name takes an `s` in the plural.
fn counted(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// One step, with what the server had counted before it.
struct Step {
    name: &'static str,
    promise: &'static str,
    before: Counts,
    began: Instant,
}

impl Step {
    fn begin(scenario: &Scenario, name: &'static str, promise: &'static str) -> Self {
        Self {
            name,
            promise,
            before: scenario.server.counts(),
            began: Instant::now(),
        }
    }

    fn end(self, scenario: &mut Scenario, promise: Promise, seen: Seen) {
        let counts = minus(scenario.server.counts(), self.before);
        let told = match seen.told {
            0 => String::new(),
            told => format!(", {told} callers told that the password is wrong"),
        };
        println!(
            "{:<8} {:<8} {:<25} {:>6} requests, {:>4} × 401, {}, {}, {} failed{told}, {:.1} s",
            format!("{:?}", scenario.api),
            scenario.kind.name(),
            self.name,
            counts.calls.total(),
            counts.calls.unauthorized,
            counted(counts.logins.total(), "login"),
            counted(counts.replays, "replay"),
            seen.failed,
            self.began.elapsed().as_secs_f64(),
        );
        scenario.failed += seen.failed;
        scenario.told += seen.told;
        let mut check = |what: &str, counted: u64, promised: u64| {
            if counted != promised {
                let promise = self.promise;
                scenario
                    .broken
                    .push(format!("{promise}: {counted} {what}, {promised} promised"));
            }
        };
        check("sessions issued", counts.logins.ok, promise.logins);
        check("attempts refused", counts.logins.refused, promise.refused);
        check(
            "attempts in the outage",
            counts.logins.unavailable,
            promise.unavailable,
        );
        check("attempts beyond the limit", counts.logins.limited, 0);
        check("malformed attempts", counts.logins.malformed, 0);
        check("requests failed", seen.failed, 0);
        check(
            "callers told that the password is wrong",
            seen.told,
            promise.told,
        );
        if promise.replays {
            check(
                "replays for the rejected requests",
                counts.replays,
                counts.calls.unauthorized,
            );
            check(
                "step without a rejection",
                u64::from(counts.replays == 0),
                0,
            );
        } else {
            check("replays", counts.replays, 0);
        }
    }
}
