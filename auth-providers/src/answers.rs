use std::borrow::Cow;
use std::fmt;

use auth_core::{Secret, Session, SetCookie, Target, set_cookies};
use bytes::Bytes;
use http::header::{COOKIE, LOCATION};
use http::uri::Uri;
use http::{Request, Response};
use percent_encoding::{AsciiSet, percent_encode, utf8_percent_encode};

/// All answers of one login so far, in order, and the secret that it was given.
///
/// A login of one request looks at the [last](Self::last). One of several tells by [all](Self::all)
/// of them how far it is:
///
/// ```
/// use auth_core::{LoginError, Session};
/// use auth_providers::{Answers, Step, request, response};
///
/// fn read(answers: &Answers<'_>) -> Result<Step, LoginError> {
///     response::expect_success(answers.last())?;
///     if let [page] = answers.all() {
///         let csrf = response::hidden_field(page, "csrf")?;
///         let fields = [("csrf", &*csrf), ("password", answers.secret().expose())];
///         return Ok(request::post_form("https://api.example.com/login", &fields)?.into());
///     }
///     let cookie = answers.cookie("sid").ok_or_else(|| LoginError::malformed("no sid"))?;
///     Ok(Session::new().with_set_cookie(&cookie)?.into())
/// }
/// # let page = http::Response::new(r#"<input type="hidden" name="csrf" value="c-1">"#.into());
/// # let url = "https://api.example.com/login".parse()?;
/// # let password = "correct horse".into();
/// # assert!(matches!(read(&Answers::new(&url, page, &password))?, Step::Request(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Answers<'a> {
    /// Where the request of each answer was sent.
    sent_to: Vec<Uri>,
    /// At least one.
    all: Vec<Response<Bytes>>,
    secret: &'a Secret,
}

impl<'a> Answers<'a> {
    /// The answer to the first request, which was sent to `sent_to`. A test of a login calls this;
    /// otherwise [`LoginVia`](crate::LoginVia) does.
    pub fn new(sent_to: &Uri, answer: Response<Bytes>, secret: &'a Secret) -> Self {
        Self {
            sent_to: vec![sent_to.clone()],
            all: vec![answer],
            secret,
        }
    }

    /// Adds the answer to the next request.
    pub fn and(mut self, sent_to: &Uri, answer: Response<Bytes>) -> Self {
        self.sent_to.push(sent_to.clone());
        self.all.push(answer);
        self
    }

    /// The answer to the newest request.
    pub fn last(&self) -> &Response<Bytes> {
        let last = self.all.last();
        last.unwrap_or_else(|| unreachable!("there is one from the start"))
    }

    /// All of them, the oldest first. There is at least one.
    pub fn all(&self) -> &[Response<Bytes>] {
        &self.all
    }

    /// The secret that the login was given, for a further request.
    pub const fn secret(&self) -> &'a Secret {
        self.secret
    }

    /// The cookie of a session: of those with this name that a user agent has after all answers,
    /// the one that most requests carry, or of several the last that was set.
    ///
    /// A deletion in the same answer is meant for a cookie of the same name with another path or
    /// domain. The path of the login's own URL, which is that of a cookie without a `Path`, says
    /// nothing about where the API is.
    ///
    /// ```
    /// use auth_providers::Answers;
    /// use http::Response;
    ///
    /// let answer = Response::builder()
    ///     .header("set-cookie", "sid=s-1; Path=/")
    ///     .header("set-cookie", "sid=; Path=/old; Max-Age=0")
    ///     .body("".into())?;
    /// let (url, password) = ("https://api.example.com/login".parse()?, "correct horse".into());
    /// let answers = Answers::new(&url, answer, &password);
    /// assert_eq!(answers.cookie("sid").expect("it is set").value, "s-1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cookie(&self, name: &str) -> Option<SetCookie> {
        let all = self.cookies().into_iter();
        let namesakes = all.filter(|cookie| cookie.name == name);
        // Of several that are least, `min_by_key` returns the first: in reverse, the last.
        namesakes.rev().min_by_key(|cookie| match &cookie.path {
            Some(path) if path == "/" => 0,
            None => 1,
            Some(path) => path.len(),
        })
    }

    /// The cookies that a user agent has after all answers, other than empty ones: of each name,
    /// domain and path the last, where one for a host alone is another than one with its `Domain`,
    /// and one that is `Secure` counts if it did not come over plain HTTP (RFC 6265bis, section
    /// 5.7). Those that were set last come last.
    pub fn cookies(&self) -> Vec<SetCookie> {
        let mut all: Vec<(Key, SetCookie)> = Vec::new();
        for (sent_to, answer) in self.exchanges() {
            let target = Target::of(sent_to);
            let host = sent_to.host().unwrap_or_default();
            let taken = |cookie: &SetCookie| cookie.is_taken_from(target);
            for cookie in set_cookies(answer.headers()).filter(taken) {
                let key = Key::of(&cookie, host, target);
                all.retain(|(earlier, _)| *earlier != key);
                if cookie.has_value() {
                    all.push((key, cookie));
                }
            }
        }
        all.into_iter().map(|(_, cookie)| cookie).collect()
    }

    /// Whether an answer has set a cookie of such a name that is `Secure`, over plain HTTP. A user
    /// agent ignores it.
    pub(crate) fn has_insecure(&self, is_name: impl Fn(&str) -> bool) -> bool {
        self.exchanges().any(|(sent_to, answer)| {
            let target = Target::of(sent_to);
            let mut set = set_cookies(answer.headers());
            set.any(|it| {
                it.secure && it.has_value() && is_name(&it.name) && !it.is_taken_from(target)
            })
        })
    }

    /// Where the last answer redirects to: its `Location`, which may be relative to the URL of its
    /// request (RFC 9110, section 10.2.2). A login that goes there makes it its next request. As in
    /// a browser, a space and each byte that is not ASCII is percent-encoded.
    ///
    /// ```
    /// use auth_providers::Answers;
    /// use http::Response;
    ///
    /// let answer = Response::builder().status(302).header("location", "code?c=1");
    /// let answer = answer.body("".into())?;
    /// let (url, password) = ("https://api.example.com/v1/login".parse()?, "correct horse".into());
    /// let answers = Answers::new(&url, answer, &password);
    /// let location = answers.location().expect("a redirect");
    /// assert_eq!(location, "https://api.example.com/v1/code?c=1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn location(&self) -> Option<String> {
        let answer = self.last();
        let location = answer.headers().get(LOCATION)?.as_bytes().trim_ascii();
        let location: Cow<'_, str> = percent_encode(location, NOT_IN_A_URL).into();
        let redirects = answer.status().is_redirection();
        resolved(self.sent_to.last()?, &location).filter(|_| redirects)
    }

    /// Adds the cookies that a user agent would send with this request after these answers, unless
    /// it has a `Cookie` header of its own.
    pub(crate) fn add_cookies(&self, next: &mut Request<Bytes>) {
        if next.headers().contains_key(COOKIE) {
            return;
        }
        let jar = self.keep_cookies(Session::new());
        if let Some(cookies) = jar.cookie_header(Target::of(next.uri())) {
            next.headers_mut().insert(COOKIE, cookies);
        }
    }

    /// The session that keeps the cookies of all answers beside its own.
    pub(crate) fn keep_cookies(&self, session: Session) -> Session {
        self.exchanges()
            .fold(session, |session, (sent_to, answer)| {
                session.keep_cookies(answer.headers(), Target::of(sent_to))
            })
    }

    fn exchanges(&self) -> impl Iterator<Item = (&Uri, &Response<Bytes>)> {
        self.sent_to.iter().zip(&self.all)
    }
}

impl fmt::Debug for Answers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statuses = self.all.iter().map(|answer| answer.status().as_u16());
        f.write_str("Answers")?;
        f.debug_list().entries(statuses).finish()
    }
}

/// What a user agent tells cookies apart by.
#[derive(PartialEq)]
struct Key {
    name: String,
    domain: String,
    is_host_only: bool,
    path: String,
}

impl Key {
    fn of(cookie: &SetCookie, host: &str, target: Target<'_>) -> Self {
        let path = cookie.path.as_deref().unwrap_or(target.default_path());
        Self {
            name: cookie.name.clone(),
            domain: cookie
                .domain
                .as_deref()
                .unwrap_or(host)
                .to_ascii_lowercase(),
            is_host_only: cookie.is_host_only(),
            path: path.to_owned(),
        }
    }
}

/// What servers write into a URL though it can't stand there, beside what is not ASCII. Browsers
/// encode it (WHATWG URL, section 1.3).
const NOT_IN_A_URL: &AsciiSet = &AsciiSet::EMPTY
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'`');

/// A reference, resolved against the URL that it stands at (RFC 3986, section 5.2), without its
/// fragment. `None` if the URL is not absolute.
pub(crate) fn resolved(base: &Uri, reference: &str) -> Option<String> {
    let reference = reference.split('#').next().unwrap_or_default();
    let reference: Cow<'_, str> = utf8_percent_encode(reference, NOT_IN_A_URL).into();
    let reference = &*reference;
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    if has_scheme(reference) {
        return Some(reference.to_owned());
    }
    if reference.starts_with("//") {
        return Some(format!("{scheme}:{reference}"));
    }
    let (path, query) = match reference.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (reference, String::new()),
    };
    let (path, query) = if path.is_empty() {
        let ours = base.query().map(|query| format!("?{query}"));
        let query = if query.is_empty() {
            ours.unwrap_or_default()
        } else {
            query
        };
        (base.path().to_owned(), query)
    } else if path.starts_with('/') {
        (without_dots(path), query)
    } else {
        let folder = base
            .path()
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        (without_dots(&format!("{folder}/{path}")), query)
    };
    Some(format!("{scheme}://{authority}{path}{query}"))
}

/// Whether it begins with a scheme (RFC 3986, section 3.1).
fn has_scheme(reference: &str) -> bool {
    let Some((scheme, _)) = reference.split_once(':') else {
        return false;
    };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b"+-.".contains(&c))
}

/// A path that begins with a slash, without the segments `.` and `..` (RFC 3986, section 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                // What such a segment ends with is a folder.
                if segments.peek().is_none() {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn answer(set_cookies: &[&str]) -> Response<Bytes> {
        let mut answer = Response::new(Bytes::new());
        for line in set_cookies {
            let value = line.parse().unwrap();
            answer.headers_mut().append("set-cookie", value);
        }
        answer
    }

    fn cookie_of(answers: &[(&str, &[&str])], name: &str) -> Option<String> {
        let secret = Secret::from("pw");
        let mut all = answers.iter().map(|(url, lines)| {
            let url: Uri = url.parse().unwrap();
            (url, answer(lines))
        });
        let (url, first) = all.next().unwrap();
        let first = Answers::new(&url, first, &secret);
        let answers = all.fold(first, |answers, (url, answer)| answers.and(&url, answer));
        answers.cookie(name).map(|cookie| cookie.value)
    }

    #[test]
    fn rule_15_the_cookie_of_a_session_is_the_last_that_goes_everywhere() {
        for (lines, value) in [
            (&["a=1", "b=2", "a=3; Max-Age=60"][..], Some("3")),
            (&["b=2"], None),
            (&["A=1"], None),
            (&["a="], None),
            (&["a=1; Max-Age=0"], None),
            (&["a=3", "a=; Max-Age=0; Path=/api"], Some("3")),
            (&["a=3; Path=/", "a=; Max-Age=0; Path=/"], None),
            (&["a=; Max-Age=0; Path=/", "a=3; Path=/"], Some("3")),
            (&["a=3; Path=/", "a=4; Path=/legacy"], Some("3")),
            (&["a=4; Path=/legacy", "a=3; Path=/"], Some("3")),
            (&["a=3; Path=/", "a=4"], Some("3")),
            (&["a=4; Path=/legacy", "a=3"], Some("3")),
            (
                &["a=3; Path=/", "a=4; Domain=example.com; Path=/"],
                Some("4"),
            ),
            (&["a=3", "a=4; Domain=example.org"], Some("3")),
            (&["a=3", "a=4; Domain=com"], Some("3")),
            (&["a=3; Path=/", "a=4; Path=/; Secure"], Some("4")),
            (
                &["a=3; Path=/", "a=4; Domain=api.example.com; Path=/"],
                Some("4"),
            ),
            // One for the host alone is another.
            (
                &[
                    "a=4; Domain=api.example.com; Path=/",
                    "a=; Max-Age=0; Path=/",
                ],
                Some("4"),
            ),
            (
                &[
                    "a=3; Path=/",
                    "a=4; Domain=api.example.com; Path=/",
                    "a=; Domain=API.example.com; Path=/; Max-Age=0",
                ],
                Some("3"),
            ),
        ] {
            let url = "https://api.example.com/v1/login";
            assert_eq!(
                cookie_of(&[(url, lines)], "a").as_deref(),
                value,
                "{lines:?}"
            );
        }
    }

    #[test]
    fn rule_15_a_login_over_plain_http_is_given_no_secure_cookie() {
        for (url, value) in [
            ("http://pi.hole/login", "3"),
            ("http://127.0.0.1:8080/login", "4"),
            ("http://localhost/login", "4"),
        ] {
            let lines = &["a=3; Path=/", "a=4; Path=/; Secure"][..];
            let found = cookie_of(&[(url, lines)], "a");
            assert_eq!(found.as_deref(), Some(value), "{url}");
        }
    }

    #[test]
    fn rule_15_a_later_answer_replaces_and_deletes_the_cookies_of_an_earlier_one() {
        const PAGE: &str = "https://api.example.com/login";
        const FORM: &str = "https://api.example.com/login/form";
        const OTHER: &str = "https://login.example.com/login";
        for (second, lines, value) in [
            (PAGE, &["a=2"][..], Some("2")),
            (PAGE, &[], Some("1")),
            (PAGE, &["a=; Max-Age=0"], None),
            // Without a `Path` it is that of the URL: `/login`, where the first one has `/`.
            (FORM, &["a=; Max-Age=0"], Some("1")),
            (FORM, &["a=; Max-Age=0; Path=/"], None),
            (
                FORM,
                &["a=; Max-Age=0; Path=/; Domain=api.example.com"],
                Some("1"),
            ),
            (FORM, &["a=2"], Some("2")),
            // Another host's cookie is another one.
            (OTHER, &["a=; Max-Age=0"], Some("1")),
            (OTHER, &["a=2"], Some("2")),
        ] {
            let found = cookie_of(&[(PAGE, &["a=1"]), (second, lines)], "a");
            assert_eq!(found.as_deref(), value, "{second} {lines:?}");
        }
    }

    #[test]
    fn a_location_is_resolved_against_the_url_that_was_sent_to() {
        let base = "https://a.example:8443/x/y?q=1";
        for (location, url) in [
            ("https://b.example/z", "https://b.example/z"),
            ("HTTPS://b.example/z#f", "HTTPS://b.example/z"),
            ("//b.example/z", "https://b.example/z"),
            ("/z", "https://a.example:8443/z"),
            (
                "/z?u=https://b.example/",
                "https://a.example:8443/z?u=https://b.example/",
            ),
            ("z", "https://a.example:8443/x/z"),
            (" z#fragment ", "https://a.example:8443/x/z"),
            ("./z?r", "https://a.example:8443/x/z?r"),
            ("../z", "https://a.example:8443/z"),
            ("../../../z/.", "https://a.example:8443/z/"),
            ("z/..", "https://a.example:8443/x/"),
            ("?r", "https://a.example:8443/x/y?r"),
            ("#f", "https://a.example:8443/x/y?q=1"),
            ("", "https://a.example:8443/x/y?q=1"),
            ("javascript:alert(1)", "javascript:alert(1)"),
            ("z/u:1", "https://a.example:8443/x/z/u:1"),
            ("1:2", "https://a.example:8443/x/1:2"),
            (
                "/a b%20c?d=<e f>",
                "https://a.example:8443/a%20b%20c?d=%3Ce%20f%3E",
            ),
            ("z?n=Jos\u{e9}", "https://a.example:8443/x/z?n=Jos%C3%A9"),
            ("https://b.example/\" `", "https://b.example/%22%20%60"),
        ] {
            let mut answer = answer(&[]);
            *answer.status_mut() = http::StatusCode::SEE_OTHER;
            let value = HeaderValue::from_bytes(location.as_bytes()).unwrap();
            answer.headers_mut().insert(LOCATION, value);
            let secret = Secret::from("pw");
            let mut answers = Answers::new(&base.parse().unwrap(), answer, &secret);
            assert_eq!(answers.location().as_deref(), Some(url), "{location}");
            *answers.all[0].status_mut() = http::StatusCode::CREATED;
            assert_eq!(answers.location(), None, "no redirect");
        }
    }

    #[test]
    fn rule_17_answers_print_their_statuses_alone() {
        let secret = Secret::from("canary");
        let answer = answer(&["a=canary"]).map(|_| Bytes::from_static(b"canary"));
        let url = "https://a.example/canary?canary".parse().unwrap();
        let printed = format!("{:?}", Answers::new(&url, answer, &secret));
        assert_eq!(printed, "Answers[200]");
    }
}
