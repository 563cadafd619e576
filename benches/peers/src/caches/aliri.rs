//! aliri_tokens: a watcher, which a task keeps up to date.

use std::hint::black_box;
use std::sync::Arc;

use aliri_clock::DurationSecs;
use aliri_tokens::backoff::ErrorBackoffConfig;
use aliri_tokens::jitter::NullJitter;
use aliri_tokens::sources::AsyncTokenSource;
use aliri_tokens::{AccessToken, IdToken, TokenLifetimeConfig, TokenWatcher, TokenWithLifetime};
use async_trait::async_trait;
use auth_benches::{Failed, Logins};
use futures_util::FutureExt;
use tokio::runtime::Runtime;

use super::{Cache, Life, bearer};

struct Source {
    logins: Logins,
    life: Life,
}

#[async_trait]
impl AsyncTokenSource for Source {
    type Error = Failed;

    async fn request_token(&mut self) -> Result<TokenWithLifetime, Failed> {
        let token = self.logins.login().await?;
        // Stale after half of its life, in whole seconds.
        let life = DurationSecs(2 * self.life.due(self.logins.count()).as_secs());
        let config = TokenLifetimeConfig::new(0.5, DurationSecs(0));
        Ok(config.create_token(AccessToken::from(token), None::<IdToken>, life))
    }
}

pub fn make(runtime: &Runtime, logins: &Logins, life: Life) -> Cache {
    let source = Source {
        logins: logins.clone(),
        life,
    };
    let watcher =
        TokenWatcher::spawn_from_token_source(source, NullJitter, ErrorBackoffConfig::default());
    let watcher = runtime.block_on(watcher).expect("the first login");
    let hit = watcher.clone();
    Cache {
        get: Arc::new(move || {
            let watcher = watcher.clone();
            async move {
                !black_box(watcher.token().access_token().to_owned())
                    .as_str()
                    .is_empty()
            }
            .boxed()
        }),
        hit: Some(Arc::new(move |times| {
            for _ in 0..times {
                black_box(bearer(hit.token().access_token().as_str()));
            }
        })),
        forced: None,
    }
}
