//! One cookie of a session.

use std::time::Duration;

use http::HeaderValue;

use super::line::{Line, Lines, damaged};
use super::{InvalidValue, SetCookie, Target, set_cookie};
use crate::clock::Deadline;

/// One cookie of a session, as a user agent stores it (RFC 6265, section 5.3).
#[derive(Clone)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "facts about one cookie that do not depend on each other"
)]
pub(super) struct Cookie {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) hosts: Hosts,
    /// `None` if the server has stated none, and it goes to all paths of the scope.
    pub(super) path: Option<String>,
    pub(super) secure: bool,
    /// Whether the provider has given its value alone, and no server has stated the rest yet.
    pub(super) bare: bool,
    pub(super) role: Role,
    /// How long it is good, as the server has stated it last.
    pub(super) life: Option<Duration>,
    /// The end of `life`, counted from the receipt.
    pub(super) expires: Deadline,
    /// Whether `life` comes from a later answer than the login's.
    pub(super) restated: bool,
    /// Whether it is sent. A cookie of the provider that was deleted or has expired stays, so that
    /// it is known when the server sets it again.
    pub(super) live: bool,
}

/// The hosts that a cookie goes to, within the session's scope. Those of a `Domain` make it another
/// cookie than one for its host alone.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Hosts {
    /// All of them.
    Scope,
    /// The one that set it.
    Only(String),
    /// Those of its `Domain`.
    Domain(String),
}

impl Hosts {
    /// Those that a server has stated by its `Domain`.
    fn of(domain: Option<String>) -> Self {
        match domain {
            None => Self::Scope,
            Some(host) if set_cookie::is_host_alone(&host) => Self::Only(host),
            Some(domain) => Self::Domain(domain),
        }
    }

    /// The `domain` of a cookie that `host` has set (section 5.3, step 6).
    pub(super) fn domain<'a>(&'a self, host: &'a str) -> &'a str {
        match self {
            Self::Scope => host,
            Self::Only(domain) | Self::Domain(domain) => domain,
        }
    }

    /// Whether they are all hosts of `other`, and maybe more. Those of a cookie that the server has
    /// not narrowed were the one that set it, to the server.
    fn cover(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Scope, _) | (_, Self::Scope) => true,
            (Self::Only(ours), Self::Only(theirs)) => ours.eq_ignore_ascii_case(theirs),
            (Self::Only(_), Self::Domain(_)) => false,
            (Self::Domain(ours), Self::Only(theirs) | Self::Domain(theirs)) => {
                Target::new("", theirs, "").is_in_domain(ours)
            }
        }
    }

    fn include(&self, target: Target<'_>) -> bool {
        match self {
            Self::Scope => true,
            Self::Only(host) => target.is_host(host),
            Self::Domain(domain) => target.is_in_domain(domain),
        }
    }
}

/// What a cookie is to its session, the least first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// An answer set it.
    Kept,
    /// The provider added it, and the session can do without.
    Optional,
    /// The provider named it: the session can't do without.
    Named,
}

impl Cookie {
    /// A cookie of the provider's of which only the value is known. It goes to the whole scope.
    pub(super) fn bare(name: &str, value: &str) -> Self {
        Self {
            bare: true,
            ..Self::new(name, value, Role::Named)
        }
    }

    /// A cookie for the whole scope, without a life of its own.
    fn new(name: &str, value: &str, role: Role) -> Self {
        Self {
            name: name.to_owned(),
            value: value.to_owned(),
            hosts: Hosts::Scope,
            path: None,
            secure: false,
            bare: false,
            role,
            life: None,
            expires: Deadline::NEVER,
            restated: false,
            live: true,
        }
    }

    /// A cookie as a server set it. What the server did not narrow goes to the whole scope.
    pub(super) fn set_by(set: &SetCookie, role: Role) -> Self {
        Self {
            hosts: Hosts::of(set.domain.clone()),
            path: set.path.clone(),
            secure: set.secure,
            life: set.expires_in,
            ..Self::new(&set.name, &set.value, role)
        }
    }

    /// Checks that a `Cookie` header can hold the pair.
    pub(super) fn check(&self) -> Result<(), InvalidValue> {
        let invalid = |why| Err(InvalidValue::new("cookie's value", why));
        if set_cookie::is_empty(&self.value) {
            invalid("is empty")
        } else if self.value.contains(';') {
            invalid("contains a semicolon")
        } else if !self.can_be_sent() {
            invalid("can't stand in a header")
        } else {
            Ok(())
        }
    }

    pub(super) fn can_be_sent(&self) -> bool {
        let valid = |text: &str| HeaderValue::from_bytes(text.as_bytes()).is_ok();
        valid(&self.name) && valid(&self.value)
    }

    /// The bytes of what a server can make as long as it likes.
    pub(super) fn size(&self) -> usize {
        let domain = self.hosts.domain("");
        self.name.len() + self.value.len() + self.path().len() + domain.len()
    }

    /// Writes the line of it.
    pub(super) fn write(&self, lines: &mut Lines) {
        let line = lines.line("cookie").text("name", &self.name);
        line.text("value", &self.value);
        if let Some(path) = &self.path {
            line.text("path", path);
        }
        match &self.hosts {
            Hosts::Scope => {}
            Hosts::Only(host) => {
                line.text("host", host);
            }
            Hosts::Domain(domain) => {
                line.text("domain", domain);
            }
        }
        line.flag("secure", self.secure)
            .flag("bare", self.bare)
            .time("life", self.life)
            .flag("optional", self.role == Role::Optional)
            .flag("kept", self.role == Role::Kept)
            .flag("restated", self.restated)
            .flag("gone", !self.live)
            .end();
    }

    /// The cookie of a line.
    pub(super) fn read(line: Line<'_>) -> Result<Self, InvalidValue> {
        let role = match (line.flag("optional"), line.flag("kept")) {
            (false, false) => Role::Named,
            (true, false) => Role::Optional,
            (false, true) => Role::Kept,
            (true, true) => return Err(damaged()),
        };
        let hosts = match (line.text("host")?, line.text("domain")?) {
            (Some(host), None) => Hosts::Only(host.to_string()),
            (None, domain) => Hosts::of(domain.map(|domain| domain.to_string())),
            (Some(_), Some(_)) => return Err(damaged()),
        };
        let cookie = Self {
            hosts,
            path: line.text("path")?.map(|path| path.to_string()),
            secure: line.flag("secure"),
            bare: line.flag("bare"),
            life: line.time("life")?,
            restated: line.flag("restated"),
            live: !line.flag("gone"),
            ..Self::new(&line.need("name")?, &line.need("value")?, role)
        };
        let separates = |text: &String| text.contains(';');
        let is_one_pair = !cookie.name.is_empty()
            && !cookie.name.contains('=')
            && ![&cookie.name, &cookie.value].into_iter().any(separates);
        if is_one_pair && cookie.can_be_sent() && cookie.path().starts_with('/') {
            Ok(cookie)
        } else {
            Err(damaged())
        }
    }

    /// The path that it is for.
    pub(super) fn path(&self) -> &str {
        self.path.as_deref().unwrap_or("/")
    }

    /// Whether there are requests that it doesn't go to.
    pub(super) fn is_narrow(&self) -> bool {
        self.secure || !matches!(self.hosts, Hosts::Scope) || self.path().len() > 1
    }

    /// Whether a request carries it (section 5.4).
    pub(super) fn goes_to(&self, target: Target<'_>) -> bool {
        self.live
            && self.hosts.include(target)
            && target.is_below(self.path())
            && (!self.secure || target.is_secure())
    }

    /// Whether it is the cookie that `host` sets so, with this path: of the same name, domain and
    /// path, and for its host alone or not (RFC 6265bis, section 5.7).
    pub(super) fn is_set_by(&self, set: &SetCookie, path: &str, host: &str) -> bool {
        let domain = set.domain.as_deref().unwrap_or(host);
        let is_host_only = !matches!(self.hosts, Hosts::Domain(_));
        self.name == set.name
            && self.path() == path
            && is_host_only == set.is_host_only()
            && self.hosts.domain(host).eq_ignore_ascii_case(domain)
    }

    /// Whether a cookie of which only the value is known is taken for the one that `host` sets so,
    /// with this path. Any `Domain` may be its own, and is the session's as soon as a value comes
    /// with it. A deletion is believed with that of the host alone, since servers delete what they
    /// set under other domains long ago. A narrower path is never taken for its own: if that were
    /// wrong, most requests would go without the session.
    pub(super) fn may_be_set_by(&self, set: &SetCookie, path: &str, host: &str) -> bool {
        let domain = set.domain.as_deref().unwrap_or(host);
        self.bare
            && self.name == set.name
            && self.path() == path
            && (set.has_value() || domain.eq_ignore_ascii_case(host))
    }

    /// Whether it stays as it is, since it is `Secure` and what an answer to `target` sets came
    /// over plain HTTP: anyone on the way can have written that (RFC 6265bis, section 5.7).
    pub(super) fn is_safe_from(&self, set: &SetCookie, target: Target<'_>) -> bool {
        self.secure && target.is_plain() && self.name == set.name && self.hosts.include(target)
    }

    /// Whether it is what one of these has set.
    pub(super) fn is_one_of(&self, all: &[SetCookie]) -> bool {
        let mut set = all.iter().filter(|set| set.has_value());
        set.any(|set| set.name == self.name && set.value == self.value)
    }

    /// Whether requests that `other` went to carry it as well. One that is `Secure` now does, as
    /// far as it can be told here: it was not set over plain HTTP.
    pub(super) fn goes_wherever(&self, other: &Self) -> bool {
        let place = Target::new("", "", other.path());
        self.hosts.cover(&other.hosts) && place.is_below(self.path())
    }

    /// Whether what a server has stated of both is the same, as far as it only tells which
    /// `Set-Cookie` means them.
    pub(super) fn is_known_as(&self, other: &Self) -> bool {
        self.path == other.path && self.bare == other.bare
    }

    /// What it puts on a request, and for which paths.
    pub(super) fn sent(&self) -> (&str, &str, &str) {
        (&self.name, self.path(), &self.value)
    }

    /// Whether it goes to the same requests as `other`, with the same value.
    pub(super) fn is_sent_as(&self, other: &Self) -> bool {
        self.live == other.live
            && self.sent() == other.sent()
            && self.hosts == other.hosts
            && self.secure == other.secure
    }
}
