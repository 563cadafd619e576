//! Where a login goes.

use std::fmt::{self, Write as _};

use super::Origin;

/// Where a login goes: an origin, and a path. It tells two instances of one API behind one host
/// apart.
///
/// URLs that are equal by RFC 3986, section 6.2.2, are equal: dot segments are removed, an escape
/// is written in upper case, and no escape is left of a character that needs none. Slashes at the
/// end don't count. All else does, case included. A path that can't stand in a URL is escaped, and
/// that includes a question mark: what is passed as a path has no query.
///
/// ```
/// use auth_core::{LoginUrl, Origin};
///
/// let origin = Origin::parse("https://api.example.com")?;
/// let tenant = LoginUrl::new(origin.clone(), "/tenant-a");
/// assert_eq!(tenant.to_string(), "https://api.example.com/tenant-a");
/// assert_eq!(tenant, LoginUrl::new(origin.clone(), "/x/../%74enant-a/"));
/// assert_ne!(tenant, LoginUrl::new(origin.clone(), "/tenant-b"));
/// assert_ne!(tenant, LoginUrl::from(origin));
/// # Ok::<(), auth_core::OriginError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LoginUrl {
    origin: Origin,
    /// `/like/this`. `None` for none, and not an empty text: to compare two of those can take
    /// longer than all else of a look-up by identity, because both point to no memory.
    path: Option<Box<str>>,
}

impl LoginUrl {
    /// The URL of a path at an origin. A slash at the start of the path may be left out.
    pub fn new(origin: Origin, path: &str) -> Self {
        let path = normal(path);
        Self {
            origin,
            path: (!path.is_empty()).then(|| path.into()),
        }
    }

    /// The origin.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The path: empty, or with a slash at the start and none at the end.
    ///
    /// ```
    /// use auth_core::{LoginUrl, Origin};
    ///
    /// let tenant = LoginUrl::new(Origin::parse("https://api.example.com")?, "/tenants/7");
    /// assert_eq!(tenant.path(), "/tenants/7");
    /// # Ok::<(), auth_core::OriginError>(())
    /// ```
    pub fn path(&self) -> &str {
        self.path.as_deref().unwrap_or_default()
    }
}

impl From<Origin> for LoginUrl {
    fn from(origin: Origin) -> Self {
        Self { origin, path: None }
    }
}

impl fmt::Display for LoginUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path())
    }
}

impl fmt::Debug for LoginUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LoginUrl({self})")
    }
}

/// The one form of all paths that are equal to this one.
fn normal(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.strip_prefix('/').unwrap_or(path).split('/') {
        // Escapes come first, because `%2E` is a dot.
        match unescaped(segment).as_str() {
            "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(format!("/{segment}")),
        }
    }
    let path = segments.concat();
    path.trim_end_matches('/').to_owned()
}

/// A segment whose only escapes are those that it needs, in upper case.
fn unescaped(segment: &str) -> String {
    let mut normal = String::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, ..] = rest {
        let escaped = escape(rest);
        let byte = escaped.unwrap_or(*first);
        rest = &rest[if escaped.is_some() { 3 } else { 1 }..];
        let unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        // A delimiter and its escape are different characters (RFC 3986, section 2.2).
        if unreserved || escaped.is_none() && b"!$&'()*+,;=:@".contains(&byte) {
            normal.push(char::from(byte));
        } else {
            let _ = write!(normal, "%{byte:02X}");
        }
    }
    normal
}

/// The byte that the text begins with, if that is escaped.
fn escape(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}
