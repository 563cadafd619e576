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

fn pool_of(identities: usize) -> (Pool, Vec<Identity>) {
    let pool = Pool::new(NonZeroUsize::new(identities).expect("at least one"));
    let (logins, origin) = (Logins::at_once(), origin());
    let keys: Vec<_> = (0..identities)
        .map(|number| identity(&origin, number))
        .collect();
    for key in &keys {
        let provider = At::new(&logins, key.clone(), Lifetime::unknown());
        pool.add(provider).expect("there is room");
    }
    (pool, keys)
}

/// Bytes on the heap for each, less those of the key and of the provider.
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
    let mut keys = Vec::with_capacity(identities);
    let key = measure(|| (0..identities).for_each(|number| keys.push(identity(&origin, number))));
    let key_bytes = each(key.bytes_current) + size_of::<Identity>() as f64;
    let ours = each(whole.bytes_current) - each(theirs.bytes_current) - key_bytes;

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
    drop((held, keys, names, pool, moka, map));
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

fn each(mut find: impl FnMut(usize), identities: usize, anywhere: &mut Anywhere) -> f64 {
    let times = quickly(100_000, 100);
    let start = monotonic();
    for _ in 0..times {
        find(anywhere.below(identities));
    }
    start.elapsed().as_nanos() as f64 / f64::from(times)
}

pub fn lookup(case: &'static str, identities: usize) -> Vec<Row> {
    let (pool, keys) = pool_of(identities);
    let map: RwLock<HashMap<Identity, Arc<()>>> = RwLock::new(
        keys.iter()
            .map(|key| (key.clone(), Arc::default()))
            .collect(),
    );
    let moka: moka::sync::Cache<Identity, Arc<()>> = moka::sync::Cache::new(identities as u64);
    keys.iter()
        .for_each(|key| moka.insert(key.clone(), Arc::default()));
    moka.run_pending_tasks();

    let mut contest = Contest::new(case, "ns", 15);
    let mut anywhere = [Anywhere(1), Anywhere(1), Anywhere(1), Anywhere(1)];
    let [first, second, third, fourth] = &mut anywhere;
    contest
        .enter("auth-core", || {
            each(
                |number| drop(black_box(pool.find(&keys[number]))),
                identities,
                first,
            )
        })
        .note("Pool::find, whose handle is dropped again");
    contest
        .enter("moka", || {
            each(
                |number| drop(black_box(moka.get(&keys[number]))),
                identities,
                second,
            )
        })
        .note("the same keys; get");
    contest
        .enter("RwLock<HashMap>", || {
            let find = |number: usize| {
                let map = map.read().expect("nobody panicked");
                drop(black_box(map.get(&keys[number]).cloned()));
            };
            each(find, identities, third)
        })
        .note("the same keys; std's hasher and lock");
    contest
        .enter("reading the key", || {
            let read = |number: usize| {
                black_box(keys[number].account().as_bytes()[8]);
            };
            each(read, identities, fourth)
        })
        .note("the cache misses of the asking itself");
    contest.run()
}
