//! Instructions, counted by cachegrind in a process of its own, where valgrind is installed.

use std::process::Command;

use auth_benches::{quickly, report};

use crate::layers::COUNTED;
use crate::row::{INSTRUCTIONS, Row, as_f64, print};

/// The option that makes this program do one kind of work, and nothing else.
pub const OPTION: &str = "--work";

/// Instructions of one call, gross, and net of what all works of a case have in common. There are
/// no rows without valgrind.
pub fn all() -> Vec<Row> {
    let mut rows = Vec::new();
    for &(case, works) in COUNTED {
        let mut bare = None;
        for &(which, name) in works {
            let Some(each) = each(which) else {
                report("instructions are not counted: valgrind is not installed");
                return rows;
            };
            let in_common = *bare.get_or_insert(each);
            rows.push(Row {
                in_common: Some(in_common),
                note: "net of what all of the case have in common".into(),
                ..Row::new(case, name, INSTRUCTIONS, vec![each])
            });
        }
    }
    print(&rows);
    rows
}

/// Instructions of one more call, in a process that has made some calls before.
fn each(which: &str) -> Option<f64> {
    let (few, calls) = (100, quickly(2_000, 200));
    let more = count(which, few + calls)?.checked_sub(count(which, few)?)?;
    Some(as_f64(more) / as_f64(calls))
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
    let line = said.lines().find(|line| line.contains("refs:"))?;
    let digits: String = line
        .split("refs:")
        .nth(1)?
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    digits.parse().ok()
}
