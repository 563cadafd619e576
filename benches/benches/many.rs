//! Many identities: the memory that an idle one holds, and the time to find one.

use allocation_counter::{AllocationInfo, measure};
use auth_benches::ours::{self, Accounts, BenchProvider};
use auth_benches::{is_quick, longest, quickly, report};
use divan::Bencher;

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

/// One of `identities`, another one each time. Its key is made just before, as by a program that
/// has read it off a request.
#[divan::bench(args = sizes(), sample_size = 32, sample_count = 3_000)]
fn find(bencher: Bencher<'_, '_>, identities: usize) {
    let accounts = Accounts::default();
    let pool = accounts.pool(identities);
    // A generator of full period, whose order the prefetcher can't predict.
    let mut next: usize = 1;
    let key = || {
        next = next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        accounts.identity(&Accounts::name((next >> 33) % identities))
    };
    bencher
        .with_inputs(key)
        .bench_local_refs(|key| ours::is_in(&pool, key));
}

fn sizes() -> Vec<usize> {
    quickly(vec![1_000, 100_000, 1_000_000], vec![1_000, 10_000])
}

/// Bytes on the heap for each identity: all of them, and all but those of the provider, which the
/// program makes and which holds the key.
fn bytes_of_idle_identities(identities: usize) {
    let accounts = Accounts::default();
    accounts.warm_up();
    let pool = Accounts::empty_pool(identities);
    let whole = measure(|| accounts.fill(&pool, identities));
    let mut held: Vec<Box<BenchProvider>> = Vec::with_capacity(identities);
    let provider = |number| Box::new(accounts.provider(number));
    let providers = measure(|| held.extend((0..identities).map(provider)));
    let (whole, providers) = (per(&whole, identities), per(&providers, identities));
    report(format_args!(
        "idle: {identities} identities, {} logins, {whole:.0} bytes each; {:.0} of ours, \
         beside {providers:.0} of the provider",
        accounts.logins(),
        whole - providers,
    ));
    drop((held, pool));
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a count of bytes in memory is below 2^52"
)]
fn per(counted: &AllocationInfo, identities: usize) -> f64 {
    counted.bytes_current as f64 / identities as f64
}
