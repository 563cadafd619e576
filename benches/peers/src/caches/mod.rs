//! Each way to share a credential, driven by the calls that its users write.

use std::sync::Arc;
use std::time::Duration;

use auth_benches::Logins;
use futures_util::future::BoxFuture;
use http::HeaderValue;
use tokio::runtime::Runtime;

mod aliri;
mod aws;
mod azure;
mod by_hand;
mod gcp;
mod google;
mod loopback;
mod object_store;
pub mod ours;
mod reqsign;
mod yup;

/// How long the sessions last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// An hour.
    Long,
    /// The first falls due within about a second; the next one lasts an hour.
    DueSoon,
}

impl Life {
    /// The time from the login of the session with this number to its renewal.
    pub fn due(self, number: u64) -> Duration {
        match self {
            Self::DueSoon if number <= 1 => Duration::from_secs(1),
            _ => Duration::from_secs(3_600),
        }
    }
}

/// Gets a credential and drops it: whether there was one.
pub type Get = Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// Does the same operation so many times in a row.
pub type Batch = Arc<dyn Fn(u64) + Send + Sync>;

pub struct Cache {
    pub get: Get,
    /// Gets a fresh credential, as a user of the peer writes it.
    pub hit: Option<Batch>,
    /// The part of `hit` that only the interface forces on it.
    pub forced: Option<Batch>,
}

pub struct Peer {
    /// The name in the table.
    pub name: &'static str,
    pub make: fn(&Runtime, &Logins, Life) -> Cache,
    /// The call that `hit` makes.
    pub hit: &'static str,
    /// Whether it is a crate that is compared, and not a cache written from parts.
    pub is_crate: bool,
    /// Whether `hit` compares the expiry of the credential with a clock.
    pub checks_expiry: bool,
    /// The reason why it has no part in a case.
    pub no_cold: Option<&'static str>,
    pub no_failing: Option<&'static str>,
    pub no_renewal: Option<&'static str>,
}

impl Peer {
    const fn new(name: &'static str, make: fn(&Runtime, &Logins, Life) -> Cache) -> Self {
        Self {
            name,
            make,
            hit: "",
            is_crate: true,
            checks_expiry: true,
            no_cold: None,
            no_failing: None,
            no_renewal: None,
        }
    }
}

pub const OURS: &str = "auth-core";
pub const SHARED: &str = "futures::Shared";

/// Ours is the first.
pub const PEERS: &[Peer] = &[
    Peer {
        is_crate: false,
        ..Peer::new(OURS, ours::make)
    },
    Peer {
        hit: "a clone of the future, awaited: a header",
        checks_expiry: false,
        no_renewal: Some("one future, one result"),
        ..Peer::new(SHARED, by_hand::shared)
    },
    Peer {
        hit: "lock().await, one clock, a clone of the header",
        is_crate: false,
        ..Peer::new("tokio Mutex, double check", by_hand::mutex)
    },
    Peer {
        hit: "try_get_with(key, login).await: a header",
        ..Peer::new("moka try_get_with", by_hand::moka)
    },
    Peer {
        hit: "headers(…).await: a HeaderMap; net of a boxed future and a HeaderMap",
        ..Peer::new("google-cloud-auth", google::make)
    },
    Peer {
        hit: "send() of its bearer policy: on a request; net of one that inserts a constant",
        ..Peer::new("azure_core", azure::make)
    },
    Peer {
        hit: "resolve_cached_identity().await, and a header of its string; net of the boxed future",
        ..Peer::new("aws-smithy-runtime", aws::make)
    },
    Peer {
        hit: "sign().await: on a request; net of its copy and of inserting a constant",
        ..Peer::new("reqsign-core", reqsign::make)
    },
    Peer {
        hit: "get_credential().await, and a header of its string; net of the boxed future",
        ..Peer::new("object_store", object_store::make)
    },
    Peer {
        hit: "token(scopes).await, and a header of its string; net of the boxed future",
        no_failing: Some(
            "it retries each failure four times within 750 ms, one caller after another: \
             two hours",
        ),
        ..Peer::new("gcp_auth", gcp::make)
    },
    Peer {
        hit: "token(scopes).await, and a header of its string",
        ..Peer::new("yup-oauth2", yup::make)
    },
    Peer {
        hit: "token(), and a header of its string; the watcher reads no clock",
        checks_expiry: false,
        no_cold: Some("there is a watcher only once the first login has succeeded"),
        no_failing: Some("there is a watcher only once the first login has succeeded"),
        ..Peer::new("aliri_tokens", aliri::make)
    },
];

/// What the users of a peer that hands out a string do for each request.
fn bearer(token: &str) -> HeaderValue {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).expect("a token");
    value.set_sensitive(true);
    value
}

/// The cost that an interface of boxed futures forces on each call.
fn boxed_future() -> Batch {
    use futures_util::FutureExt;
    let value = Arc::new(());
    Arc::new(move |times| {
        futures_executor::block_on(async {
            for _ in 0..times {
                let value = Arc::clone(&value);
                let future: BoxFuture<'_, Arc<()>> = async move { value }.boxed();
                std::hint::black_box(std::hint::black_box(future).await);
            }
        });
    })
}
