//! The result of a login.

use std::fmt;
use std::time::Duration;

use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::clock::Clock;
use crate::credential::{
    Attachment, InvalidValue, Kept, KeptValue, Line, Lines, Part, SetBy, SetCookie, Target, basic,
    damaged,
};
use crate::error::LoginError;
use crate::lifetime::Lifetime;
use crate::origin::Scope;

/// The result of a login: the values that requests carry from now on, those that the session keeps
/// for its own refresh and logout, and how long they are good.
///
/// A provider builds it from the login's response. Every value is checked here once, so that
/// attaching it can't fail.
///
/// ```
/// use std::time::Duration;
/// use auth_core::{Lifetime, Session};
///
/// let session = Session::new()
///     .with_bearer("eyJhbGciOi")?
///     .with_query("csrf", "29f567c3")?
///     .with_lifetime(Lifetime::of(Duration::from_secs(86_400)));
/// assert!(!format!("{session:?}").contains("eyJ"), "only names are printed");
/// # Ok::<(), auth_core::InvalidValue>(())
/// ```
#[derive(Clone, Default)]
pub struct Session {
    pub(crate) attachment: Attachment,
    pub(crate) kept: Kept,
    lifetime: Lifetime,
    /// The time to the idle deadline. Unless it is known, that is the whole timeout.
    idle_left: Option<Duration>,
    /// How long its login took, if it is stored: at the server it began so long before, at most.
    took: Duration,
    /// It came by a refresh, and no response had shown yet that it is good. It says so in a store.
    first_use: bool,
    /// That it continues the cookies of the session that was refreshed.
    pub(crate) continues: Option<Box<Continues>>,
}

/// How a session continues the cookies of another.
#[derive(Clone)]
pub(crate) struct Continues {
    /// The cookies of the refresh's answer.
    pub(crate) set_by: SetBy,
    /// Whether the lives of those that the session needs count for nothing.
    pub(crate) without_lives: bool,
}

impl Session {
    /// A session that carries nothing yet. If it stays empty, its login counts as failed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `Authorization: Bearer <token>`.
    ///
    /// White space and byte order marks around the token are left out, since no token contains any
    /// (RFC 6750, section 2.1).
    ///
    /// ```
    /// use auth_core::Session;
    ///
    /// assert!(Session::new().with_bearer("eyJhbGciOi").is_ok());
    /// assert!(Session::new().with_bearer("two\nlines").is_err());
    /// ```
    ///
    /// # Errors
    /// [`InvalidValue`] if the token is empty or can't be in a header.
    pub fn with_bearer(self, token: &str) -> Result<Self, InvalidValue> {
        let token = token.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        if token.is_empty() {
            return Err(InvalidValue::new("bearer token", "is empty"));
        }
        let value = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| InvalidValue::new("bearer token", "can't stand in a header"))?;
        Ok(self.with_header(AUTHORIZATION, value))
    }

    /// Adds `Authorization: Basic` with this user and password, in UTF-8 (RFC 7617).
    ///
    /// ```
    /// use auth_core::{Session, testing};
    /// use http::header::AUTHORIZATION;
    ///
    /// let session = Session::new().with_basic("Aladdin", "open sesame")?;
    /// let header = testing::credential(session).header(&AUTHORIZATION).cloned();
    /// assert_eq!(header.expect("it was added"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    /// # Ok::<(), auth_core::InvalidValue>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidValue`] if the user contains a colon, or one of the two a control character.
    pub fn with_basic(self, user: &str, password: &str) -> Result<Self, InvalidValue> {
        Ok(self.with_header(AUTHORIZATION, basic(user, password)?))
    }

    /// Adds a header, which replaces one of the same name on the request. It is marked sensitive.
    ///
    /// Cookies have [methods of their own](Self::with_cookie): a login whose session has a `Cookie`
    /// header has failed, as [misconfigured](crate::LoginErrorKind::Misconfigured).
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.attachment.set_header(name, value);
        self
    }

    /// Adds a header whose value is that of one of the session's cookies, also after the server has
    /// rolled it: a double submit. It is not sent while the session has no such cookie.
    ///
    /// [`Part::header_from_cookie`] takes more choices.
    ///
    /// ```
    /// use auth_core::{Session, Target, testing};
    /// use http::HeaderMap;
    ///
    /// let session = Session::new()
    ///     .with_cookie("csrftoken", "c1")?
    ///     .with_header_from_cookie("x-csrf-token", "csrftoken")?;
    /// let mut headers = HeaderMap::new();
    /// let target = Target::new("https", "api.example.com", "/v3/me");
    /// testing::credential(session).attach_headers(target, &mut headers);
    /// assert_eq!(headers["x-csrf-token"], "c1");
    /// # Ok::<(), auth_core::InvalidValue>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidValue`] if the header's name is not a token, or the cookie's is empty.
    pub fn with_header_from_cookie(self, name: &str, cookie: &str) -> Result<Self, InvalidValue> {
        self.with_part(Part::header_from_cookie(name, cookie))
    }

    /// Adds a header or a query pair that only some requests carry, that is derived from a cookie,
    /// or that is [fetched](Part#fetched-parts) before the first request that carries it; or a
    /// [field of the body](Part#fields-of-the-body). It replaces one with the same name and the
    /// same condition.
    ///
    /// A request carries each name once. If several parts with the name go to it, one with a
    /// condition goes before one without, and of those with a condition the one that was added
    /// last.
    ///
    /// A session with a part that is to be fetched needs a provider that
    /// [repairs](crate::Provider::repairs). Otherwise its login has failed, as
    /// [misconfigured](LoginError::misconfigured).
    ///
    /// ```
    /// use auth_core::{Part, Session, When};
    ///
    /// let writes = When::unsafe_methods().below("/api");
    /// let session = Session::new()
    ///     .with_bearer("t-1")?
    ///     .with_part(Part::header("x-csrf-token", "29f567c3").when(writes))?;
    /// # Ok::<(), auth_core::InvalidValue>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidValue`] if a header's name is not a token or its value can't be in a header, if the
    /// name or the value of a query pair or of a field is empty, if a JSON pointer is none or names
    /// the whole body, if the name of the cookie is empty, or if a path of the condition does not
    /// begin with a slash or has a `?` or a `#`.
    pub fn with_part(mut self, part: Part) -> Result<Self, InvalidValue> {
        self.attachment.add(part)?;
        Ok(self)
    }

    /// Keeps a value that no request carries, for the session's own refresh and its own logout: a
    /// refresh token, the number of the session, or that of the account. They read it from their
    /// [credential](crate::Credential::kept). It replaces one of the same name.
    ///
    /// ```
    /// use auth_core::{Session, testing};
    ///
    /// let session = Session::new().with_bearer("t-1")?.with_kept("session_id", "s-7")?;
    /// let credential = testing::credential(session);
    /// assert_eq!(credential.kept("session_id"), Some("s-7"));
    /// # Ok::<(), auth_core::InvalidValue>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidValue`] if the name or the value is empty.
    pub fn with_kept(mut self, name: &str, value: &str) -> Result<Self, InvalidValue> {
        self.kept.set(KeptValue::new(name, value, None)?);
        Ok(self)
    }

    /// As [`with_kept`](Self::with_kept), for a value that is good for `life`, counted from the
    /// receipt of the login's response. Its end does not end the session.
    ///
    /// ```
    /// use std::time::Duration;
    /// use auth_core::{Lifetime, Session};
    ///
    /// const MINUTE: Duration = Duration::from_secs(60);
    /// let session = Session::new()
    ///     .with_bearer("access")?
    ///     .with_lifetime(Lifetime::of(5 * MINUTE))
    ///     .with_kept_for("refresh_token", "refresh", 24 * 60 * MINUTE)?;
    /// # Ok::<(), auth_core::InvalidValue>(())
    /// ```
    ///
    /// # Errors
    /// As [`with_kept`](Self::with_kept).
    pub fn with_kept_for(
        mut self,
        name: &str,
        value: &str,
        life: Duration,
    ) -> Result<Self, InvalidValue> {
        self.kept.set(KeptValue::new(name, value, Some(life))?);
        Ok(self)
    }

    /// Adds a cookie that the session needs. Every request within the scope carries it, byte for
    /// byte as given, beside the cookies that the request has.
    ///
    /// The server may set it anew, and then its life is a bound of the session's. Until then it has
    /// the life that the session is [given](Self::with_lifetime). With its value alone it is not
    /// known under which domain the server keeps it, so the first `Set-Cookie` of its name that is
    /// for all paths replaces it, with its `Domain` and `Secure`.
    ///
    /// ```
    /// use auth_core::{Session, testing};
    ///
    /// let credential = testing::credential(Session::new().with_cookie("sid", "s1")?);
    /// assert_eq!(credential.cookie("sid"), Some("s1"));
    /// # Ok::<(), auth_core::InvalidValue>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidValue`] if the name is not a token (RFC 6265, section 4.1.1), or if the value is
    /// empty or can't be in a `Cookie` header.
    pub fn with_cookie(mut self, name: &str, value: &str) -> Result<Self, InvalidValue> {
        self.attachment.set_cookie(name, value)?;
        Ok(self)
    }

    /// Adds a cookie that the session needs, as the login's response set it: with its path, its
    /// domain, `Secure`, and its life, which is a bound of the session's. Attributes narrow the
    /// scope and never widen it. Without them, the cookie goes to the whole scope. If they leave no
    /// origin of it, the login has [failed](crate::LoginErrorKind::Misconfigured).
    ///
    /// ```
    /// use std::time::Duration;
    /// use auth_core::{Session, set_cookies};
    ///
    /// let mut headers = http::HeaderMap::new();
    /// headers.append("set-cookie", "sid=s%3Aabc; Secure; Max-Age=3600".parse()?);
    /// headers.append("set-cookie", "csrf=29f5; Path=/api".parse()?);
    /// let mut session = Session::new();
    /// for cookie in set_cookies(&headers) {
    ///     session = session.with_set_cookie(&cookie)?;
    /// }
    /// assert_eq!(session.lifetime().hard_expiry(), Some(Duration::from_secs(3_600)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidValue`] if the cookie is deleted or empty, or can't be in a `Cookie` header.
    pub fn with_set_cookie(mut self, cookie: &SetCookie) -> Result<Self, InvalidValue> {
        self.attachment.add_cookie(cookie, true)?;
        Ok(self)
    }

    /// As [`with_set_cookie`](Self::with_set_cookie), for a cookie that the session can do without:
    /// it neither ends the session nor extends it.
    ///
    /// # Errors
    /// As [`with_set_cookie`](Self::with_set_cookie).
    pub fn with_optional_cookie(mut self, cookie: &SetCookie) -> Result<Self, InvalidValue> {
        self.attachment.add_cookie(cookie, false)?;
        Ok(self)
    }

    /// Keeps every cookie beside its own, as a browser does: those that the login's `response` sets
    /// and those of later responses. They go where a browser would send them, within the scope, and
    /// neither end the session nor extend it. A load balancer that pins a session to a machine
    /// needs its cookie.
    ///
    /// At most 50 are kept, of 4,096 bytes each at most, with name, path and domain (RFC 6265,
    /// section 6.1). One beyond that is not taken, until another has expired or was deleted.
    ///
    /// Unless this is called, only cookies of the names that were added are kept. Call it after
    /// they were, and if the login got several responses, for each of them in order. `target` is
    /// where the request was sent.
    pub fn keep_cookies(mut self, response: &HeaderMap, target: Target<'_>) -> Self {
        self.attachment.keep_cookies(response, target);
        self
    }

    /// Continues the cookies of the session that is [refreshed](crate::Provider::refresh), as they
    /// are: with their paths, domains and `Secure`, with what is left of their lives, and needed or
    /// not as before. Those that have expired are left out. Then it hears those that the refresh's
    /// `response` sets and deletes, as any response's: see [rule 15](crate::contract#rule-15).
    /// `target` is where the request was sent.
    ///
    /// Cookies that are added to this session replace all of their names. If none is left of those
    /// that the session needs, the refresh has [failed](crate::LoginErrorKind::Malformed).
    ///
    /// The cache does it, with the cookies of when the refresh ends. So they are not in this value
    /// yet, and a session that has nothing else is no empty one. In the session of a login it means
    /// nothing.
    ///
    /// ```
    /// use auth_core::{InvalidValue, Session, Target};
    /// use http::{HeaderMap, Uri};
    ///
    /// fn refreshed(answer: &HeaderMap, sent_to: &Uri) -> Result<Session, InvalidValue> {
    ///     let session = Session::new().with_bearer("t-2")?;
    ///     Ok(session.continue_cookies(answer, Target::of(sent_to)))
    /// }
    /// # refreshed(&HeaderMap::new(), &Uri::from_static("https://api.example.com/refresh"))?;
    /// # Ok::<(), InvalidValue>(())
    /// ```
    pub fn continue_cookies(mut self, response: &HeaderMap, target: Target<'_>) -> Self {
        self.continues = Some(Box::new(Continues {
            set_by: SetBy::new(response, target),
            without_lives: false,
        }));
        self
    }

    /// The `Cookie` header with which a user agent would send the session's cookies to `target`, if
    /// any goes there (RFC 6265, section 5.4). A login of several requests sends the cookies of its
    /// earlier answers so. The value is marked sensitive.
    ///
    /// ```
    /// use auth_core::{Session, Target};
    ///
    /// let mut answer = http::HeaderMap::new();
    /// answer.insert("set-cookie", "csrf=c-1; Path=/login".parse()?);
    /// let login = Target::new("https", "api.example.com", "/login");
    /// let jar = Session::new().keep_cookies(&answer, login);
    /// assert_eq!(jar.cookie_header(login).expect("one"), "csrf=c-1");
    /// assert!(jar.cookie_header(Target::new("https", "api.example.com", "/")).is_none());
    /// # Ok::<(), http::header::InvalidHeaderValue>(())
    /// ```
    pub fn cookie_header(&self, target: Target<'_>) -> Option<HeaderValue> {
        let mut headers = HeaderMap::new();
        self.attachment.attach_headers(target, &mut headers);
        headers.remove(COOKIE)
    }

    /// Adds a pair to the query, which replaces one of the same name. Name and value are
    /// percent-encoded here.
    ///
    /// ```
    /// use auth_core::{Session, testing};
    ///
    /// let credential = testing::credential(Session::new().with_query("csrf", "a&b")?);
    /// let mut request = http::Request::get("https://api.example.com/v3/me?full=1").body(())?;
    /// credential.attach(&mut request)?;
    /// assert_eq!(request.uri().query(), Some("full=1&csrf=a%26b"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidValue`] if the name or the value is empty.
    pub fn with_query(mut self, name: &str, value: &str) -> Result<Self, InvalidValue> {
        self.attachment.set_query(name, value)?;
        Ok(self)
    }

    /// Sets how long the session is good, counted from the receipt of the login's response. Unknown
    /// unless set. The life of a cookie that the session needs may shorten it: the hard expiry or,
    /// in a sliding session, the idle timeout.
    ///
    /// ```
    /// use std::time::Duration;
    /// use auth_core::{Lifetime, Session};
    ///
    /// let life = Lifetime::of(Duration::from_secs(3_600));
    /// let session = Session::new().with_bearer("t-1")?.with_lifetime(life);
    /// assert_eq!(session.lifetime().hard_expiry(), Some(Duration::from_secs(3_600)));
    /// # Ok::<(), auth_core::InvalidValue>(())
    /// ```
    pub const fn with_lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self.idle_left = None;
        self
    }

    /// As [`with_lifetime`](Self::with_lifetime), whatever lives its cookies were given so far.
    ///
    /// ```
    /// use std::time::Duration;
    /// use auth_core::{Lifetime, Session, set_cookies};
    ///
    /// let mut headers = http::HeaderMap::new();
    /// // The documented life is an hour.
    /// headers.insert("set-cookie", "sid=s1; Max-Age=60".parse()?);
    /// let cookie = set_cookies(&headers).next().expect("one cookie");
    /// let hour = Lifetime::of(Duration::from_secs(3_600));
    /// let session = Session::new().with_set_cookie(&cookie)?.override_lifetime(hour);
    /// assert_eq!(session.lifetime(), hour);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn override_lifetime(mut self, lifetime: Lifetime) -> Self {
        self.attachment.forget_cookie_lives();
        if let Some(continues) = &mut self.continues {
            continues.without_lives = true;
        }
        self.with_lifetime(lifetime)
    }

    /// How long the session is good.
    pub fn lifetime(&self) -> Lifetime {
        let stated = self.lifetime;
        let slides = stated.idle_timeout().is_some();
        let lives = self.attachment.cookie_lives(stated.hard_expiry(), slides);
        match (lives.shortest, stated.idle_timeout()) {
            (None, _) => stated,
            (Some(shortest), Some(idle)) => stated.idle(shortest.min(idle)),
            (Some(shortest), None) => stated.at_most(shortest),
        }
    }

    /// How long the session is good, without regard to its cookies.
    pub(crate) const fn stated_lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// The session, unless it is of no use within `scope`. Its login has failed then. `repairs`
    /// says whether its provider can fetch a part.
    pub(crate) fn usable(
        self,
        scope: &Scope,
        repairs: impl FnOnce() -> bool,
    ) -> Result<Self, LoginError> {
        if self.is_empty() {
            return Err(LoginError::malformed("a session that carries nothing"));
        }
        if !self.attachment.is_complete() && !repairs() {
            return Err(LoginError::misconfigured(
                "a part of the session is to be fetched, and its provider fetches none: see \
                 `Provider::repairs`",
            )
            .though_sent());
        }
        if self.attachment.owns_header(&COOKIE) {
            return Err(LoginError::misconfigured(
                "the session has a `Cookie` header, which would replace all other cookies: add its \
                 cookies with `Session::with_cookie`",
            )
            .though_sent());
        }
        if let Some(name) = self.attachment.cookie_out_of(scope) {
            return Err(LoginError::misconfigured(format!(
                "the session needs the cookie {name}, which goes to no origin of the scope \
                 ({scope}), by its `Domain` or because it is `Secure`"
            ))
            .though_sent());
        }
        let lifetime = self.lifetime();
        let lives = [
            lifetime.hard_expiry(),
            lifetime.idle_timeout(),
            lifetime.absolute_maximum(),
        ];
        if lives.contains(&Some(Duration::ZERO)) {
            return Err(LoginError::malformed(
                "a session that had expired when it was issued",
            ));
        }
        Ok(self)
    }

    /// The session after it was stored for a time: what is left of its lives then. Kept values
    /// whose life has ended are dropped.
    ///
    /// ```
    /// use std::time::Duration;
    /// use auth_core::{Lifetime, Session};
    ///
    /// let minute = Duration::from_secs(60);
    /// let session = Session::new().with_bearer("t-1")?.with_lifetime(Lifetime::of(60 * minute));
    /// assert_eq!(session.aged(20 * minute).lifetime(), Lifetime::of(40 * minute));
    /// # Ok::<(), auth_core::InvalidValue>(())
    /// ```
    pub fn aged(mut self, by: Duration) -> Self {
        let left = |life: Option<Duration>| life.map(|life| life.saturating_sub(by));
        let stated = self.lifetime;
        let idle = stated.idle_timeout();
        self.lifetime = Lifetime::within(
            left(stated.hard_expiry()),
            idle,
            left(stated.absolute_maximum()),
        );
        self.idle_left = left(self.idle_left.or_else(|| self.lifetime().idle_timeout()));
        self.attachment.age_cookies(by, idle.is_some());
        self.kept.age(by);
        self
    }

    pub(crate) const fn idle_left(&self) -> Option<Duration> {
        self.idle_left
    }

    pub(crate) const fn took(&self) -> Duration {
        self.took
    }

    /// The session, whose login took so long.
    pub(crate) const fn that_took(mut self, took: Duration) -> Self {
        self.took = took;
        self
    }

    /// Whether it came by a refresh, and no response had shown yet that it is good.
    pub(crate) const fn is_for_first_use(&self) -> bool {
        self.first_use
    }

    /// The session, of which is known whether it came by a refresh and was not shown to be good.
    pub(crate) const fn for_first_use(mut self, first_use: bool) -> Self {
        self.first_use = first_use;
        self
    }

    /// The session without a value that it keeps.
    pub(crate) fn without_kept(mut self, name: &str) -> Self {
        self.kept.remove(name);
        self
    }

    /// The session that a credential has come to.
    pub(crate) fn resumed(
        attachment: Attachment,
        kept: Kept,
        lifetime: Lifetime,
        idle_left: Option<Duration>,
    ) -> Self {
        Self {
            attachment,
            kept,
            lifetime,
            idle_left,
            took: Duration::ZERO,
            first_use: false,
            continues: None,
        }
    }

    /// The session whose kept values end on this clock.
    pub(crate) fn on(mut self, clock: &Clock) -> Self {
        self.kept.on(clock);
        self
    }

    /// Writes its plain form. See [`SessionParts`](crate::SessionParts).
    pub(crate) fn write(&self, lines: &mut Lines) {
        let line = lines.line("session").text("form", FORM);
        line.time("hard", self.lifetime.hard_expiry())
            .time("idle", self.lifetime.idle_timeout())
            .time("absolute", self.lifetime.absolute_maximum())
            .time("idle-left", self.idle_left)
            .time("took", Some(self.took).filter(|took| !took.is_zero()))
            .flag("keeps-cookies", self.attachment.keeps_all_cookies())
            .flag("first-use", self.first_use)
            .end();
        self.attachment.write(lines);
        self.kept.write(lines);
    }

    /// Reads its plain form.
    pub(crate) fn read<'a>(
        mut lines: impl Iterator<Item = Line<'a>>,
    ) -> Result<Self, InvalidValue> {
        let first = lines.next().ok_or_else(damaged)?;
        if first.kind() != "session" || *first.need("form")? != FORM {
            return Err(damaged());
        }
        let (hard, idle) = (first.time("hard")?, first.time("idle")?);
        let mut session = Self {
            lifetime: Lifetime::within(hard, idle, first.time("absolute")?),
            idle_left: first.time("idle-left")?,
            took: first.time("took")?.unwrap_or_default(),
            first_use: first.flag("first-use"),
            ..Self::new()
        };
        for line in lines {
            match line.kind() {
                "header" | "query" | "json" | "form" => {
                    session.attachment.add(Part::read(line)?)?;
                }
                "cookie" => session.attachment.read_cookie(line)?,
                "kept" => session.kept.read(line)?,
                _ => return Err(damaged()),
            }
        }
        if first.flag("keeps-cookies") {
            session = session.keep_cookies(&HeaderMap::new(), Target::new("", "", ""));
        }
        Ok(session)
    }

    /// Whether it carries nothing. What it [keeps](Self::with_kept) does not count, nor does what
    /// is to be fetched.
    pub fn is_empty(&self) -> bool {
        self.attachment.is_empty()
    }
}

/// The plain form that this version writes and reads.
const FORM: &str = "1";

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("attachment", &self.attachment)
            .field("kept", &self.kept)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use super::*;

    #[test]
    fn rule_18_what_surrounds_a_bearer_token_is_left_out() {
        for token in ["t-1", " t-1", "t-1\n", "\u{feff}t-1", "\r\n\tt-1 \u{a0}"] {
            let session = Session::new().with_bearer(token).unwrap();
            let header = session.attachment.header(&AUTHORIZATION).unwrap();
            assert_eq!(header, "Bearer t-1", "{token:?}");
        }
        for token in ["", " ", "\u{feff}\n", "t\n1", "t-1\0"] {
            assert!(Session::new().with_bearer(token).is_err(), "{token:?}");
        }
    }
}
