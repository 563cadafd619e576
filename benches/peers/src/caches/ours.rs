//! auth-core.

use std::sync::Arc;
use std::time::Duration;

use auth_benches::Logins;
use auth_core::{Credentials, Lifetime, RefreshWindow};
use futures_util::FutureExt;
use http::header::AUTHORIZATION;
use std::hint::black_box;
use tokio::runtime::Runtime;

use super::{Cache, Life};

pub fn make(_: &Runtime, logins: &Logins, life: Life) -> Cache {
    let hour = Lifetime::of(Duration::from_secs(3_600));
    let first = match life {
        Life::Long => hour,
        Life::DueSoon => Lifetime::of(Duration::from_millis(2_500)),
    };
    let provider = logins.with_lifetime(first).and_later(hour);
    // Falls due 1,000 to 1,375 ms after the login.
    let window = RefreshWindow::new(Duration::from_millis(1_500), 0.9);
    let credentials = Credentials::builder(provider)
        .refresh_window(window)
        .build();
    let fresh = credentials.clone();
    Cache {
        get: Arc::new(move || {
            let credentials = credentials.clone();
            async move { credentials.get().await.is_ok() }.boxed()
        }),
        hit: Some(Arc::new(move |times| {
            for _ in 0..times {
                let header =
                    fresh.with_fresh(|credential, _| credential.header(&AUTHORIZATION).cloned());
                black_box(header.expect("it is fresh"));
            }
        })),
        forced: None,
    }
}
