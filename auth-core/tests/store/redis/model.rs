//! The scripts against the records: random steps have the same answers.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use auth_core::Moment;
use auth_core::clock::Clock;
use auth_core::store::{
    Change, Entry, Lease, LeaseAnswer, LeaseAsk, LeaseRecord, NotesChange, PermitAnswer, PermitAsk,
    PermitRecord, Record, RedisStore, SessionChange, Store as _, Version,
};
use proptest::prelude::*;
use redis::aio::MultiplexedConnection;
use tokio::runtime::Builder;

use super::server::RedisServer;

const HOUR: Duration = Duration::from_secs(3600);
/// The scripts count on the server's clock, the records stand still.
const NOW: Duration = Duration::from_secs(1_000);
const SLACK: Duration = Duration::from_secs(60);
/// Some time before now, in microseconds since 1970.
const EARLIEST: u64 = 1_700_000_000_000_000;

#[derive(Clone, Debug)]
enum Step {
    Load,
    Lease {
        owner: u8,
        known: Option<Draw>,
        rejected: bool,
        only_extends: bool,
    },
    Save {
        version: Draw,
        session: Session,
        notes: Option<Keep>,
        releases: Option<u8>,
    },
    /// The leases are lost, and the entry is not.
    LoseLease,
}

#[derive(Clone, Copy, Debug)]
enum Session {
    Keep,
    Save(Keep),
    Reject,
    End,
}

#[derive(Clone, Copy, Debug)]
enum Keep {
    No,
    Hour,
    Ever,
}

/// A version near those that the entry has.
#[derive(Clone, Copy, Debug)]
struct Draw {
    epoch: Of,
    fence: Number,
    revision: Number,
}

#[derive(Clone, Copy, Debug)]
enum Of {
    Store,
    Entry,
    Other,
}

/// Numbers of more than 53 bits differ in their last digits only.
#[derive(Clone, Copy, Debug)]
enum Number {
    AsStored,
    /// The fence of the last lease.
    AsLeased,
    Small(u64),
    Large(u64),
}

impl Keep {
    fn duration(self) -> Duration {
        match self {
            Self::No => Duration::ZERO,
            Self::Hour => HOUR,
            Self::Ever => Duration::MAX,
        }
    }
}

impl Number {
    fn get(self, stored: u64, leased: u64) -> u64 {
        match self {
            Self::AsStored => stored,
            Self::AsLeased => leased,
            Self::Small(number) => number,
            Self::Large(number) => u64::MAX - number,
        }
    }
}

impl Draw {
    fn version(self, record: &Record, lease: Option<&LeaseRecord>) -> Version {
        let stored = record.version;
        let leased = lease.map_or(0, |lease| lease.fence);
        Version {
            epoch: match self.epoch {
                Of::Store => lease.map_or(0, |lease| lease.epoch),
                Of::Entry => stored.epoch,
                Of::Other => 99,
            },
            fence: self.fence.get(stored.fence, leased),
            revision: self.revision.get(stored.revision, 0),
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let keep = || prop_oneof![1 => Just(Keep::No), 2 => Just(Keep::Hour), 2 => Just(Keep::Ever)];
    let number = || {
        prop_oneof![
            4 => Just(Number::AsStored),
            3 => Just(Number::AsLeased),
            6 => (0_u64..4).prop_map(Number::Small),
            1 => (0_u64..4).prop_map(Number::Large),
        ]
    };
    let of = prop_oneof![4 => Just(Of::Store), 3 => Just(Of::Entry), 1 => Just(Of::Other)];
    let version = (of, number(), number()).prop_map(|(epoch, fence, revision)| Draw {
        epoch,
        fence,
        revision,
    });
    let session = prop_oneof![
        2 => Just(Session::Keep),
        5 => keep().prop_map(Session::Save),
        1 => Just(Session::Reject),
        1 => Just(Session::End),
    ];
    let lease = (
        0..3_u8,
        proptest::option::of(version.clone()),
        any::<bool>(),
        proptest::bool::weighted(0.2),
    );
    let save = (
        version,
        session,
        proptest::option::of(keep()),
        proptest::option::of(0..3_u8),
    );
    let step = prop_oneof![
        2 => Just(Step::Load),
        4 => lease.prop_map(|(owner, known, rejected, only_extends)| Step::Lease {
            owner,
            known,
            rejected,
            only_extends,
        }),
        8 => save.prop_map(|(version, session, notes, releases)| Step::Save {
            version,
            session,
            notes,
            releases,
        }),
        1 => Just(Step::LoseLease),
    ];
    proptest::collection::vec(step, 1..24)
}

/// The entry of a name in Redis, and what it should be.
struct Pair {
    store: RedisStore,
    raw: MultiplexedConnection,
    name: String,
    record: Record,
    /// `None` until the store has drawn an epoch.
    lease: Option<LeaseRecord>,
    now: Moment,
    saves: u8,
}

impl Pair {
    fn state(&self) -> String {
        format!("auth:{{{}}}:entry", self.name)
    }

    /// The epoch is the only thing that the model can't know.
    async fn learn_epoch(&mut self) {
        if self.lease.is_none() {
            let mut get = redis::cmd("HGET");
            get.arg(self.state()).arg("lease.epoch");
            let epoch: u64 = get.query_async(&mut self.raw).await.unwrap();
            assert!((1..1 << 53).contains(&epoch));
            self.lease = Some(LeaseRecord::new(epoch));
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Load => {
                let loaded = self.store.load(&self.name).await.unwrap();
                same_entry(&loaded, &self.record.entry(self.now));
            }
            Step::Lease {
                owner,
                known,
                rejected,
                only_extends,
            } => {
                let owner = owner.to_string();
                let draw = |draw: Draw| draw.version(&self.record, self.lease.as_ref());
                let ask = LeaseAsk {
                    owner: &owner,
                    lasts: HOUR,
                    known: known.map(draw),
                    rejected,
                    only_extends,
                };
                let answer = self.store.lease(&self.name, ask).await.unwrap();
                self.learn_epoch().await;
                let lease = self.lease.as_mut().unwrap();
                let before = lease.fence;
                let mut expected = self.record.lease(lease, ask, self.now, NOW);
                // A fence is the time there, if that is greater than the next number.
                if let (Lease::Taken { fence }, Lease::Taken { fence: next }) =
                    (answer.lease, &mut expected.lease)
                    && *next > before
                {
                    assert!(fence > before && fence > EARLIEST, "{fence}");
                    (*next, lease.fence) = (fence, fence);
                }
                same_answer(&answer, &expected);
            }
            Step::Save {
                version,
                session,
                notes,
                releases,
            } => {
                self.saves += 1;
                let sealed = |what: &str| [what.as_bytes(), &[0, 0xff, self.saves]].concat();
                let change = Change {
                    version: version.version(&self.record, self.lease.as_ref()),
                    session: match session {
                        Session::Keep => SessionChange::Keep,
                        Session::Save(keep) => {
                            SessionChange::Save(sealed("session"), keep.duration())
                        }
                        Session::Reject => SessionChange::Reject,
                        Session::End => SessionChange::End,
                    },
                    notes: notes.map_or(NotesChange::Keep, |keep| {
                        NotesChange::Save(sealed("notes"), keep.duration())
                    }),
                    releases: releases.map(|owner| owner.to_string()),
                };
                let saved = self.store.save(&self.name, change.clone()).await.unwrap();
                self.learn_epoch().await;
                let lease = self.lease.as_mut().unwrap();
                assert_eq!(saved, self.record.save(lease, change, self.now));
            }
            Step::LoseLease => {
                if self.lease.is_some() {
                    let epoch = 1000 + u64::from(self.saves);
                    let mut lose = redis::pipe();
                    lose.hset_multiple(
                        self.state(),
                        &[
                            ("lease.epoch", epoch.to_string()),
                            ("lease.fence", "0".into()),
                        ],
                    );
                    lose.hdel(self.state(), &["lease.owner", "lease.until"]);
                    let () = lose.query_async(&mut self.raw).await.unwrap();
                    self.lease = Some(LeaseRecord::new(epoch));
                }
            }
        }
    }
}

fn same_entry(entry: &Entry, expected: &Entry) {
    assert_eq!(entry.version, expected.version);
    assert_eq!(entry.is_over, expected.is_over);
    assert_eq!(entry.unreadable, None);
    for (stored, expected) in [
        (&entry.session, &expected.session),
        (&entry.notes, &expected.notes),
    ] {
        let sealed = |stored: &Option<auth_core::store::Stored>| {
            stored.as_ref().map(|stored| stored.sealed.clone())
        };
        assert_eq!(sealed(stored), sealed(expected));
        assert!(stored.as_ref().is_none_or(|stored| stored.age < SLACK));
    }
}

fn same_answer(answer: &LeaseAnswer, expected: &LeaseAnswer) {
    same_entry(&answer.entry, &expected.entry);
    match (answer.lease, expected.lease) {
        (Lease::Held { left }, Lease::Held { left: expected }) => {
            assert!(left <= expected && expected - left < SLACK, "{left:?}");
        }
        (lease, expected) => assert_eq!(lease, expected),
    }
}

#[test]
fn the_scripts_of_an_entry_do_what_its_record_does() {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let Some(server) = RedisServer::start() else {
        return;
    };
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let store = server.store();
    let raw = runtime.block_on(server.connection());
    proptest!(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() }, |(steps in steps())| {
        let mut pair = Pair {
            store: store.clone(),
            raw: raw.clone(),
            name: NUMBER.fetch_add(1, Relaxed).to_string(),
            record: Record::default(),
            lease: None,
            now: Clock::system().now(),
            saves: 0,
        };
        runtime.block_on(async {
            for step in steps {
                pair.step(step).await;
            }
            pair.step(Step::Load).await;
        });
    });
}

#[derive(Clone, Debug)]
enum OfOrigin {
    Permit { id: u8, most: u32 },
    End { id: u8, at_once: bool },
    Hold { seconds: u64 },
}

fn of_origin() -> impl Strategy<Value = Vec<OfOrigin>> {
    let step = prop_oneof![
        8 => (0..6_u8, 0..4_u32).prop_map(|(id, most)| OfOrigin::Permit { id, most }),
        4 => (0..6_u8, any::<bool>()).prop_map(|(id, at_once)| OfOrigin::End { id, at_once }),
        1 => (0..8_000_u64).prop_map(|seconds| OfOrigin::Hold { seconds }),
    ];
    proptest::collection::vec(step, 1..24)
}

#[test]
fn the_scripts_of_an_origin_do_what_its_record_does() {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let Some(server) = RedisServer::start() else {
        return;
    };
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let store = server.store();
    proptest!(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() }, |(steps in of_origin())| {
        let origin = NUMBER.fetch_add(1, Relaxed).to_string();
        let mut record = PermitRecord::default();
        let mut counts_for = HOUR;
        runtime.block_on(async {
            for step in steps {
                // No two permits count for the same time, so that the order is seen.
                counts_for += 2 * SLACK;
                match step {
                    OfOrigin::Permit { id, most } => {
                        let id = id.to_string();
                        let ask = PermitAsk { id: &id, most, window: SLACK, counts_for };
                        let answer = store.permit(&origin, ask).await.unwrap();
                        match (answer, record.permit(ask, NOW)) {
                            (PermitAnswer::Wait(wait), PermitAnswer::Wait(expected)) => {
                                assert!(wait <= expected && expected - wait < SLACK, "{wait:?}");
                            }
                            // A hold of few seconds may lapse meanwhile.
                            (_, PermitAnswer::Wait(expected)) if expected < SLACK => {
                                record.held_until = Duration::ZERO;
                                record.permit(ask, NOW);
                            }
                            (answer, expected) => assert_eq!(answer, expected),
                        }
                    }
                    OfOrigin::End { id, at_once } => {
                        let counts_for = if at_once { Duration::ZERO } else { counts_for };
                        store.end_permit(&origin, &id.to_string(), counts_for).await.unwrap();
                        record.end(&id.to_string(), counts_for, NOW);
                    }
                    OfOrigin::Hold { seconds } => {
                        let wait = Duration::from_secs(seconds);
                        store.hold(&origin, wait).await.unwrap();
                        record.hold(wait, NOW);
                    }
                }
            }
        });
    });
}
