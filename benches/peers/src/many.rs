//! Many identities: bytes of an idle one, and finding one.

use std::collections::HashMap;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::{Arc, RwLock};

use allocation_counter::measure;
use auth_benches::{At, Logins, Spread, monotonic, quickly};
use auth_core::{Credentials, Identity, Lifetime, Origin, Pool, Provider};
use http::HeaderValue;

use crate::harness::{Contest, Row, print};

fn origin() -> Origin {
    Origin::parse("https://login.example.com").expect("a literal origin")
}

fn account(number: usize) -> String {
    format!("account-{number:07}@example.com")
}

fn identity(origin: &Origin, number: usize) -> Identity {
    Identity::new("bench", origin.clone(), account(number))
}

fn pool_of(identities: usize) -> Pool {
    let pool = Pool::new(NonZeroUsize::new(identities).expect("at least one"));
    let (logins, origin) = (Logins::at_once(), origin());
    for number in 0..identities {
        let provider = At::new(&logins, identity(&origin, number), Lifetime::unknown());
        pool.add(provider).expect("there is room");
    }
    pool
}

/// Bytes on the heap for each, less those of the provider, which holds the key.
pub fn idle() -> Vec<Row> {
    let identities = quickly(100_000, 1_000);
    let case = "idle_bytes_100000";
    let each = |bytes: i64| bytes as f64 / identities as f64;
    let row = |implementation, bytes: f64, note| Row {
        case,
        implementation,
        unit: "B",
        spread: Spread::of(&[bytes]).expect("one number"),
        allocations: None,
        logins: Some(0),
        net: None,
        ours_over_it: None,
        over_one_thread: None,
        note,
    };

    let (logins, origin) = (Logins::at_once(), origin());
    let provider = |number| At::new(&logins, identity(&origin, number), Lifetime::unknown());
    drop(Credentials::new(provider(0)));
    let pool = Pool::new(NonZeroUsize::new(identities).expect("at least one"));
    let whole = measure(|| (0..identities).for_each(|number| drop(pool.add(provider(number)))));
    let mut held: Vec<Box<dyn Provider>> = Vec::with_capacity(identities);
    let theirs =
        measure(|| (0..identities).for_each(|number| held.push(Box::new(provider(number)))));
    let ours = each(whole.bytes_current) - each(theirs.bytes_current);

    let moka: moka::sync::Cache<String, Arc<HeaderValue>> =
        moka::sync::Cache::new(identities as u64);
    let value = Arc::new(HeaderValue::from_static("t"));
    let in_moka = measure(|| {
        for number in 0..identities {
            moka.insert(account(number), Arc::clone(&value));
        }
        moka.run_pending_tasks();
    });
    type Slot = Arc<tokio::sync::Mutex<Option<HeaderValue>>>;
    let mut map: HashMap<String, Slot> = HashMap::new();
    let in_map = measure(|| {
        for number in 0..identities {
            map.insert(account(number), Arc::default());
        }
    });
    let mut names = Vec::with_capacity(identities);
    let name = measure(|| (0..identities).for_each(|number| names.push(account(number))));
    let name_bytes = each(name.bytes_current) + size_of::<String>() as f64;

    let rows = vec![
        row("auth-core", ours, "Pool; beside key and provider"),
        row(
            "moka",
            each(in_moka.bytes_current) - name_bytes,
            "beside the key; no failure memory, no limiter",
        ),
        row(
            "tokio Mutex in a HashMap",
            each(in_map.bytes_current) - name_bytes,
            "beside the key; nothing but the lock",
        ),
    ];
    rows.iter().for_each(print);
    drop((held, names, pool, moka, map));
    rows
}

/// A full-period generator, so that no order can be guessed.
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

/// So many keys are made before the clock runs: few enough for the cache, where a key is that was just read off a request.
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
    let (pool, origin) = (pool_of(identities), origin());
    let map: HashMap<String, Arc<()>> = (0..identities)
        .map(|number| (account(number), Arc::default()))
        .collect();
    let map = RwLock::new(map);
    let moka: moka::sync::Cache<String, Arc<()>> = moka::sync::Cache::new(identities as u64);
    (0..identities).for_each(|number| moka.insert(account(number), Arc::default()));
    moka.run_pending_tasks();

    let mut contest = Contest::new(case, "ns", 15);
    let mut anywhere = [Anywhere(1), Anywhere(1), Anywhere(1), Anywhere(1)];
    let [first, second, third, fourth] = &mut anywhere;
    contest
        .enter("auth-core", || {
            let key = |number| identity(&origin, number);
            each(
                key,
                |key| black_box(pool.find(key)).is_some(),
                identities,
                first,
            )
        })
        .note("Pool::find, whose handle is dropped again; an Identity brings its hash along");
    contest
        .enter("auth-core, made from a name", || {
            let find = |name: &String| {
                let key = Identity::new("bench", origin.clone(), name.as_str());
                black_box(pool.find(&key)).is_some()
            };
            each(account, find, identities, fourth)
        })
        .note("the same, with the Identity made anew each time");
    contest
        .enter("moka", || {
            let find = |key: &String| black_box(moka.get(key)).is_some();
            each(account, find, identities, second)
        })
        .note("get; account names alone");
    contest
        .enter("RwLock<HashMap>", || {
            let find = |key: &String| {
                let map = map.read().expect("nobody panicked");
                black_box(map.get(key).cloned()).is_some()
            };
            each(account, find, identities, third)
        })
        .note("std's hasher and lock; account names alone");
    contest.run()
}
