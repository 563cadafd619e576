//! auth-core.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use auth_benches::Logins;
use auth_benches::ours::{self, Credentials};
use futures_executor::block_on;
use futures_util::FutureExt;
use tokio::runtime::Runtime;

use super::{Batch, Cache, Life};

pub fn make(_: &Runtime, logins: &Logins, life: Life) -> Cache {
    let credentials = match life {
        Life::Long => ours::cache(logins),
        // Falls due 1,000 to 1,375 ms after the login.
        Life::DueSoon => {
            let (first, lead) = (Duration::from_millis(2_500), Duration::from_millis(1_500));
            ours::with_renewal(logins, first, lead)
        }
    };
    Cache {
        get: Arc::new(move || ours::is_served(credentials.clone()).boxed()),
        hit: None,
        forced: None,
    }
}

/// A way of ours to a fresh credential: the name of its row, a note, and the work.
pub type Way = (&'static str, &'static str, Batch);

pub const BORROWED: &str = "auth-core: borrowed";
pub const OWNED: &str = "auth-core: owned header";
pub const GET: &str = "auth-core: get()";
pub const GET_HEADER: &str = "auth-core: get(), header";

/// All ways, over one cache that is logged in.
pub fn ways(runtime: &Runtime) -> [Way; 4] {
    let ours = Arc::new(ours::logged_in(runtime));
    let with = |work: fn(&Credentials, u64)| -> Batch {
        let ours = Arc::clone(&ours);
        Arc::new(move |times| work(&ours, times))
    };
    [
        (
            BORROWED,
            "with_fresh(), and a clone of its header",
            with(|ours, times| {
                for _ in 0..times {
                    black_box(ours::borrowed_header(ours));
                }
            }),
        ),
        (
            OWNED,
            "fresh(), then a clone of its header",
            with(|ours, times| {
                for _ in 0..times {
                    black_box(ours::owned_header(ours));
                }
            }),
        ),
        (
            GET,
            "get().await: a credential",
            with(|ours, times| {
                block_on(async {
                    for _ in 0..times {
                        black_box(ours::get(ours).await.expect("it is fresh"));
                    }
                });
            }),
        ),
        (
            GET_HEADER,
            "get().await, then a clone of its header",
            with(|ours, times| {
                block_on(async {
                    for _ in 0..times {
                        let credential = ours::get(ours).await.expect("it is fresh");
                        black_box(ours::header(&credential));
                    }
                });
            }),
        ),
    ]
}
