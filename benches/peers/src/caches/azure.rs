//! azure_core: the bearer token policy, at the head of a pipeline.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use auth_benches::{Logins, URL, token};
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::http::headers::{AUTHORIZATION, Headers};
use azure_core::http::policies::auth::BearerTokenAuthorizationPolicy;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{AsyncRawResponse, Context, Method, Request, StatusCode};
use azure_core::time::OffsetDateTime;
use futures_executor::block_on;
use futures_util::FutureExt;
use tokio::runtime::Runtime;

use super::{Batch, Cache, Life};

#[derive(Debug)]
struct Credential {
    logins: Logins,
    life: Life,
}

/// The time before the expiry at which it renews.
const MARGIN: Duration = Duration::from_secs(300);

#[async_trait]
impl TokenCredential for Credential {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let token = self.logins.login().await;
        let token = token.map_err(|error| azure_core::Error::new(ErrorKind::Credential, error))?;
        let due = self.life.due(self.logins.count());
        Ok(AccessToken::new(
            token,
            OffsetDateTime::now_utc() + MARGIN + due,
        ))
    }
}

#[derive(Debug)]
struct Responding;

#[async_trait]
impl Policy for Responding {
    async fn send(&self, _: &Context, _: &mut Request, _: &[Arc<dyn Policy>]) -> PolicyResult {
        Ok(AsyncRawResponse::from_bytes(
            StatusCode::Ok,
            Headers::new(),
            Vec::new(),
        ))
    }
}

#[derive(Debug)]
struct Constant(String);

#[async_trait]
impl Policy for Constant {
    async fn send(
        &self,
        context: &Context,
        request: &mut Request,
        next: &[Arc<dyn Policy>],
    ) -> PolicyResult {
        request.insert_header(AUTHORIZATION, self.0.clone());
        next[0].send(context, request, &next[1..]).await
    }
}

fn request() -> Request {
    Request::new(URL.parse().expect("a literal URL"), Method::Get)
}

fn batch(policies: Arc<[Arc<dyn Policy>]>) -> Batch {
    Arc::new(move |times| {
        let (context, mut request) = (Context::new(), request());
        block_on(async {
            for _ in 0..times {
                let response = policies[0]
                    .send(&context, &mut request, &policies[1..])
                    .await;
                black_box(response.expect("it is fresh"));
            }
        });
    })
}

pub fn make(_: &Runtime, logins: &Logins, life: Life) -> Cache {
    let credential = Arc::new(Credential {
        logins: logins.clone(),
        life,
    });
    let policy = BearerTokenAuthorizationPolicy::new(credential, ["scope"]);
    let policies: Arc<[Arc<dyn Policy>]> = Arc::new([Arc::new(policy), Arc::new(Responding)]);
    let constant = Constant(format!("Bearer {}", token()));
    let hit = batch(Arc::clone(&policies));
    Cache {
        get: Arc::new(move || {
            let policies = Arc::clone(&policies);
            async move {
                let (context, mut request) = (Context::new(), request());
                policies[0]
                    .send(&context, &mut request, &policies[1..])
                    .await
                    .is_ok()
            }
            .boxed()
        }),
        hit: Some(hit),
        forced: Some(batch(Arc::new([Arc::new(constant), Arc::new(Responding)]))),
    }
}
