//! A token endpoint, on loopback or within the process, for the peers that log in over HTTP.

use std::convert::Infallible;
use std::sync::Arc;

use auth_benches::Logins;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::Life;

/// A token endpoint, and the login behind it.
#[derive(Clone)]
pub struct Endpoint {
    pub logins: Logins,
    pub life: Life,
    /// The seconds before the expiry at which the peer renews.
    pub margin: u64,
}

impl Endpoint {
    /// Listens on a free port; returns the URL.
    pub fn listen(self, runtime: &Runtime) -> String {
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a port");
        let url = format!(
            "http://{}/token",
            listener.local_addr().expect("an address")
        );
        let endpoint = Arc::new(self);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&endpoint).serve(stream));
            }
        });
        url
    }

    /// Serves one connection.
    pub async fn serve(self: Arc<Self>, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let service = service_fn(|request| self.respond(request));
        // An error is the end of the connection, which the client closes at will.
        let _ = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }

    async fn respond(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let _ = request.into_body().collect().await;
        let token = self.logins.login().await;
        let expires_in = self.life.due(self.logins.count()).as_secs() + self.margin;
        let (status, body) = match token {
            Ok(token) => (
                StatusCode::OK,
                format!(
                    r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{expires_in}}}"#
                ),
            ),
            Err(_) => (
                StatusCode::BAD_REQUEST,
                r#"{"error":"invalid_grant"}"#.to_owned(),
            ),
        };
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = status;
        let json = http::HeaderValue::from_static("application/json");
        response
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, json);
        Ok(response)
    }
}
