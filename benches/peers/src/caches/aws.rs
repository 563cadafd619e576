//! aws-smithy-runtime: the lazy identity cache.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use auth_benches::Logins;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime_api::client::identity::http::Token;
use aws_smithy_runtime_api::client::identity::{
    Identity, IdentityFuture, ResolveCachedIdentity, ResolveIdentity, SharedIdentityCache,
    SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::runtime_components::{
    RuntimeComponents, RuntimeComponentsBuilder,
};
use aws_smithy_types::config_bag::ConfigBag;
use futures_executor::block_on;
use futures_util::FutureExt;
use http::HeaderValue;
use tokio::runtime::Runtime;

use super::{Cache, Life, bearer};

#[derive(Debug)]
struct Resolver {
    logins: Logins,
    life: Life,
}

/// The time before the expiry at which it renews.
const BUFFER: Duration = Duration::from_secs(1);

impl ResolveIdentity for Resolver {
    fn resolve_identity<'a>(
        &'a self,
        _: &'a RuntimeComponents,
        _: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        IdentityFuture::new(async {
            let token = self.logins.login().await?;
            let due = self.life.due(self.logins.count());
            let expiration = SystemTime::now() + due + BUFFER;
            Ok(Identity::new(
                Token::new(token, Some(expiration)),
                Some(expiration),
            ))
        })
    }
}

struct Setup {
    cache: SharedIdentityCache,
    resolver: SharedIdentityResolver,
    components: RuntimeComponents,
    config: ConfigBag,
}

impl Setup {
    async fn get(&self) -> Option<HeaderValue> {
        let resolver = self.resolver.clone();
        let identity = self
            .cache
            .resolve_cached_identity(resolver, &self.components, &self.config);
        let identity = identity.await.ok()?;
        identity.data::<Token>().map(|token| bearer(token.token()))
    }
}

pub fn make(runtime: &Runtime, logins: &Logins, life: Life) -> Cache {
    let components = RuntimeComponentsBuilder::for_tests()
        .with_time_source(Some(SharedTimeSource::new(SystemTimeSource::new())))
        .with_sleep_impl(Some(SharedAsyncSleep::new(TokioSleep::new())))
        .build()
        .expect("all components are there");
    let setup = Arc::new(Setup {
        cache: IdentityCache::lazy()
            .buffer_time(BUFFER)
            .load_timeout(Duration::from_secs(600))
            .build(),
        resolver: SharedIdentityResolver::new(Resolver {
            logins: logins.clone(),
            life,
        }),
        components,
        config: ConfigBag::base(),
    });
    let (hit, handle) = (Arc::clone(&setup), runtime.handle().clone());
    let constant = Identity::new(Token::new("t", None), None);
    Cache {
        get: Arc::new(move || {
            let setup = Arc::clone(&setup);
            async move { setup.get().await.is_some() }.boxed()
        }),
        hit: Some(Arc::new(move |times| {
            // Each call arms a timer, which needs a runtime.
            let _entered = handle.enter();
            block_on(async {
                for _ in 0..times {
                    black_box(hit.get().await.expect("it is fresh"));
                }
            });
        })),
        forced: Some(Arc::new(move |times| {
            block_on(async {
                for _ in 0..times {
                    let identity = constant.clone();
                    let future = IdentityFuture::new(async move { Ok(identity) });
                    let _ = black_box(black_box(future).await);
                }
            });
        })),
    }
}
