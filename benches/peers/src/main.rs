//! The same work in one run, for auth-core and for other crates.
//!
//! See `benches/README.md`. A full run writes its results to `target/` at the root of the
//! repository.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "all counts and durations here are far below 2^52"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the rules about clocks and tasks are for the crates under test, not for their peers"
)]

mod caches;
mod chart;
mod harness;
mod herds;
mod hits;
mod instructions;
mod layer_by_hand;
mod layers;
mod many;
mod relogin;
mod renewals;
mod row;
mod targets;

use std::path::Path;

use auth_benches::{is_quick, ours, report, two_workers};
use chart::Panel;
use row::Row;

/// The packages whose versions are printed.
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
        return layers::counted_work(which, &ours::logged_in(&two_workers()), calls);
    }

    report(versions());
    warn_if_busy("before");
    // Cases are named by their beginnings; without arguments, all of them are wanted.
    let wanted = |case: &str| {
        arguments.is_empty()
            || (arguments.iter()).any(|name| case.starts_with(&**name) || name.starts_with(case))
    };
    let runtime = two_workers();
    let ours = ours::logged_in(&runtime);
    let (mut rows, mut panels) = (Vec::new(), Vec::new());
    if wanted("hit") {
        rows.extend(hits::all(&runtime));
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
    for case in [herds::COLD, herds::FAILING] {
        if wanted(case) {
            rows.extend(herds::all(&runtime, case));
        }
    }
    if wanted(renewals::WITH) {
        let (renewals, drawn) = renewals::all(&runtime);
        rows.extend(renewals);
        panels = drawn;
    }
    if wanted(many::IDLE) {
        rows.extend(many::idle());
    }
    if wanted(many::LOOKUP_1K) {
        rows.extend(many::lookup(many::LOOKUP_1K, 1_000));
    }
    if wanted(many::LOOKUP_1M) && !is_quick() {
        rows.extend(many::lookup(many::LOOKUP_1M, 1_000_000));
    }
    if wanted(relogin::FRESH) {
        rows.extend(relogin::fresh(&runtime));
    }
    for (case, callers) in relogin::HERDS {
        if wanted(case) && (callers <= 1_000 || !is_quick()) {
            rows.extend(relogin::herd(&runtime, case, callers));
        }
    }
    warn_if_busy("after");

    let mut targets = targets::all(&rows);
    if !arguments.is_empty() {
        targets.retain(targets::Target::is_measured);
    }
    let tables = format!("\n{}\n{}", hits::table(&rows), targets::table(&targets));
    report(&tables);
    if arguments.is_empty() {
        write(&rows, &tables, &panels);
    }
}

/// Writes the results of a full run to `target/` at the root of the repository.
fn write(rows: &[Row], tables: &str, panels: &[Panel]) {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let all: Vec<_> = panels.iter().collect();
    let (chart, three) = (
        chart::draw(&all, renewals::RUN),
        chart::draw(&chart::three(panels), renewals::RUN),
    );
    let files = [
        ("compare.tsv", &*row::table(rows)),
        ("compare.md", tables.trim_start()),
        ("refresh.svg", &*chart),
        ("renewal.svg", &*three),
    ];
    std::fs::create_dir_all(&target).expect("a target folder");
    for (name, text) in files {
        std::fs::write(target.join(name), text).expect("the file is written");
        report(format_args!("wrote target/{name}"));
    }
}

/// The versions of the packages measured, from the lock file.
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

/// Warns where other processes use the machine: a run can't tell their work from its own.
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
        report("WARNING: the machine is busy; times are too long, and ratios vary");
    }
}
