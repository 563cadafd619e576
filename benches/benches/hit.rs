//! A fresh credential: as an owned header, and on a request, on one thread and on two.
//!
//! The token has 1 KiB. `by_hand` holds the baselines, from one clock reading up to the best way that is known to hand out a
//! header after checking the two clocks that we check.

use std::sync::LazyLock;

use auth_benches::{
    Guarded, Logins, PerThread, SharedHeader, boot_clock, coarse_clocks, is_quick, longest,
    monotonic, quickly, token, two_workers,
};
use auth_core::Credentials;
use divan::{AllocProfiler, Bencher, black_box};
use futures_util::FutureExt;
use http::HeaderMap;
use http::header::AUTHORIZATION;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

static OURS: LazyLock<Credentials> = LazyLock::new(|| Logins::logged_in(&two_workers()));
static SHARED: LazyLock<SharedHeader> = LazyLock::new(|| SharedHeader::new(&token()));
static GUARDED: LazyLock<Guarded> = LazyLock::new(|| Guarded::new(&token()));
static PER_THREAD: LazyLock<PerThread> = LazyLock::new(|| PerThread::new(&token()));

fn main() {
    // Left to itself, divan takes its measure from the first sample, which is the coldest. And two threads have to run for
    // a while before they get into each other's way.
    divan::Divan::default()
        .sample_size(quickly(10_000, 100))
        .max_time(longest(is_quick()))
        .config_with_args()
        .main();
}

/// What a reading of a clock costs.
mod clock {
    use super::{Bencher, boot_clock, coarse_clocks, monotonic};

    #[divan::bench]
    fn instant_now(bencher: Bencher<'_, '_>) {
        bencher.bench(monotonic);
    }

    #[divan::bench]
    fn boot(bencher: Bencher<'_, '_>) {
        bencher.bench(boot_clock);
    }

    #[divan::bench]
    fn two_coarse(bencher: Bencher<'_, '_>) {
        bencher.bench(coarse_clocks);
    }

    #[divan::bench]
    fn auth_core(bencher: Bencher<'_, '_>) {
        let clock = ::auth_core::Clock::system();
        bencher.bench(|| clock.now());
    }
}

/// The value of the header, owned, and dropped again.
mod owned {
    use super::{
        AUTHORIZATION, Bencher, FutureExt, GUARDED, LazyLock, OURS, PER_THREAD, SHARED, black_box,
    };

    #[divan::bench(threads = [1, 2])]
    fn by_hand_shared_no_clock(bencher: Bencher<'_, '_>) {
        let shared = LazyLock::force(&SHARED);
        bencher.bench(|| drop(black_box(shared.get())));
    }

    #[divan::bench(threads = [1, 2])]
    fn by_hand_guard_without_clone(bencher: Bencher<'_, '_>) {
        let guarded = LazyLock::force(&GUARDED);
        bencher.bench(|| guarded.is_good());
    }

    #[divan::bench(threads = [1, 2])]
    fn by_hand_guard(bencher: Bencher<'_, '_>) {
        let guarded = LazyLock::force(&GUARDED);
        bencher.bench(|| drop(black_box(guarded.get())));
    }

    #[divan::bench(threads = [1, 2])]
    fn by_hand_per_thread(bencher: Bencher<'_, '_>) {
        let per_thread = LazyLock::force(&PER_THREAD);
        bencher.bench(|| drop(black_box(per_thread.get())));
    }

    #[divan::bench(threads = [1, 2])]
    fn ours_lent(bencher: Bencher<'_, '_>) {
        let ours = LazyLock::force(&OURS);
        bencher.bench(|| {
            let header =
                auth_core::Attempt::fresh(ours, |lent| lent.header(&AUTHORIZATION).cloned());
            drop(black_box(header.expect("it is fresh")));
        });
    }

    #[divan::bench(threads = [1, 2])]
    fn ours_fresh(bencher: Bencher<'_, '_>) {
        let ours = LazyLock::force(&OURS);
        bencher.bench(|| {
            let credential = ours.fresh().expect("it is fresh");
            drop(black_box(credential.header(&AUTHORIZATION).cloned()));
        });
    }

    #[divan::bench(threads = [1, 2])]
    fn ours_get(bencher: Bencher<'_, '_>) {
        let ours = LazyLock::force(&OURS);
        bencher.bench(|| {
            let credential = ours.get().now_or_never().expect("it is fresh");
            drop(black_box(credential.map(|credential| {
                credential.header(&AUTHORIZATION).cloned()
            })));
        });
    }

    #[divan::bench(threads = [1, 2])]
    fn ours_fresh_alone(bencher: Bencher<'_, '_>) {
        let ours = LazyLock::force(&OURS);
        bencher.bench(|| drop(black_box(ours.fresh())));
    }
}

/// The header on a map that has room for it.
mod attached {
    use super::{AUTHORIZATION, Bencher, FutureExt, HeaderMap, LazyLock, OURS, PER_THREAD};

    fn map() -> HeaderMap {
        HeaderMap::with_capacity(8)
    }

    // A sample's maps should fit into the cache.
    #[divan::bench(threads = [1, 2], sample_size = 64, sample_count = 500)]
    fn by_hand_per_thread(bencher: Bencher<'_, '_>) {
        let per_thread = LazyLock::force(&PER_THREAD);
        bencher.with_inputs(map).bench_refs(|headers| {
            let header = per_thread.get().expect("it is fresh");
            headers.insert(AUTHORIZATION, header);
        });
    }

    #[divan::bench(threads = [1, 2], sample_size = 64, sample_count = 500)]
    fn ours_fresh(bencher: Bencher<'_, '_>) {
        let ours = LazyLock::force(&OURS);
        bencher.with_inputs(map).bench_refs(|headers| {
            let credential = ours.fresh().expect("it is fresh");
            credential.attach_headers(headers);
        });
    }

    #[divan::bench(threads = [1, 2], sample_size = 64, sample_count = 500)]
    fn ours_lent(bencher: Bencher<'_, '_>) {
        let ours = LazyLock::force(&OURS);
        bencher.with_inputs(map).bench_refs(|headers| {
            let attached = auth_core::Attempt::fresh(ours, |lent| lent.attach_headers(headers));
            attached.expect("it is fresh");
        });
    }

    #[divan::bench(threads = [1, 2], sample_size = 64, sample_count = 500)]
    fn ours_get(bencher: Bencher<'_, '_>) {
        let ours = LazyLock::force(&OURS);
        bencher.with_inputs(map).bench_refs(|headers| {
            let credential = ours.get().now_or_never().expect("it is fresh");
            credential.expect("it is fresh").attach_headers(headers);
        });
    }
}
