//! A fresh credential: its header, and its header on a request, on one thread and on two.
//!
//! The token has 1 KiB. The reference is `by_hand`: an `ArcSwap` that holds one header, and the two
//! coarse clocks that auth-core reads. Its parts are measured beside it.

use std::sync::LazyLock;

use auth_benches::ours::{self, Credentials};
use auth_benches::{
    ByHand, SharedHeader, boot_clock, coarse_clocks, is_quick, longest, monotonic, quickly, token,
    two_workers,
};
use divan::{AllocProfiler, Bencher, black_box};
use futures_util::FutureExt;
use http::HeaderMap;
use http::header::AUTHORIZATION;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

static OURS: LazyLock<Credentials> = LazyLock::new(|| ours::logged_in(&two_workers()));
static SHARED: LazyLock<SharedHeader> = LazyLock::new(|| SharedHeader::new(&token()));
static BY_HAND: LazyLock<ByHand> = LazyLock::new(|| ByHand::new(&token()));

fn main() {
    // By default divan derives the size of a sample from the first one, which runs on cold caches.
    // And two threads contend only in a sample that is long enough for both to run.
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
        let clocks = super::ours::Clocks::system();
        bencher.bench(|| clocks.read());
    }
}

/// The value of the header, cloned and dropped again.
mod header {
    use super::{BY_HAND, Bencher, FutureExt, LazyLock, OURS, SHARED, black_box, ours};

    #[divan::bench(threads = [1, 2])]
    fn by_hand_no_clock(bencher: Bencher<'_, '_>) {
        let shared = LazyLock::force(&SHARED);
        bencher.bench(|| drop(black_box(shared.get())));
    }

    #[divan::bench(threads = [1, 2])]
    fn by_hand_no_clone(bencher: Bencher<'_, '_>) {
        let by_hand = LazyLock::force(&BY_HAND);
        bencher.bench(|| by_hand.is_fresh());
    }

    #[divan::bench(threads = [1, 2])]
    fn by_hand(bencher: Bencher<'_, '_>) {
        let by_hand = LazyLock::force(&BY_HAND);
        bencher.bench(|| drop(black_box(by_hand.get())));
    }

    #[divan::bench(threads = [1, 2])]
    fn ours_borrowed(bencher: Bencher<'_, '_>) {
        let ours = LazyLock::force(&OURS);
        bencher.bench(|| drop(black_box(ours::borrowed_header(ours))));
    }

    #[divan::bench(threads = [1, 2])]
    fn ours_owned(bencher: Bencher<'_, '_>) {
        let ours = LazyLock::force(&OURS);
        bencher.bench(|| drop(black_box(ours::owned_header(ours))));
    }

    #[divan::bench(threads = [1, 2])]
    fn ours_get(bencher: Bencher<'_, '_>) {
        let ours = LazyLock::force(&OURS);
        bencher.bench(|| drop(black_box(ours::get(ours).now_or_never())));
    }

    #[divan::bench(threads = [1, 2])]
    fn ours_get_and_header(bencher: Bencher<'_, '_>) {
        let ours = LazyLock::force(&OURS);
        bencher.bench(|| {
            let credential = ours::get(ours).now_or_never().expect("it is fresh");
            drop(black_box(credential.map(|owned| ours::header(&owned))));
        });
    }
}

/// The header on a map that has room for it.
mod attached {
    use super::{AUTHORIZATION, BY_HAND, Bencher, FutureExt, HeaderMap, LazyLock, OURS, ours};

    fn map() -> HeaderMap {
        HeaderMap::with_capacity(8)
    }

    // The maps of one sample fit into the cache.
    #[divan::bench(threads = [1, 2], sample_size = 64, sample_count = 500)]
    fn by_hand(bencher: Bencher<'_, '_>) {
        let by_hand = LazyLock::force(&BY_HAND);
        bencher.with_inputs(map).bench_refs(|headers| {
            let header = by_hand.get().expect("it is fresh");
            headers.insert(AUTHORIZATION, header);
        });
    }

    #[divan::bench(threads = [1, 2], sample_size = 64, sample_count = 500)]
    fn ours_borrowed(bencher: Bencher<'_, '_>) {
        let ours = LazyLock::force(&OURS);
        let attach = |headers: &mut _| ours::attach_borrowed(ours, headers);
        bencher.with_inputs(map).bench_refs(attach);
    }

    #[divan::bench(threads = [1, 2], sample_size = 64, sample_count = 500)]
    fn ours_owned(bencher: Bencher<'_, '_>) {
        let ours = LazyLock::force(&OURS);
        let attach = |headers: &mut _| ours::attach_owned(ours, headers);
        bencher.with_inputs(map).bench_refs(attach);
    }

    #[divan::bench(threads = [1, 2], sample_size = 64, sample_count = 500)]
    fn ours_get(bencher: Bencher<'_, '_>) {
        let ours = LazyLock::force(&OURS);
        bencher.with_inputs(map).bench_refs(|headers| {
            let attached = ours::attach_from_get(ours, headers).now_or_never();
            attached.expect("it is fresh");
        });
    }
}
