//! Concurrent refresh: herds of callers that wait for one login, and callers that go on through a
//! renewal.
//!
//! The time of a herd runs from the release of its login to the return of its last caller, on two
//! threads. `cold_shared` is `futures::Shared`, by which many callers await one future.

use std::sync::LazyLock;
use std::time::Duration;

use auth_benches::ours::{self, Credentials};
use auth_benches::{
    Herd, Latencies, Logins, Traffic, is_quick, longest, quickly, report, two_workers,
};
use divan::Bencher;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(two_workers);

fn main() {
    divan::Divan::default()
        .sample_size(1)
        .sample_count(quickly(20, 2))
        .max_time(longest(is_quick()) * 10)
        .config_with_args()
        .main();
    if std::env::args().any(|argument| argument == "--list" || argument == "--test") {
        return;
    }
    latencies();
}

fn herds() -> &'static [usize] {
    quickly(&[10, 1_000, 10_000], &[10, 1_000])
}

fn bench<F>(bencher: Bencher<'_, '_>, callers: usize, served: bool, ask: impl Fn(&Logins) -> F)
where
    F: Fn(usize) -> BoxFuture<'static, bool>,
{
    bencher
        .with_inputs(|| {
            let logins = Logins::held();
            let ask = ask(&logins);
            Herd::gather(&RUNTIME, &logins, callers, ask)
        })
        .bench_local_values(|herd| {
            let report = herd.release();
            assert_eq!(report.logins, 1, "one login for the whole herd");
            assert_eq!(report.served == callers as u64, served);
        });
}

fn callers_of(credentials: Credentials) -> impl Fn(usize) -> BoxFuture<'static, bool> {
    move |_| {
        let credentials = credentials.clone();
        ours::is_served(credentials).boxed()
    }
}

#[divan::bench(args = herds())]
fn cold(bencher: Bencher<'_, '_>, callers: usize) {
    bench(bencher, callers, true, |logins| {
        callers_of(ours::cache(logins))
    });
}

#[divan::bench(args = herds())]
fn cold_shared(bencher: Bencher<'_, '_>, callers: usize) {
    bench(bencher, callers, true, |logins| {
        let logins = logins.clone();
        let shared = async move { logins.login().await }.boxed().shared();
        move |_| {
            let shared = shared.clone();
            async move { shared.await.is_ok() }.boxed()
        }
    });
}

#[divan::bench(args = herds())]
fn expired(bencher: Bencher<'_, '_>, callers: usize) {
    let short = Duration::from_millis(20);
    bench(bencher, callers, true, |logins| {
        let credentials = ours::without_renewal(logins, short);
        logged_in(&credentials, logins);
        std::thread::sleep(2 * short);
        callers_of(credentials)
    });
}

#[divan::bench(args = herds())]
fn failing(bencher: Bencher<'_, '_>, callers: usize) {
    bench(bencher, callers, false, |logins| {
        logins.fail_from_now_on();
        callers_of(ours::cache(logins))
    });
}

#[divan::bench(args = herds())]
fn rejected(bencher: Bencher<'_, '_>, callers: usize) {
    bench(bencher, callers, true, |logins| {
        let credentials = ours::cache(logins);
        logged_in(&credentials, logins);
        // Every caller reports the rejection of its own request; only the first report counts.
        let ask = ours::after_rejection(credentials);
        move |_| ask()
    });
}

/// Logs in once, and holds back the next login.
fn logged_in(credentials: &Credentials, logins: &Logins) {
    logins.release();
    ours::log_in(&RUNTIME, credentials);
    logins.hold();
}

/// The latency of callers in a run with one renewal, and in the same run without.
fn latencies() {
    let traffic = Traffic::lasting(quickly(
        Duration::from_secs(2),
        Duration::from_millis(1_200),
    ));
    let takes = Duration::from_millis(200);
    report("latency of callers (ns)      p50     p99   p99.9     max     calls  logins");
    for _ in 0..quickly(5, 1) {
        let without = Logins::at_once();
        let credentials = ours::cache(&without);
        row("without a renewal", &run(traffic, credentials), &without);

        let with = Logins::at_once();
        let (first, lead) = (Duration::from_millis(1_500), Duration::from_millis(1_200));
        let credentials = ours::with_renewal(&with, first, lead);
        ours::log_in(&RUNTIME, &credentials);
        with.take(takes);
        let latencies = run(traffic, credentials);
        assert_eq!(with.count(), 2, "one login, one renewal");
        row("with one of 200 ms", &latencies, &with);
    }
}

fn run(traffic: Traffic, credentials: Credentials) -> Latencies {
    ours::log_in(&RUNTIME, &credentials);
    traffic.run(&RUNTIME, move || ours::is_served(credentials.clone()))
}

fn row(name: &str, latencies: &Latencies, logins: &Logins) {
    let [median, p99, p999, max] = latencies.percentiles([0.5, 0.99, 0.999, 1.0]);
    assert_eq!(latencies.failed, 0);
    let calls = latencies.points.len();
    report(format_args!(
        "  {name:<22} {median:>7} {p99:>7} {p999:>7} {max:>7} {calls:>9} {:>7}",
        logins.count(),
    ));
}
