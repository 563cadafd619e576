//! How the URL of a request misses a scope.

use std::fmt;

/// How the URL of a request misses a [`Scope`](crate::Scope): by how little, if it is a near miss,
/// which is usually a mistake.
///
/// ```
/// use auth_core::{Event, Miss};
///
/// fn advice(event: &Event) -> Option<&'static str> {
///     match event {
///         Event::OutOfScope { miss: Miss::Scheme, .. } => Some("use https, as for the login"),
///         Event::OutOfScope { miss: Miss::NoOrigin, .. } => Some("make the URL absolute"),
///         _ => None,
///     }
/// }
/// assert_eq!(advice(&Event::Closed), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Miss {
    /// The URL is relative or has no host, so it has no origin.
    NoOrigin,
    /// The hosts differ only in a dot at the end.
    Dot,
    /// One name of this machine instead of another, such as `localhost` for `127.0.0.1`.
    LoopbackName,
    /// The same host by another scheme.
    Scheme,
    /// The same host at another port.
    Port,
    /// Another host.
    Host,
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoOrigin => {
                "its URL is relative, so its origin is not known: send absolute URLs, or name the \
                 origin with `AuthLayer::origin`"
            }
            Self::Dot => "the hosts differ in a dot at the end",
            Self::LoopbackName => "it is another name of this machine",
            Self::Scheme => "the scheme is another one",
            Self::Port => "the port is another one",
            Self::Host => "the host is another one",
        })
    }
}
