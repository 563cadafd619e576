//! The requests that missed a cache's scope.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;

use crate::runtime::{AtomicU64, Mutex};

/// How many foreign origins are told apart, so that a client that is used for everything costs a
/// bounded memory and few warnings.
const MOST_ORIGINS: usize = 8;

/// The requests that missed a cache's scope: how many, and the first few origins that they went to.
#[derive(Debug, Default)]
pub(super) struct OutOfScope {
    requests: AtomicU64,
    origins: Mutex<Vec<Asked>>,
}

/// Where a request was to go. Of the URL it has the scheme, the host and the port alone.
#[derive(Debug)]
struct Asked {
    scheme: Option<Box<str>>,
    host: Option<Box<str>>,
    port: Option<u16>,
}

impl OutOfScope {
    pub(super) fn requests(&self) -> u64 {
        // Relaxed: the count publishes no other memory.
        self.requests.load(Relaxed)
    }

    /// Counts a request. Returns where it was to go, if it is the first one there and few were
    /// noted before.
    pub(super) fn count(
        &self,
        scheme: Option<&str>,
        host: Option<&str>,
        port: Option<u16>,
    ) -> Option<String> {
        self.requests.fetch_add(1, Relaxed);
        let port = port.filter(|port| !is_default(scheme, *port));
        let mut origins = self.origins.lock();
        if origins.len() >= MOST_ORIGINS || origins.iter().any(|known| known.is(scheme, host, port))
        {
            return None;
        }
        let asked = Asked {
            scheme: scheme.map(Into::into),
            host: host.map(|host| host.to_ascii_lowercase().into()),
            port,
        };
        let shown = asked.to_string();
        origins.push(asked);
        drop(origins);
        Some(shown)
    }
}

/// A client may state the default port or leave it out.
fn is_default(scheme: Option<&str>, port: u16) -> bool {
    let is = |name: &str| scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(name));
    port == 443 && is("https") || port == 80 && is("http")
}

impl Asked {
    fn is(&self, scheme: Option<&str>, host: Option<&str>, port: Option<u16>) -> bool {
        let same_host = match (&self.host, host) {
            (Some(ours), Some(theirs)) => ours.eq_ignore_ascii_case(theirs),
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        };
        same_host && self.scheme.as_deref() == scheme && self.port == port
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(host) = &self.host else {
            return f.write_str("a URL without an origin");
        };
        if let Some(scheme) = &self.scheme {
            write!(f, "{scheme}:")?;
        }
        write!(f, "//{host}")?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}
