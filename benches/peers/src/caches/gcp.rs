//! gcp_auth: a service account, against a token endpoint on loopback.

use std::hint::black_box;
use std::sync::{Arc, LazyLock};

use auth_benches::Logins;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_executor::block_on;
use futures_util::FutureExt;
use gcp_auth::{CustomServiceAccount, TokenProvider};
use tokio::runtime::Runtime;

use super::loopback::Endpoint;
use super::{Cache, Life, bearer};

/// A key made for this run. No server checks its signatures.
static KEY: LazyLock<String> = LazyLock::new(|| {
    let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
    let key: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().expect("a key");
    let label = "PRIVATE KEY";
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        STANDARD.encode(key.as_ref())
    )
});

const SCOPES: &[&str] = &["scope"];

pub fn make(runtime: &Runtime, logins: &Logins, life: Life) -> Cache {
    let endpoint = Endpoint {
        logins: logins.clone(),
        life,
        margin: 20,
    };
    let account = serde_json::json!({
        "project_id": "project",
        "private_key": *KEY,
        "client_email": "me@example.com",
        "token_uri": endpoint.listen(runtime),
    });
    let account = CustomServiceAccount::from_json(&account.to_string()).expect("an account");
    let account = Arc::new(account);
    let hit = Arc::clone(&account);
    Cache {
        get: Arc::new(move || {
            let account = Arc::clone(&account);
            async move { account.token(SCOPES).await.is_ok() }.boxed()
        }),
        hit: Some(Arc::new(move |times| {
            block_on(async {
                for _ in 0..times {
                    let token = hit.token(SCOPES).await.expect("it is fresh");
                    black_box(bearer(token.as_str()));
                }
            });
        })),
        forced: Some(super::boxed_future()),
    }
}
