//! What is behind a pool's lock, and the search for an identity that can be forgotten.
//!
//! A look-up needs this lock, so nothing here goes through all identities while it is held:
//!
//! 1. A search looks at [`SLICE`] identities, and the caller gives the lock up before it searches
//!    on. Each identity that was looked at and stays gets the last turn in the round, so searches
//!    at the same time share the round and none looks where another one has.
//! 2. A search ends without success only after a round in which every identity that was there
//!    when it began was looked at and found in use. An identity that is not in use and was passed
//!    over, because it had been found lately, is worth another round, and is not passed over again.
//! 3. What is remembered of identities that have left is swept bucket by bucket, one in each slice.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::buckets::Buckets;
use super::memory::Memory;
use crate::cache::Credentials;
use crate::clock::Moment;
use crate::identity::Identity;
use crate::secret::Fingerprint;

/// How many identities are looked at while the lock is held: some microseconds.
pub(super) const SLICE: usize = 32;

pub(super) struct Table {
    capacity: usize,
    entries: Buckets<Entry>,
    /// The order in which identities are considered when there is no room, by turn. An identity
    /// that was found since it was last considered goes to the end once more.
    ///
    /// A tree, so that a turn is removed with its identity, and neither moves the others.
    round: BTreeMap<u64, Identity>,
    next_turn: u64,
    /// The last turn of an identity that was not in use and was passed over.
    last_spared: u64,
    /// What failed logins of identities that have left forbid, or may forbid once they have ended.
    left: Buckets<Arc<Memory>>,
    /// The bucket of them that is swept next.
    next_sweep: usize,
}

struct Entry {
    credentials: Credentials,
    turn: u64,
}

/// A search for an identity that can be forgotten.
#[derive(Debug)]
pub(super) struct Search {
    /// This round is over when each turn before this one has come.
    until: u64,
    first_round: bool,
}

/// How an addition goes on.
#[derive(Debug)]
pub(super) enum Addition {
    /// It was added. The caller drops the handles after it has released the lock.
    Added { _dropped: [Option<Credentials>; 2] },
    /// The identity is in the table.
    Known,
    /// There is no room yet. Give the lock up and try again, to look at the next slice.
    Searching,
    /// There is no room.
    Full,
}

/// How a removal goes on.
#[derive(Debug)]
pub(super) enum Removal {
    Removed(Credentials),
    Unknown,
    /// There is no room yet for what is remembered. Give the lock up and try again.
    Sweeping,
}

enum Room {
    Made(Option<Credentials>),
    NotYet,
    Never,
}

impl Table {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            entries: Buckets::for_at_most(capacity),
            round: BTreeMap::new(),
            next_turn: 1,
            last_spared: 0,
            left: Buckets::for_at_most(capacity),
            next_sweep: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// The identities in one bucket. `None` after the last one.
    pub(super) fn bucket(&self, index: usize) -> Option<Vec<Identity>> {
        Some(self.entries.bucket(index)?.cloned().collect())
    }

    pub(super) fn find(&self, identity: &Identity) -> Option<Credentials> {
        self.entries.get(identity)?.credentials.referenced()
    }

    /// Adds an identity, or searches one slice for room. `search` is the search so far.
    ///
    /// What a failed login forbids stays in force. A secret that is now `fixed` to another one has
    /// not failed yet.
    pub(super) fn add(
        &mut self,
        identity: &Identity,
        credentials: &Credentials,
        fixed: Option<Fingerprint>,
        search: &mut Option<Search>,
    ) -> Addition {
        let there = self.entries.get(identity);
        if there.is_some_and(|entry| !entry.credentials.is_closed()) {
            return Addition::Known;
        }
        let closed = self.take(identity);
        // A close makes no refused password a right one, and its login may be under way.
        let noted = closed.as_ref().and_then(|closed| closed.leave(false));
        let forgotten = match self.make_room(search, now(credentials)) {
            Room::Made(forgotten) => forgotten,
            Room::NotYet => return Addition::Searching,
            Room::Never => return Addition::Full,
        };
        if let Some(memory) = self.left.remove(identity).or(noted) {
            credentials.remember(memory, fixed);
        }
        let turn = self.last_turn(identity.clone());
        let credentials = credentials.clone();
        self.entries
            .insert(identity.clone(), Entry { credentials, turn });
        Addition::Added {
            _dropped: [closed, forgotten],
        }
    }

    /// Removes an identity, or makes room for what is remembered of it. `swept` counts the buckets
    /// that were swept for it so far.
    pub(super) fn remove(&mut self, identity: &Identity, swept: &mut usize) -> Removal {
        let Some(entry) = self.entries.get(identity) else {
            return Removal::Unknown;
        };
        // The caller is given the handle.
        if let Some(memory) = entry.credentials.leave(true) {
            let now = now(&entry.credentials);
            if self.has_room_for(&memory, now) {
                self.left.insert(identity.clone(), memory);
            } else if *swept < self.left.buckets() {
                *swept += 1;
                self.sweep(now);
                return Removal::Sweeping;
            }
        }
        self.take(identity)
            .map_or(Removal::Unknown, Removal::Removed)
    }

    fn take(&mut self, identity: &Identity) -> Option<Credentials> {
        let entry = self.entries.remove(identity)?;
        self.round.remove(&entry.turn);
        Some(entry.credentials)
    }

    fn last_turn(&mut self, identity: Identity) -> u64 {
        let turn = self.next_turn;
        self.next_turn += 1;
        self.round.insert(turn, identity);
        turn
    }

    /// Forgets one identity that is not in use, if it is needed and one is among the next few.
    fn make_room(&mut self, search: &mut Option<Search>, now: Moment) -> Room {
        if self.entries.len() < self.capacity {
            return Room::Made(None);
        }
        // A round has more slices than there are buckets, so a second round finds all swept.
        if self.left.len() >= self.room_for_the_rest() {
            self.sweep(now);
        }
        let search = search.get_or_insert(Search {
            until: self.next_turn,
            first_round: true,
        });
        for _ in 0..SLICE {
            let next = self.round.first_key_value().map(|(turn, _)| *turn);
            if next.is_none_or(|turn| turn >= search.until) {
                if self.last_spared < search.until {
                    return Room::Never;
                }
                *search = Search {
                    until: self.next_turn,
                    first_round: false,
                };
            }
            let Some((_, identity)) = self.round.pop_first() else {
                return Room::Never;
            };
            let Some(entry) = self.entries.get(&identity) else {
                continue;
            };
            let found_lately = entry.credentials.take_referenced();
            let unused = entry.credentials.is_unused();
            if unused && !(found_lately && search.first_round) {
                let memory = entry.credentials.leave(false);
                if (memory.as_ref()).is_none_or(|memory| self.has_room_for(memory, now)) {
                    let forgotten = self.entries.remove(&identity);
                    if let Some(memory) = memory {
                        self.left.insert(identity, memory);
                    }
                    return Room::Made(forgotten.map(|entry| entry.credentials));
                }
            }
            let turn = self.last_turn(identity.clone());
            if unused && search.first_round {
                self.last_spared = turn;
            }
            if let Some(entry) = self.entries.get_mut(&identity) {
                entry.turn = turn;
            }
        }
        Room::NotYet
    }

    /// Whether there is room for what is remembered of an identity that leaves. Those that have not
    /// failed, whose handles merely live on, leave half of it to those that have.
    fn has_room_for(&self, memory: &Memory, now: Moment) -> bool {
        let room = if memory.forbids(now) {
            self.capacity
        } else {
            self.room_for_the_rest()
        };
        self.left.len() < room
    }

    const fn room_for_the_rest(&self) -> usize {
        self.capacity.div_ceil(2)
    }

    /// Forgets what does not matter any more of what is remembered in one bucket.
    fn sweep(&mut self, now: Moment) {
        self.left
            .retain_in(self.next_sweep, |memory| memory.matters(now));
        self.next_sweep = (self.next_sweep + 1) % self.left.buckets();
    }
}

fn now(credentials: &Credentials) -> Moment {
    credentials.shared().engine.clock.now()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::ManualClock;
    use crate::decide::{Attempted, End, Failed, Failure, FailurePolicy};
    use crate::error::LoginError;
    use crate::lifetime::Lifetime;
    use crate::origin::Origin;
    use crate::testing::Scripted;

    fn identity(number: usize) -> Identity {
        let origin = Origin::parse("https://table.example.com").unwrap();
        Identity::new("test", origin, number.to_string())
    }

    /// A full table, and handles to all of its identities.
    fn full(clock: &ManualClock, capacity: usize) -> (Table, Vec<Credentials>) {
        let mut table = Table::new(capacity);
        let handles = (0..capacity).map(|number| {
            let credentials = new(clock, number);
            assert!(matches!(
                table.add(&identity(number), &credentials, None, &mut None),
                Addition::Added { .. }
            ));
            credentials
        });
        let handles = handles.collect();
        (table, handles)
    }

    fn new(clock: &ManualClock, number: usize) -> Credentials {
        let provider = Scripted::tokens(Lifetime::unknown()).with_identity(identity(number));
        Credentials::builder(provider).clock(clock.clock()).build()
    }

    fn refused(clock: &ManualClock) -> Arc<Memory> {
        let failed = Failed {
            of: Attempted::Login,
            error: LoginError::refused("status 401"),
            secret: None,
        };
        let end = End {
            at: clock.clock().now(),
            took: Duration::ZERO,
            jitter: 0.0,
        };
        let failure = Failure::after(None, failed, &end, &FailurePolicy::DEFAULT);
        Memory::of(Some(failure))
    }

    /// Searches one slice for room for another identity, and checks how many were looked at.
    fn step(table: &mut Table, newcomer: &Credentials, search: &mut Option<Search>) -> Addition {
        let before = table.next_turn;
        let addition = table.add(newcomer.identity(), newcomer, None, search);
        let looked = table.next_turn - before;
        assert!(looked <= SLICE as u64, "{looked} in one slice");
        assert_eq!(table.round.len(), table.entries.len(), "a turn for each");
        addition
    }

    #[test]
    fn rule_4_a_search_looks_at_a_bounded_number_of_identities_at_a_time() {
        let clock = ManualClock::new();
        let (mut table, _handles) = full(&clock, 10 * SLICE);
        let newcomer = new(&clock, 9_999);
        let mut search = None;
        for _ in 0..10 {
            let addition = step(&mut table, &newcomer, &mut search);
            assert!(matches!(addition, Addition::Searching), "{addition:?}");
        }
        let addition = step(&mut table, &newcomer, &mut search);
        assert!(matches!(addition, Addition::Full), "{addition:?}");
        // The search has given each another turn.
        let removal = table.remove(&identity(0), &mut 0);
        assert!(matches!(removal, Removal::Removed(_)), "{removal:?}");
        assert_eq!(table.round.len(), table.entries.len());
    }

    #[test]
    fn a_full_table_is_not_called_full_while_an_identity_is_not_in_use() {
        let clock = ManualClock::new();
        // The searches take turns, so one of them passes over what the other one then misses.
        for unused in 0..3 * SLICE {
            for found_lately in [false, true] {
                let (mut table, mut handles) = full(&clock, 3 * SLICE);
                drop(handles.swap_remove(unused));
                let newcomers = [new(&clock, 9_998), new(&clock, 9_999)];
                let mut searches = [None, None];
                let mut added = 0;
                let mut open = vec![0, 1];
                while !open.is_empty() {
                    // It is found again and again, and each finder drops it at once.
                    if found_lately {
                        table.find(&identity(unused));
                    }
                    open.retain(|which| {
                        match step(&mut table, &newcomers[*which], &mut searches[*which]) {
                            Addition::Searching => true,
                            Addition::Full => {
                                assert_eq!(added, 1, "{unused}, {found_lately}");
                                false
                            }
                            Addition::Added { .. } => {
                                added += 1;
                                false
                            }
                            Addition::Known => unreachable!("each is new"),
                        }
                    });
                }
                assert_eq!(added, 1, "{unused}, {found_lately}");
                assert_eq!(table.len(), 3 * SLICE);
            }
        }
    }

    #[test]
    fn rule_4_removals_leave_nothing_behind_in_the_round() {
        let clock = ManualClock::new();
        let (mut table, _handles) = full(&clock, SLICE);
        for number in 0..100 {
            assert!(matches!(
                table.remove(&identity(number % SLICE), &mut 0),
                Removal::Removed(_)
            ));
            let again = new(&clock, number % SLICE);
            let addition = step(&mut table, &again, &mut None);
            assert!(matches!(addition, Addition::Added { .. }), "{addition:?}");
        }
        assert!(matches!(
            table.remove(&identity(9_999), &mut 0),
            Removal::Unknown
        ));
    }

    #[test]
    fn rule_4_failures_that_forbid_nothing_are_swept_a_bucket_at_a_time() {
        let clock = ManualClock::new();
        let (mut table, handles) = full(&clock, 1_000);
        for number in 0..1_000 {
            let past = refused(&clock);
            table.left.insert(identity(10_000 + number), past);
        }
        // All of them lapse, but the last identity has failed just now.
        clock.advance(Duration::from_secs(15 * 60));
        handles[0].remember(refused(&clock), None);
        let mut swept = 0;
        let removal = table.remove(&identity(0), &mut swept);
        assert!(matches!(removal, Removal::Sweeping), "{removal:?}");
        assert!((700..1_000).contains(&table.left.len()), "one bucket");
        let removal = table.remove(&identity(0), &mut swept);
        assert!(matches!(removal, Removal::Removed(_)), "{removal:?}");
        assert!(table.left.get(&identity(0)).is_some());
    }

    #[test]
    fn rule_4_a_failure_finds_no_room_only_after_all_others_were_looked_at() {
        let clock = ManualClock::new();
        let (mut table, handles) = full(&clock, 1_000);
        for number in 0..1_000 {
            let in_force = refused(&clock);
            table.left.insert(identity(10_000 + number), in_force);
        }
        handles[0].remember(refused(&clock), None);
        let (mut swept, mut calls) = (0, 1);
        while matches!(table.remove(&identity(0), &mut swept), Removal::Sweeping) {
            calls += 1;
        }
        assert_eq!(calls, table.left.buckets() + 1);
        assert!(table.left.get(&identity(0)).is_none());
    }

    #[test]
    fn rule_12_an_identity_that_has_left_is_remembered_while_a_login_of_it_may_fail() {
        let clock = ManualClock::new();
        let (mut table, mut handles) = full(&clock, 1);
        let removal = table.remove(&identity(0), &mut 0);
        table.sweep(clock.clock().now());
        assert!(table.left.get(&identity(0)).is_some());
        // The last handles are gone, and have found out nothing.
        drop((removal, handles.pop()));
        table.sweep(clock.clock().now());
        assert_eq!(table.left.len(), 0);
    }

    #[test]
    fn rule_12_identities_that_live_on_take_no_room_from_one_that_has_failed() {
        let clock = ManualClock::new();
        let (mut table, _handles) = full(&clock, SLICE);
        let remove = |table: &mut Table, number| {
            let swept = &mut 0;
            while matches!(table.remove(&identity(number), swept), Removal::Sweeping) {}
            table.left.get(&identity(number)).is_some()
        };
        for number in 0..SLICE {
            assert_eq!(remove(&mut table, number), number < SLICE / 2);
        }
        let mut remove_new = |number, has_failed| {
            let newcomer = new(&clock, number);
            if has_failed {
                newcomer.remember(refused(&clock), None);
            }
            let addition = step(&mut table, &newcomer, &mut None);
            assert!(matches!(addition, Addition::Added { .. }), "{addition:?}");
            remove(&mut table, number)
        };
        assert!(!remove_new(1_000, false));
        assert!((1_001..1_001 + SLICE / 2).all(|number| remove_new(number, true)));
        assert!(!remove_new(2_000, true), "it is bounded");
    }

    #[test]
    fn rule_12_an_identity_that_is_not_in_use_any_more_leaves_nothing_behind() {
        let clock = ManualClock::new();
        let (mut table, mut handles) = full(&clock, 1);
        drop(handles.pop());
        let removal = table.remove(&identity(0), &mut 0);
        assert!(matches!(removal, Removal::Removed(_)), "{removal:?}");
        drop(removal);
        table.sweep(clock.clock().now());
        assert_eq!(table.left.len(), 0);
    }

    #[test]
    fn rule_12_an_identity_whose_refusal_has_room_after_a_sweep_is_forgotten() {
        let clock = ManualClock::new();
        let (mut table, mut handles) = full(&clock, 1_000);
        for number in 0..1_000 {
            let lapses = refused(&clock);
            table.left.insert(identity(10_000 + number), lapses);
        }
        // One of them is past its cooldown, in the last bucket that is swept. The others are not.
        let last = table.left.buckets() - 1;
        let past = table.left.bucket(last).unwrap().next().unwrap().clone();
        let earlier = refused(&clock);
        clock.advance(Duration::from_secs(15 * 60));
        for number in 0..1_000 {
            let in_force = refused(&clock);
            table.left.insert(identity(10_000 + number), in_force);
        }
        table.left.insert(past, earlier);
        // And one identity is not in use, and has been refused.
        let unused = handles.swap_remove(0);
        unused.remember(refused(&clock), None);
        drop(unused);
        let newcomer = new(&clock, 9_999);
        let mut search = None;
        let addition = loop {
            match step(&mut table, &newcomer, &mut search) {
                Addition::Searching => {}
                addition => break addition,
            }
        };
        assert!(matches!(addition, Addition::Added { .. }), "{addition:?}");
        assert!(table.left.get(&identity(0)).is_some());
    }
}
