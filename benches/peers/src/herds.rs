//! Herds: many callers that wait for one login.

use auth_benches::{Herd, Logins, quickly, report};
use tokio::runtime::Runtime;

use crate::caches::{Life, PEERS, Peer};
use crate::row::{Row, print};

/// The herd on a cold cache.
pub const COLD: &str = "cold_herd_10000";

/// The herd whose login fails.
pub const FAILING: &str = "failing_10000";

/// The number of callers in this run.
pub fn callers() -> usize {
    quickly(10_000, 200)
}

/// The time from the end of the login to the return of the last caller.
pub fn all(runtime: &Runtime, case: &'static str) -> Vec<Row> {
    let failing = case == FAILING;
    let left_out = |peer: &Peer| {
        if failing {
            peer.no_failing
        } else {
            peer.no_cold
        }
    };
    let mut lags = vec![Vec::new(); PEERS.len()];
    let mut logins_of = vec![0; PEERS.len()];
    for round in 0..=quickly(9, 2) {
        for (index, peer) in PEERS.iter().enumerate() {
            // A peer with a login for each caller takes long, so it has two rounds only.
            if left_out(peer).is_some() || (logins_of[index] > 1 && round > 2) {
                continue;
            }
            let logins = Logins::held();
            if failing {
                logins.fail_from_now_on();
            }
            let cache = (peer.make)(runtime, &logins, Life::Long);
            let herd = Herd::gather(runtime, &logins, callers(), |_| (cache.get)());
            let report = herd.counting_from(0).release();
            let expected = if failing { 0 } else { callers() as u64 };
            assert_eq!(report.served, expected, "{}", peer.name);
            logins_of[index] = report.logins;
            // The first round is the warm-up.
            if round > 0 {
                lags[index].push(report.lag.as_secs_f64() * 1e6);
            }
        }
    }
    assert_eq!(logins_of[0], 1, "one login for the whole herd");
    let mut rows = Vec::new();
    for (peer, (lags, logins)) in PEERS.iter().zip(lags.into_iter().zip(logins_of)) {
        if let Some(why) = left_out(peer) {
            report(format_args!("{case:<22} {:<34} left out: {why}", peer.name));
            continue;
        }
        let note = if logins > 1 {
            "from the end of the first login"
        } else {
            ""
        };
        rows.push(Row {
            logins: Some(logins),
            note: note.into(),
            ..Row::new(case, peer.name, "us", lags)
        });
    }
    print(&rows);
    rows
}
