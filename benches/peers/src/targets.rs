//! The targets, judged by the rows of this run.

use std::fmt::Write;

use auth_benches::is_quick;

use crate::caches::ours::{BORROWED, GET, OWNED};
use crate::caches::{OURS, PEERS, Peer, SHARED};
use crate::row::{Row, find};
use crate::{herds, hits, layers, many, relogin, renewals};

/// One row of the table of targets.
pub struct Target {
    text: String,
    ours: String,
    beside: String,
    ratio: Option<f64>,
    /// None, if a case that it needs was not measured.
    met: Option<bool>,
}

/// Every target, in the order of the cases.
pub fn all(rows: &[Row]) -> Vec<Target> {
    let mut targets = Vec::new();
    targets.extend(fresh(rows));
    targets.extend(layers(rows));
    targets.extend(herds(rows));
    targets.push(renewal(rows));
    targets.extend(identities(rows));
    targets.extend(relogin(rows));
    targets
}

/// The target is a ratio of our row over the other one.
struct Limit<'a> {
    text: String,
    ours: Option<&'a Row>,
    beside: Option<&'a Row>,
    most: f64,
}

impl Limit<'_> {
    /// The ratio within the rounds; `also` is what else the target asks of our row.
    fn judge(self, also: impl FnOnce(&Row) -> bool) -> Target {
        let (Some(ours), Some(beside)) = (self.ours, self.beside) else {
            return Target::not_measured(self.text);
        };
        let ratio = ours.over(beside);
        Target {
            text: self.text,
            ours: ours.figures(),
            beside: format!("{}, {}", beside.figures(), beside.implementation),
            ratio: Some(ratio),
            met: Some(ratio <= self.most && also(ours)),
        }
    }
}

impl Target {
    const fn not_measured(text: String) -> Self {
        Self {
            text,
            ours: String::new(),
            beside: String::new(),
            ratio: None,
            met: None,
        }
    }

    pub const fn is_measured(&self) -> bool {
        self.met.is_some()
    }
}

/// Our ways to a fresh credential, and the most that each may take of the reference by hand.
const WAYS: [(&str, f64); 3] = [(BORROWED, 1.4), (GET, 2.5), (OWNED, 2.5)];

fn fresh(rows: &[Row]) -> Vec<Target> {
    let mut targets = Vec::new();
    for (case, threads) in hits::CASES {
        for (way, most) in WAYS {
            let limit = Limit {
                text: format!("{way}, threads: {threads}, 0 allocations; ≤ {most} × by hand"),
                ours: find(rows, case, way),
                beside: find(rows, case, hits::BY_HAND),
                most,
            };
            targets.push(limit.judge(|ours| ours.allocations == Some(0.0)));
        }
    }
    for (case, threads) in hits::CASES {
        for (way, _) in WAYS {
            let text =
                format!("{way}, threads: {threads}; ahead of each crate that checks an expiry");
            let peers = |peer: &&Peer| peer.is_crate && peer.checks_expiry;
            targets.push(ahead_of_each(rows, text, case, way, peers));
        }
    }
    targets
}

/// The nearest of the peers decides: the one over which our ratio is the greatest.
fn ahead_of_each(
    rows: &[Row],
    text: String,
    case: &str,
    way: &str,
    peers: impl Fn(&&Peer) -> bool,
) -> Target {
    let Some(ours) = find(rows, case, way) else {
        return Target::not_measured(text);
    };
    let nearest = PEERS
        .iter()
        .filter(peers)
        .filter_map(|peer| find(rows, case, peer.name))
        .max_by(|one, other| ours.over(one).total_cmp(&ours.over(other)));
    let Some(nearest) = nearest else {
        return Target::not_measured(text);
    };
    let ratio = ours.over(nearest);
    Target {
        text,
        ours: ours.figures(),
        beside: format!(
            "{}, {}, the nearest",
            nearest.figures(),
            nearest.implementation
        ),
        ratio: Some(ratio),
        met: Some(ratio < 1.0),
    }
}

fn layers(rows: &[Row]) -> Vec<Target> {
    let limit = |text: &str, case, beside, most| {
        let limit = Limit {
            text: format!("{text}; ≤ {most:.1} ×"),
            ours: find(rows, case, layers::TOWER_OURS),
            beside: find(rows, case, beside),
            most,
        };
        limit.judge(|_| true)
    };
    let net = |text: &str, ours, most| {
        let text = format!("{text}, instructions net of an empty chain; ≤ {most:.1} ×");
        let own = |row| find(rows, layers::REQWEST_INSTRUCTIONS, row)?.net();
        let (Some(ours), Some(beside)) = (own(ours), own(layers::REQWEST_RETRY)) else {
            return Target::not_measured(text);
        };
        let ratio = ours / beside;
        Target {
            text,
            ours: format!("{ours:.0}"),
            beside: format!("{beside:.0}, {}", layers::REQWEST_RETRY),
            ratio: Some(ratio),
            met: Some(ratio <= most),
        }
    };
    vec![
        limit(
            "tower, replay off",
            layers::TOWER_OFF,
            layers::TOWER_CONSTANT,
            1.3,
        ),
        limit(
            "tower, replay off",
            layers::TOWER_OFF,
            layers::TOWER_BY_HAND,
            1.3,
        ),
        limit(
            "tower, replay on",
            layers::TOWER_ON,
            layers::TOWER_RETRY,
            1.1,
        ),
        net("reqwest, replay on", layers::REPLAY_ON, 1.0),
        net("reqwest, replay off", layers::REPLAY_OFF, 0.6),
    ]
}

fn herds(rows: &[Row]) -> Vec<Target> {
    let callers = herds::callers();
    let mut targets = Vec::new();
    for (case, name) in [(herds::COLD, "cold"), (herds::FAILING, "failing")] {
        let limit = Limit {
            text: format!("{name} herd of {callers}: 1 login, last caller ≤ 2 × {SHARED}"),
            ours: find(rows, case, OURS),
            beside: find(rows, case, SHARED),
            most: 2.0,
        };
        targets.push(limit.judge(|ours| ours.logins == Some(1)));
        let text = format!("{name} herd of {callers}: last caller ahead of each crate");
        let peers = |peer: &&Peer| peer.is_crate && peer.name != SHARED;
        targets.push(ahead_of_each(rows, text, case, OURS, peers));
    }
    targets
}

fn renewal(rows: &[Row]) -> Target {
    let limit = Limit {
        text: "callers during a renewal, 1 login: p99.9 ≤ 1.5 × without one".to_owned(),
        ours: find(rows, renewals::WITH, OURS),
        beside: find(rows, renewals::WITHOUT, OURS),
        most: 1.5,
    };
    limit.judge(|ours| ours.logins == Some(1))
}

/// The most that an idle identity may hold, in bytes.
const IDLE: f64 = 512.0;

fn identities(rows: &[Row]) -> Vec<Target> {
    let text = format!("idle identity: ≤ {IDLE:.0} B");
    let idle = match find(rows, many::IDLE, many::OURS) {
        None => Target::not_measured(text),
        Some(ours) => Target {
            text,
            ours: ours.figures(),
            beside: String::new(),
            ratio: None,
            met: Some(ours.spread().median <= IDLE),
        },
    };
    let mut targets = vec![idle];
    for (case, count) in [(many::LOOKUP_1K, "1,000"), (many::LOOKUP_1M, "1,000,000")] {
        let limit = Limit {
            text: format!("one identity among {count}: no slower than {}", many::MAP),
            ours: find(rows, case, many::OURS),
            beside: find(rows, case, many::MAP),
            most: 1.0,
        };
        let mut target = limit.judge(|_| true);
        if let Some(row) = find(rows, case, many::FROM_NAME) {
            let _ = write!(target.ours, "; {} made from a name", row.figures());
        }
        targets.push(target);
    }
    targets
}

/// The time of a herd over HTTP has no target: the network and the server decide it.
fn relogin(rows: &[Row]) -> Vec<Target> {
    let mut targets = Vec::new();
    for (case, callers) in relogin::HERDS {
        for by_hand in [relogin::SIMPLE, relogin::LOCKED] {
            let callers = relogin::callers(callers);
            let limit = Limit {
                text: format!(
                    "reqwest over HTTP, revoked session, herd of {callers}: 1 login, no failed \
                     request; beside {by_hand}"
                ),
                ours: find(rows, case, relogin::OURS),
                beside: find(rows, case, by_hand),
                most: f64::INFINITY,
            };
            targets.push(limit.judge(|ours| ours.logins == Some(1) && ours.failed == Some(0)));
        }
    }
    targets
}

/// The table of targets, in Markdown.
pub fn table(targets: &[Target]) -> String {
    let mut table = String::new();
    if is_quick() {
        table.push_str(
            "A quick run: it shows that everything works, and its figures say nothing.\n\n",
        );
    }
    table.push_str("| target | ours | beside | ratio | met |\n|---|---|---|---|---|\n");
    for target in targets {
        let ratio = target.ratio.map(|ratio| format!("{ratio:.2} ×"));
        let met = match target.met {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "not measured",
        };
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {met} |",
            target.text,
            target.ours,
            target.beside,
            ratio.unwrap_or_default(),
        );
    }
    table
}
