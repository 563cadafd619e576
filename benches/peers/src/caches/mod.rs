//! Each way to share a credential, driven through what it offers to its users.

use std::sync::Arc;
use std::time::Duration;

use auth_benches::Logins;
use futures_util::future::BoxFuture;
use tokio::runtime::Runtime;

mod aliri;
mod aws;
mod azure;
mod by_hand;
mod gcp;
mod google;
mod loopback;
mod object_store;
mod ours;
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
    /// When the session of this number is to be renewed, seen from its login.
    pub fn due(self, number: u64) -> Duration {
        match self {
            Self::DueSoon if number <= 1 => Duration::from_secs(1),
            _ => Duration::from_secs(3_600),
        }
    }
}

/// Asks for a credential and lets it go: whether there was one.
pub type Get = Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// Asks so many times in a row.
pub type Batch = Arc<dyn Fn(u64) + Send + Sync>;

pub struct Cache {
    pub get: Get,
    /// Hands out a fresh credential.
    pub hit: Option<Batch>,
    /// What only the interface forces on `hit`.
    pub forced: Option<Batch>,
}

pub struct Peer {
    /// As in the table.
    pub name: &'static str,
    pub make: fn(&Runtime, &Logins, Life) -> Cache,
    pub hit: &'static str,
    /// Why it has no part in a case.
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
            no_cold: None,
            no_failing: None,
            no_renewal: None,
        }
    }
}

pub const PEERS: &[Peer] = &[
    Peer {
        hit: "with_fresh(): a clone of its header",
        ..Peer::new("auth-core", ours::make)
    },
    Peer {
        no_renewal: Some("one future, one result"),
        ..Peer::new("futures::Shared", by_hand::shared)
    },
    Peer::new("tokio Mutex, double check", by_hand::mutex),
    Peer::new("moka try_get_with", by_hand::moka),
    Peer {
        hit: "headers(); net of a boxed future and a HeaderMap",
        ..Peer::new("google-cloud-auth", google::make)
    },
    Peer {
        hit: "a pipeline of two policies; net of one that inserts a constant",
        ..Peer::new("azure_core", azure::make)
    },
    Peer {
        hit: "hands out an Identity; net of the boxed future",
        ..Peer::new("aws-smithy-runtime", aws::make)
    },
    Peer {
        hit: "signs a request; net of copying it and inserting a constant",
        ..Peer::new("reqsign-core", reqsign::make)
    },
    Peer {
        hit: "hands out an Arc of a string; net of the boxed future",
        ..Peer::new("object_store", object_store::make)
    },
    Peer {
        hit: "hands out an Arc of a string; net of the boxed future",
        no_failing: Some(
            "each failure is retried four times over 750 ms, one caller after another: two hours",
        ),
        ..Peer::new("gcp_auth", gcp::make)
    },
    Peer {
        hit: "hands out a string",
        ..Peer::new("yup-oauth2", yup::make)
    },
    Peer {
        hit: "a borrow, made a string",
        no_cold: Some("there is a watcher only once the first login has succeeded"),
        no_failing: Some("there is a watcher only once the first login has succeeded"),
        ..Peer::new("aliri_tokens", aliri::make)
    },
];

/// What an interface of boxed futures forces on everybody.
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
