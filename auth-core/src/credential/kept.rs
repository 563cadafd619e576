//! The values that a session keeps and no request carries.

use std::fmt;
use std::time::Duration;

use super::InvalidValue;
use super::line::{Line, Lines};
use crate::clock::{Clock, Deadline, Moment};
use crate::lifetime::WORTH_STORING;
use crate::secret::Secret;

/// The values that a session keeps and no request carries. Most sessions keep none.
#[derive(Clone, Default)]
pub(crate) struct Kept {
    values: Vec<KeptValue>,
    /// The clock that ends them.
    clock: Clock,
}

/// One of them.
#[derive(Clone)]
pub(crate) struct KeptValue {
    pub(super) name: String,
    value: Secret,
    life: Option<Duration>,
    /// The end of `life`, counted from the receipt.
    expires: Deadline,
}

impl KeptValue {
    pub(crate) fn new(
        name: &str,
        value: &str,
        life: Option<Duration>,
    ) -> Result<Self, InvalidValue> {
        if name.is_empty() {
            return Err(InvalidValue::new("name of a kept value", "is empty"));
        }
        if value.is_empty() {
            return Err(InvalidValue::new("kept value", "is empty"));
        }
        Ok(Self {
            name: name.to_owned(),
            value: value.into(),
            life,
            expires: Deadline::NEVER,
        })
    }

    fn received(mut self, received: Moment) -> Self {
        self.expires = Deadline::after_option(received, self.life);
        self
    }

    /// Whether both have the same value, and ends that are not apart by as much as is worth
    /// storing.
    fn is_same(&self, other: &Self) -> bool {
        let near = |ours: u64, theirs: u64| ours.abs_diff(theirs) < WORTH_STORING;
        self.has_value_of(other)
            && near(self.expires.steady, other.expires.steady)
            && near(self.expires.wall, other.expires.wall)
    }

    fn has_value_of(&self, other: &Self) -> bool {
        self.value.expose() == other.value.expose()
    }
}

impl Kept {
    /// Sets a value, in place of one with the same name.
    pub(crate) fn set(&mut self, value: KeptValue) {
        match self.values.iter_mut().find(|old| old.name == value.name) {
            Some(old) => *old = value,
            None => self.values.push(value),
        }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.values.retain(|kept| kept.name != name);
    }

    /// Their lives are read on this clock.
    pub(crate) fn on(&mut self, clock: &Clock) {
        self.clock = clock.clone();
    }

    /// Their lives count from here.
    pub(super) fn begin(self, received: Moment) -> Self {
        let values = self.values.into_iter();
        Self {
            values: values.map(|value| value.received(received)).collect(),
            clock: self.clock,
        }
    }

    /// The value with this name, if its life has not ended.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.at(name, self.now()).map(Secret::expose)
    }

    /// The time on the clock that ends them.
    pub(super) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// The value with this name, if its life has not ended by then.
    pub(super) fn at(&self, name: &str, now: Moment) -> Option<&Secret> {
        let kept = self.values.iter().find(|kept| kept.name == name)?;
        (!kept.expires.passed(now)).then_some(&kept.value)
    }

    /// Adds those of `before` whose names are not here.
    pub(crate) fn continue_from(&mut self, before: Self) {
        for kept in before.values {
            if !self.values.iter().any(|new| new.name == kept.name) {
                self.values.push(kept);
            }
        }
    }

    /// Whether both have the same values, whatever their ends are.
    pub(super) fn has_values_of(&self, other: &Self) -> bool {
        let same = |ours: &KeptValue| {
            let theirs = other.values.iter().find(|theirs| theirs.name == ours.name);
            theirs.is_some_and(|theirs| ours.has_value_of(theirs))
        };
        self.values.len() == other.values.len() && self.values.iter().all(same)
    }

    /// What the values of an answer make of them, and whether one of them is another. `None` if it
    /// is no change.
    pub(super) fn updated(&self, new: &[KeptValue], received: Moment) -> Option<(Self, bool)> {
        let (mut next, mut changed, mut rolled) = (self.clone(), false, false);
        for new in new {
            let new = new.clone().received(received);
            let old = self.values.iter().find(|old| old.name == new.name);
            changed |= !old.is_some_and(|old| old.is_same(&new));
            rolled |= !old.is_some_and(|old| old.has_value_of(&new));
            next.set(new);
        }
        changed.then_some((next, rolled))
    }

    /// The same with what is left of each life. Those that have ended are left out.
    pub(super) fn left(&self, now: Moment) -> Self {
        let left = |kept: &KeptValue| {
            let left = kept.life.map(|_| kept.expires.left(now));
            (left != Some(Duration::ZERO)).then(|| KeptValue {
                life: left,
                ..kept.clone()
            })
        };
        Self {
            values: self.values.iter().filter_map(left).collect(),
            clock: self.clock.clone(),
        }
    }

    /// The longest of their lives, in which one that is not known counts as this. Zero if there are
    /// none.
    pub(crate) fn longest(&self, unknown: Duration) -> Duration {
        let lives = self.values.iter().map(|kept| kept.life.unwrap_or(unknown));
        lives.max().unwrap_or_default()
    }

    /// Their lives are shorter by this time.
    pub(crate) fn age(&mut self, by: Duration) {
        for kept in &mut self.values {
            kept.life = kept.life.map(|life| life.saturating_sub(by));
        }
        self.values.retain(|kept| kept.life != Some(Duration::ZERO));
    }

    /// Writes a line for each.
    pub(crate) fn write(&self, lines: &mut Lines) {
        for kept in &self.values {
            let line = lines.line("kept").text("name", &kept.name);
            line.text("value", kept.value.expose())
                .time("life", kept.life)
                .end();
        }
    }

    /// Sets the value of a line.
    pub(crate) fn read(&mut self, line: Line<'_>) -> Result<(), InvalidValue> {
        let (name, value) = (line.need("name")?, line.need("value")?);
        self.set(KeptValue::new(&name, &value, line.time("life")?)?);
        Ok(())
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.values.iter().map(|kept| &kept.name))
            .finish()
    }
}
