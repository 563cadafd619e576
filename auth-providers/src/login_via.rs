use std::any::TypeId;
use std::error::Error as _;

use async_trait::async_trait;
use auth_core::{
    Credential, Identity, Judge, LoginError, LoginErrorKind, LoginMark, Logout, LogoutScope,
    Origin, Provider, ProviderOptions, Quota, Refresh, RequestHead, ResponseView, Scope, Secret,
    SecretSource, Session, Target, Update,
};
use bytes::Bytes;
use http::{HeaderName, Request, Response, Uri};
use percent_encoding::percent_decode_str;

use crate::answers::Answers;
use crate::login::Login;
use crate::response;
use crate::step::Step;
use crate::transport::{ByStatus, CutShort, Transport};

/// How many requests one login may send: two or three, as a rule, and room for a few redirects. A
/// server that leads in a circle ends here.
pub(crate) const MOST_REQUESTS: usize = 10;

/// A [`Login`] and the [`Transport`] that carries it: an [`auth_core::Provider`].
///
/// Created by [`Login::via`]. It sends the requests of a login one after the other, at most 10, and
/// all of them are one login: one permit of the quota, and one time-out.
///
/// - A request carries the cookies that the login's earlier answers have set, as a user agent would
///   send them (RFC 6265, section 5.4), unless it has a `Cookie` header of its own. Nothing of an
///   earlier session is on it.
/// - No redirect is followed. A login that goes where an answer leads
///   [makes it a request](Answers::location).
/// - A request to an origin that is neither that of the base URL nor in the scope is not sent, so
///   that no answer leads the password elsewhere. The login fails with
///   [`Misconfigured`](auth_core::LoginErrorKind::Misconfigured), if it was the first request, or
///   else with [`Malformed`](auth_core::LoginErrorKind::Malformed), and so it does after 10
///   requests.
/// - A next request that can't be sent, or has no answer, fails the login as one that may have been
///   refused: the answer before may have said so.
#[derive(Clone, Debug)]
pub struct LoginVia<L, T> {
    login: L,
    transport: T,
}

impl<L, T> LoginVia<L, T> {
    pub(crate) const fn new(login: L, transport: T) -> Self {
        Self { login, transport }
    }

    /// The login.
    pub const fn as_login(&self) -> &L {
        &self.login
    }

    /// The transport.
    pub const fn transport(&self) -> &T {
        &self.transport
    }
}

#[async_trait]
impl<L: Login, T: Transport> Provider for LoginVia<L, T> {
    fn identity(&self) -> &Identity {
        self.login.account().identity()
    }

    fn secret(&self) -> &SecretSource {
        self.login.account().secret()
    }

    fn scope(&self) -> Scope {
        self.login.account().scope()
    }

    fn login_origin(&self) -> Origin {
        self.login.account().login_origin()
    }

    fn quota(&self) -> Quota {
        self.login.account().quota()
    }

    fn judge(&self) -> &dyn Judge {
        self.login.judge()
    }

    fn updates(&self) -> bool {
        self.login.updates()
    }

    fn update(&self, response: &ResponseView<'_>, credential: &Credential) -> Update {
        self.login.update(response, credential)
    }

    fn secret_headers(&self) -> &[HeaderName] {
        self.login.secret_headers()
    }

    /// The kind of login, its own options, and those of its account. Not the transport.
    fn options(&self) -> ProviderOptions {
        let (kind, own) = (TypeId::of::<L>(), self.login.options());
        let account = self.login.account();
        ProviderOptions::of((kind, own, account.lifetime(), account.keeps_cookies()))
    }

    fn variant(&self) -> String {
        self.login.variant()
    }

    /// Also whether there is a request to send. One that can't be made takes no permit from others
    /// that log in at the same place.
    fn check_secret(&self, secret: &Secret) -> Result<(), LoginError> {
        self.first_request(secret).map(drop)
    }

    async fn login(&self, secret: &Secret) -> Result<Session, LoginError> {
        let first = self.first_request(secret)?;
        let (sent_to, answer) = self.send(first).await?;
        let mut answers = Answers::new(&sent_to, answer, secret);
        loop {
            match self.read(&answers)? {
                Step::Session(session) => return Ok(self.session(session, &answers)),
                Step::Request(next) => {
                    // If it is never answered, the answer before may have been a refusal.
                    LoginMark::answer_began(unanswered());
                    let sent = self.send(next).await;
                    LoginMark::answer_ended();
                    let (sent_to, answer) = sent.map_err(|failed| {
                        let wait = failed.retry_after();
                        not_answered(failed).with_retry_after(wait)
                    })?;
                    answers = answers.and(&sent_to, answer);
                }
            }
        }
    }

    fn renews_ahead(&self) -> bool {
        self.login.renews_ahead()
    }

    fn refresh_by(&self) -> Option<Refresh> {
        self.login.refresh_by()
    }

    async fn refresh(&self, current: &Credential) -> Result<Session, LoginError> {
        let request = self.login.refresh_request(current)?;
        self.check_origin(&request, LoginError::misconfigured)?;
        let (sent_to, answer) = self.send(request).await?;
        let read = self.login.read_refresh(&answer, current);
        let session = read.map_err(|failed| answered(failed, &answer))?;
        let (headers, target) = (answer.headers(), Target::of(&sent_to));
        if self.login.continues_cookies() {
            // The lifetime of the account counts for these cookies as well.
            let session = session.continue_cookies(headers, target);
            return Ok(self.with_lifetime(session));
        }
        let session = self.with_lifetime(session);
        Ok(if self.login.account().keeps_cookies() {
            session.keep_cookies(headers, target)
        } else {
            session
        })
    }

    fn repairs(&self) -> bool {
        self.login.repairs()
    }

    async fn repair(&self, current: &Credential) -> Result<Update, LoginError> {
        let request = self.login.repair_request(current)?;
        self.check_origin(&request, LoginError::misconfigured)?;
        let asked = head_without(current, &request);
        let (sent_to, answer) = self.send(request).await?;
        response::expect_session(&answer, self.login.judge(), &asked)?;
        let read = self.login.read_repair(&answer, current);
        let update = read.map_err(|failed| answered(failed, &answer))?;
        Ok(update.with_cookies(answer.headers(), Target::of(&sent_to)))
    }

    async fn logout(&self, credential: &Credential, logout: Logout) -> Result<(), LoginError> {
        let Some(request) = self.login.logout_request(credential)? else {
            return Ok(());
        };
        let target = Target::of(request.uri()).with_method(request.method());
        if credential.lacks(target) && carries(credential, &request) {
            return self.repair_and_log_out(credential, logout).await;
        }
        let asked = head_without(credential, &request);
        let sent_to = request.uri().clone();
        let answer = self.send_logout(request).await?;
        let read = self.logged_out(&answer, &asked, logout);
        let judge = self.login.judge();
        let fails = read.is_err() && self.login.repairs();
        if !fails || !response::asks_for_repair(&answer, judge, &asked) {
            return read;
        }
        // The session goes on, so what the answer sets counts, as that of any other.
        let set = Update::new().with_cookies(answer.headers(), Target::of(&sent_to));
        match credential.updated(&set) {
            Some(current) => self.repair_and_log_out(&current, logout).await,
            None => read,
        }
    }

    fn logout_scope(&self) -> LogoutScope {
        self.login.logout_scope()
    }
}

impl<L: Login, T: Transport> LoginVia<L, T> {
    fn first_request(&self, secret: &Secret) -> Result<Request<Bytes>, LoginError> {
        self.login.check_secret(secret)?;
        let first = self.login.request(secret)?;
        self.check_origin(&first, LoginError::misconfigured)?;
        Ok(first)
    }

    /// Sends one request of the login. Returns where it was sent, and the answer.
    async fn send(
        &self,
        mut request: Request<Bytes>,
    ) -> Result<(Uri, Response<Bytes>), LoginError> {
        // If this transport leads through an integration for the same credential, the mark makes
        // the integration refuse the login. Without it, the login would wait for itself.
        if let Some(mark) = LoginMark::current() {
            request.extensions_mut().insert(mark);
        }
        let sent_to = request.uri().clone();
        let answer = self.transport.carry(request).await?;
        Ok((sent_to, answer))
    }

    /// Fetches a part of the session, and logs out with it.
    async fn repair_and_log_out(
        &self,
        current: &Credential,
        logout: Logout,
    ) -> Result<(), LoginError> {
        let repaired = match self.repair(current).await {
            Ok(update) => current.updated(&update),
            Err(failed) if failed.kind() == LoginErrorKind::Refused => None,
            Err(failed) => return Err(failed),
        };
        let Some(repaired) = repaired else {
            if logout.was_over {
                return Ok(());
            }
            // No password was sent, so none was refused.
            return Err(LoginError::malformed(
                "the fetch of a part for the logout says that the session is over",
            ));
        };
        let Some(request) = self.login.logout_request(&repaired)? else {
            return Ok(());
        };
        let asked = head_without(&repaired, &request);
        let answer = self.send_logout(request).await?;
        self.logged_out(&answer, &asked, logout)
    }

    /// What the answer to a logout means, which `asked` for it.
    fn logged_out(
        &self,
        answer: &Response<Bytes>,
        asked: &RequestHead,
        logout: Logout,
    ) -> Result<(), LoginError> {
        let read = self.login.logged_out(answer, logout);
        read.or_else(|failed| {
            let is_over = response::says_over(answer, self.login.judge(), asked);
            is_over.then_some(()).ok_or(failed)
        })
    }

    async fn send_logout(
        &self,
        mut request: Request<Bytes>,
    ) -> Result<Response<Bytes>, LoginError> {
        // The URL may be what an answer said.
        self.check_origin(&request, LoginError::malformed)?;
        request.extensions_mut().insert(ByStatus);
        self.transport.carry(request).await
    }

    /// What follows these answers: a session that carries something, or a request that may be sent,
    /// with its cookies.
    fn read(&self, answers: &Answers<'_>) -> Result<Step, LoginError> {
        let step = self.login.read(answers).and_then(|step| match step {
            Step::Session(session) if session.is_empty() => {
                Err(LoginError::malformed("the response brought no session"))
            }
            Step::Session(session) => Ok(Step::Session(session)),
            Step::Request(mut next) => {
                if answers.all().len() >= MOST_REQUESTS {
                    return Err(LoginError::malformed(format!(
                        "no session after {MOST_REQUESTS} requests"
                    )));
                }
                self.check_origin(&next, LoginError::malformed)?;
                answers.add_cookies(&mut next);
                Ok(Step::Request(next))
            }
        });
        step.map_err(|failed| answered(failed, answers.last()))
    }

    /// The session with the options of the account.
    fn session(&self, session: Session, answers: &Answers<'_>) -> Session {
        let session = self.with_lifetime(session);
        if self.login.account().keeps_cookies() {
            answers.keep_cookies(session)
        } else {
            session
        }
    }

    fn with_lifetime(&self, session: Session) -> Session {
        match self.login.account().lifetime() {
            Some(lifetime) => session.override_lifetime(lifetime),
            None => session,
        }
    }

    /// Refuses a request that leads elsewhere.
    fn check_origin(
        &self,
        request: &Request<Bytes>,
        error: fn(&'static str) -> LoginError,
    ) -> Result<(), LoginError> {
        self.login
            .account()
            .check_origin(request.uri())
            .map_err(error)
    }
}

/// What a judge sees of a request that may carry the session: its method and its URL, without the
/// pairs of the query that are the session's.
fn head_without(session: &Credential, request: &Request<Bytes>) -> RequestHead {
    let uri = request.uri();
    let head = |uri| RequestHead::new(request.method().clone(), uri);
    let Some(query) = uri.query().filter(|_| session.has_query()) else {
        return head(uri.clone());
    };
    let is_secret = |pair: &str| {
        let value = pair.split_once('=').map_or("", |(_, value)| value);
        let value = percent_decode_str(value).decode_utf8_lossy();
        session.query_secrets().any(|secret| secret == value)
    };
    let others: Vec<&str> = (query.split('&')).filter(|pair| !is_secret(pair)).collect();
    let bare = match others.join("&") {
        none if none.is_empty() => uri.path().to_owned(),
        others => format!("{}?{others}", uri.path()),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = bare.parse().ok();
    // Both are parts of a valid URI, and so is what is left of it.
    head(Uri::from_parts(parts).unwrap_or_default())
}

/// Whether a request carries what there is of the session. The logout of some APIs names a token in
/// its body instead, and needs no other part.
fn carries(session: &Credential, request: &Request<Bytes>) -> bool {
    let mut carrying = request.clone();
    // What is on a request already is replaced.
    session.attach(&mut carrying).is_ok()
        && carrying.uri() == request.uri()
        && carrying.headers() == request.headers()
}

/// The failure that an answer means, with the wait that it asks for. It says if the answer is not
/// whole, which may be why a recipe has not found in it what it looks for.
fn answered(failed: LoginError, answer: &Response<Bytes>) -> LoginError {
    let asked = || response::wait_of(&failed, answer.headers());
    let wait = failed.retry_after().or_else(asked);
    let failed = once_sent(failed).with_retry_after(wait);
    match answer.extensions().get::<CutShort>() {
        Some(cut) if failed.source().is_none() => failed.with_source(cut.clone()),
        _ => failed,
    }
}

/// The failure of a login of which something was sent. A next request that can't be sent, to an
/// answer's URL that is none or to a host that can't be reached, is no mistake of the configuration
/// and no outage, which would be tried again soon: the answer may have been a refusal.
fn once_sent(failed: LoginError) -> LoginError {
    if failed.kind() != LoginErrorKind::Misconfigured && !failed.is_not_sent() {
        return failed;
    }
    LoginError::malformed("the next request of the login can't be sent").with_source(failed)
}

/// The failure of a login whose next request has failed.
fn not_answered(failed: LoginError) -> LoginError {
    match failed.kind() {
        _ if failed.is_not_sent() => once_sent(failed),
        LoginErrorKind::TimedOut | LoginErrorKind::Unavailable => unanswered().with_source(failed),
        _ => once_sent(failed),
    }
}

/// The failure of a login whose next request was sent, or may have been, and has no answer.
fn unanswered() -> LoginError {
    LoginError::malformed("the next request of the login was not answered")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Account;

    struct Says(Account, bool);

    impl Login for Says {
        fn account(&self) -> &Account {
            &self.0
        }

        fn account_mut(&mut self) -> &mut Account {
            &mut self.0
        }

        fn request(&self, _: &Secret) -> Result<Request<Bytes>, LoginError> {
            unreachable!("nothing is sent")
        }

        fn read(&self, _: &Answers<'_>) -> Result<Step, LoginError> {
            unreachable!("nothing is sent")
        }

        fn renews_ahead(&self) -> bool {
            self.1
        }

        fn repairs(&self) -> bool {
            self.1
        }

        fn updates(&self) -> bool {
            self.1
        }

        fn variant(&self) -> String {
            self.1.to_string()
        }

        fn logout_scope(&self) -> LogoutScope {
            if self.1 {
                LogoutScope::Account
            } else {
                LogoutScope::ThisSession
            }
        }
    }

    struct Nowhere;

    #[async_trait]
    impl Transport for Nowhere {
        async fn carry(&self, _: Request<Bytes>) -> Result<Response<Bytes>, LoginError> {
            unreachable!("nothing is sent")
        }
    }

    #[test]
    fn what_was_not_sent_is_told_from_what_was_not_answered() {
        let told = |failed| not_answered(failed).to_string();
        let not_sent = LoginError::unavailable("connection refused").not_sent();
        assert!(told(not_sent).contains("can't be sent"));
        let unanswered = LoginError::unavailable("connection reset");
        assert!(told(unanswered).contains("was not answered"));
    }

    #[test]
    fn a_provider_says_of_its_sessions_what_its_login_says() {
        for says in [true, false] {
            let account = Account::new("acme", "https://acme.example", "ada", "pw").unwrap();
            let provider = Says(account, says).via(Nowhere);
            assert_eq!(provider.renews_ahead(), says);
            assert_eq!(provider.repairs(), says);
            assert_eq!(provider.updates(), says);
            assert_eq!(provider.variant(), says.to_string());
            assert_eq!(provider.logout_scope() == LogoutScope::Account, says);
        }
    }

    fn get(query: &str) -> Request<Bytes> {
        crate::request::get(&format!("https://acme.example/me{query}")).unwrap()
    }

    #[test]
    fn a_judge_sees_the_query_of_a_request_without_what_is_the_sessions() {
        let session = Session::new().with_query("token", "t 1").unwrap();
        let session = auth_core::testing::credential(session);
        for (query, seen) in [("", None), ("?page=1", Some("page=1"))] {
            let mut request = get(query);
            session.attach(&mut request).unwrap();
            assert!(request.uri().query().unwrap().contains("token="));
            assert_eq!(head_without(&session, &request).uri.query(), seen);
        }
    }

    #[test]
    fn a_request_carries_a_session_if_all_of_it_is_there() {
        for session in [
            Session::new().with_query("token", "t"),
            Session::new().with_bearer("t"),
        ] {
            let session = auth_core::testing::credential(session.unwrap());
            let mut request = get("");
            assert!(!carries(&session, &request));
            session.attach(&mut request).unwrap();
            assert!(carries(&session, &request));
        }
    }

    #[test]
    fn a_failure_has_its_own_cause_or_else_that_its_answer_is_not_whole() {
        let mut answer = Response::new(Bytes::new());
        answer.extensions_mut().insert(CutShort::too_long());
        let cause = |failed| {
            let failed = answered(failed, &answer);
            failed.source().map(ToString::to_string)
        };
        let malformed = || LoginError::malformed("no token");
        assert_eq!(cause(malformed()), Some(CutShort::too_long().to_string()));
        let own = malformed().with_source(CutShort::not_in_time());
        assert_eq!(cause(own), Some(CutShort::not_in_time().to_string()));
    }
}
