use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::iter::successors;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use auth_core::LoginError;
use bytes::Bytes;
use http::HeaderValue;
use http::header;
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use tower_service::Service;

use super::shared::{Incoming, USER_AGENT, lacks_tls, state_empty_body, unreadable_head};
use super::{CutShort, Transport};

/// Carries logins over any tower service, such as hyper-util's client or a stack of layers around
/// it.
///
/// - The service must follow no redirects, keep no cookies and not retry; see [`Transport`].
///   Hyper-util's client follows no redirects and keeps no cookies. It sends a request again only
///   if an idle connection was closed before any part of the request was sent.
/// - The service should keep no idle connections: `pool_max_idle_per_host(0)` with hyper-util's
///   client. A connection is driven by the runtime whose login opened it. If that runtime stops
///   running, a login on another one that takes the connection is not sent, and times out. The
///   same holds for a layer with a task of its own, such as tower's `Buffer`.
/// - For `https`, the service needs a connector with TLS, such as that of hyper-rustls.
/// - The service is cloned for each login. A clone that is ready is called at once, so it holds a
///   permit of a concurrency limit only during the login's request.
/// - If the service contains a layer of `auth-middleware` for the same credential, the login fails
///   with [`auth_core::Error::LoginLoop`] instead of waiting for itself.
///
/// ```
/// # #[cfg(feature = "tower")] {
/// use auth_providers::TowerTransport;
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use hyper_util::{client::legacy::Client, rt::TokioExecutor};
///
/// let client = Client::builder(TokioExecutor::new())
///     .pool_max_idle_per_host(0)
///     .build_http::<Full<Bytes>>();
/// let transport = TowerTransport::new(client);
/// # let _ = transport; }
/// ```
///
/// # Certificates and proxies
///
/// The service's connector has them. With hyper-rustls and hyper-util's feature `client-proxy`:
///
/// ```no_run
/// # #[cfg(feature = "tower")]
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use auth_providers::TowerTransport;
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use hyper_rustls::HttpsConnectorBuilder;
/// use hyper_util::client::legacy::{Client, connect::HttpConnector, connect::proxy::Tunnel};
/// use hyper_util::rt::TokioExecutor;
/// use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
/// use rustls::{ClientConfig, RootCertStore};
///
/// // A private authority, the only one that is trusted.
/// let mut roots = RootCertStore::empty();
/// roots.add(CertificateDer::from_pem_file("authority.pem")?)?;
/// // A client certificate and its key.
/// let certificate = CertificateDer::from_pem_file("client.pem")?;
/// let key = PrivateKeyDer::from_pem_file("client.key")?;
/// let tls = ClientConfig::builder()
///     .with_root_certificates(roots)
///     .with_client_auth_cert(vec![certificate], key)?;
///
/// // The proxy sees the names of hosts, and nothing else.
/// let proxy = Tunnel::new("http://proxy.internal:3128".parse()?, HttpConnector::new());
/// let connector = HttpsConnectorBuilder::new()
///     .with_tls_config(tls)
///     .https_only()
///     .enable_http1()
///     .wrap_connector(proxy);
/// let client = Client::builder(TokioExecutor::new())
///     .pool_max_idle_per_host(0)
///     .build::<_, Full<Bytes>>(connector);
/// let transport = TowerTransport::new(client);
/// # let _ = transport;
/// # Ok(())
/// # }
/// ```
pub struct TowerTransport<S> {
    /// The lock makes the transport `Sync` even if the service is not. It is held only while the
    /// service is cloned.
    service: Mutex<S>,
}

impl<S: Clone> TowerTransport<S> {
    /// A transport that sends each login with a clone of `service`.
    pub const fn new(service: S) -> Self {
        Self {
            service: Mutex::new(service),
        }
    }

    fn service(&self) -> S {
        self.service
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl<S: Clone> Clone for TowerTransport<S> {
    fn clone(&self) -> Self {
        Self::new(self.service())
    }
}

impl<S> fmt::Debug for TowerTransport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowerTransport").finish_non_exhaustive()
    }
}

#[async_trait]
impl<S, B> Transport for TowerTransport<S>
where
    S: Service<http::Request<Full<Bytes>>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send,
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    async fn carry(
        &self,
        mut request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, LoginError> {
        state_empty_body(&mut request);
        let by_status = Incoming::is_by_status(&request);
        let mut request = request.map(Full::new);
        // What reqwest and curl send, too.
        for (name, value) in [(header::USER_AGENT, USER_AGENT), (header::ACCEPT, "*/*")] {
            let headers = request.headers_mut();
            headers
                .entry(name)
                .or_insert(HeaderValue::from_static(value));
        }
        let response = {
            let mut service = self.service();
            poll_fn(|cx| service.poll_ready(cx))
                .await
                .map_err(|error| {
                    LoginError::unavailable("not ready")
                        .not_sent()
                        .with_source(error)
                })?;
            service.call(request)
        };
        let response = response.await.map_err(|error| no_response(error.into()))?;
        let (head, body) = response.into_parts();
        let mut incoming = Incoming::new(http::Response::from_parts(head, ()), by_status);
        let ended = read(body, &mut incoming).await;
        incoming.finish(ended)
    }
}

fn no_response(error: Box<dyn Error + Send + Sync>) -> LoginError {
    let failed = if lacks_tls(&*error) {
        LoginError::misconfigured(
            "the service has no TLS; give its client a connector that has it, such as hyper-rustls",
        )
    } else if refuses_connections(&*error) {
        LoginError::unavailable("no connection").not_sent()
    } else if gave_up(&*error) {
        LoginError::timed_out("the service's time-out has passed")
    } else {
        unreadable_head(&*error).unwrap_or_else(|| LoginError::unavailable("no response"))
    };
    failed.with_source(error)
}

/// Whether a layer has given the request up: tower's `Timeout`, which is told by its text, since
/// tower is no dependency.
fn gave_up(error: &(dyn Error + 'static)) -> bool {
    successors(Some(error), |&error| error.source())
        .any(|error| error.to_string() == "request timed out")
}

/// Whether no connection came about, by an error that only its making has.
fn refuses_connections(error: &(dyn Error + 'static)) -> bool {
    successors(Some(error), |&error| error.source())
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

async fn read<B>(body: B, incoming: &mut Incoming) -> Result<(), CutShort>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut body = std::pin::pin!(body);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| CutShort::broke_off("the response broke off", error))?;
        // Trailers are ignored: no API documents any.
        if let Ok(piece) = frame.into_data() {
            incoming.push(piece)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use auth_core::LoginErrorKind;

    use super::*;

    #[test]
    fn rule_10_a_request_that_a_layer_has_given_up_may_still_arrive() {
        for (text, kind) in [
            ("request timed out", LoginErrorKind::TimedOut),
            ("connection reset", LoginErrorKind::Unavailable),
        ] {
            assert_eq!(no_response(text.into()).kind(), kind, "{text}");
        }
    }
}
