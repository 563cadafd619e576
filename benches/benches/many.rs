//! Many identities: what an idle one holds in memory, and how long it takes to find one.

use std::num::NonZeroUsize;

use allocation_counter::{AllocationInfo, measure};
use auth_benches::{At, Logins, is_quick, longest, quickly, report};
use auth_core::{Credentials, Identity, Lifetime, Origin, Pool, Provider};
use divan::{Bencher, black_box};

fn main() {
    divan::Divan::default()
        .sample_size(quickly(10_000, 100))
        .max_time(longest(is_quick()))
        .config_with_args()
        .main();
    if std::env::args().any(|argument| argument == "--list" || argument == "--test") {
        return;
    }
    bytes_of_idle_identities(quickly(100_000, 1_000));
}

fn identity(origin: &Origin, number: usize) -> Identity {
    Identity::new(
        "bench",
        origin.clone(),
        format!("account-{number:07}@example.com"),
    )
}

fn origin() -> Origin {
    Origin::parse("https://login.example.com").expect("a literal origin")
}

fn filled(identities: usize) -> Pool {
    let capacity = NonZeroUsize::new(identities).expect("at least one");
    let pool = Pool::new(capacity);
    let (logins, origin) = (Logins::at_once(), origin());
    for number in 0..identities {
        let provider = At::new(&logins, identity(&origin, number), Lifetime::unknown());
        pool.add(provider).expect("there is room");
    }
    pool
}

/// One identity among so many, each time another one. Its key is made beforehand, as if just read off a request.
#[divan::bench(args = sizes(), sample_size = 32, sample_count = 3_000)]
fn find(bencher: Bencher<'_, '_>, identities: usize) {
    let (pool, origin) = (filled(identities), origin());
    // A full-period generator: no order for the machine to guess.
    let mut next: usize = 1;
    let key = || {
        next = next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        identity(&origin, (next >> 33) % identities)
    };
    bencher
        .with_inputs(key)
        .bench_local_refs(|key| black_box(pool.find(key)));
}

fn sizes() -> Vec<usize> {
    quickly(vec![1_000, 100_000, 1_000_000], vec![1_000, 10_000])
}

/// Bytes on the heap for each identity: all of it, and less the provider that the user made, which holds the key.
fn bytes_of_idle_identities(identities: usize) {
    let (logins, origin) = (Logins::at_once(), origin());
    let provider = |number: usize| At::new(&logins, identity(&origin, number), Lifetime::unknown());
    // What all of them share is made before the counting begins.
    drop(Credentials::new(provider(0)));
    let capacity = NonZeroUsize::new(identities).expect("at least one");
    let pool = Pool::new(capacity);
    let whole = measure(|| {
        for number in 0..identities {
            pool.add(provider(number)).expect("there is room");
        }
    });
    let mut held: Vec<Box<dyn Provider>> = Vec::with_capacity(identities);
    let theirs = measure(|| {
        for number in 0..identities {
            held.push(Box::new(provider(number)));
        }
    });
    let (whole, theirs) = (per(&whole, identities), per(&theirs, identities));
    report(format_args!(
        "idle: {identities} identities, {} logins, {whole:.0} bytes each; {:.0} of ours, beside {theirs:.0} of the provider",
        logins.count(),
        whole - theirs,
    ));
    drop((held, pool));
}

#[allow(
    clippy::cast_precision_loss,
    reason = "bytes that fit into this machine's memory"
)]
fn per(counted: &AllocationInfo, identities: usize) -> f64 {
    counted.bytes_current as f64 / identities as f64
}
