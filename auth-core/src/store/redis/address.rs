//! Where Redis is.

use redis::{Client, IntoConnectionInfo as _, ProtocolVersion};

use crate::store::error::StoreError;

/// A client for a URL. It does not connect.
///
/// No error quotes the URL, because the password is in it.
pub(super) fn client(url: &str) -> Result<Client, StoreError> {
    if url.starts_with("rediss:") || url.starts_with("valkeys:") {
        prepare_tls()?;
    }
    let malformed = || {
        StoreError::new(
            "the URL of Redis is malformed: it is `redis://USER:PASSWORD@HOST:6379/0`, where signs \
             other than letters and digits are percent-encoded in the user and the password",
        )
    };
    let info = url.into_connection_info().map_err(|_| malformed())?;
    // With the third version of the protocol, one connection has both the answers and the notices.
    let settings = info.redis_settings().clone();
    let settings = settings.set_protocol(ProtocolVersion::RESP3);
    Client::open(info.set_redis_settings(settings)).map_err(|_| malformed())
}

/// The redis crate takes the crypto provider that is the process's default, and panics if there is
/// none or it can't choose.
#[cfg(feature = "redis-tls")]
#[allow(
    clippy::unnecessary_wraps,
    reason = "without the feature it is an error"
)]
fn prepare_tls() -> Result<(), StoreError> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread that is first has installed one, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    Ok(())
}

#[cfg(not(feature = "redis-tls"))]
fn prepare_tls() -> Result<(), StoreError> {
    Err(StoreError::new(
        "TLS to Redis needs the feature `redis-tls` of auth-core: enable it in Cargo.toml",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_url_is_told_without_its_password() {
        let canary = "canary-password";
        for url in [
            format!("http://user:{canary}@localhost"),
            format!("redis://user:{canary}@"),
            format!("redis://user:{canary}@localhost/eleven"),
            format!("redis://user:{canary}@localhost:port"),
            format!("redis://user:{canary}/@localhost"),
            format!("redis://localhost?protocol={canary}"),
            format!("//{canary}"),
        ] {
            let error = client(&url).expect_err(&url);
            let printed = format!("{error} {error:?}");
            assert!(!printed.contains(canary), "{printed}");
            assert!(printed.contains("redis://USER:PASSWORD@HOST"), "{printed}");
        }
    }

    #[test]
    #[cfg(not(feature = "redis-tls"))]
    fn without_tls_its_url_is_refused_with_the_name_of_the_feature() {
        for url in ["rediss://localhost", "valkeys://localhost"] {
            let error = client(url).expect_err(url);
            assert!(error.to_string().contains("feature `redis-tls`"));
        }
    }

    #[test]
    #[cfg(feature = "redis-tls")]
    fn with_tls_its_url_is_taken() {
        for url in ["rediss://localhost", "valkeys://localhost"] {
            assert!(client(url).is_ok());
        }
    }
}
