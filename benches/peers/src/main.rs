//! The same work in one run, for auth-core and for what others use instead.
//!
//! See `benches/README.md`. Writes `target/compare.tsv` and `target/refresh.svg` at the root of the repository.

// Counts and durations are far below 2^52, and this workspace is nobody's dependency.
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]

mod caches;
mod chart;
mod harness;
mod instructions;
mod layers;
mod many;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use auth_benches::{
    Guarded, Herd, Logins, PerThread, SharedHeader, Spread, Traffic, is_quick, monotonic, quickly,
    report, token, two_workers,
};
use caches::{Batch, Life, PEERS};
use harness::{Contest, Row, allocations_of, over, print, table};
use tokio::runtime::Runtime;

/// Whose versions are printed.
const PACKAGES: &[&str] = &[
    "aliri_tokens",
    "aws-smithy-runtime",
    "azure_core",
    "futures-util",
    "gcp_auth",
    "google-cloud-auth",
    "moka",
    "object_store",
    "reqsign-core",
    "reqwest",
    "reqwest-middleware",
    "reqwest-retry",
    "tokio",
    "tower",
    "tower-http",
    "yup-oauth2",
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [option, which, calls] = &arguments[..]
        && option == instructions::OPTION
    {
        let calls = calls.parse().expect("a number of calls");
        return layers::counted_work(which, &Logins::logged_in(&two_workers()), calls);
    }

    report(versions());
    warn_if_busy("before");
    // Named by the beginnings of cases; all of them, unless some are named.
    let wanted = |case: &str| {
        arguments.is_empty()
            || (arguments.iter()).any(|name| case.starts_with(&**name) || name.starts_with(case))
    };
    let runtime = two_workers();
    let ours = Logins::logged_in(&runtime);
    let mut rows = Vec::new();
    if wanted("hit") {
        rows.extend(hits(&runtime));
    }
    if wanted("tower") {
        rows.extend(layers::tower_stacks(&ours));
    }
    if wanted("reqwest") {
        rows.extend(layers::reqwest_chains(&ours));
    }
    if wanted("instructions") {
        rows.extend(instructions::all());
    }
    if wanted("cold_herd_10000") {
        rows.extend(herds(&runtime, "cold_herd_10000", false));
    }
    if wanted("failing_10000") {
        rows.extend(herds(&runtime, "failing_10000", true));
    }
    let mut panels = Vec::new();
    if wanted("renewal_p999") {
        let (renewals, drawn) = renewals(&runtime);
        rows.extend(renewals);
        panels = drawn;
    }
    if wanted("idle_bytes_100000") {
        rows.extend(many::idle());
    }
    if wanted("lookup_1k") {
        rows.extend(many::lookup("lookup_1k", 1_000));
    }
    if wanted("lookup_1m") && !is_quick() {
        rows.extend(many::lookup("lookup_1m", 1_000_000));
    }
    warn_if_busy("after");
    if !arguments.is_empty() {
        return;
    }

    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    std::fs::create_dir_all(&target).expect("a target folder");
    std::fs::write(target.join("compare.tsv"), table(&rows)).expect("the table is written");
    std::fs::write(target.join("refresh.svg"), chart::draw(&panels, RUN))
        .expect("the chart is written");
    report("wrote target/compare.tsv and target/refresh.svg");
}

/// What the lock file says was measured.
fn versions() -> String {
    let lock = include_str!("../Cargo.lock");
    let mut lines = lock.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let name = line
            .strip_prefix("name = \"")
            .and_then(|rest| rest.strip_suffix('"'));
        if let Some(name) = name.filter(|name| PACKAGES.contains(name)) {
            let version = lines
                .next()
                .and_then(|line| line.strip_prefix("version = \""));
            found.push(format!(
                "{name} {}",
                version.unwrap_or("?").trim_end_matches('"')
            ));
        }
    }
    found.join(", ")
}

/// One run of two threads can't tell another's work from its own.
fn warn_if_busy(when: &str) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = load
        .split(' ')
        .next()
        .and_then(|load| load.parse().ok())
        .unwrap_or(0.0);
    report(format_args!(
        "load average {when} the run: {load}, on {cores} cores"
    ));
    if when == "before" && load > 0.5 {
        report("WARNING: the machine is busy; times are too long, and ratios waver");
    }
}

/// A fresh credential, on one thread and on two.
fn hits(runtime: &Runtime) -> Vec<Row> {
    let mut batches: Vec<(&'static str, Batch, &'static str, Option<&'static str>)> = Vec::new();
    let (shared, guarded, copy) = (
        SharedHeader::new(&token()),
        Guarded::new(&token()),
        PerThread::new(&token()),
    );
    let again = |work: fn()| -> Batch { Arc::new(move |times| (0..times).for_each(|_| work())) };
    batches.push((
        "by hand: Instant::now",
        again(|| {
            std::hint::black_box(monotonic());
        }),
        "one clock, no header",
        None,
    ));
    batches.push((
        "by hand: shared header",
        Arc::new(move |times| (0..times).for_each(|_| drop(std::hint::black_box(shared.get())))),
        "no clock",
        None,
    ));
    batches.push((
        "by hand: ArcSwap",
        Arc::new(move |times| (0..times).for_each(|_| drop(std::hint::black_box(guarded.get())))),
        "two coarse clocks",
        None,
    ));
    batches.push((
        "by hand: copy per thread",
        Arc::new(move |times| (0..times).for_each(|_| drop(std::hint::black_box(copy.get())))),
        "two coarse clocks: the best that is known",
        None,
    ));
    for peer in PEERS {
        let logins = Logins::at_once();
        let cache = (peer.make)(runtime, &logins, Life::Long);
        assert!(runtime.block_on((cache.get)()), "{} logs in", peer.name);
        assert_eq!(logins.count(), 1);
        if let Some(hit) = cache.hit {
            batches.push((peer.name, hit, peer.hit, None));
        }
        if let Some(forced) = cache.forced {
            batches.push((peer.name, forced, "", Some(peer.name)));
        }
    }

    let mut rows = Vec::new();
    for (case, threads) in [("hit_1", 1), ("hit_2", 2)] {
        let mut contest = Contest::new(case, "ns", 31);
        for (name, batch, note, forced_by) in &batches {
            batch(10);
            let allocations = allocations_of(100, || batch(100));
            let times = quickly(20_000, 100) * threads as u64;
            let contestant = contest.enter(name, move || on_threads(batch, threads, times));
            contestant.note(note).allocations(allocations);
            if threads > 1 {
                contestant.on_one_thread(move || on_threads(batch, 1, times));
            }
            if let Some(forced_by) = forced_by {
                contestant.forced_by(forced_by);
            }
        }
        rows.extend(contest.run());
    }
    rows
}

/// Nanoseconds an operation, on so many threads at once, each of which does `times` of them.
fn on_threads(batch: &Batch, threads: usize, times: u64) -> f64 {
    let running = AtomicUsize::new(0);
    let spent = std::thread::scope(|scope| {
        let spawned: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    batch(10);
                    // Nobody sleeps until the others have come: who has to be woken begins when the first has ended.
                    running.fetch_add(1, SeqCst);
                    while running.load(SeqCst) < threads {
                        std::hint::spin_loop();
                    }
                    let start = monotonic();
                    batch(times);
                    start.elapsed()
                })
            })
            .collect();
        spawned
            .into_iter()
            .map(|thread| thread.join().expect("it only measures"))
            .sum::<Duration>()
    });
    spent.as_nanos() as f64 / (threads as u64 * times) as f64
}

/// Ten thousand callers, one login: how long after it the last of them returns.
fn herds(runtime: &Runtime, case: &'static str, failing: bool) -> Vec<Row> {
    let callers = quickly(10_000, 200);
    let rounds = quickly(9, 2);
    let mut lags = vec![Vec::new(); PEERS.len()];
    let mut logins_of = vec![0; PEERS.len()];
    for round in 0..=rounds {
        for (index, peer) in PEERS.iter().enumerate() {
            if if failing {
                peer.no_failing
            } else {
                peer.no_cold
            }
            .is_some()
            {
                continue;
            }
            // Those who log in once for each caller need to do it once only.
            if logins_of[index] > 1 && round > 2 {
                continue;
            }
            let logins = Logins::held();
            if failing {
                logins.fail_from_now_on();
            }
            let cache = (peer.make)(runtime, &logins, Life::Long);
            let herd = Herd::gather(runtime, &logins, callers, |_| (cache.get)());
            let report = herd.counting_from(0).release();
            assert_eq!(
                report.served,
                if failing { 0 } else { callers as u64 },
                "{}",
                peer.name
            );
            logins_of[index] = report.logins;
            // The first is the warm-up.
            if round > 0 {
                lags[index].push(report.lag.as_secs_f64() * 1e6);
            }
        }
    }
    assert_eq!(logins_of[0], 1, "one login for the whole herd");
    let lags_of_ours = lags[0].clone();
    let mut rows = Vec::new();
    for (peer, (lags, logins)) in PEERS.iter().zip(lags.iter().zip(&logins_of)) {
        let Some(spread) = Spread::of(lags) else {
            let why = if failing {
                peer.no_failing
            } else {
                peer.no_cold
            };
            report(format_args!(
                "{case:<22} {:<34} left out: {}",
                peer.name,
                why.unwrap_or("")
            ));
            continue;
        };
        rows.push(Row {
            case,
            implementation: peer.name,
            unit: "us",
            spread,
            allocations: None,
            logins: Some(*logins),
            net: None,
            ours_over_it: over(&lags_of_ours, lags),
            over_one_thread: None,
            note: if *logins > 1 {
                "from the end of the first login to the last caller's return"
            } else {
                ""
            },
        });
    }
    rows.iter().for_each(print);
    rows
}

const RUN: Duration = Duration::from_millis(2_000);
const LOGIN: Duration = Duration::from_millis(200);

/// Callers' latency in a run with one renewal, and in the same run without.
fn renewals(runtime: &Runtime) -> (Vec<Row>, Vec<chart::Panel>) {
    let traffic = Traffic::lasting(RUN);
    let (mut rows, mut panels) = (Vec::new(), Vec::new());
    for peer in PEERS {
        if let Some(why) = peer.no_renewal {
            report(format_args!(
                "{:<22} {:<34} left out: {why}",
                "renewal_p999", peer.name
            ));
            continue;
        }
        let (mut with, mut without, mut counted) = (Vec::new(), Vec::new(), 0);
        for round in 0..quickly(5, 1) {
            for life in [Life::Long, Life::DueSoon] {
                let logins = Logins::at_once();
                let cache = (peer.make)(runtime, &logins, life);
                assert!(runtime.block_on((cache.get)()));
                logins.take_end();
                logins.take(LOGIN);
                let get = cache.get;
                let latencies = traffic.run(runtime, move || get());
                let [p999] = latencies.percentiles([0.999]);
                assert_eq!(latencies.failed, 0, "{}", peer.name);
                if life == Life::Long {
                    without.push(p999 as f64);
                    continue;
                }
                with.push(p999 as f64);
                counted = logins.count() - 1;
                if round == 0 {
                    let login = logins.take_end().map(|end| {
                        let end = end.saturating_duration_since(latencies.start);
                        (
                            end.saturating_sub(LOGIN).as_nanos() as u64,
                            end.as_nanos() as u64,
                        )
                    });
                    panels.push(chart::Panel {
                        name: peer.name,
                        latencies,
                        login,
                    });
                }
            }
        }
        for (case, sample, logins) in [
            ("renewal_p999", &with, counted),
            ("no_renewal_p999", &without, 0),
        ] {
            let row = Row {
                case,
                implementation: peer.name,
                unit: "ns",
                spread: Spread::of(sample).expect("there are rounds"),
                allocations: None,
                logins: Some(logins),
                net: None,
                ours_over_it: None,
                over_one_thread: None,
                note: "",
            };
            print(&row);
            rows.push(row);
        }
    }
    assert_eq!(
        rows.first().and_then(|row| row.logins),
        Some(1),
        "one renewal"
    );
    (rows, panels)
}
