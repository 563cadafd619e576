//! object_store: the credentials of its Azure client, over a connector that logs in here.

use std::hint::black_box;
use std::sync::Arc;

use async_trait::async_trait;
use auth_benches::Logins;
use futures_executor::block_on;
use futures_util::FutureExt;
use object_store::azure::{AzureCredential, MicrosoftAzureBuilder};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::{ClientOptions, RetryConfig};
use tokio::runtime::Runtime;

use super::{Cache, Life, bearer};

#[derive(Clone, Debug)]
struct Server {
    logins: Logins,
    life: Life,
}

/// The time before the expiry at which it renews.
const MARGIN: u64 = 300;

impl HttpConnector for Server {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Server {
    async fn call(&self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
        let token = self.logins.login().await;
        let token = token.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let expires_in = self.life.due(self.logins.count()).as_secs() + MARGIN;
        let body = format!(r#"{{"access_token":"{token}","expires_in":{expires_in}}}"#);
        Ok(http::Response::new(body.into()))
    }
}

pub fn make(_: &Runtime, logins: &Logins, life: Life) -> Cache {
    let retry = RetryConfig {
        max_retries: 0,
        ..RetryConfig::default()
    };
    let store = MicrosoftAzureBuilder::new()
        .with_account("account")
        .with_container_name("container")
        .with_client_secret_authorization("id", "secret", "tenant")
        .with_http_connector(Server {
            logins: logins.clone(),
            life,
        })
        .with_retry(retry)
        .build()
        .expect("a store");
    let (credentials, hit) = (
        Arc::clone(store.credentials()),
        Arc::clone(store.credentials()),
    );
    Cache {
        get: Arc::new(move || {
            let credentials = Arc::clone(&credentials);
            async move { credentials.get_credential().await.is_ok() }.boxed()
        }),
        hit: Some(Arc::new(move |times| {
            block_on(async {
                for _ in 0..times {
                    let credential = hit.get_credential().await.expect("it is fresh");
                    let AzureCredential::BearerToken(token) = &*credential else {
                        unreachable!("the endpoint hands out tokens only");
                    };
                    black_box(bearer(token));
                }
            });
        })),
        forced: Some(super::boxed_future()),
    }
}
