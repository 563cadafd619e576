//! The latency of callers through a renewal.

use std::time::Duration;

use auth_benches::{Latencies, Logins, Traffic, quickly, report};
use tokio::runtime::Runtime;

use crate::caches::{Life, PEERS, Peer};
use crate::chart::Panel;
use crate::row::{Row, print};

/// The run with one renewal.
pub const WITH: &str = "renewal_p999";

/// The same run without.
pub const WITHOUT: &str = "no_renewal_p999";

/// The length of a run.
pub const RUN: Duration = Duration::from_millis(2_000);

const LOGIN: Duration = Duration::from_millis(200);

pub fn all(runtime: &Runtime) -> (Vec<Row>, Vec<Panel>) {
    let (mut rows, mut panels) = (Vec::new(), Vec::new());
    for peer in PEERS {
        if let Some(why) = peer.no_renewal {
            report(format_args!("{WITH:<22} {:<34} left out: {why}", peer.name));
            continue;
        }
        let (mut with, mut without, mut renewals) = (Vec::new(), Vec::new(), 0);
        for round in 0..quickly(5, 1) {
            let p999 = |latencies: &Latencies| latencies.percentiles([0.999]).map(|p| p as f64);
            without.extend(p999(&run(runtime, peer, Life::Long).0));
            let (latencies, logins) = run(runtime, peer, Life::DueSoon);
            with.extend(p999(&latencies));
            renewals = logins.count() - 1;
            if round == 0 {
                panels.push(panel(peer.name, latencies, &logins));
            }
        }
        let both =
            [(WITH, with, renewals), (WITHOUT, without, 0)].map(|(case, p999, logins)| Row {
                logins: Some(logins),
                ..Row::new(case, peer.name, "ns", p999)
            });
        print(&both);
        rows.extend(both);
    }
    let ours = rows.first().and_then(|row| row.logins);
    assert_eq!(ours, Some(1), "one renewal");
    (rows, panels)
}

fn run(runtime: &Runtime, peer: &Peer, life: Life) -> (Latencies, Logins) {
    let logins = Logins::at_once();
    let cache = (peer.make)(runtime, &logins, life);
    assert!(runtime.block_on((cache.get)()));
    logins.take_end();
    logins.take(LOGIN);
    let length = match life {
        Life::DueSoon => RUN,
        // Nothing happens in this run, so a quick one may be short.
        Life::Long => quickly(RUN, RUN / 10),
    };
    let get = cache.get;
    let latencies = Traffic::lasting(length).run(runtime, move || get());
    assert_eq!(latencies.failed, 0, "{}", peer.name);
    (latencies, logins)
}

fn panel(name: &'static str, latencies: Latencies, logins: &Logins) -> Panel {
    let login = logins.take_end().map(|end| {
        let end = end.saturating_duration_since(latencies.start);
        let begin = end.saturating_sub(LOGIN);
        (begin.as_nanos() as u64, end.as_nanos() as u64)
    });
    Panel {
        name,
        latencies,
        login,
    }
}
