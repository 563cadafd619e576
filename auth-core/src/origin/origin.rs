//! A scheme, a host and a port.

use std::fmt::{self, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use http::uri::{self, Uri};
use thiserror::Error;

use super::Miss;

/// A scheme, a host and a port. Credentials are kept apart and logins are counted by origin.
///
/// ```
/// use auth_core::Origin;
///
/// let origin = Origin::parse("https://API.clay.com/v3")?;
/// assert_eq!(origin.to_string(), "https://api.clay.com");
/// assert!(origin.matches("https", "api.clay.com", Some(443)));
/// assert!(Origin::parse("http://api.clay.com").is_err(), "no plain HTTP off this machine");
/// assert!(Origin::parse("http://127.0.0.1:8080").is_ok());
/// # Ok::<(), auth_core::OriginError>(())
/// ```
///
/// A clone costs one reference count.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(Arc<Parts>);

#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Parts {
    scheme: Scheme,
    /// Host and port as in a URL: the host in lower case, an IPv6 address in brackets, and no port
    /// if it is the scheme's default.
    authority: Box<str>,
    /// The length of the host in `authority`.
    host_end: usize,
    port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Scheme {
    Http,
    Https,
}

impl Scheme {
    const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl Origin {
    /// The origin of `url`, which must be `https`, or `http` to this machine: to `localhost`,
    /// `127.0.0.0/8` or `[::1]`. No other name is taken for this machine, since a name server says
    /// where it leads.
    ///
    /// # Errors
    /// [`OriginError`] if it is not an absolute URL, has no host, contains a user name or password,
    /// has another scheme, or is plain HTTP to another machine.
    pub fn parse(url: &str) -> Result<Self, OriginError> {
        let origin = Self::allow_plain_http(url)?;
        if origin.0.scheme == Scheme::Http && !is_loopback(origin.host()) {
            return Err(OriginError::PlainHttp {
                host: origin.host().to_owned(),
            });
        }
        Ok(origin)
    }

    /// The origin of `url`, even if it is plain HTTP to another machine: the password and the
    /// session can be read on the way.
    ///
    /// ```
    /// use auth_core::Origin;
    ///
    /// // A device in the local network that has no certificate.
    /// let device = Origin::allow_plain_http("http://pi.hole:8080/admin")?;
    /// assert_eq!(device.to_string(), "http://pi.hole:8080");
    /// # Ok::<(), auth_core::OriginError>(())
    /// ```
    ///
    /// # Errors
    /// As [`parse`](Self::parse), except for plain HTTP.
    pub fn allow_plain_http(url: &str) -> Result<Self, OriginError> {
        let uri: Uri = url.parse().map_err(|_| OriginError::NotAUrl)?;
        let authority = uri.authority().ok_or(OriginError::NoHost)?;
        if authority.as_str().contains('@') {
            return Err(OriginError::UserInfo);
        }
        let scheme = match uri.scheme_str() {
            Some("https") => Scheme::Https,
            Some("http") => Scheme::Http,
            _ => return Err(OriginError::Scheme),
        };
        if authority.host().is_empty() {
            return Err(OriginError::NoHost);
        }
        // `http` parses `host:port` even if the port is empty, too large or has a sign, and with
        // text between an IPv6 address and its port. Only a number that fits is accepted.
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => scheme.default_port(),
            Some(port) => read_port(port).ok_or(OriginError::NotAUrl)?,
            None => return Err(OriginError::NotAUrl),
        };
        let mut authority = canonical(authority.host())?;
        let host_end = authority.len();
        if port != scheme.default_port() {
            let _ = write!(authority, ":{port}");
        }
        Ok(Self(Arc::new(Parts {
            scheme,
            authority: authority.into(),
            host_end,
            port,
        })))
    }

    /// The host, in lower case. An IPv6 address is in brackets.
    ///
    /// ```
    /// use auth_core::Origin;
    ///
    /// assert_eq!(Origin::parse("https://API.example.com:8443/v3")?.host(), "api.example.com");
    /// assert_eq!(Origin::parse("http://[::1]:8080")?.host(), "[::1]");
    /// # Ok::<(), auth_core::OriginError>(())
    /// ```
    pub fn host(&self) -> &str {
        &self.0.authority[..self.0.host_end]
    }

    /// The scheme.
    pub(crate) fn scheme(&self) -> &'static str {
        self.0.scheme.name()
    }

    /// The port.
    #[cfg(feature = "metrics")]
    pub(crate) fn port(&self) -> u16 {
        self.0.port
    }

    /// Whether a request with this scheme, host and port goes to this origin. Allocates nothing.
    ///
    /// `host` is compared without regard to case. An IPv6 address is in brackets, in any of its
    /// forms. `None` is the default port of the scheme.
    pub fn matches(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        let scheme_of_ours = self.0.scheme;
        // The exact comparison is faster, and clients usually write lower case.
        let is = |theirs: &str, ours: &str| theirs == ours || theirs.eq_ignore_ascii_case(ours);
        is(scheme, scheme_of_ours.name())
            && port.unwrap_or(scheme_of_ours.default_port()) == self.0.port
            && (is(host, self.host()) || is_same_address(host, self.host()))
    }

    /// Whether a request to `uri` goes to this origin. Allocates nothing.
    ///
    /// A `uri` without a host never does. Nor does a `uri` whose scheme was built in upper case,
    /// which a parsed one never is: clients commonly take that for plain HTTP.
    #[inline]
    pub fn matches_uri(&self, uri: &Uri) -> bool {
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return false;
        };
        let ours = &*self.0;
        let same_scheme = *scheme
            == match ours.scheme {
                Scheme::Http => uri::Scheme::HTTP,
                Scheme::Https => uri::Scheme::HTTPS,
            };
        // Nearly all requests have exactly this authority. Any other form is compared part by part.
        same_scheme
            && (authority.as_str() == &*ours.authority
                || self.matches(ours.scheme.name(), authority.host(), authority.port_u16()))
    }
}

impl Origin {
    /// The origin by which logins are counted: one for all ways to write the same host. A name with
    /// a dot at its end leads to the server of the name, and so does an IPv4 address within an IPv6
    /// one to that of the address.
    pub(crate) fn counted(&self) -> Self {
        let host = self.host();
        let address = in_brackets(host).and_then(|address| address.to_ipv4_mapped());
        let address = address.map(|address| address.to_string());
        let counted = (address.as_deref()).unwrap_or_else(|| host.trim_end_matches('.'));
        if counted == host || counted.is_empty() {
            return self.clone();
        }
        Self(Arc::new(Parts {
            scheme: self.0.scheme,
            authority: format!("{counted}{}", &self.0.authority[self.0.host_end..]).into(),
            host_end: counted.len(),
            port: self.0.port,
        }))
    }

    /// How a request with this scheme, host and port misses this origin.
    pub(super) fn miss(&self, scheme: &str, host: &str, port: Option<u16>) -> Miss {
        let without_dot = |host: &str| host.trim_end_matches('.').to_ascii_lowercase();
        let (ours, theirs) = (without_dot(self.host()), without_dot(host));
        let same_scheme = scheme == self.0.scheme.name();
        let same_port = port.unwrap_or(self.0.scheme.default_port()) == self.0.port;
        if ours == theirs {
            if !host.eq_ignore_ascii_case(self.host()) {
                Miss::Dot
            } else if !same_scheme {
                Miss::Scheme
            } else {
                Miss::Port
            }
        } else if is_loopback(&ours) && is_loopback(&theirs) && same_scheme && same_port {
            Miss::LoopbackName
        } else {
            Miss::Host
        }
    }
}

/// The port of a URL, from its colon on.
fn read_port(text: &str) -> Option<u16> {
    let digits = text.strip_prefix(':')?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

/// A host as clients send it: in lower case, and an address in its shortest form.
fn canonical(host: &str) -> Result<String, OriginError> {
    if let Some(address) = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        let address: Ipv6Addr = address.parse().map_err(|_| OriginError::NotAUrl)?;
        return Ok(format!("[{address}]"));
    }
    let is_all_dots = host.bytes().all(|byte| byte == b'.');
    if is_all_dots || (ends_in_a_number(host) && host.parse::<Ipv4Addr>().is_err()) {
        return Err(OriginError::NotAUrl);
    }
    Ok(host.to_ascii_lowercase())
}

/// Whether clients take a host for an IPv4 address (WHATWG URL, "ends in a number"), of which some
/// parts may be left out, octal or hexadecimal. They send another host then than this one.
fn ends_in_a_number(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or(host).as_bytes();
    match last {
        [b'0', b'x' | b'X', digits @ ..] => digits.iter().all(u8::is_ascii_hexdigit),
        digits => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
    }
}

/// Whether both are the same IPv6 address. Clients write one in several forms.
fn is_same_address(one: &str, other: &str) -> bool {
    let address = in_brackets(one);
    address.is_some() && address == in_brackets(other)
}

/// The IPv6 address of a host.
fn in_brackets(host: &str) -> Option<Ipv6Addr> {
    host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// Whether a host as [`canonical`] returns it is this machine, whatever a name server says.
///
/// A name below `localhost`, and `localhost` with a dot at its end, are asked of the name server by
/// many systems, in spite of RFC 6761. `0.0.0.0` and an IPv4 address within an IPv6 one are this
/// machine on some systems only, or by the way.
pub(crate) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse().is_ok_and(|ip: Ipv4Addr| ip.is_loopback())
        || in_brackets(host).is_some_and(|ip| ip.is_loopback())
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme.name(), self.0.authority)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({self})")
    }
}

/// Why a URL is not the origin of a login. The message does not repeat the URL, which may hold a
/// secret.
///
/// ```
/// use auth_core::{Origin, OriginError};
///
/// assert_eq!(Origin::parse("ftp://api.example.com"), Err(OriginError::Scheme));
/// assert!(Origin::parse("http://127.0.0.1:8080").is_ok());
/// let error = Origin::parse("http://api.example.com").expect_err("plain HTTP to another machine");
/// assert_eq!(error, OriginError::PlainHttp { host: "api.example.com".to_owned() });
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OriginError {
    /// It can't be parsed as a URL.
    #[error("not a URL; expected something like https://api.example.com")]
    NotAUrl,
    /// It has no host.
    #[error("the URL has no host; expected something like https://api.example.com")]
    NoHost,
    /// It contains a user name or a password.
    #[error("the URL holds a user name or password; give them to the provider instead")]
    UserInfo,
    /// Its scheme is neither `https` nor `http`.
    #[error("the URL's scheme must be https, or http on this machine")]
    Scheme,
    /// It would send a password in plain HTTP to another machine.
    #[error(
        "plain HTTP to {host} would send the password in clear; use https, or say that plain HTTP is allowed"
    )]
    PlainHttp {
        /// The host in the URL.
        host: String,
    },
}
