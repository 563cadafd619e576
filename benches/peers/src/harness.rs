//! Interleaved rounds: each implementation once, then all of them again, so that a busy moment hits them alike.

use std::fmt::Write;

use allocation_counter::measure;
use auth_benches::{Spread, quickly, report};

/// One number of the table.
#[derive(Clone, Debug)]
pub struct Row {
    pub case: &'static str,
    pub implementation: &'static str,
    pub unit: &'static str,
    pub spread: Spread,
    pub allocations: Option<f64>,
    pub logins: Option<u64>,
    /// The median less what only the implementation's interface forces on it.
    pub net: Option<f64>,
    /// What ours took over what this one took, round by round: the median.
    pub ours_over_it: Option<f64>,
    /// What it took over what it takes on one thread, round by round: the median.
    pub over_one_thread: Option<f64>,
    pub note: &'static str,
}

/// One round of an implementation's work: how much one operation cost.
pub type Round<'a> = Box<dyn FnMut() -> f64 + 'a>;

pub struct Contest<'a> {
    case: &'static str,
    unit: &'static str,
    rounds: usize,
    contestants: Vec<Contestant<'a>>,
}

pub struct Contestant<'a> {
    pub name: &'static str,
    pub round: Round<'a>,
    pub note: &'static str,
    /// Named where the contest is about something that only an interface forces on its users.
    pub forced_by: Option<&'static str>,
    pub allocations: Option<f64>,
    /// The same work on one thread.
    pub on_one_thread: Option<Round<'a>>,
}

impl<'a> Contest<'a> {
    pub fn new(case: &'static str, unit: &'static str, rounds: usize) -> Self {
        Self {
            case,
            unit,
            rounds: quickly(rounds, 2),
            contestants: Vec::new(),
        }
    }

    pub fn enter(
        &mut self,
        name: &'static str,
        round: impl FnMut() -> f64 + 'a,
    ) -> &mut Contestant<'a> {
        self.contestants.push(Contestant {
            name,
            round: Box::new(round),
            note: "",
            forced_by: None,
            allocations: None,
            on_one_thread: None,
        });
        self.contestants.last_mut().expect("just pushed")
    }

    /// A warm-up, then the rounds. Whatever was `forced_by` somebody is taken off that one's median, and gets no row.
    pub fn run(mut self) -> Vec<Row> {
        let mut samples = vec![Vec::new(); self.contestants.len()];
        let mut alone = samples.clone();
        for contestant in &mut self.contestants {
            (contestant.round)();
        }
        for _ in 0..self.rounds {
            for (index, contestant) in self.contestants.iter_mut().enumerate() {
                if let Some(round) = &mut contestant.on_one_thread {
                    alone[index].push(round());
                }
                samples[index].push((contestant.round)());
            }
        }
        let spreads: Vec<Spread> = samples
            .iter()
            .filter_map(|samples| Spread::of(samples))
            .collect();
        let ours = (self.contestants.iter().zip(&samples))
            .find(|(contestant, _)| contestant.name.starts_with("auth-"))
            .map(|(_, samples)| samples);
        let mut rows = Vec::new();
        for (index, contestant) in self.contestants.iter().enumerate() {
            let (spread, theirs) = (&spreads[index], &samples[index]);
            if contestant.forced_by.is_some() {
                continue;
            }
            let forced: f64 = (self.contestants.iter().zip(&spreads))
                .filter(|(other, _)| other.forced_by == Some(contestant.name))
                .map(|(_, forced)| forced.median)
                .sum();
            rows.push(Row {
                case: self.case,
                implementation: contestant.name,
                unit: self.unit,
                spread: *spread,
                allocations: contestant.allocations,
                logins: None,
                net: (forced > 0.0).then_some(spread.median - forced),
                // Beside each other, ours say nothing.
                ours_over_it: ours
                    .filter(|_| !contestant.name.starts_with("auth-"))
                    .and_then(|ours| over(ours, theirs)),
                over_one_thread: over(theirs, &alone[index]),
                note: contestant.note,
            });
        }
        for row in &rows {
            print(row);
        }
        rows
    }
}

impl<'a> Contestant<'a> {
    pub fn on_one_thread(&mut self, round: impl FnMut() -> f64 + 'a) -> &mut Self {
        self.on_one_thread = Some(Box::new(round));
        self
    }

    pub fn note(&mut self, note: &'static str) -> &mut Self {
        self.note = note;
        self
    }

    pub fn forced_by(&mut self, name: &'static str) -> &mut Self {
        self.forced_by = Some(name);
        self
    }

    pub fn allocations(&mut self, allocations: f64) -> &mut Self {
        self.allocations = Some(allocations);
        self
    }
}

/// The median of the quotients, pair by pair: how fast the machine is changes from round to round, but hardly within one.
pub fn over(ours: &[f64], theirs: &[f64]) -> Option<f64> {
    let quotients: Vec<f64> = (ours.iter().zip(theirs))
        .map(|(ours, theirs)| ours / theirs)
        .collect();
    Spread::of(&quotients).map(|spread| spread.median)
}

/// Allocations of one of `operations`, on this thread.
pub fn allocations_of(operations: u64, work: impl FnOnce()) -> f64 {
    as_f64(measure(work).count_total) / as_f64(operations)
}

/// Counts here are far below 2^52.
pub fn as_f64(count: u64) -> f64 {
    count as f64
}

pub fn print(row: &Row) {
    let Spread {
        median, min, max, ..
    } = row.spread;
    let mut line = format!(
        "{:<22} {:<34} {median:>12.1} {:<3} ({min:.1} to {max:.1})",
        row.case, row.implementation, row.unit
    );
    if let Some(net) = row.net {
        let _ = write!(line, "  net {net:.1}");
    }
    if let Some(over) = row.ours_over_it {
        let _ = write!(line, "  ours over it {over:.2}");
    }
    if let Some(over) = row.over_one_thread {
        let _ = write!(line, "  over one thread {over:.2}");
    }
    if let Some(allocations) = row.allocations {
        let _ = write!(line, "  {allocations:.1} allocations");
    }
    if let Some(logins) = row.logins {
        let _ = write!(line, "  {logins} logins");
    }
    if !row.note.is_empty() {
        let _ = write!(line, "  [{}]", row.note);
    }
    report(line);
}

/// The table as tab-separated values.
pub fn table(rows: &[Row]) -> String {
    let mut table = String::from(
        "case\timplementation\tmedian\tmin\tmax\tallocations\tlogins\tunit\tnet\tours_over_it\tover_one_thread\tnote\n",
    );
    for row in rows {
        let Spread {
            median, min, max, ..
        } = row.spread;
        let number = |number: Option<f64>| {
            number
                .map(|number| format!("{number:.1}"))
                .unwrap_or_default()
        };
        let ratio =
            |ratio: Option<f64>| ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        let logins = row
            .logins
            .map(|logins| logins.to_string())
            .unwrap_or_default();
        let _ = writeln!(
            table,
            "{}\t{}\t{median:.1}\t{min:.1}\t{max:.1}\t{}\t{logins}\t{}\t{}\t{}\t{}\t{}",
            row.case,
            row.implementation,
            number(row.allocations),
            row.unit,
            number(row.net),
            ratio(row.ours_over_it),
            ratio(row.over_one_thread),
            row.note,
        );
    }
    table
}
