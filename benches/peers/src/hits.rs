//! A fresh credential, on one thread and on two.

use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use auth_benches::{ByHand, Logins, SharedHeader, monotonic, quickly, token};
use tokio::runtime::Runtime;

use crate::caches::{Batch, Life, PEERS, ours};
use crate::harness::Contest;
use crate::row::{Row, allocations_of, find, ours_over};

/// The cases, and the number of threads of each.
pub const CASES: [(&str, usize); 2] = [("hit_1", 1), ("hit_2", 2)];

/// The row of the reference.
pub const BY_HAND: &str = "by hand: ArcSwap";

struct Entry {
    name: &'static str,
    note: &'static str,
    batch: Batch,
    forced_by: Option<&'static str>,
}

pub fn all(runtime: &Runtime) -> Vec<Row> {
    // The reference stands beside ours, so that little time passes between the two in a round.
    let mut entries = by_hand();
    entries.extend(
        (ours::ways(runtime).into_iter()).map(|(name, note, batch)| Entry {
            name,
            note,
            batch,
            forced_by: None,
        }),
    );
    for peer in PEERS {
        let logins = Logins::at_once();
        let cache = (peer.make)(runtime, &logins, Life::Long);
        assert!(runtime.block_on((cache.get)()), "{} logs in", peer.name);
        assert_eq!(logins.count(), 1);
        if let Some(batch) = cache.hit {
            entries.push(Entry {
                name: peer.name,
                note: peer.hit,
                batch,
                forced_by: None,
            });
        }
        if let Some(batch) = cache.forced {
            entries.push(Entry {
                name: peer.name,
                note: "",
                batch,
                forced_by: Some(peer.name),
            });
        }
    }
    let mut rows = Vec::new();
    for (case, threads) in CASES {
        rows.extend(contest(case, threads, &entries));
    }
    rows
}

/// The parts of the reference, and the reference.
fn by_hand() -> Vec<Entry> {
    let (shared, by_hand) = (SharedHeader::new(&token()), ByHand::new(&token()));
    let entry = |name, note, batch| Entry {
        name,
        note,
        batch,
        forced_by: None,
    };
    vec![
        entry(
            "by hand: Instant::now",
            "one clock, no header",
            Arc::new(|times| {
                for _ in 0..times {
                    black_box(monotonic());
                }
            }),
        ),
        entry(
            "by hand: shared header",
            "no clock",
            Arc::new(move |times| (0..times).for_each(|_| drop(black_box(shared.get())))),
        ),
        entry(
            BY_HAND,
            "the reference: one header, two coarse clocks",
            Arc::new(move |times| (0..times).for_each(|_| drop(black_box(by_hand.get())))),
        ),
    ]
}

fn contest(case: &'static str, threads: usize, entries: &[Entry]) -> Vec<Row> {
    let mut contest = Contest::new(case, "ns", 31);
    for entry in entries {
        let batch = &entry.batch;
        batch(10);
        let allocations = allocations_of(100, || batch(100));
        let times = quickly(20_000, 100) * threads as u64;
        let contestant = contest.enter(entry.name, move || on_threads(batch, threads, times));
        contestant.note(entry.note).allocations(allocations);
        if threads > 1 {
            contestant.on_one_thread(move || on_threads(batch, 1, times));
        }
        if let Some(forced_by) = entry.forced_by {
            contestant.forced_by(forced_by);
        }
    }
    contest.run()
}

/// Nanoseconds of an operation, on so many threads at once, each of which does `times` of them.
fn on_threads(batch: &Batch, threads: usize, times: u64) -> f64 {
    let running = AtomicUsize::new(0);
    let spent = std::thread::scope(|scope| {
        let spawned: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    batch(10);
                    // The threads spin until all of them run. A thread that slept would have to be
                    // woken, and would begin when the first one has ended.
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

/// Ours over each other way to a fresh credential, in Markdown; empty if they were not measured.
pub fn table(rows: &[Row]) -> String {
    let [(one, _), (two, _)] = CASES;
    let mut table = String::new();
    let mut ways = Vec::new();
    for row in rows.iter().filter(|row| row.case == one) {
        let Some(on_two) = find(rows, two, row.implementation) else {
            continue;
        };
        if row.is_ours() {
            ways.push(row.implementation);
        }
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {} | {} | {} |",
            row.implementation,
            row.note,
            if checks_expiry(row) { "yes" } else { "no" },
            row.figures(),
            ours_over(rows, row),
            on_two.figures(),
            ours_over(rows, on_two),
        );
    }
    if table.is_empty() {
        return table;
    }
    format!(
        "| fresh credential | the call | checks an expiry | 1 thread | ours over it | 2 threads \
         | ours over it |\n|---|---|---|---|---|---|---|\n{table}\n*Ours over it*, in this order: \
         {}.\n",
        ways.join(" / ")
    )
}

fn checks_expiry(row: &Row) -> bool {
    PEERS
        .iter()
        .find(|peer| peer.name == row.implementation)
        .map_or(row.is_ours() || row.implementation == BY_HAND, |peer| {
            peer.checks_expiry
        })
}
