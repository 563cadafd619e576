//! The table of what the servers counted, and the verdict.

use std::process::ExitCode;

use auth_providers::demo::Counts;

use crate::stage::Played;

/// No API that documents a limit allows more.
const MOST_LOGINS_A_MINUTE: u64 = 10;

#[derive(Default)]
pub(crate) struct Report {
    played: Vec<Played>,
}

impl Report {
    pub(crate) fn add(&mut self, mut played: Played) {
        let most = played.counts.most_logins_in_a_minute;
        if most > MOST_LOGINS_A_MINUTE {
            let promise = "at most 10 logins in any 60 seconds";
            played.broken.push(format!("{promise}: {most} counted"));
        }
        println!();
        self.played.push(played);
    }

    pub(crate) fn close(self) -> ExitCode {
        println!("What the servers counted:\n");
        println!(
            "| API     | front   | requests | 200    | 401    | sessions | refused | in outage | beyond limit | replays | most logins in 60 s | failed | told: wrong password |"
        );
        println!(
            "|---------|---------|----------|--------|--------|----------|---------|-----------|--------------|---------|---------------------|--------|----------------------|"
        );
        for played in &self.played {
            let Counts {
                logins,
                calls,
                replays,
                most_logins_in_a_minute: most,
                ..
            } = played.counts;
            println!(
                "| {:<7} | {:<7} | {:>8} | {:>6} | {:>6} | {:>8} | {:>7} | {:>9} | {:>12} | {:>7} | {:>19} | {:>6} | {:>20} |",
                format!("{:?}", played.api),
                played.kind.name(),
                calls.total(),
                calls.ok,
                calls.unauthorized,
                logins.ok,
                logins.refused,
                logins.unavailable,
                logins.limited,
                replays,
                most,
                played.failed,
                played.told,
            );
        }
        println!();
        let mut kept = true;
        for played in &self.played {
            for broken in &played.broken {
                kept = false;
                println!(
                    "BROKEN  {:?} through {}: {broken}",
                    played.api,
                    played.kind.name()
                );
            }
        }
        if kept {
            println!("Every promise was kept.");
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// What came in between two counts.
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
