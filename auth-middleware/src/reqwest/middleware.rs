//! The middleware.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use auth_core::{Conclusion, Credentials, Judge, Stamp};
use http::{Extensions, HeaderMap};
use reqwest::{Client, Request, Response, Url};
use reqwest_middleware::{
    ClientBuilder, ClientWithMiddleware, Error, Middleware, Next, Result as Answered,
};

use tracing::Instrument as _;

use super::client::{self, ClientError};
use super::error::Done;
use super::pristine::Pristine;
use super::redact::Redactor;
use super::sending::{HopContext, Sending, are_sent_alike, target_of};
use super::time_left::TimeLeft;
use crate::admission::{Admission, note_hop_out_of_scope};
use crate::context::AuthContext;
use crate::jar::{CookieJar, JarRequest, JarsAbove};
use crate::redirect::{Answer, Chain, Chained, NotFollowed, Redirects, would_take_a_secret};
use crate::resend;
use crate::target::Target;

/// Attaches a credential to each request of a reqwest client, judges the response, follows its
/// redirects, and sends a rejected request once more.
///
/// ```no_run
/// use auth_middleware::AuthMiddleware;
///
/// # fn example(credentials: auth_core::Credentials) -> Result<(), auth_middleware::ClientError> {
/// let client = AuthMiddleware::build_client(reqwest::Client::builder(), credentials)?;
/// # let _ = client;
/// # Ok(())
/// # }
/// ```
///
/// Further middlewares go around it, such as a retry. Add it last, so that it is the innermost: a
/// middleware below it, such as one that logs requests, sees the credential.
///
/// ```
/// use auth_middleware::{AuthMiddleware, Redirects};
/// use reqwest_middleware::ClientBuilder;
///
/// # fn example(
/// #     credentials: auth_core::Credentials,
/// #     retry: impl reqwest_middleware::Middleware,
/// # ) -> Result<(), auth_middleware::ClientError> {
/// let (client, auth) = AuthMiddleware::with_client(reqwest::Client::builder(), credentials)?;
/// let client = ClientBuilder::new(client)
///     .with(retry)
///     .with(auth.redirects(Redirects::new().at_most(5)))
///     .build();
/// # let _ = client;
/// # Ok(())
/// # }
/// ```
///
/// - **Redirects** are followed here and not by the client, as [`Redirects`] says. A client that
///   followed them by itself would send headers such as `X-Api-Key` to every host, and the query of
///   a URL in `Referer`. So the middleware comes with a client that does not, or checks one:
///   [`with_client`](Self::with_client), [`for_client`](Self::for_client).
/// - **Waiting.** A request waits for a credential, with the parts that it carries, for its own
///   [`timeout`](reqwest::RequestBuilder::timeout) or its [`Ask::within`](auth_core::Ask::within),
///   whichever is shorter. Without both, it waits for the cache's [wait
///   time-out](auth_core::CredentialsBuilder::wait_timeout).
/// - **Time-out.** The request's own `timeout` spans all logins, hops and replays: each attempt
///   gets what is left of it, and none is sent if nothing is left. The caller then gets an
///   [`io::Error`](std::io::Error) of the kind [`TimedOut`](std::io::ErrorKind::TimedOut). The
///   client's time-out is not known here, and begins anew with each attempt.
/// - **Bodies.** A body that is a stream cannot be sent twice. If the credential of such a request
///   is rejected, the caller gets that response, and the next request finds a new session. If it is
///   redirected with 307 or 308, or another status that [repeats the body](Redirects), the caller
///   gets the redirect.
///
/// # Errors
/// Those of the client and of the middlewares below. If a request in scope cannot get a credential,
/// or a part of the session that it would carry can't be fetched, it is not sent, or not sent
/// again, and [`auth_error`](crate::auth_error) finds the [`auth_core::Error`].
/// [`redirect_error`](crate::redirect_error) finds the [`RedirectError`](crate::RedirectError), and
/// [`body_field_error`](crate::body_field_error) the [`BodyFieldError`](crate::BodyFieldError) of a
/// body that can't have the session. If the request's own time-out has passed before it is sent, or
/// sent again, the error is an [`io::Error`](std::io::Error), as above.
///
/// If a hop fails after a redirect that has changed the method, such as one of a `POST` with 303,
/// the error is an [`Error::Middleware`] whose message says that the request has been done, so that
/// nobody sends it again. These functions find the reason in it, and so does `downcast_ref`, also
/// for a [`reqwest::Error`].
///
/// # Cancel safety
/// Dropping the future of a request cancels that request only. A login that it waited for goes on
/// for the other waiters, and its session is kept.
#[derive(Clone)]
pub struct AuthMiddleware {
    credentials: Credentials,
    judge: Option<Arc<dyn Judge>>,
    replay: bool,
    redirects: Redirects,
    /// Whether the client below is known to follow no redirect by itself.
    client_is_known: bool,
    /// The default headers of the client below, if it is known. Their values are not kept.
    default_headers: HeaderMap,
    jar: Option<Arc<dyn CookieJar>>,
}

impl AuthMiddleware {
    /// Builds a client whose requests carry the credential. The client's own redirects and cookie
    /// jar are switched off, and its other settings are kept.
    ///
    /// # Errors
    /// [`ClientError::Build`].
    pub fn build_client(
        builder: reqwest::ClientBuilder,
        credentials: Credentials,
    ) -> Result<ClientWithMiddleware, ClientError> {
        let (client, auth) = Self::with_client(builder, credentials)?;
        Ok(ClientBuilder::new(client).with(auth).build())
    }

    /// Builds a client whose own redirects are switched off, and the middleware to put around it.
    ///
    /// A cookie jar of the builder is taken away as well: it would keep the session's cookies, and
    /// send them with requests that skip the session. Give a jar to [`jar`](Self::jar).
    ///
    /// # Errors
    /// [`ClientError::Build`].
    pub fn with_client(
        builder: reqwest::ClientBuilder,
        credentials: Credentials,
    ) -> Result<(Client, Self), ClientError> {
        let client = client::build(builder)?;
        let auth = Self::over_known(&client, credentials);
        Ok((client, auth))
    }

    /// A middleware for a client that was built elsewhere, with
    /// [`Policy::none()`](reqwest::redirect::Policy::none).
    ///
    /// ```
    /// use auth_core::Credentials;
    /// use auth_middleware::{AuthMiddleware, ClientError};
    /// use reqwest::redirect::Policy;
    /// # use auth_core::{Lifetime, testing::Scripted};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let credentials = Credentials::new(Scripted::tokens(Lifetime::unknown()));
    /// let client = reqwest::Client::builder().redirect(Policy::none()).build()?;
    /// let auth = AuthMiddleware::for_client(&client, credentials.clone())?;
    /// # drop(auth);
    ///
    /// let refused = AuthMiddleware::for_client(&reqwest::Client::new(), credentials);
    /// assert!(matches!(refused, Err(ClientError::FollowsRedirects)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::FollowsRedirects`] or [`ClientError::UnknownRedirects`], if the client was
    /// built with another policy, which includes reqwest's default. [`ClientError::KeepsCookies`],
    /// if it has a cookie jar of its own.
    pub fn for_client(client: &Client, credentials: Credentials) -> Result<Self, ClientError> {
        client::check(client)?;
        Ok(Self::over_known(client, credentials))
    }

    /// A middleware for a client that can't be shown to follow no redirect, such as one that is
    /// already within a [`ClientWithMiddleware`].
    ///
    /// **If the client follows redirects by itself, it sends what the request carries to other
    /// hosts.** The middleware notices some of it. A response that does not come from the URL that
    /// was sent changes nothing. If it comes from outside the scope, the request fails with
    /// [`RedirectError::LeftScope`](crate::RedirectError::LeftScope), and there is an
    /// [event](auth_core::Event::LeftScope). So it does if the client gives up there, because of a
    /// circle. Two cases can't be noticed: redirects that lead back to the same URL, and a request
    /// that fails after a redirect in another way, since reqwest's error names the first URL.
    ///
    /// ```
    /// use auth_middleware::AuthMiddleware;
    /// use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
    ///
    /// /// `client` was built with `Policy::none()`, which can't be seen any more.
    /// fn logged_in(
    ///     client: ClientWithMiddleware,
    ///     credentials: auth_core::Credentials,
    /// ) -> ClientWithMiddleware {
    ///     let auth = AuthMiddleware::assuming_no_redirects(credentials);
    ///     ClientBuilder::from_client(client).with(auth).build()
    /// }
    /// # drop(logged_in);
    /// ```
    pub fn assuming_no_redirects(credentials: Credentials) -> Self {
        Self {
            credentials,
            judge: None,
            replay: true,
            redirects: Redirects::new(),
            client_is_known: false,
            default_headers: HeaderMap::new(),
            jar: None,
        }
    }

    fn over_known(client: &Client, credentials: Credentials) -> Self {
        let mut this = Self::assuming_no_redirects(credentials);
        this.client_is_known = true;
        this.default_headers = client::default_headers(client);
        this
    }

    /// Judges responses with `judge` instead of the provider's judge, for requests of
    /// [another identity](AuthContext::identity) as well.
    ///
    /// ```
    /// use auth_core::{Credentials, Judge, ResponseView, StatusJudge, Verdict};
    /// use auth_middleware::{AuthMiddleware, ClientError};
    /// use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
    ///
    /// /// For an API that sends a dead session to its login page.
    /// fn client(credentials: Credentials) -> Result<ClientWithMiddleware, ClientError> {
    ///     let judge = |response: &ResponseView<'_>| match response.location() {
    ///         Some(to) if to.starts_with("/login") => Verdict::Rejected,
    ///         _ => StatusJudge.judge(response),
    ///     };
    ///     let yours = reqwest::Client::builder();
    ///     let (client, auth) = AuthMiddleware::with_client(yours, credentials)?;
    ///     Ok(ClientBuilder::new(client).with(auth.judge(judge)).build())
    /// }
    /// # drop(client);
    /// ```
    pub fn judge(mut self, judge: impl Judge) -> Self {
        self.judge = Some(Arc::new(judge));
        self
    }

    /// Sets how redirects are followed. The default is [`Redirects::new`].
    pub fn redirects(mut self, redirects: Redirects) -> Self {
        self.redirects = redirects;
        self
    }

    /// Sends the cookies of a jar beside those of the session, and stores in it what responses set.
    /// The session's own cookies neither enter nor leave it. See [`CookieJar`].
    pub fn jar(mut self, jar: impl CookieJar) -> Self {
        self.jar = Some(Arc::new(jar));
        self
    }

    /// Sends no request twice. The caller gets the response that rejected its credential. If the
    /// rejection is believed, a login begins at once, and the next request uses the new session.
    ///
    /// No body is kept, so the caller gets a redirect that [repeats one](Redirects), unless it is
    /// empty.
    ///
    /// For one request: [`AuthContext::without_replay`].
    pub fn without_replay(mut self) -> Self {
        self.replay = false;
        self
    }

    /// What a replay or a redirect needs of a request that is sent next.
    fn keep(&self, request: &mut Request, may_replay: bool) -> Option<Pristine> {
        let follows = self.redirects.follows();
        if self.replay {
            (may_replay || follows).then(|| Pristine::of(request))
        } else {
            follows.then(|| Pristine::head(request))
        }
    }

    /// What all attempts of a hop have in common.
    fn hop<'a>(&'a self, admission: &Admission<'a>) -> HopContext<'a> {
        HopContext {
            credentials: admission.credentials,
            judge: self.judge.as_ref(),
            client_is_known: self.client_is_known,
            jar: self.jar.as_ref(),
        }
    }
}

impl Middleware for AuthMiddleware {
    // Written out, because the future of an `async fn` has room for its arguments twice. It is
    // allocated for each request, and the fast path of glibc ends at 1,032 bytes.
    fn handle<'s, 'e, 'n, 'f>(
        &'s self,
        request: Request,
        extensions: &'e mut Extensions,
        next: Next<'n>,
    ) -> Pin<Box<dyn Future<Output = Answered<Response>> + Send + 'f>>
    where
        's: 'f,
        'e: 'f,
        'n: 'f,
        Self: 'f,
    {
        let context = AuthContext::of(extensions);
        let mut call = Call::new(self, request);
        Box::pin(async move { call.answer(&context, extensions, &next).await })
    }
}

/// The extensions of a hop without a credential. A server has chosen where it goes, so it carries
/// none of a middleware below either. The request's own context is there again after the hop.
struct Bare<'a>(&'a mut Extensions, Option<AuthContext>);

impl<'a> Bare<'a> {
    fn of(extensions: &'a mut Extensions) -> Self {
        let own = extensions.insert(AuthContext::skip());
        Self(extensions, own)
    }
}

impl Drop for Bare<'_> {
    fn drop(&mut self) {
        self.0.remove::<AuthContext>();
        if let Some(own) = self.1.take() {
            self.0.insert(own);
        }
    }
}

/// One request with its hops.
struct Call<'a> {
    middleware: &'a AuthMiddleware,
    time: TimeLeft<'a>,
    redactor: Redactor,
    chain: Option<Box<Chain>>,
    /// The hop that is sent next.
    request: Option<Request>,
    /// What is kept of the hop that was sent. `None` if its redirect must not be followed: the
    /// credential was rejected, or the client has been redirected to another URL by itself, against
    /// which a `Location` would have to be read.
    pristine: Option<Pristine>,
    /// The credential that the hop was sent with, if any.
    carried: Option<Stamp>,
    /// The request, if it began with a credential: its redirects are followed here, and not below.
    followed: Option<Chained>,
}

impl<'a> Call<'a> {
    #[inline]
    fn new(middleware: &'a AuthMiddleware, request: Request) -> Self {
        Self {
            middleware,
            time: TimeLeft::of(&request, &middleware.credentials),
            redactor: Redactor::default(),
            chain: None,
            pristine: None,
            carried: None,
            followed: None,
            request: Some(request),
        }
    }

    fn take_next(&mut self) -> Request {
        self.request.take().expect(NEXT)
    }

    /// Gives the hop that is sent now the time that is left for it.
    fn time_next(&mut self) -> Answered<()> {
        let request = self.request.as_mut().expect(NEXT);
        self.time.apply_to(request)
    }

    /// Sends the request, and what it is redirected to. Returns the last response.
    async fn answer(
        &mut self,
        context: &AuthContext,
        extensions: &mut Extensions,
        next: &Next<'_>,
    ) -> Answered<Response> {
        let own = &self.middleware.credentials;
        let credentials = context.credentials(own);
        let url = self.request.as_ref().expect(NEXT).url();
        let admission = context.admit(own, url, extensions);
        let mut admission = admission.map_err(Error::middleware)?;
        // A request that begins without a credential carries none on any hop.
        let is_bare = admission.is_none();
        let chained = Chained::of(extensions);
        let is_followed_above = chained.is_followed_above();
        self.followed = (!is_bare).then_some(chained);
        let mut is_hop = false;
        loop {
            let answered = match &mut admission {
                Some(admission) => {
                    JarsAbove::tell(extensions, admission.credentials);
                    self.send(admission, extensions, next).await
                }
                None if is_hop => {
                    let below = Bare::of(extensions);
                    Box::pin(self.send_bare(credentials, below.0, next)).await
                }
                None => Box::pin(self.send_bare(credentials, extensions, next)).await,
            };
            // Here, and not around all of this, where each response would be copied once more.
            let mut response = answered.map_err(|error| self.mark_if_done(error))?;
            let hop = self.next_hop(&response, credentials);
            let hop = hop.map_err(|error| self.mark_if_done(error))?;
            if hop.is_none() && Chain::may_redirect(response.status()) {
                // One that follows none leaves it to those above, but for what it has sent.
                let (status, headers) = (response.status(), response.headers());
                let secrets = self.redactor.secrets();
                let is_final = self.middleware.redirects.follows()
                    || (self.carried.is_some()
                        && would_take_a_secret(status, headers, secrets, credentials));
                is_final.then(|| response.extensions_mut().insert(NotFollowed));
                let chain = self.chain.get_or_insert_default();
                chain.carry(credentials, self.carried.is_some());
            }
            let Some(request) = hop.filter(|_| !is_followed_above) else {
                let carried = self.chain.as_deref().map(|chain| {
                    if chain.is_done() {
                        Done::mark(&mut response);
                    }
                    chain.carried()
                });
                return Ok(self.redactor.clean_response(response, carried.as_ref()));
            };
            // The next hop may wait for the connection of this response.
            drop(response);
            admission = None;
            let is_in_scope = request.url().is_in(credentials.scope());
            if !is_bare && !is_in_scope {
                note_hop_out_of_scope(credentials, request.url());
            } else if !is_bare {
                let next_hop = context.admit(own, request.url(), extensions);
                let next_hop = next_hop.map_err(Error::middleware);
                admission = next_hop.map_err(|error| self.mark_if_done(error))?;
            }
            self.redactor.redirected();
            self.request = Some(request);
            is_hop = true;
        }
    }

    /// Sends one hop without a credential. `credentials` are those that it would carry in scope.
    async fn send_bare(
        &mut self,
        credentials: &Credentials,
        extensions: &mut Extensions,
        next: &Next<'_>,
    ) -> Answered<Response> {
        let request = self.request.as_mut().expect(NEXT);
        self.pristine = self.middleware.keep(request, false);
        self.carried = None;
        let jar = JarRequest::bare(credentials, self.middleware.jar.as_ref(), request.url());
        if let Some(jar) = &jar {
            jar.add_to(request.headers_mut());
        }
        JarRequest::announce(jar.as_deref(), extensions);
        let sent_to = (!self.middleware.client_is_known).then(|| request.url().clone());
        self.time_next()?;
        let sent = next.clone().run(self.take_next(), extensions);
        let response = match self.followed {
            Some(chained) => chained.followed(sent).await,
            None => sent.await,
        };
        let response = response.map_err(|error| self.clean_error(error))?;
        if sent_to.is_none_or(|sent_to| are_sent_alike(&sent_to, response.url())) {
            JarRequest::heard(jar.as_deref(), response.headers());
        } else {
            self.pristine = None;
        }
        Ok(response)
    }

    /// Sends one hop, once more if it is rejected, and once more if it lacks a part of the session.
    async fn send(
        &mut self,
        admission: &mut Admission<'_>,
        extensions: &mut Extensions,
        next: &Next<'_>,
    ) -> Answered<Response> {
        // What few requests wait for is boxed, because the future of each has room for it.
        let mut sending = match self.attach_fresh(admission)? {
            Some(sending) => sending,
            None => Box::pin(self.attach_first(admission)).await?,
        };
        JarRequest::announce(sending.jar(), extensions);
        // At most three attempts: an attempt knows what it was sent again for.
        loop {
            self.carried = Some(sending.attempt().stamp());
            let followed = Chained::of(extensions);
            self.time_next()?;
            let sent = next.clone().run(self.take_next(), extensions);
            let sent = match resend::span(sending.attempt()) {
                Some(span) => Box::pin(sent.instrument(span)),
                None => sent,
            };
            let conclusion = {
                let response = followed.followed(sent).await;
                let mut response = response
                    .map_err(|error| self.failed(error, &sending, admission.credentials))?;
                // The URL that was sent is in scope, and most responses come from there.
                let kept = self.pristine.as_ref();
                if !kept.is_some_and(|kept| kept.goes_to(response.url())) {
                    self.check_reached(response.url(), &sending, admission.credentials)?;
                }
                let body = sending.read_ahead(&mut response).await;
                let conclusion = sending.conclude(&mut response, body.as_ref());
                if conclusion == Conclusion::HandOn && !sending.is_answered_by(response.url()) {
                    self.pristine = None;
                }
                if conclusion == Conclusion::HandOn {
                    return Ok(response);
                }
                if !self.repeat(conclusion, admission) {
                    sending.ends_with(conclusion);
                    return Ok(response);
                }
                // The login or the second attempt may wait for the connection of this response,
                // so it is dropped here.
                conclusion
            };
            sending = Box::pin(self.attach_newer(sending, conclusion, admission)).await?;
        }
    }

    /// Checks that the client has not gone out of the scope by itself, and notes whether it has
    /// followed a redirect.
    ///
    /// # Errors
    /// [`RedirectError::LeftScope`](crate::RedirectError::LeftScope).
    fn check_reached(
        &mut self,
        reached: &Url,
        sending: &Sending,
        credentials: &Credentials,
    ) -> Answered<()> {
        if !sending.is_answered_by(reached) {
            self.client_has_followed(credentials);
        }
        let carried = self.chain.as_deref().map(Chain::carried);
        sending.check_scope(reached, self.redactor.secrets(), carried.as_ref())
    }

    /// Notes that the client has followed a redirect by itself.
    #[cold]
    fn client_has_followed(&mut self, credentials: &Credentials) {
        self.redactor.redirected();
        let chain = self.chain.get_or_insert_default();
        chain.carry(credentials, self.carried.is_some());
    }

    /// The error for the caller of a request with a credential.
    #[cold]
    fn failed(&mut self, error: Error, sending: &Sending, credentials: &Credentials) -> Error {
        // One that says that the client has stopped to follow redirects names the URL that has sent
        // the last of them. Any other names the first URL, wherever the client was.
        let reached = error.url().filter(|_| error.is_redirect());
        let checked = reached.map(|reached| self.check_reached(reached, sending, credentials));
        match checked {
            Some(Err(left)) => left,
            _ => self.clean_error(error),
        }
    }

    /// For a retry above, which would begin with the first hop again.
    #[cold]
    fn mark_if_done(&self, error: Error) -> Error {
        if self.chain.as_deref().is_some_and(Chain::is_done) {
            Done::mark_error(error)
        } else {
            error
        }
    }

    #[cold]
    fn clean_error(&self, error: Error) -> Error {
        let carried = self.chain.as_deref().map(Chain::carried);
        self.redactor.clean_error(error, carried.as_ref())
    }

    /// Attaches the current credential to the next hop, if it is fresh.
    fn attach_fresh(&mut self, admission: &Admission<'_>) -> Answered<Option<Sending>> {
        let request = self.request.as_mut().expect(NEXT);
        self.pristine = self.middleware.keep(request, admission.replay);
        match admission.renewal {
            Some(_) => Ok(None),
            None => (self.middleware.hop(admission)).fresh(request, &mut self.redactor),
        }
    }

    /// Waits for a credential, and attaches it to the next hop.
    async fn attach_first(&mut self, admission: &mut Admission<'_>) -> Answered<Sending> {
        let request = self.request.as_mut().expect(NEXT);
        let ask = self.time.bound(admission.first_ask());
        let target = target_of(request);
        let credential = admission.credentials.get_for(target, ask).await;
        if let Some(renewal) = admission.renewal.take() {
            renewal.ended(&credential, admission.credentials);
        }
        let credential = credential.map_err(Error::middleware)?;
        (self.middleware.hop(admission)).first(request, &credential, &mut self.redactor)
    }

    /// Makes the hop that was sent the next one again. `false`, if it must not be sent again.
    fn repeat(&mut self, because: Conclusion, admission: &Admission<'_>) -> bool {
        // The redirect of a rejected request leads to the login page, so nothing stays.
        let copy = self.pristine.take();
        let again = match because {
            Conclusion::Replay | Conclusion::Repair => self.middleware.replay && admission.replay,
            _ => false,
        };
        let copy = copy.filter(|copy| again && copy.is_repeatable());
        self.request = copy.map(Pristine::into_request);
        self.request.is_some()
    }

    /// Waits for a newer credential, and attaches it to the next hop.
    async fn attach_newer(
        &mut self,
        before: Sending,
        because: Conclusion,
        admission: &Admission<'_>,
    ) -> Answered<Sending> {
        let request = self.request.as_mut().expect(NEXT);
        self.pristine = self.middleware.keep(request, true);
        let ask = self.time.bound(admission.ask);
        let newer = before.newer(because, request, ask).await?;
        // What is not sent again is no replay.
        self.time.apply_to(request)?;
        let hop = self.middleware.hop(admission);
        hop.again(before, because, request, &newer, &mut self.redactor)
    }

    /// The request that the response redirects to, if it is followed.
    fn next_hop(
        &mut self,
        response: &Response,
        credentials: &Credentials,
    ) -> Answered<Option<Request>> {
        let Some(pristine) = self.pristine.take() else {
            return Ok(None);
        };
        let is_redirect = Chain::may_redirect(response.status());
        if !is_redirect || NotFollowed::is_in(response.extensions()) {
            return Ok(None);
        }
        let url = pristine.url();
        let answer = Answer {
            method: pristine.method(),
            url: &url,
            has_body: pristine.has_body(),
            repeatable: pristine.is_repeatable(),
            status: response.status(),
            headers: response.headers(),
            carried: self.carried,
            above: None,
            secrets: self.redactor.secrets(),
        };
        let redirects = &self.middleware.redirects;
        let chain = self.chain.get_or_insert_default();
        let hop = chain.next(&answer, redirects, credentials);
        let hop = hop.map_err(Error::middleware)?;
        drop(url);
        let defaults = &self.middleware.default_headers;
        let hop = hop.filter(|hop| !hop.must_not_have(defaults, redirects));
        Ok(hop.map(|hop| pristine.into_hop(hop, redirects)))
    }
}

const NEXT: &str = "the next hop was stored before it is sent";

impl fmt::Debug for AuthMiddleware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthMiddleware")
            .field("identity", self.credentials.identity())
            .field("replay", &self.replay)
            .field("redirects", &self.redirects)
            .finish_non_exhaustive()
    }
}
