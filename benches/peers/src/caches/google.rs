//! google-cloud-auth: a user's credentials, against a token endpoint on loopback.

use std::hint::black_box;
use std::sync::Arc;

use auth_benches::Logins;
use futures_executor::block_on;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use google_cloud_auth::credentials::user_account::Builder;
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap, HeaderValue};
use tokio::runtime::Runtime;

use super::loopback::Endpoint;
use super::{Cache, Life};

pub fn make(runtime: &Runtime, logins: &Logins, life: Life) -> Cache {
    let endpoint = Endpoint {
        logins: logins.clone(),
        life,
        margin: 240,
    };
    let user = serde_json::json!({
        "type": "authorized_user",
        "client_id": "id",
        "client_secret": "secret",
        "refresh_token": "refresh",
    });
    let builder = Builder::new(user).with_token_uri(endpoint.listen(runtime));
    // It spawns a task, which logs in at once.
    let _entered = runtime.enter();
    let credentials = builder.build().expect("credentials");
    let hit = credentials.clone();
    let constant = HeaderValue::from_static("constant");
    Cache {
        get: Arc::new(move || {
            let credentials = credentials.clone();
            async move { credentials.headers(Extensions::new()).await.is_ok() }.boxed()
        }),
        hit: Some(Arc::new(move |times| {
            block_on(async {
                for _ in 0..times {
                    black_box(hit.headers(Extensions::new()).await.expect("it is fresh"));
                }
            });
        })),
        forced: Some(Arc::new(move |times| {
            block_on(async {
                for _ in 0..times {
                    let constant = constant.clone();
                    let future: BoxFuture<'_, HeaderMap> =
                        async move { HeaderMap::from_iter([(AUTHORIZATION, constant)]) }.boxed();
                    black_box(black_box(future).await);
                }
            });
        })),
    }
}
