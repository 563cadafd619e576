//! What a recorder is told after a story whose end is known.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use auth_core::clock::ManualClock;
use auth_core::store::MemoryStore;
use auth_core::testing::Scripted;
use auth_core::{
    Ask, Attempt, Conclusion, Credential, Credentials, Identity, Lifetime, LoginError, Origin,
    ResponseView, Session,
};
use futures_util::FutureExt;
use http::{HeaderMap, StatusCode};
use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use parking_lot::Mutex;

const HOUR: Duration = Duration::from_secs(3_600);

/// All values that were recorded, by the key in the form `name{label=value,…}`.
#[derive(Clone, Default)]
struct Recorded {
    values: Arc<Mutex<BTreeMap<String, Vec<f64>>>>,
    described: Arc<Mutex<BTreeMap<String, Described>>>,
}

/// The unit of a metric, and what it counts or measures.
type Described = (Option<Unit>, String);

struct Series(Recorded, String);

impl Series {
    fn add(&self, value: f64) {
        let mut values = self.0.values.lock();
        values.entry(self.1.clone()).or_default().push(value);
    }
}

impl CounterFn for Series {
    fn increment(&self, value: u64) {
        for _ in 0..value {
            self.add(1.0);
        }
    }

    fn absolute(&self, _: u64) {
        panic!("each counter counts up");
    }
}

impl HistogramFn for Series {
    fn record(&self, value: f64) {
        self.add(value);
    }
}

impl Recorded {
    fn series(&self, key: &Key) -> Arc<Series> {
        let label = |label: &metrics::Label| format!("{}={}", label.key(), label.value());
        let labels: Vec<_> = key.labels().map(label).collect();
        let key = format!("{}{{{}}}", key.name(), labels.join(","));
        Arc::new(Series(self.clone(), key))
    }

    fn describe(&self, name: &KeyName, unit: Option<Unit>, what: &SharedString) {
        let described = (unit, what.clone().into_owned());
        self.described
            .lock()
            .insert(name.as_str().to_owned(), described);
    }

    /// How many values each series has, without the labels that all of them have.
    fn counts(&self) -> Vec<(String, usize)> {
        let common = "auth.provider=scripted,server.address=api.example.com,server.port=8443";
        let values = self.values.lock();
        let count = |(key, values): (&String, &Vec<f64>)| {
            assert!(key.contains(common), "{key}");
            let short = key.replace(&format!("{common},"), "").replace(common, "");
            (short, values.len())
        };
        values.iter().map(count).collect()
    }

    fn values(&self, name: &str) -> Vec<f64> {
        let values = self.values.lock();
        let of = values.iter().filter(|(key, _)| key.starts_with(name));
        of.flat_map(|(_, values)| values.clone()).collect()
    }
}

impl Recorder for Recorded {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, what: SharedString) {
        self.describe(&name, unit, &what);
    }

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, what: SharedString) {
        self.describe(&name, unit, &what);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.series(key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.series(key))
    }
}

const CANARY: &str = "canary4711";

fn scripted(clock: &ManualClock) -> Scripted {
    let hands = clock.clone();
    let origin = Origin::parse("https://api.example.com:8443/canary4711-path").unwrap();
    let identity = Identity::new("scripted", origin.clone(), format!("{CANARY}@example.com"));
    Scripted::new(move |number| {
        hands.advance(Duration::from_millis(250));
        if number == 4 {
            let detail = format!("the server says {CANARY}");
            return Err(LoginError::refused(detail));
        }
        let session = Session::new().with_bearer(&format!("{CANARY}-{number}"))?;
        Ok::<_, LoginError>(session.with_lifetime(Lifetime::of(HOUR)))
    })
    .with_origin(origin)
    .with_identity(identity)
    .with_secret(format!("{CANARY}-password"))
}

async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

fn reject(credentials: &Credentials, carried: &Credential) -> Attempt {
    let attempt = Attempt::new(credentials, carried);
    let headers = HeaderMap::new();
    let told = attempt.conclude(&ResponseView::new(StatusCode::UNAUTHORIZED, &headers));
    assert_eq!(told, Conclusion::Replay);
    attempt
}

#[tokio::test]
async fn rule_17_the_counts_of_a_story_are_exact_and_no_label_names_an_account_or_a_secret() {
    let recorded = Recorded::default();
    let _guard = metrics::set_default_local_recorder(&recorded);
    let clock = ManualClock::new();
    let credentials = Credentials::builder(scripted(&clock))
        .clock(clock.clock())
        .build();

    // The first login, for a herd of ten.
    let herd = (0..10).map(|_| credentials.get());
    futures_util::future::try_join_all(herd).await.unwrap();
    // A renewal ahead of the expiry.
    clock.advance(HOUR.saturating_sub(Duration::from_secs(1)));
    let carried = credentials.get().await.unwrap();
    settle().await;
    // A late rejection replays and logs in no more; a rejection of the current session does.
    let attempt = reject(&credentials, &carried);
    let current = credentials.get().await.unwrap();
    drop(attempt.replay(&current));
    let attempt = reject(&credentials, &current);
    let newer = credentials.get().await.unwrap();
    drop(attempt.replay(&newer));
    // The fourth login is refused, and two more callers are told so.
    for _ in 0..3 {
        let asked = credentials.get_with(Ask::new().renewed()).await;
        assert!(asked.unwrap_err().is_login_refused());
    }
    credentials.close().await.unwrap();
    credentials.get().await.unwrap_err();

    let expected = [
        ("auth.client.callers.turned_away{error.type=closed}", 1),
        ("auth.client.callers.turned_away{error.type=refused}", 3),
        ("auth.client.login.duration{auth.cause=ahead_of_expiry}", 1),
        ("auth.client.login.duration{auth.cause=first}", 1),
        ("auth.client.login.duration{auth.cause=rejection}", 1),
        (
            "auth.client.logins{auth.cause=ahead_of_expiry,auth.outcome=success}",
            1,
        ),
        (
            "auth.client.logins{auth.cause=asked,auth.outcome=failure,error.type=refused}",
            1,
        ),
        (
            "auth.client.logins{auth.cause=first,auth.outcome=success}",
            1,
        ),
        (
            "auth.client.logins{auth.cause=rejection,auth.outcome=success}",
            1,
        ),
        ("auth.client.logouts{auth.outcome=confirmed}", 1),
        ("auth.client.rejections{auth.outcome=believed}", 1),
        ("auth.client.replays{}", 2),
    ];
    let expected = expected.map(|(key, count)| (key.to_owned(), count));
    assert_eq!(recorded.counts(), expected);
    assert_eq!(
        recorded.values("auth.client.login.duration"),
        [0.25; 3],
        "in seconds"
    );
    for key in recorded.values.lock().keys() {
        assert!(!key.contains(CANARY) && !key.contains('@'), "{key}");
    }
}

#[tokio::test]
async fn a_wait_for_the_quota_is_recorded_in_seconds() {
    let recorded = Recorded::default();
    let _guard = metrics::set_default_local_recorder(&recorded);
    let clock = ManualClock::new();
    let quota = auth_core::Quota::new(std::num::NonZeroU32::MIN, HOUR / 60);
    let credentials = Credentials::builder(scripted(&clock))
        .clock(clock.clock())
        .quota(quota)
        .build();
    credentials.get().await.unwrap();
    let mut late = Box::pin(credentials.renew());
    assert!((&mut late).now_or_never().is_none());
    let waits = recorded.values("auth.client.login.wait");
    assert!(
        matches!(waits[..], [wait] if (60.0..63.0).contains(&wait)),
        "{waits:?}"
    );
}

#[tokio::test]
async fn a_session_that_another_cache_left_in_the_store_is_counted_as_loaded() {
    let recorded = Recorded::default();
    let _guard = metrics::set_default_local_recorder(&recorded);
    let clock = ManualClock::new();
    let store = MemoryStore::new();
    for _ in 0..2 {
        let credentials = Credentials::builder(scripted(&clock))
            .clock(clock.clock())
            .store(store.clone())
            .build();
        credentials.get().await.unwrap();
        settle().await;
    }
    assert_eq!(recorded.values("auth.client.sessions.loaded"), [1.0]);
    assert_eq!(recorded.values("auth.client.logins"), [1.0]);
}

#[test]
fn each_metric_of_the_table_is_described_and_no_other() {
    let recorded = Recorded::default();
    metrics::with_local_recorder(&recorded, auth_core::metrics::describe);
    let described = recorded.described.lock();
    let table = include_str!("../src/metrics.rs");
    let rows = table
        .lines()
        .filter(|line| line.starts_with("//! | `auth.client."));
    let mut names = 0;
    for row in rows {
        let columns: Vec<_> = row.split('|').map(str::trim).collect();
        let name = columns[1].trim_matches('`');
        let (unit, what) = described.get(name).unwrap_or_else(|| panic!("{name}"));
        let seconds = columns[3] == "`s`";
        let kind = if seconds { "histogram" } else { "counter" };
        assert_eq!(columns[2], kind, "{name}");
        assert_eq!(*unit == Some(Unit::Seconds), seconds, "{name}");
        assert!(what.ends_with('.'), "{name}");
        names += 1;
    }
    assert_eq!(names, described.len());
}
