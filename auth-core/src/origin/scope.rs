//! The origins that a credential may be sent to.

use std::fmt;

use http::uri::Uri;

use super::{Miss, Origin};

/// The origins that a credential may be sent to. Requests to other origins are passed on unchanged.
///
/// ```
/// use auth_core::{Origin, Scope};
///
/// let scope = Scope::only(Origin::parse("https://login.example.com")?)
///     .and(Origin::parse("https://data.example.com")?);
/// assert!(scope.contains("https", "data.example.com", None));
/// assert!(!scope.contains("https", "example.com", None));
/// # Ok::<(), auth_core::OriginError>(())
/// ```
///
/// Scopes of the same origins are equal, in whatever order these were added.
#[derive(Clone, Debug)]
pub struct Scope {
    first: Origin,
    // An empty box holds no memory, and a scope rarely has more than one origin.
    others: Box<[Origin]>,
}

impl Scope {
    /// A scope of one origin.
    pub fn only(origin: Origin) -> Self {
        Self {
            first: origin,
            others: Box::default(),
        }
    }

    /// Adds an origin, for an API whose login and data have different ones.
    pub fn and(mut self, origin: Origin) -> Self {
        if !self.origins().any(|known| *known == origin) {
            let others = self.others.into_iter().chain([origin]);
            self.others = others.collect();
        }
        self
    }

    /// Whether a request with this scheme, host and port may carry the credential. Allocates
    /// nothing.
    pub fn contains(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        self.origins()
            .any(|origin| origin.matches(scheme, host, port))
    }

    /// Whether a request to `uri` may carry the credential. Allocates nothing.
    ///
    /// ```
    /// use auth_core::{Origin, Scope};
    ///
    /// let scope = Scope::only(Origin::parse("https://api.example.com")?);
    /// assert!(scope.contains_uri(&"https://api.example.com/v3/me?full=1".parse()?));
    /// assert!(!scope.contains_uri(&"https://api.example.com:8443/v3/me".parse()?));
    /// assert!(!scope.contains_uri(&"/v3/me".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn contains_uri(&self, uri: &Uri) -> bool {
        self.first.matches_uri(uri) || self.others.iter().any(|origin| origin.matches_uri(uri))
    }

    /// How a request with this scheme, host and port misses the scope. The nearest miss counts.
    pub(crate) fn miss(&self, scheme: Option<&str>, host: Option<&str>, port: Option<u16>) -> Miss {
        let (Some(scheme), Some(host)) = (scheme, host) else {
            return Miss::NoOrigin;
        };
        let mut misses = self.origins().map(|origin| origin.miss(scheme, host, port));
        misses
            .find(|miss| *miss != Miss::Host)
            .unwrap_or(Miss::Host)
    }

    pub(crate) const fn first(&self) -> &Origin {
        &self.first
    }

    pub(crate) const fn has_several_origins(&self) -> bool {
        !self.others.is_empty()
    }

    /// The origins, in the order in which they were added.
    pub fn origins(&self) -> impl Iterator<Item = &Origin> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        // No origin is in a scope twice.
        self.others.len() == other.others.len()
            && (self.origins()).all(|origin| other.origins().any(|theirs| theirs == origin))
    }
}

impl Eq for Scope {}

impl fmt::Display for Scope {
    /// The origins, with commas between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        let mut others = self.others.iter();
        others.try_for_each(|origin| write!(f, ", {origin}"))
    }
}

impl From<Origin> for Scope {
    fn from(origin: Origin) -> Self {
        Self::only(origin)
    }
}
