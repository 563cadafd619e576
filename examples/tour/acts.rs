//! What is played on each stage, and what each act promises.

use std::time::Duration;

use auth_providers::demo::{Api, Counts};
use bytes::Bytes;
use http::StatusCode;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::front::Front;
use crate::report::minus;
use crate::stage::Stage;

/// How many requests are in flight at once.
pub(crate) const REQUESTS: u64 = 2_000;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const OTHER_PASSWORD: &str = "another horse entirely";

/// What an act must leave at the server, besides requests.
#[derive(Clone, Copy, Default)]
struct Promise {
    logins: u64,
    refused: u64,
    unavailable: u64,
    /// Whether sessions were rejected, so that requests had to be replayed.
    replays: bool,
}

const ONE_LOGIN: Promise = Promise {
    logins: 1,
    refused: 0,
    unavailable: 0,
    replays: false,
};

const ONE_LOGIN_AND_REPLAYS: Promise = Promise {
    replays: true,
    ..ONE_LOGIN
};

pub(crate) async fn play(stage: &mut Stage) -> anyhow::Result<()> {
    ordinary_life(stage).await;
    revocation(stage).await;
    outage(stage).await;
    wrong_password(stage).await?;
    Ok(())
}

async fn ordinary_life(stage: &mut Stage) {
    let act = Act::begin(stage, "cold start", "one login per cold start");
    let seen = send(stage, 1).await;
    act.end(stage, ONE_LOGIN, seen);

    let act = Act::begin(stage, "a normal run", "no login while the session is good");
    let seen = send(stage, 2).await;
    act.end(stage, Promise::default(), seen);

    if let Some(life) = life_known_to_the_client(stage.api) {
        stage.advance(life.saturating_sub(MINUTE));
        let act = Act::begin(stage, "renewal", "one renewal beside the traffic");
        let seen = send(stage, 4).await;
        act.end(stage, ONE_LOGIN, seen);
    }

    stage.advance(life_at_the_server(stage.api) + MINUTE);
    let act = Act::begin(stage, "expiry", "one login per expiry");
    let seen = send(stage, 1).await;
    // CloudIO documents no life, so there it is the server who says that it is over.
    let promise = if stage.api == Api::CloudIo {
        ONE_LOGIN_AND_REPLAYS
    } else {
        ONE_LOGIN
    };
    act.end(stage, promise, seen);
}

async fn revocation(stage: &mut Stage) {
    let act = Act::begin(
        stage,
        "revocation in mid-flight",
        "one login per revocation",
    );
    let enough = stage.server.counts().calls.ok + REQUESTS;
    let mut revoked = false;
    let server = &stage.server;
    let seen = send_while(&stage.front, server, &mut stage.next_id, 3, || {
        if !revoked && server.counts().calls.ok > enough {
            server.revoke_all();
            revoked = true;
        }
    });
    let seen = seen.await;
    act.end(stage, ONE_LOGIN_AND_REPLAYS, seen);
}

async fn outage(stage: &mut Stage) {
    let act = Act::begin(
        stage,
        "login outage",
        "a good session is served while logins fail",
    );
    stage.server.set_login_outage(true);
    let renewal = stage.credentials.renew().await;
    if !renewal.is_err_and(|error| error.is_unavailable()) {
        let broken = "a forced renewal in an outage must say that the login is unavailable";
        stage.broken.push(broken.into());
    }
    let seen = send(stage, 1).await;
    stage.server.set_login_outage(false);
    let promise = Promise {
        unavailable: 1,
        ..Promise::default()
    };
    act.end(stage, promise, seen);
    // The back-off after the failure is over.
    stage.advance(MINUTE);
}

async fn wrong_password(stage: &mut Stage) -> anyhow::Result<()> {
    stage.change_password(OTHER_PASSWORD);
    stage.server.revoke_all();
    let act = Act::begin(
        stage,
        "wrong password",
        "one attempt with a wrong password, however many ask",
    );
    let mut seen = send(stage, 1).await;
    seen.add(send(stage, 1).await);
    // Here nothing can heal a request: each must be told why.
    let told = std::mem::take(&mut seen.told);
    stage.told += told;
    if told != 2 * REQUESTS {
        let all = 2 * REQUESTS;
        let broken =
            format!("all {all} requests must be told that the password is wrong, {told} were");
        stage.broken.push(broken);
    }
    let promise = Promise {
        refused: 1,
        ..Promise::default()
    };
    act.end(stage, promise, seen);

    stage.mend_password(OTHER_PASSWORD).await?;
    stage.advance(Duration::from_secs(2));
    let act = Act::begin(
        stage,
        "mended password",
        "a mended password logs in at once",
    );
    let seen = send(stage, 1).await;
    act.end(stage, ONE_LOGIN, seen);
    Ok(())
}

/// How long the client knows a session to live, whatever it does.
fn life_known_to_the_client(api: Api) -> Option<Duration> {
    matches!(api, Api::Clay | Api::V1Login).then_some(DAY)
}

/// How long a silent session lives at the server.
fn life_at_the_server(api: Api) -> Duration {
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
    /// Told that the password is wrong.
    told: u64,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.good += other.good;
        self.failed += other.failed;
        self.told += other.told;
    }
}

/// [`REQUESTS`] callers at once, each of whom sends `rounds` requests in a row.
async fn send(stage: &mut Stage, rounds: u64) -> Seen {
    send_while(
        &stage.front,
        &stage.server,
        &mut stage.next_id,
        rounds,
        || {},
    )
    .await
}

async fn send_while(
    front: &Front,
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
        callers.spawn(call(front.clone(), probe.clone(), first..first + rounds));
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

async fn call(front: Front, probe: String, ids: std::ops::Range<u64>) -> Seen {
    let mut seen = Seen::default();
    for id in ids {
        // Every other request is a POST, whose body must come back as it was sent.
        let body = (id % 2 == 1).then(|| Bytes::from(format!("the body of request {id}")));
        match front.send(&probe, id, body.clone()).await {
            Ok(reply)
                if reply.status == StatusCode::OK && body.is_none_or(|body| body == reply.body) =>
            {
                seen.good += 1;
            }
            Ok(_) => seen.failed += 1,
            Err(error) => match Front::auth_error(&error) {
                Some(error) if error.is_login_refused() => seen.told += 1,
                _ => seen.failed += 1,
            },
        }
    }
    seen
}

/// One act, from what the server had counted before it.
struct Act {
    name: &'static str,
    promise: &'static str,
    before: Counts,
    began: Instant,
}

impl Act {
    fn begin(stage: &Stage, name: &'static str, promise: &'static str) -> Self {
        Self {
            name,
            promise,
            before: stage.server.counts(),
            began: Instant::now(),
        }
    }

    fn end(self, stage: &mut Stage, promise: Promise, seen: Seen) {
        let counts = minus(stage.server.counts(), self.before);
        let failed = seen.failed + seen.told;
        println!(
            "{:<8} {:<8} {:<25} {:>6} requests, {:>4} × 401, {} logins, {} replays, {} failed, {:.1} s",
            format!("{:?}", stage.api),
            stage.kind.name(),
            self.name,
            counts.calls.total(),
            counts.calls.unauthorized,
            counts.logins.total(),
            counts.replays,
            failed,
            self.began.elapsed().as_secs_f64(),
        );
        stage.failed += failed;
        let mut check = |what: &str, counted: u64, promised: u64| {
            if counted != promised {
                let promise = self.promise;
                stage
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
        check("requests failed", failed, 0);
        if promise.replays {
            check(
                "replays for the rejected requests",
                counts.replays,
                counts.calls.unauthorized,
            );
            check("act without a rejection", u64::from(counts.replays == 0), 0);
        } else {
            check("replays", counts.replays, 0);
        }
    }
}
