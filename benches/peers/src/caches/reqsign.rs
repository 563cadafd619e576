//! reqsign-core: a signer, whose credential is a header.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use auth_benches::{Logins, header_of, monotonic, request};
use futures_executor::block_on;
use futures_util::FutureExt;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use http::request::Parts;
use reqsign_core::{Context, Error, ProvideCredential, SignRequest, Signer, SigningCredential};
use tokio::runtime::Runtime;

use super::{Cache, Life};

#[derive(Clone, Debug)]
struct Header {
    value: HeaderValue,
    due: Instant,
}

impl SigningCredential for Header {
    fn is_valid(&self) -> bool {
        monotonic() < self.due
    }
}

#[derive(Debug)]
struct Provider {
    logins: Logins,
    life: Life,
}

impl ProvideCredential for Provider {
    type Credential = Header;

    async fn provide_credential(&self, _: &Context) -> reqsign_core::Result<Option<Header>> {
        let token = self.logins.login().await;
        let token = token.map_err(|error| Error::unexpected(error.to_string()))?;
        let due = monotonic() + self.life.due(self.logins.count());
        Ok(Some(Header {
            value: header_of(&token),
            due,
        }))
    }
}

#[derive(Debug)]
struct Insert;

impl SignRequest for Insert {
    type Credential = Header;

    async fn sign_request(
        &self,
        _: &Context,
        request: &mut Parts,
        credential: Option<&Header>,
        _: Option<Duration>,
    ) -> reqsign_core::Result<()> {
        if let Some(credential) = credential {
            request
                .headers
                .insert(AUTHORIZATION, credential.value.clone());
        }
        Ok(())
    }
}

fn parts() -> Parts {
    let mut parts = request().into_parts().0;
    // As after the first signing, so that the insertion replaces a header.
    parts
        .headers
        .insert(AUTHORIZATION, HeaderValue::from_static(""));
    parts
}

pub fn make(_: &Runtime, logins: &Logins, life: Life) -> Cache {
    let provider = Provider {
        logins: logins.clone(),
        life,
    };
    let signer = Arc::new(Signer::new(Context::new(), provider, Insert));
    let hit = Arc::clone(&signer);
    let constant = HeaderValue::from_static("constant");
    Cache {
        get: Arc::new(move || {
            let signer = Arc::clone(&signer);
            async move { signer.sign(&mut parts(), None).await.is_ok() }.boxed()
        }),
        hit: Some(Arc::new(move |times| {
            let mut parts = parts();
            block_on(async {
                for _ in 0..times {
                    hit.sign(&mut parts, None).await.expect("it is fresh");
                    black_box(&parts);
                }
            });
        })),
        forced: Some(Arc::new(move |times| {
            let mut parts = parts();
            for _ in 0..times {
                let mut candidate = parts.clone();
                candidate.headers.insert(AUTHORIZATION, constant.clone());
                parts.uri = candidate.uri;
                parts.headers = candidate.headers;
                black_box(&parts);
            }
        })),
    }
}
