//! yup-oauth2: an authorized user, whose client connects to a token endpoint within the process.

use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use auth_benches::Logins;
use futures_executor::block_on;
use futures_util::FutureExt;
use futures_util::future::{Ready, ready};
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::DuplexStream;
use tokio::runtime::Runtime;
use tower::Service;
use yup_oauth2::authorized_user::AuthorizedUserSecret;
use yup_oauth2::{AuthorizedUserAuthenticator, CustomHyperClientBuilder};

use super::loopback::Endpoint;
use super::{Cache, Life, bearer};

/// A connector to the endpoint: a pipe for each request.
#[derive(Clone)]
struct Pipes(Arc<Endpoint>);

impl Service<Uri> for Pipes {
    type Response = Pipe;
    type Error = std::io::Error;
    type Future = Ready<Result<Pipe, std::io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (near, far) = tokio::io::duplex(8_192);
        tokio::spawn(Arc::clone(&self.0).serve(far));
        ready(Ok(Pipe(TokioIo::new(near))))
    }
}

struct Pipe(TokioIo<DuplexStream>);

impl Connection for Pipe {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl Write for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

const SCOPES: &[&str] = &["scope"];

pub fn make(runtime: &Runtime, logins: &Logins, life: Life) -> Cache {
    let endpoint = Endpoint {
        logins: logins.clone(),
        life,
        margin: 60,
    };
    let client = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build::<_, String>(Pipes(Arc::new(endpoint)));
    let secret = AuthorizedUserSecret {
        client_id: "id".into(),
        client_secret: "secret".into(),
        refresh_token: "refresh".into(),
        key_type: "authorized_user".into(),
    };
    let client = CustomHyperClientBuilder::from(client);
    let builder = AuthorizedUserAuthenticator::with_client(secret, client);
    let authenticator = Arc::new(runtime.block_on(builder.build()).expect("an authenticator"));
    let hit = Arc::clone(&authenticator);
    Cache {
        get: Arc::new(move || {
            let authenticator = Arc::clone(&authenticator);
            async move { authenticator.token(SCOPES).await.is_ok() }.boxed()
        }),
        hit: Some(Arc::new(move |times| {
            block_on(async {
                for _ in 0..times {
                    let token = hit.token(SCOPES).await.expect("it is fresh");
                    black_box(bearer(token.token().expect("an access token")));
                }
            });
        })),
        forced: None,
    }
}
