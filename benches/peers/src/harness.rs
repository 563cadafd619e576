//! Interleaved rounds: each contestant once, then all of them again, so that a moment of load on
//! the machine hits all of them alike.

use auth_benches::quickly;

use crate::row::{Row, print};

/// One round of a contestant's work; it returns the cost of one operation.
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
    /// The contestant whose interface forces this cost on its users. This one gets no row.
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

    /// A warm-up, then the rounds; prints the rows.
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
        let mut rows: Vec<Row> = Vec::new();
        let mut forced = Vec::new();
        for (contestant, (samples, alone)) in
            (self.contestants.iter()).zip(samples.into_iter().zip(alone))
        {
            let row = Row {
                allocations: contestant.allocations,
                on_one_thread: alone,
                note: contestant.note.into(),
                ..Row::new(self.case, contestant.name, self.unit, samples)
            };
            match contestant.forced_by {
                None => rows.push(row),
                Some(by) => forced.push((by, row.spread().median)),
            }
        }
        for row in &mut rows {
            let of_it = forced.iter().filter(|(by, _)| *by == row.implementation);
            row.in_common = of_it
                .map(|(_, median)| *median)
                .reduce(|sum, more| sum + more);
        }
        print(&rows);
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
