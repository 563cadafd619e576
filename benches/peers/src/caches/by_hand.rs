//! Caches that are written from parts.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use auth_benches::{Failed, Logins, header_of, monotonic};
use futures_executor::block_on;
use futures_util::FutureExt;
use http::HeaderValue;
use moka::Expiry;
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

use super::{Cache, Life};

/// One future, awaited by many.
pub fn shared(_: &Runtime, logins: &Logins, _: Life) -> Cache {
    let logins = logins.clone();
    let login = async move { logins.login().await.map(|token| header_of(&token)) };
    let shared = login.boxed().shared();
    let hit = shared.clone();
    Cache {
        get: Arc::new(move || {
            let shared = shared.clone();
            async move { shared.await.is_ok() }.boxed()
        }),
        hit: Some(Arc::new(move |times| {
            block_on(async {
                for _ in 0..times {
                    black_box(hit.clone().await.expect("it succeeded"));
                }
            });
        })),
        forced: None,
    }
}

/// The check and the login, both under one lock.
pub fn mutex(_: &Runtime, logins: &Logins, life: Life) -> Cache {
    struct Slot {
        logins: Logins,
        life: Life,
        current: Mutex<Option<(HeaderValue, Instant)>>,
    }
    impl Slot {
        async fn get(&self) -> Result<HeaderValue, Failed> {
            let mut current = self.current.lock().await;
            if let Some((header, due)) = &*current
                && monotonic() < *due
            {
                return Ok(header.clone());
            }
            let header = header_of(&self.logins.login().await?);
            let due = monotonic() + self.life.due(self.logins.count());
            *current = Some((header.clone(), due));
            Ok(header)
        }
    }
    let slot = Arc::new(Slot {
        logins: logins.clone(),
        life,
        current: Mutex::default(),
    });
    let hit = Arc::clone(&slot);
    Cache {
        get: Arc::new(move || {
            let slot = Arc::clone(&slot);
            async move { slot.get().await.is_ok() }.boxed()
        }),
        hit: Some(Arc::new(move |times| {
            block_on(async {
                for _ in 0..times {
                    black_box(hit.get().await.expect("it succeeded"));
                }
            });
        })),
        forced: None,
    }
}

/// moka's single flight.
pub fn moka(_: &Runtime, logins: &Logins, life: Life) -> Cache {
    struct Due;
    impl Expiry<&'static str, (HeaderValue, Duration)> for Due {
        fn expire_after_create(
            &self,
            _: &&'static str,
            (_, due): &(HeaderValue, Duration),
            _: Instant,
        ) -> Option<Duration> {
            Some(*due)
        }
    }
    struct Slot {
        logins: Logins,
        life: Life,
        cache: ::moka::future::Cache<&'static str, (HeaderValue, Duration)>,
    }
    impl Slot {
        async fn get(&self) -> Result<HeaderValue, Arc<Failed>> {
            let login = async {
                let header = header_of(&self.logins.login().await?);
                Ok::<_, Failed>((header, self.life.due(self.logins.count())))
            };
            let (header, _) = self.cache.try_get_with("me", login).await?;
            Ok(header)
        }
    }
    let slot = Arc::new(Slot {
        logins: logins.clone(),
        life,
        cache: ::moka::future::Cache::builder().expire_after(Due).build(),
    });
    let hit = Arc::clone(&slot);
    Cache {
        get: Arc::new(move || {
            let slot = Arc::clone(&slot);
            async move { slot.get().await.is_ok() }.boxed()
        }),
        hit: Some(Arc::new(move |times| {
            block_on(async {
                for _ in 0..times {
                    black_box(hit.get().await.expect("it succeeded"));
                }
            });
        })),
        forced: None,
    }
}
