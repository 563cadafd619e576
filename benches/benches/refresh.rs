//! Refresh concurrency: herds of callers who wait for one login, and callers who go on asking through a renewal.
//!
//! A herd's time runs from the release of its login to the return of its last caller, on two threads. `Shared` is what the
//! futures crate offers to those who only want one future awaited by many.

use std::sync::LazyLock;
use std::time::Duration;

use auth_benches::{
    Herd, Latencies, Logins, Traffic, is_quick, longest, quickly, report, two_workers,
};
use auth_core::{Attempt, Credentials, Lifetime, RefreshWindow};
use divan::Bencher;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(two_workers);

const HOUR: Lifetime = Lifetime::of(Duration::from_secs(3_600));

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

fn asking(credentials: Credentials) -> impl Fn(usize) -> BoxFuture<'static, bool> {
    move |_| {
        let credentials = credentials.clone();
        async move { credentials.get().await.is_ok() }.boxed()
    }
}

#[divan::bench(args = herds())]
fn cold(bencher: Bencher<'_, '_>, callers: usize) {
    bench(bencher, callers, true, |logins| {
        asking(Credentials::new(logins.with_lifetime(HOUR)))
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
        let provider = logins.with_lifetime(Lifetime::of(short)).and_later(HOUR);
        let builder = Credentials::builder(provider).refresh_window(RefreshWindow::NONE);
        let credentials = builder.build();
        logged_in(&credentials, logins);
        std::thread::sleep(2 * short);
        asking(credentials)
    });
}

#[divan::bench(args = herds())]
fn failing(bencher: Bencher<'_, '_>, callers: usize) {
    bench(bencher, callers, false, |logins| {
        logins.fail_from_now_on();
        asking(Credentials::new(logins.with_lifetime(HOUR)))
    });
}

#[divan::bench(args = herds())]
fn rejected(bencher: Bencher<'_, '_>, callers: usize) {
    bench(bencher, callers, true, |logins| {
        let credentials = Credentials::new(logins.with_lifetime(HOUR));
        logged_in(&credentials, logins);
        let credential = credentials.fresh().expect("it is fresh");
        let carried = Attempt::new(&credentials, &credential);
        // Each of the herd is told so by its own answer; the first one counts.
        move |_| {
            let (credentials, carried) = (credentials.clone(), carried.clone());
            async move {
                carried.rejected();
                credentials.get().await.is_ok()
            }
            .boxed()
        }
    });
}

/// The first session, from a login that isn't held; the next one is.
fn logged_in(credentials: &Credentials, logins: &Logins) {
    logins.release();
    RUNTIME
        .block_on(credentials.get())
        .expect("the first login");
    logins.hold();
}

/// Callers' latency in a run with one renewal, and in the same run without.
fn latencies() {
    let traffic = Traffic::lasting(quickly(
        Duration::from_secs(2),
        Duration::from_millis(1_200),
    ));
    let takes = Duration::from_millis(200);
    report("latency of callers (ns)      p50     p99   p99.9     max   askings  logins");
    for _ in 0..quickly(5, 1) {
        let without = Logins::at_once();
        let credentials = Credentials::new(without.with_lifetime(HOUR));
        row("without a renewal", &run(traffic, credentials), &without);

        let with = Logins::at_once();
        let brief = Lifetime::of(Duration::from_millis(1_500));
        let provider = with.with_lifetime(brief).and_later(HOUR);
        let window = RefreshWindow::new(Duration::from_millis(1_200), 0.9);
        let credentials = Credentials::builder(provider)
            .refresh_window(window)
            .build();
        RUNTIME
            .block_on(credentials.get())
            .expect("the first login");
        with.take(takes);
        let latencies = run(traffic, credentials);
        assert_eq!(with.count(), 2, "one login, one renewal");
        row("with one of 200 ms", &latencies, &with);
    }
}

fn run(traffic: Traffic, credentials: Credentials) -> Latencies {
    RUNTIME
        .block_on(credentials.get())
        .expect("the first login");
    traffic.run(&RUNTIME, move || {
        let credentials = credentials.clone();
        async move { credentials.get().await.is_ok() }
    })
}

fn row(name: &str, latencies: &Latencies, logins: &Logins) {
    let [median, p99, p999, max] = latencies.percentiles([0.5, 0.99, 0.999, 1.0]);
    assert_eq!(latencies.failed, 0);
    let askings = latencies.points.len();
    report(format_args!(
        "  {name:<22} {median:>7} {p99:>7} {p999:>7} {max:>7} {askings:>9} {:>7}",
        logins.count(),
    ));
}
