use std::fmt;

use async_trait::async_trait;
use auth_core::LoginError;
use bytes::Bytes;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, retry};

use super::shared::{Incoming, USER_AGENT, lacks_tls, state_empty_body, unreadable_head};
use super::{CutShort, Transport};

/// Carries logins over a reqwest client that is used for nothing else.
///
/// The client follows no redirects, keeps no cookies and no idle connections, sends no `Referer`,
/// does not retry, and writes neither what it sends nor the keys of its connections to a log,
/// whatever its builder says. It is built here because these settings of an existing client cannot
/// be changed.
///
/// ```
/// use std::time::Duration;
/// use auth_providers::ReqwestTransport;
///
/// let transport = ReqwestTransport::new()?;
/// let slow_network = ReqwestTransport::from_builder(
///     reqwest::Client::builder().connect_timeout(Duration::from_secs(30)),
/// )?;
/// # let _ = (transport, slow_network);
/// # Ok::<(), auth_providers::ClientError>(())
/// ```
///
/// # Certificates and proxies
///
/// The builder has them. The client of the program's own requests needs the same settings, so a
/// function that returns the builder serves both.
///
/// ```no_run
/// # #[cfg(feature = "rustls")]
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use auth_providers::ReqwestTransport;
/// use reqwest::{Certificate, Client, ClientBuilder, Identity, Proxy};
/// use std::fs::read;
///
/// fn builder() -> Result<ClientBuilder, Box<dyn std::error::Error>> {
///     // A private authority, which is trusted beside those of the system.
///     let authority = Certificate::from_pem(&read("authority.pem")?)?;
///     // A client certificate and its key, in one file.
///     let identity = Identity::from_pem(&read("client.pem")?)?;
///     // It sees the names of hosts, and nothing else of HTTPS.
///     let proxy = Proxy::https("http://proxy.internal:3128")?;
///     Ok(Client::builder()
///         .user_agent("my-program/1.0")
///         .tls_certs_merge([authority])
///         .identity(identity)
///         .proxy(proxy))
/// }
///
/// let transport = ReqwestTransport::from_builder(builder()?)?;
/// # let _ = transport;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ReqwestTransport {
    client: Client,
    /// For plain HTTP: a client without a proxy, which would read the password.
    direct: Option<Client>,
}

impl fmt::Debug for ReqwestTransport {
    // The `Debug` output of the client contains its default headers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestTransport").finish_non_exhaustive()
    }
}

impl ReqwestTransport {
    /// A client with reqwest's defaults and the user agent `auth-providers/<version>`.
    ///
    /// Logins over HTTPS use the proxy that the environment configures, which sees only the host
    /// name. Logins over plain HTTP use no proxy, since it would see the password.
    ///
    /// # Errors
    /// TLS or the resolver cannot be initialized.
    pub fn new() -> Result<Self, ClientError> {
        let builder = || Client::builder().user_agent(USER_AGENT);
        Ok(Self {
            direct: Some(build(builder().no_proxy())?),
            client: build(builder())?,
        })
    }

    /// A client with the proxies, certificates, time-outs, user agent and other settings of
    /// `builder`, except for redirects, cookies, `Referer`, retries, idle connections,
    /// `connection_verbose` and `tls_sslkeylogfile`. A builder without a user agent sends none,
    /// which some servers reject.
    ///
    /// Without `no_proxy()`, logins over plain HTTP use the environment's proxy, too, which sees
    /// the password. The builder's default headers are sent with each login, so they must not hold
    /// a credential.
    ///
    /// # Errors
    /// TLS or the resolver cannot be initialized, or the builder holds an invalid setting.
    pub fn from_builder(builder: ClientBuilder) -> Result<Self, ClientError> {
        Ok(Self {
            client: build(builder)?,
            direct: None,
        })
    }

    fn client_for(&self, uri: &http::Uri) -> &Client {
        match &self.direct {
            Some(direct) if uri.scheme_str() == Some("http") => direct,
            _ => &self.client,
        }
    }
}

fn build(builder: ClientBuilder) -> Result<Client, ClientError> {
    builder
        .redirect(Policy::none())
        .referer(false)
        .retry(retry::never())
        // A login on another runtime would take an idle connection that is driven by the runtime of
        // the last login, and wait for that one. Logins are rare, so a new connection is cheap.
        .pool_max_idle_per_host(0)
        // It would write the password to the log.
        .connection_verbose(false)
        // See `WithoutFeature` for these.
        .cookie_store(false)
        // The keys would decrypt the password.
        .tls_sslkeylogfile(false)
        .build()
        .map_err(|error| ClientError(error.without_url()))
}

/// Makes `builder.cookie_store(false)` compile whether or not reqwest's feature `cookies` is on,
/// and `builder.tls_sslkeylogfile(false)` whether or not it has rustls.
///
/// With the feature, which any crate of a program may turn on, a builder may have the setting, and
/// its inherent method of this name undoes it. An inherent method takes precedence over a trait's.
/// Without the feature no builder has the setting, and the call resolves to this method, which does
/// nothing. Turning `cookies` on here would cost every program the five crates of the jar.
#[allow(
    dead_code,
    reason = "a method is not called if reqwest's feature for it is on"
)]
trait WithoutFeature {
    fn cookie_store(self, enable: bool) -> Self;
    fn tls_sslkeylogfile(self, on: bool) -> Self;
}

impl WithoutFeature for ClientBuilder {
    fn cookie_store(self, _: bool) -> Self {
        self
    }

    fn tls_sslkeylogfile(self, _: bool) -> Self {
        self
    }
}

#[async_trait]
impl Transport for ReqwestTransport {
    async fn carry(
        &self,
        mut request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, LoginError> {
        state_empty_body(&mut request);
        let by_status = Incoming::is_by_status(&request);
        let client = self.client_for(request.uri());
        let request = request.try_into().map_err(|error: reqwest::Error| {
            LoginError::misconfigured("the login's URL can't be used")
                .with_source(error.without_url())
        })?;
        let mut answer = client.execute(request).await.map_err(no_response)?;
        let mut head = http::Response::new(());
        *head.status_mut() = answer.status();
        *head.version_mut() = answer.version();
        *head.headers_mut() = std::mem::take(answer.headers_mut());
        let mut incoming = Incoming::new(head, by_status);
        let ended = read(answer, &mut incoming).await;
        incoming.finish(ended)
    }
}

async fn read(mut answer: reqwest::Response, incoming: &mut Incoming) -> Result<(), CutShort> {
    while let Some(piece) = answer.chunk().await.map_err(broke_off)? {
        incoming.push(piece)?;
    }
    Ok(())
}

fn broke_off(error: reqwest::Error) -> CutShort {
    let why = if error.is_timeout() {
        "the response did not end within the client's time-out"
    } else if error.is_decode() {
        "the response broke off or can't be decoded"
    } else {
        "the response broke off"
    };
    CutShort::broke_off(why, error.without_url())
}

fn no_response(error: reqwest::Error) -> LoginError {
    if lacks_tls(&error) {
        return LoginError::misconfigured(
            "this build's HTTP client has no TLS; enable the feature rustls of auth-providers",
        )
        .with_source(error.without_url());
    }
    let failed = if error.is_connect() {
        LoginError::unavailable("no connection")
    } else if error.is_timeout() {
        LoginError::timed_out("the client's time-out has passed")
    } else {
        unreadable_head(&error).unwrap_or_else(|| LoginError::unavailable("no response"))
    };
    let failed = if error.is_connect() {
        failed.not_sent()
    } else {
        failed
    };
    failed.with_source(error.without_url())
}

/// The HTTP client of a [`ReqwestTransport`] could not be built. The source says why.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for logins could not be built")]
pub struct ClientError(#[source] reqwest::Error);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_logins_over_plain_http_pass_by_the_environments_proxies() {
        let transport = ReqwestTransport::new().unwrap();
        for (url, passes_by) in [("http://127.0.0.1/", true), ("https://a.example/", false)] {
            let client = transport.client_for(&url.parse().unwrap());
            let direct = transport.direct.as_ref().unwrap();
            assert_eq!(std::ptr::eq(client, direct), passes_by, "{url}");
        }
    }
}
