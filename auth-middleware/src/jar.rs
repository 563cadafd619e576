//! A cookie jar of the user's, beside the cookies of the session.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use auth_core::{Attempt, Credential, Credentials};
use http::header::{COOKIE, SET_COOKIE};
use http::{Extensions, HeaderMap, HeaderValue};

use crate::target::Target;

/// A cookie jar of the user's, for cookies that belong to no session: those of a load balancer, or
/// a consent.
///
/// A reqwest client asks its own jar only where a request has no `Cookie` header, so its cookies
/// vanish beside those of a session. It also keeps every cookie that a response sets, the session's
/// among them, and sends it with the requests of other identities. So give the jar to the
/// integration, and build the client without it:
///
/// - A request with a credential carries the jar's cookies beside the session's.
/// - What its response sets is stored in the jar, except for the session's cookies. A session that
///   [keeps them all](auth_core::Session::keep_cookies) leaves nothing to the jar.
/// - A cookie of the session never enters the jar and never comes from it.
/// - A request without a credential carries the jar's cookies alone.
/// - In a stack of several integrations, give the jar to the outermost. It leaves the cookies of
///   all their sessions alone. One further in does not know which sessions those above have, and
///   its jar would take their cookies.
///
/// `reqwest::cookie::Jar`, of reqwest's feature `cookies`, becomes one in a few lines:
///
/// ```text
/// struct Shared(Arc<reqwest::cookie::Jar>);
///
/// impl CookieJar for Shared {
///     fn cookies(&self, url: &str) -> Option<HeaderValue> {
///         self.0.cookies(&url.parse().ok()?)
///     }
///
///     fn store(&self, set_cookies: &mut dyn Iterator<Item = &HeaderValue>, url: &str) {
///         if let Ok(url) = url.parse() {
///             self.0.set_cookies(set_cookies, &url);
///         }
///     }
/// }
/// ```
pub trait CookieJar: Send + Sync + 'static {
    /// The `Cookie` header of a request to `url`, if the jar has cookies for it.
    fn cookies(&self, url: &str) -> Option<HeaderValue>;

    /// Stores what the `Set-Cookie` headers of a response from `url` set.
    fn store(&self, set_cookies: &mut dyn Iterator<Item = &HeaderValue>, url: &str);
}

impl<J: CookieJar + ?Sized> CookieJar for Arc<J> {
    fn cookies(&self, url: &str) -> Option<HeaderValue> {
        (**self).cookies(url)
    }

    fn store(&self, set_cookies: &mut dyn Iterator<Item = &HeaderValue>, url: &str) {
        (**self).store(set_cookies, url);
    }
}

/// One request in which a jar takes part.
pub(crate) struct JarRequest {
    jar: Arc<dyn CookieJar>,
    url: String,
    /// Those whose scope the URL is in.
    credentials: Option<Credentials>,
    /// Whether the request carries their credential.
    carries: bool,
    /// Where integrations below say whose credential they put on it.
    below: Arc<CarriedBelow>,
}

type CarriedBelow = Mutex<Vec<Credentials>>;

/// The jars of the integrations above, in the extensions of a request. They are not in its context,
/// because extensions may outlive the request. Those of a hop that has ended, or was dropped, are
/// gone.
#[derive(Clone, Default)]
pub(crate) struct JarsAbove(Vec<Weak<CarriedBelow>>);

impl JarsAbove {
    /// Tells those of a request that it will carry a credential of these.
    #[inline]
    pub(crate) fn tell(extensions: &Extensions, credentials: &Credentials) {
        if let Some(jars) = extensions.get::<Self>() {
            jars.tell_each(credentials);
        }
    }

    #[cold]
    fn tell_each(&self, credentials: &Credentials) {
        for jar in self.0.iter().filter_map(Weak::upgrade) {
            let mut below = jar.lock().unwrap_or_else(PoisonError::into_inner);
            below.push(credentials.clone());
        }
    }
}

impl JarRequest {
    /// A request to `url` that carries a credential, if there is a jar.
    #[inline]
    pub(crate) fn carrying(
        credentials: &Credentials,
        jar: Option<&Arc<dyn CookieJar>>,
        url: &impl ToString,
    ) -> Option<Box<Self>> {
        Some(Box::new(Self::carrying_over(credentials, jar?, url)))
    }

    #[cold]
    fn carrying_over(
        credentials: &Credentials,
        jar: &Arc<dyn CookieJar>,
        url: &impl ToString,
    ) -> Self {
        Self {
            jar: Arc::clone(jar),
            url: url.to_string(),
            credentials: Some(credentials.clone()),
            carries: true,
            below: Arc::default(),
        }
    }

    /// A request to `url` that carries none, if there is a jar.
    #[inline]
    pub(crate) fn bare<U: Target + ToString>(
        credentials: &Credentials,
        jar: Option<&Arc<dyn CookieJar>>,
        url: &U,
    ) -> Option<Box<Self>> {
        let jar = Arc::clone(jar?);
        let in_scope = url.is_in(credentials.scope());
        Some(Box::new(Self {
            jar,
            url: url.to_string(),
            credentials: in_scope.then(|| credentials.clone()),
            carries: false,
            below: Arc::default(),
        }))
    }

    /// Tells the integrations below of the jar, if there is one, before the request is sent.
    #[inline]
    pub(crate) fn announce(jar: Option<&Self>, extensions: &mut Extensions) {
        if let Some(request) = jar {
            request.announce_in(extensions);
        }
    }

    #[cold]
    fn announce_in(&self, extensions: &mut Extensions) {
        let above = extensions.get_or_insert_default::<JarsAbove>();
        above.0.retain(|jar| jar.strong_count() > 0);
        above.0.push(Arc::downgrade(&self.below));
    }

    /// What tells the session's cookies. A session that has ended is there until the next one is.
    fn latest(&self) -> Option<Arc<Credential>> {
        self.credentials.as_ref().and_then(Attempt::latest)
    }

    /// Adds the jar's cookies to a request that carries no credential.
    pub(crate) fn add_to(&self, headers: &mut HeaderMap) {
        add_cookies(&*self.jar, &self.url, self.latest().as_deref(), headers);
    }

    /// Adds the jar's cookies to a request, before `credential` is attached to it.
    pub(crate) fn add_beside(&self, credential: &Credential, headers: &mut HeaderMap) {
        add_cookies(&*self.jar, &self.url, Some(credential), headers);
    }

    /// Stores what the response sets, except for the session's cookies, if there is a jar.
    #[inline]
    pub(crate) fn heard(jar: Option<&Self>, response: &HeaderMap) {
        if let Some(request) = jar
            && response.contains_key(SET_COOKIE)
        {
            request.store(response);
        }
    }

    fn store(&self, response: &HeaderMap) {
        if let Some(sessions) = self.sessions() {
            store_cookies(&*self.jar, &self.url, &sessions, response);
        }
    }

    /// Those whose cookies the response may set. `None`, if one that the request carried is gone:
    /// its cookies can't be told from others.
    fn sessions(&self) -> Option<Vec<Arc<Credential>>> {
        let own = self.latest();
        if own.is_none() && self.carries {
            return None;
        }
        let below = self.below.lock().unwrap_or_else(PoisonError::into_inner);
        let below = below.iter().map(Attempt::latest);
        own.map(Some).into_iter().chain(below).collect()
    }
}

/// Adds the jar's cookies to the `Cookie` header of a request to `url`, before `credential` is
/// attached to it, if it carries one. A pair that the request has goes before one of the same name
/// in the jar, and the session's own cookies are left out.
fn add_cookies(
    jar: &dyn CookieJar,
    url: &str,
    credential: Option<&Credential>,
    headers: &mut HeaderMap,
) {
    let Some(cookies) = jar.cookies(url) else {
        return;
    };
    let own: Vec<&[u8]> = headers.get_all(COOKIE).iter().flat_map(pairs).collect();
    let is_own = |pair: &[u8]| own.iter().any(|own| name_of(own) == name_of(pair));
    let is_sessions = |name: &str| credential.is_some_and(|session| session.owns_cookie(name));
    let added = pairs(&cookies).filter(|pair| !is_own(pair) && !names(pair, is_sessions));
    let merged: Vec<&[u8]> = own.iter().copied().chain(added).collect();
    if merged.len() == own.len() {
        return;
    }
    // The parts were header values, and so is their concatenation.
    if let Ok(mut value) = HeaderValue::from_bytes(&merged.join(&b"; "[..])) {
        value.set_sensitive(true);
        headers.insert(COOKIE, value);
    }
}

/// Stores what the response from `url` sets in the jar, except for the cookies of these sessions,
/// to whose scopes the URL belongs.
fn store_cookies(
    jar: &dyn CookieJar,
    url: &str,
    sessions: &[Arc<Credential>],
    response: &HeaderMap,
) {
    let is_sessions = |name: &str| sessions.iter().any(|session| session.keeps_cookie(name));
    let mut rest = response.get_all(SET_COOKIE).iter().filter(|line| {
        let pair = pairs(line).next().unwrap_or_default();
        !names(pair, is_sessions)
    });
    jar.store(&mut rest, url);
}

fn pairs(header: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let pairs = header.as_bytes().split(|byte| *byte == b';');
    pairs
        .map(<[u8]>::trim_ascii)
        .filter(|pair| !pair.is_empty())
}

/// Whether the name of the pair is one of the session's.
fn names(pair: &[u8], is_session: impl Fn(&str) -> bool) -> bool {
    std::str::from_utf8(name_of(pair)).is_ok_and(is_session)
}

fn name_of(pair: &[u8]) -> &[u8] {
    let name = pair.split(|byte| *byte == b'=').next().unwrap_or(pair);
    name.trim_ascii()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use auth_core::testing::Scripted;
    use auth_core::{Session, Target};

    use super::*;

    const URL: &str = "https://api.example.com/v3/me";
    const TARGET: Target<'_> = Target::new("https", "api.example.com", "/v3/me");

    /// A jar with these cookies for every request, and what it was told to store.
    #[derive(Default)]
    struct Jar(Option<&'static str>, Mutex<Vec<String>>);

    impl CookieJar for Jar {
        fn cookies(&self, url: &str) -> Option<HeaderValue> {
            assert_eq!(url, URL);
            self.0.map(HeaderValue::from_static)
        }

        fn store(&self, set_cookies: &mut dyn Iterator<Item = &HeaderValue>, url: &str) {
            assert_eq!(url, URL);
            let lines =
                set_cookies.map(|line| String::from_utf8(line.as_bytes().to_vec()).unwrap());
            self.1.lock().unwrap().extend(lines);
        }
    }

    async fn credential(keeps_all: bool) -> Arc<Credential> {
        let credentials = Credentials::new(Scripted::new(move |_| {
            let session = Session::new().with_cookie("sid", "s")?;
            Ok(if keeps_all {
                session.keep_cookies(&HeaderMap::new(), TARGET)
            } else {
                session
            })
        }));
        credentials.get().await.unwrap()
    }

    async fn sent(in_jar: Option<&'static str>, given: &[&'static str], keeps_all: bool) -> String {
        let credential = credential(keeps_all).await;
        let given = given
            .iter()
            .map(|line| (COOKIE, HeaderValue::from_static(line)));
        let mut headers: HeaderMap = given.collect();
        let jar: Arc<dyn CookieJar> = Arc::new(Jar(in_jar, Mutex::default()));
        add_cookies(&jar, URL, Some(&*credential), &mut headers);
        credential.attach_headers(TARGET, &mut headers);
        assert_eq!(headers.len(), 1);
        assert!(headers[COOKIE].is_sensitive());
        headers[COOKIE].to_str().unwrap().to_owned()
    }

    async fn stored(lines: &[&str], keeps_all: bool) -> Vec<String> {
        let jar = Jar::default();
        let value = |line: &&str| HeaderValue::from_bytes(line.as_bytes()).unwrap();
        let response = lines.iter().map(|line| (SET_COOKIE, value(line)));
        let response: HeaderMap = response.collect();
        let credential = credential(keeps_all).await;
        store_cookies(&jar, URL, &[credential], &response);
        jar.1.into_inner().unwrap()
    }

    #[tokio::test]
    async fn rule_15_a_jars_cookies_are_sent_beside_the_sessions() {
        assert_eq!(sent(Some("lb=node7"), &[], false).await, "lb=node7; sid=s");
        assert_eq!(sent(None, &["a=1"], false).await, "a=1; sid=s");
        let given = ["a=1; lb=own", "c=2"];
        let merged = "a=1; lb=own; c=2; d=3; sid=s";
        assert_eq!(sent(Some("lb=node7; d=3"), &given, false).await, merged);
    }

    #[test]
    fn rule_17_a_jars_cookies_are_marked_sensitive_where_there_is_no_credential() {
        let mut headers = HeaderMap::new();
        let jar = Jar(Some("lb=node7"), Mutex::default());
        add_cookies(&jar, URL, None, &mut headers);
        assert!(headers[COOKIE].is_sensitive());
        assert_eq!(headers[COOKIE], "lb=node7");
    }

    #[tokio::test]
    async fn rule_16_a_cookie_of_the_session_neither_enters_the_jar_nor_comes_from_it() {
        let foreign = Some("sid=another; lb=node7; sid=third");
        assert_eq!(sent(foreign, &[], false).await, "lb=node7; sid=s");
        assert_eq!(sent(foreign, &["sid=own"], false).await, "lb=node7; sid=s");
        let lines = [
            "sid=rolled; Path=/",
            "lb=node8; Path=/",
            "sid=; Path=/legacy; Max-Age=0",
            " sid =rolled",
            "sid=é",
            "SID=other",
        ];
        assert_eq!(
            stored(&lines, false).await,
            ["lb=node8; Path=/", "SID=other"]
        );
        assert_eq!(sent(foreign, &[], true).await, "lb=node7; sid=s");
        assert!(
            stored(&lines, true).await.is_empty(),
            "the session keeps them all"
        );
    }

    #[cfg(feature = "tower")]
    #[test]
    fn rule_16_every_jar_above_is_told_of_a_session_until_its_hop_has_ended() {
        let credentials = Credentials::new(Scripted::tokens(auth_core::Lifetime::unknown()));
        let jar: Arc<dyn CookieJar> = Arc::new(Jar::default());
        let uri: http::Uri = URL.parse().unwrap();
        let bare = || JarRequest::bare(&credentials, Some(&jar), &uri);
        let told = |jar: &Option<Box<JarRequest>>| {
            let below = &jar.as_ref().unwrap().below;
            below.lock().unwrap().len()
        };
        let [outer, ended, inner] = [bare(), bare(), bare()];
        let mut extensions = Extensions::new();
        JarRequest::announce(outer.as_deref(), &mut extensions);
        JarRequest::announce(ended.as_deref(), &mut extensions);
        drop(ended);
        JarRequest::announce(inner.as_deref(), &mut extensions);
        JarsAbove::tell(&extensions, &credentials);
        assert_eq!((told(&outer), told(&inner)), (1, 1));
        assert_eq!(extensions.get::<JarsAbove>().unwrap().0.len(), 2);
    }

    #[cfg(feature = "tower")]
    #[test]
    fn rule_16_without_the_session_a_response_to_a_request_that_carried_it_is_not_stored() {
        let credentials = Credentials::new(Scripted::tokens(auth_core::Lifetime::unknown()));
        let mut response = HeaderMap::new();
        response.insert(SET_COOKIE, HeaderValue::from_static("sid=s"));
        let uri: http::Uri = URL.parse().unwrap();
        for (carries, stored) in [(true, &[][..]), (false, &["sid=s".to_owned()][..])] {
            let kept = Arc::new(Jar::default());
            let jar: Arc<dyn CookieJar> = kept.clone();
            let request = if carries {
                JarRequest::carrying(&credentials, Some(&jar), &uri)
            } else {
                JarRequest::bare(&credentials, Some(&jar), &uri)
            };
            JarRequest::heard(request.as_deref(), &response);
            assert_eq!(*kept.1.lock().unwrap(), stored, "carries: {carries}");
        }
    }
}
