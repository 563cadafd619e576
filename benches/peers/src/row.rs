//! A row of the table: the rounds of one implementation in one case.

use std::fmt::Write;

use allocation_counter::measure;
use auth_benches::{Spread, report};

/// The unit of counted instructions.
pub const INSTRUCTIONS: &str = "instructions";

#[derive(Clone, Debug)]
pub struct Row {
    pub case: &'static str,
    pub implementation: &'static str,
    pub unit: &'static str,
    /// The cost of one operation, round by round; never empty.
    pub samples: Vec<f64>,
    /// The same on one thread, in the same rounds.
    pub on_one_thread: Vec<f64>,
    pub allocations: Option<f64>,
    pub logins: Option<u64>,
    /// How many requests failed.
    pub failed: Option<u64>,
    /// The part of the cost that is not its own.
    pub in_common: Option<f64>,
    pub note: String,
}

impl Row {
    pub fn new(
        case: &'static str,
        implementation: &'static str,
        unit: &'static str,
        samples: Vec<f64>,
    ) -> Self {
        Self {
            case,
            implementation,
            unit,
            samples,
            on_one_thread: Vec::new(),
            allocations: None,
            logins: None,
            failed: None,
            in_common: None,
            note: String::new(),
        }
    }

    pub fn spread(&self) -> Spread {
        Spread::of(&self.samples).expect("at least one round")
    }

    /// The median less the part that is not its own.
    pub fn net(&self) -> Option<f64> {
        self.in_common
            .map(|in_common| self.spread().median - in_common)
    }

    pub fn is_ours(&self) -> bool {
        self.implementation.starts_with("auth-")
    }

    /// The median with its unit, the allocations, the logins and the failures of this row.
    pub fn figures(&self) -> String {
        let median = self.spread().median;
        let mut figures = match self.unit {
            "ns" if median >= 1e6 => format!("{:.1} ms", median / 1e6),
            "ns" if median >= 1e4 => format!("{:.1} µs", median / 1e3),
            "us" if median >= 1e3 => format!("{:.1} ms", median / 1e3),
            "us" => format!("{median:.1} µs"),
            unit => format!("{median:.1} {unit}"),
        };
        if let Some(allocations) = self.allocations {
            let _ = write!(figures, ", {allocations:.0} allocations");
        }
        if let Some(logins) = self.logins.filter(|logins| *logins > 0) {
            let _ = write!(figures, ", logins: {logins}");
        }
        if let Some(failed) = self.failed {
            let _ = write!(figures, ", failed: {failed}");
        }
        figures
    }

    /// The ratio of the cost of this row to that of `other`, as the median over the rounds.
    pub fn over(&self, other: &Self) -> f64 {
        over(&self.samples, &other.samples).expect("at least one round")
    }
}

/// The median of the quotients, round by round: the speed of the machine changes from round to
/// round, but hardly within one.
fn over(ours: &[f64], theirs: &[f64]) -> Option<f64> {
    let quotients: Vec<f64> = (ours.iter().zip(theirs))
        .map(|(ours, theirs)| ours / theirs)
        .collect();
    Spread::of(&quotients).map(|spread| spread.median)
}

/// The row of an implementation in a case.
pub fn find<'a>(rows: &'a [Row], case: &str, implementation: &str) -> Option<&'a Row> {
    rows.iter()
        .find(|row| row.case == case && row.implementation == implementation)
}

/// The ratios of our rows of the same case over this one, in their order; empty for one of ours,
/// and for instructions, whose ratios are those of the net counts.
pub fn ours_over(rows: &[Row], row: &Row) -> String {
    if row.is_ours() || row.unit == INSTRUCTIONS {
        return String::new();
    }
    let ours = rows
        .iter()
        .filter(|other| other.case == row.case && other.is_ours());
    let ratios: Vec<String> = ours.map(|ours| format!("{:.2}", ours.over(row))).collect();
    ratios.join(" / ")
}

/// Allocations of one of `operations`, on this thread.
pub fn allocations_of(operations: u64, work: impl FnOnce()) -> f64 {
    as_f64(measure(work).count_total) / as_f64(operations)
}

/// All counts here are far below 2^52.
pub fn as_f64(count: u64) -> f64 {
    count as f64
}

/// Prints the rows of whole cases.
pub fn print(rows: &[Row]) {
    for row in rows {
        print_one(rows, row);
    }
}

fn print_one(rows: &[Row], row: &Row) {
    let Spread {
        median, min, max, ..
    } = row.spread();
    let mut line = format!(
        "{:<22} {:<34} {median:>12.1} {:<3} ({min:.1} to {max:.1})",
        row.case, row.implementation, row.unit
    );
    if let Some(net) = row.net() {
        let _ = write!(line, "  net {net:.1}");
    }
    let over_it = ours_over(rows, row);
    if !over_it.is_empty() {
        let _ = write!(line, "  ours over it {over_it}");
    }
    if let Some(over) = over(&row.samples, &row.on_one_thread) {
        let _ = write!(line, "  over one thread {over:.2}");
    }
    if let Some(allocations) = row.allocations {
        let _ = write!(line, "  {allocations:.1} allocations");
    }
    if let Some(logins) = row.logins {
        let _ = write!(line, "  {logins} logins");
    }
    if let Some(failed) = row.failed {
        let _ = write!(line, "  {failed} failed");
    }
    if !row.note.is_empty() {
        let _ = write!(line, "  [{}]", row.note);
    }
    report(line);
}

/// All rows as tab-separated values.
pub fn table(rows: &[Row]) -> String {
    let mut table = String::from(
        "case\timplementation\tmedian\tmin\tmax\tallocations\tlogins\tfailed\tunit\tnet\t\
         ours_over_it\tover_one_thread\tnote\n",
    );
    for row in rows {
        let Spread {
            median, min, max, ..
        } = row.spread();
        let decimal = |number: Option<f64>| number.map(|number| format!("{number:.1}"));
        let count = |count: Option<u64>| count.map(|count| count.to_string());
        let ratio = over(&row.samples, &row.on_one_thread).map(|ratio| format!("{ratio:.2}"));
        let _ = writeln!(
            table,
            "{}\t{}\t{median:.1}\t{min:.1}\t{max:.1}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
            row.case,
            row.implementation,
            decimal(row.allocations).unwrap_or_default(),
            count(row.logins).unwrap_or_default(),
            count(row.failed).unwrap_or_default(),
            row.unit,
            decimal(row.net()).unwrap_or_default(),
            ours_over(rows, row),
            ratio.unwrap_or_default(),
            row.note,
        );
    }
    table
}
