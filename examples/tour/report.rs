//! The table of what the servers counted, and the result.

use std::process::ExitCode;

use auth_providers::demo::Counts;

use crate::integration::Kind;
use crate::scenario::Finished;
use crate::scrape::Scrape;

/// No API that documents a limit allows more.
const MOST_LOGINS_A_MINUTE: u64 = 10;

#[derive(Default)]
pub(crate) struct Report {
    finished: Vec<Finished>,
    /// The promises about redirects that were broken, and through which integration.
    redirects: Vec<(Kind, String)>,
}

impl Report {
    pub(crate) fn add(&mut self, mut finished: Finished) {
        let most = finished.counts.most_logins_in_a_minute;
        if most > MOST_LOGINS_A_MINUTE {
            let promise = "at most 10 logins in any 60 seconds";
            finished.broken.push(format!("{promise}: {most} counted"));
        }
        println!();
        self.finished.push(finished);
    }

    pub(crate) fn finished(&self) -> &[Finished] {
        &self.finished
    }

    pub(crate) fn add_broken(&mut self, kind: Kind, broken: Vec<String>) {
        let broken = broken.into_iter().map(|broken| (kind, broken));
        self.redirects.extend(broken);
    }

    pub(crate) fn close(self, scrape: &Scrape) -> ExitCode {
        println!("What the servers counted:\n");
        println!(
            "| API     | integration | requests | 200    | 401    | sessions | refused | in outage | beyond limit | replays | most logins in 60 s | failed | told: wrong password |"
        );
        println!(
            "|---------|-------------|----------|--------|--------|----------|---------|-----------|--------------|---------|---------------------|--------|----------------------|"
        );
        for finished in &self.finished {
            let Counts {
                logins,
                calls,
                replays,
                most_logins_in_a_minute: most,
                ..
            } = finished.counts;
            println!(
                "| {:<7} | {:<11} | {:>8} | {:>6} | {:>6} | {:>8} | {:>7} | {:>9} | {:>12} | {:>7} | {:>19} | {:>6} | {:>20} |",
                format!("{:?}", finished.api),
                finished.kind.name(),
                calls.total(),
                calls.ok,
                calls.unauthorized,
                logins.ok,
                logins.refused,
                logins.unavailable,
                logins.limited,
                replays,
                most,
                finished.failed,
                finished.told,
            );
        }
        println!();
        scrape.print();
        let mut kept = true;
        for broken in scrape.broken(&self.finished) {
            kept = false;
            println!("BROKEN  metrics: {broken}");
        }
        for finished in &self.finished {
            for broken in &finished.broken {
                kept = false;
                println!(
                    "BROKEN  {:?} through {}: {broken}",
                    finished.api,
                    finished.kind.name()
                );
            }
        }
        for (kind, broken) in &self.redirects {
            kept = false;
            println!("BROKEN  redirects through {}: {broken}", kind.name());
        }
        if kept {
            println!("Every promise was kept.");
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// The difference between two counts.
pub(crate) fn minus(mut after: Counts, before: Counts) -> Counts {
    after.logins.ok -= before.logins.ok;
    after.logins.refused -= before.logins.refused;
    after.logins.limited -= before.logins.limited;
    after.logins.unavailable -= before.logins.unavailable;
    after.logins.malformed -= before.logins.malformed;
    after.calls.ok -= before.calls.ok;
    after.calls.unauthorized -= before.calls.unauthorized;
    after.calls.forbidden -= before.calls.forbidden;
    after.calls.not_found -= before.calls.not_found;
    after.replays -= before.replays;
    after
}
