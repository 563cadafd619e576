//! Many identities: the bytes of an idle one, and the time to find one.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Arc, RwLock};

use allocation_counter::{AllocationInfo, measure};
use auth_benches::ours::{self, Accounts, BenchProvider};
use auth_benches::{monotonic, quickly};
use http::HeaderValue;

use crate::harness::Contest;
use crate::row::{Row, print};

pub const IDLE: &str = "idle_bytes_100000";
pub const LOOKUP_1K: &str = "lookup_1k";
pub const LOOKUP_1M: &str = "lookup_1m";

pub const OURS: &str = "auth-core";
pub const FROM_NAME: &str = "auth-core, made from a name";
pub const MAP: &str = "RwLock<HashMap>";

/// Bytes on the heap for each identity, less the bytes of the provider, which holds the key.
pub fn idle() -> Vec<Row> {
    let identities = quickly(100_000, 1_000);
    let each = |counted: &AllocationInfo| counted.bytes_current as f64 / identities as f64;
    let row = |implementation, bytes, note: &str| Row {
        logins: Some(0),
        note: note.into(),
        ..Row::new(IDLE, implementation, "B", vec![bytes])
    };

    let accounts = Accounts::default();
    accounts.warm_up();
    let pool = Accounts::empty_pool(identities);
    let whole = measure(|| accounts.fill(&pool, identities));
    let mut held: Vec<Box<BenchProvider>> = Vec::with_capacity(identities);
    let provider = |number| Box::new(accounts.provider(number));
    let providers = measure(|| held.extend((0..identities).map(provider)));
    let ours = each(&whole) - each(&providers);

    let moka: moka::sync::Cache<String, Arc<HeaderValue>> =
        moka::sync::Cache::new(identities as u64);
    let value = Arc::new(HeaderValue::from_static("t"));
    let in_moka = measure(|| {
        for number in 0..identities {
            moka.insert(Accounts::name(number), Arc::clone(&value));
        }
        moka.run_pending_tasks();
    });
    type Slot = Arc<tokio::sync::Mutex<Option<HeaderValue>>>;
    let mut map: HashMap<String, Slot> = HashMap::new();
    let in_map = measure(|| {
        for number in 0..identities {
            map.insert(Accounts::name(number), Arc::default());
        }
    });
    let mut names = Vec::with_capacity(identities);
    let name = measure(|| (0..identities).for_each(|number| names.push(Accounts::name(number))));
    let name_bytes = each(&name) + size_of::<String>() as f64;

    let rows = vec![
        row(OURS, ours, "Pool; without key and provider"),
        row(
            "moka",
            each(&in_moka) - name_bytes,
            "without the key; no memory of failures, no quota",
        ),
        row(
            "tokio Mutex in a HashMap",
            each(&in_map) - name_bytes,
            "without the key; the lock alone",
        ),
    ];
    print(&rows);
    drop((held, names, pool, moka, map));
    rows
}

/// A generator of full period, whose order the prefetcher can't predict.
struct Anywhere(usize);

impl Anywhere {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % end
    }
}

/// The number of keys that are made before the clock runs: few enough for the cache, which also
/// holds a key that was just read off a request.
const CHUNK: usize = 32;

fn each<K>(
    key: impl Fn(usize) -> K,
    mut find: impl FnMut(&K) -> bool,
    identities: usize,
    anywhere: &mut Anywhere,
) -> f64 {
    let chunks = quickly(3_000, 4);
    let mut spent = 0;
    for _ in 0..chunks {
        let keys: Vec<K> = (0..CHUNK)
            .map(|_| key(anywhere.below(identities)))
            .collect();
        let start = monotonic();
        let found = keys.iter().all(&mut find);
        spent += start.elapsed().as_nanos();
        assert!(found);
    }
    spent as f64 / (chunks * CHUNK) as f64
}

pub fn lookup(case: &'static str, identities: usize) -> Vec<Row> {
    let accounts = Accounts::default();
    let pool = accounts.pool(identities);
    let map: HashMap<String, Arc<()>> = (0..identities)
        .map(|number| (Accounts::name(number), Arc::default()))
        .collect();
    let map = RwLock::new(map);
    let moka: moka::sync::Cache<String, Arc<()>> = moka::sync::Cache::new(identities as u64);
    (0..identities).for_each(|number| moka.insert(Accounts::name(number), Arc::default()));
    moka.run_pending_tasks();

    let mut contest = Contest::new(case, "ns", 15);
    let mut anywhere = [Anywhere(1), Anywhere(1), Anywhere(1), Anywhere(1)];
    let [first, second, third, fourth] = &mut anywhere;
    contest
        .enter(OURS, || {
            let key = |number| accounts.identity(&Accounts::name(number));
            each(key, |key| ours::is_in(&pool, key), identities, first)
        })
        .note("Pool::find, whose handle is dropped again; the Identity was made just before");
    contest
        .enter(MAP, || {
            let find = |key: &String| {
                let map = map.read().expect("no writer panicked");
                black_box(map.get(key).cloned()).is_some()
            };
            each(Accounts::name, find, identities, third)
        })
        .note("std's hasher and lock; account names alone");
    contest
        .enter(FROM_NAME, || {
            let find = |name: &String| ours::is_in(&pool, &accounts.identity(name));
            each(Accounts::name, find, identities, fourth)
        })
        .note("the same, with the Identity made within the measured time");
    contest
        .enter("moka", || {
            let find = |key: &String| black_box(moka.get(key)).is_some();
            each(Accounts::name, find, identities, second)
        })
        .note("get; account names alone");
    contest.run()
}
