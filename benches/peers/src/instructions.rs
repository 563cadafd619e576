//! Instructions, counted by cachegrind in a process of its own, where valgrind is there.

use std::process::Command;

use auth_benches::{Spread, quickly, report};

use crate::harness::{Row, as_f64, print};
use crate::layers::CHAINS;

/// The option by which this program runs one chain, and nothing else.
pub const OPTION: &str = "--chain";

/// Instructions of one call of each chain, beyond copying the request; none without valgrind.
pub fn reqwest_chains() -> Option<Vec<Row>> {
    let calls = quickly(2_000, 200);
    let mut rows = Vec::new();
    let mut bare = None;
    for &(which, name) in CHAINS {
        let Some(whole) = count(which, calls + 100) else {
            report("instructions are not counted: there is no valgrind here");
            return None;
        };
        let each = as_f64(whole.saturating_sub(count(which, 100)?)) / as_f64(calls);
        let spread = Spread::of(&[each])?;
        let nothing = *bare.get_or_insert(each);
        rows.push(Row {
            case: "reqwest_instructions",
            implementation: name,
            unit: "instructions",
            spread,
            allocations: None,
            logins: None,
            net: Some(each - nothing),
            note: "net of a chain of nothing",
        });
    }
    rows.iter().for_each(print);
    Some(rows)
}

fn count(which: &str, calls: u64) -> Option<u64> {
    let output = Command::new("valgrind")
        .args([
            "--tool=cachegrind",
            "--cache-sim=no",
            "--cachegrind-out-file=/dev/null",
        ])
        .arg(std::env::current_exe().ok()?)
        .args([OPTION, which, &calls.to_string()])
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| line.contains("I refs:"))?;
    let digits: String = line
        .split("I refs:")
        .nth(1)?
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    digits.parse().ok()
}
