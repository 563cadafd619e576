use auth_core::{
    Credential, Judge, Lifetime, LoginError, Logout, LogoutScope, ProviderOptions, Quota, Refresh,
    ResponseView, Secret, Session, StatusJudge, Update,
};
use bytes::Bytes;
use http::HeaderName;

use crate::account::Account;
use crate::answers::Answers;
use crate::base_url::BaseUrl;
use crate::config_error::ConfigError;
use crate::login_via::LoginVia;
use crate::response;
use crate::step::Step;
use crate::transport::Transport;

/// A login as a value, without I/O: the request to send, and how to read the answer.
///
/// [`via`](Self::via) combines a login with a [`Transport`] to an [`auth_core::Provider`]. The
/// modules [`request`](crate::request) and [`response`](crate::response) have what the logins of
/// most APIs need.
///
/// ```
/// use std::collections::BTreeMap;
///
/// use auth_core::{LoginError, Secret, Session};
/// use auth_providers::{Account, Answers, Login, Step, request, response};
/// use bytes::Bytes;
///
/// struct Tokens(Account);
///
/// #[derive(serde::Deserialize)]
/// struct ResponseBody {
///     token: String,
/// }
///
/// impl Login for Tokens {
///     fn account(&self) -> &Account {
///         &self.0
///     }
///
///     fn account_mut(&mut self) -> &mut Account {
///         &mut self.0
///     }
///
///     fn request(&self, password: &Secret) -> Result<http::Request<Bytes>, LoginError> {
///         let body = BTreeMap::from([("user", self.0.name()), ("password", password.expose())]);
///         request::post_json(&self.url("/tokens"), &body)
///     }
///
///     fn read(&self, answers: &Answers<'_>) -> Result<Step, LoginError> {
///         response::expect_success(answers.last())?;
///         let ResponseBody { token } = response::json(answers.last())?;
///         Ok(Session::new().with_bearer(&token)?.into())
///     }
/// }
///
/// let login = Tokens(Account::new("tokens", "https://api.example.com", "ada", "correct horse")?);
/// let password = Secret::from("correct horse");
/// let request = login.request(&password)?;
/// let answer = http::Response::new(Bytes::from_static(br#"{"token": "t-1"}"#));
/// let step = login.read(&Answers::new(request.uri(), answer, &password))?;
/// assert!(matches!(step, Step::Session(_)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Several requests
///
/// [`read`](Self::read) is called after each answer, with all answers so far. It returns the
/// session, or the next request: see [`Answers`] for an example, and [`LoginVia`] for what holds
/// for each request. A login that sends several should say so to its users, because a server may
/// count each of them.
///
/// # A second secret
///
/// A secret that is not the account's own, such as that of an OAuth client, is a field of the type
/// [`Secret`], which is not printed and is zeroed. It can't be compared, so it is none of the
/// [options](Self::options); the client's name may be one.
///
/// ```
/// use auth_core::{LoginError, Secret, Session};
/// use auth_providers::{Account, Answers, Login, Step, request, response};
/// use bytes::Bytes;
///
/// #[derive(Debug)]
/// struct PasswordGrant {
///     account: Account,
///     client_id: String,
///     client_secret: Secret,
/// }
///
/// impl Login for PasswordGrant {
/// #   fn account(&self) -> &Account {
/// #       &self.account
/// #   }
/// #   fn account_mut(&mut self) -> &mut Account {
/// #       &mut self.account
/// #   }
///     // …
///     fn request(&self, password: &Secret) -> Result<http::Request<Bytes>, LoginError> {
///         let fields = [
///             ("grant_type", "password"),
///             ("username", self.account.name()),
///             ("password", password.expose()),
///         ];
///         let request = request::post_form(&self.url("/oauth/token"), &fields)?;
///         request::with_basic(request, &self.client_id, self.client_secret.expose())
///     }
///
///     fn read(&self, answers: &Answers<'_>) -> Result<Step, LoginError> {
///         response::expect_success(answers.last())?;
///         let token = response::json_at(answers.last(), "/access_token")?;
///         Ok(Session::new().with_bearer(&token)?.into())
///     }
/// }
///
/// let login = PasswordGrant {
///     account: Account::new("acme", "https://api.example.com", "ada", "correct horse")?,
///     client_id: "cli".to_owned(),
///     client_secret: "battery staple".into(),
/// };
/// assert!(!format!("{login:?}").contains("battery"));
/// # Ok::<(), auth_providers::ConfigError>(())
/// ```
pub trait Login: Send + Sync + 'static {
    /// The account that logs in.
    fn account(&self) -> &Account;

    /// The account, for this trait's methods that change it.
    fn account_mut(&mut self) -> &mut Account;

    /// Builds the login's first request, with an absolute URI. Its origin is that of the base URL,
    /// or in the [scope](Account::set_scope); to any other it is not sent. It is built once before
    /// the login waits for its permit, too, since one that can't be built is to spend none.
    ///
    /// # Errors
    /// [`LoginError::misconfigured`], if the configuration yields no valid request.
    fn request(&self, secret: &Secret) -> Result<http::Request<Bytes>, LoginError>;

    /// Reads what follows the answers so far: the session, or the next request. It is called after
    /// each answer.
    ///
    /// # Errors
    /// - [`LoginError::refused`], only if the API itself says that the name or password is wrong,
    ///   and [`LoginError::locked`] or [`LoginError::seats_exhausted`] if it says that.
    /// - For any other failure, see [`response::failure`](crate::response::failure). A proxy's
    ///   error page, for instance, is [`LoginError::malformed`]. Whatever is malformed may be a
    ///   refusal, and is tried again at most 4 times in 15 minutes.
    ///
    /// The `Retry-After` of the last answer is added to any of them that states none.
    fn read(&self, answers: &Answers<'_>) -> Result<Step, LoginError>;

    /// How sessions are refreshed, without the password. By default they are not. See
    /// [`Provider::refresh_by`](auth_core::Provider::refresh_by).
    ///
    /// If the server takes refreshes where it takes logins, as an OAuth token endpoint does, it
    /// most likely counts both: say [`counts_as_login`](Refresh::counts_as_login).
    ///
    /// ```
    /// use auth_core::{Credential, LoginError, Refresh, Secret, Session};
    /// use auth_providers::{Account, Answers, Login, Step, request, response};
    /// use bytes::Bytes;
    /// use http::{Request, Response};
    ///
    /// struct Tokens(Account);
    ///
    /// fn session(answer: &Response<Bytes>) -> Result<Session, LoginError> {
    ///     let session = Session::new()
    ///         .with_bearer(&response::json_at(answer, "/access")?)?
    ///         .with_kept("refresh", &response::json_at(answer, "/refresh")?)?;
    ///     Ok(session)
    /// }
    ///
    /// impl Login for Tokens {
    /// #   fn account(&self) -> &Account {
    /// #       &self.0
    /// #   }
    /// #   fn account_mut(&mut self) -> &mut Account {
    /// #       &mut self.0
    /// #   }
    /// #   fn request(&self, password: &Secret) -> Result<Request<Bytes>, LoginError> {
    /// #       request::post_form(&self.url("/login"), &[("password", password.expose())])
    /// #   }
    ///     // …
    ///     fn read(&self, answers: &Answers<'_>) -> Result<Step, LoginError> {
    ///         response::expect_success(answers.last())?;
    ///         Ok(session(answers.last())?.into())
    ///     }
    ///
    ///     fn refresh_by(&self) -> Option<Refresh> {
    ///         Some(Refresh::with_kept("refresh").single_use())
    ///     }
    ///
    ///     fn refresh_request(&self, current: &Credential) -> Result<Request<Bytes>, LoginError> {
    ///         let token = current.kept("refresh").unwrap_or_default();
    ///         request::post_form(&self.url("/refresh"), &[("token", token)])
    ///     }
    ///
    ///     fn read_refresh(
    ///         &self,
    ///         answer: &Response<Bytes>,
    ///         _current: &Credential,
    ///     ) -> Result<Session, LoginError> {
    ///         response::expect_refreshed(answer)?;
    ///         session(answer)
    ///     }
    /// }
    /// ```
    fn refresh_by(&self) -> Option<Refresh> {
        None
    }

    /// Builds the request of a refresh, with the values that the session
    /// [keeps](Credential::kept). It carries nothing else of the session by itself, and may go
    /// where a [login](Self::request) may.
    ///
    /// # Errors
    /// [`LoginError::misconfigured`], if no valid request can be built.
    fn refresh_request(&self, current: &Credential) -> Result<http::Request<Bytes>, LoginError> {
        let _ = current;
        Err(LoginError::misconfigured("this login has no refresh"))
    }

    /// Reads the refreshed session from the answer. `current` is the session that is refreshed.
    /// What the new one does not keep by itself stays: an absent refresh token means that the old
    /// one is still good, unless it can be used [once](Refresh::single_use). Then the password is
    /// used the next time.
    ///
    /// The cookies of the old one do not stay, unless the login
    /// [continues them](Self::continues_cookies): the session has those that are added here, and
    /// those of the answer if the login [keeps all](Self::keep_cookies).
    ///
    /// # Errors
    /// [`LoginError::refused`], only if the server does not accept the token any more: it is not
    /// sent again, and the login follows at once. For any other failure, see
    /// [`response::expect_refreshed`](crate::response::expect_refreshed).
    fn read_refresh(
        &self,
        answer: &http::Response<Bytes>,
        current: &Credential,
    ) -> Result<Session, LoginError> {
        let _ = (answer, current);
        Err(LoginError::misconfigured("this login has no refresh"))
    }

    /// Whether a refreshed session continues the cookies of the old one, with those that the
    /// refresh's answer sets and deletes: see
    /// [`Session::continue_cookies`](auth_core::Session::continue_cookies). By default it doesn't.
    /// If it does, [`read_refresh`](Self::read_refresh) adds only those that the session does not
    /// have.
    fn continues_cookies(&self) -> bool {
        false
    }

    /// Whether sessions are renewed ahead of their expiry. By default they are. See
    /// [`Provider::renews_ahead`](auth_core::Provider::renews_ahead).
    fn renews_ahead(&self) -> bool {
        true
    }

    /// Whether a part of the session can be fetched: one that the session declares as
    /// [fetched](auth_core::Part#fetched-parts), or one that a response has [asked
    /// for](auth_core::Verdict::NeedsRepair) and does not bring. By default it can't. See
    /// [`Provider::repairs`](auth_core::Provider::repairs).
    ///
    /// ```
    /// use auth_core::{Credential, LoginError, Part, Secret, Session, Update, When};
    /// use auth_providers::{Account, Answers, Login, Step, request, response};
    /// use bytes::Bytes;
    /// use http::{HeaderName, Request, Response};
    ///
    /// const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");
    ///
    /// struct Portal(Account);
    ///
    /// impl Login for Portal {
    /// #   fn account(&self) -> &Account {
    /// #       &self.0
    /// #   }
    /// #   fn account_mut(&mut self) -> &mut Account {
    /// #       &mut self.0
    /// #   }
    /// #   fn request(&self, password: &Secret) -> Result<Request<Bytes>, LoginError> {
    /// #       request::post_form(&self.url("/login"), &[("password", password.expose())])
    /// #   }
    ///     // …
    ///     fn read(&self, answers: &Answers<'_>) -> Result<Step, LoginError> {
    ///         response::expect_success(answers.last())?;
    ///         let token = response::json_at(answers.last(), "/token")?;
    ///         let csrf = Part::fetched_header(CSRF.as_str()).when(When::unsafe_methods());
    ///         Ok(Session::new().with_bearer(&token)?.with_part(csrf)?.into())
    ///     }
    ///
    ///     fn repairs(&self) -> bool {
    ///         true
    ///     }
    ///
    ///     fn repair_request(&self, current: &Credential) -> Result<Request<Bytes>, LoginError> {
    ///         let mut request = request::get(&self.url("/csrf"))?;
    ///         current.attach(&mut request)?;
    ///         Ok(request)
    ///     }
    ///
    ///     fn read_repair(
    ///         &self,
    ///         answer: &Response<Bytes>,
    ///         _current: &Credential,
    ///     ) -> Result<Update, LoginError> {
    ///         response::expect_success(answer)?;
    ///         let csrf = answer.headers().get(CSRF);
    ///         let csrf = csrf.ok_or_else(|| LoginError::malformed("no csrf value"))?;
    ///         Ok(Update::new().with_header(CSRF, csrf.clone()))
    ///     }
    /// }
    /// ```
    fn repairs(&self) -> bool {
        false
    }

    /// Builds the request that fetches the part. To carry the session,
    /// [attach](Credential::attach) `current`. It may go where a [login](Self::request) may.
    ///
    /// If the [judge](Self::judge) says that its answer rejects the session, it is
    /// [refused](LoginError::refused), and is not [read](Self::read_repair). The judge sees the
    /// method and the URL of this request, without the session's pairs of the query.
    ///
    /// # Errors
    /// [`LoginError::misconfigured`], if no valid request can be built.
    fn repair_request(&self, current: &Credential) -> Result<http::Request<Bytes>, LoginError> {
        let _ = current;
        Err(LoginError::misconfigured("this login has no repair"))
    }

    /// Reads the part from the answer, or all parts that are missing. `current` is the session that
    /// lacks them.
    ///
    /// # Errors
    /// See [`response::failure`](crate::response::failure). It says nothing of the password:
    /// [`LoginError::refused`] means that the server does not accept the session. See
    /// [`Provider::repair`](auth_core::Provider::repair). The answer's `Retry-After` is
    /// added if the error states none.
    fn read_repair(
        &self,
        answer: &http::Response<Bytes>,
        current: &Credential,
    ) -> Result<Update, LoginError> {
        let _ = (answer, current);
        Err(LoginError::misconfigured("this login has no repair"))
    }

    /// Decides from each response of the API whether the credential was rejected. The default is
    /// [`StatusJudge`]: a 401 rejects it.
    fn judge(&self) -> &dyn Judge {
        &StatusJudge
    }

    /// Whether responses of the API bring [new values](Self::update). By default they don't. See
    /// [`Provider::updates`](auth_core::Provider::updates).
    fn updates(&self) -> bool {
        false
    }

    /// Reads the new values that a response of the API brings, such as a csrf value that changes
    /// with each of them. See [`Provider::update`](auth_core::Provider::update).
    fn update(&self, response: &ResponseView<'_>, credential: &Credential) -> Update {
        let _ = (response, credential);
        Update::new()
    }

    /// The headers that [`update`](Self::update) has secrets from. See
    /// [`Provider::secret_headers`](auth_core::Provider::secret_headers).
    fn secret_headers(&self) -> &[HeaderName] {
        &[]
    }

    /// The options of this login beside those of its account, so that a pool tells it from one with
    /// other options. By default none. See [`Provider::options`](auth_core::Provider::options).
    fn options(&self) -> ProviderOptions {
        ProviderOptions::none()
    }

    /// What else tells sessions apart in a store than provider, URL and account: a tenant, a role,
    /// or another form of the session. It may hold secrets. By default nothing. See
    /// [`Provider::variant`](auth_core::Provider::variant).
    fn variant(&self) -> String {
        String::new()
    }

    /// Checks whether a password can be right at all. It is called before each login, so that no
    /// attempt is spent on a password that cannot.
    ///
    /// # Errors
    /// [`LoginError::misconfigured`], with a message that does not repeat the password.
    fn check_secret(&self, secret: &Secret) -> Result<(), LoginError> {
        let _ = secret;
        Ok(())
    }

    /// The request that ends the session at the server, if the API has one. It carries the
    /// credential.
    ///
    /// If the request carries the session, of which a part is missing that it would carry, or the
    /// answer fails and the [judge](Self::judge) says that it asks for a repair, a
    /// [repair](Self::repair_request) follows, and then this is called again with the part.
    ///
    /// # Errors
    /// [`LoginError::misconfigured`], if no valid request can be built. The logout is then not
    /// confirmed.
    fn logout_request(
        &self,
        credential: &Credential,
    ) -> Result<Option<http::Request<Bytes>>, LoginError> {
        let _ = credential;
        Ok(None)
    }

    /// Reads the answer to the [logout request](Self::logout_request). The default is
    /// [`response::logged_out`](crate::response::logged_out), with this login's judge.
    ///
    /// Where this fails and the answer is no 401, the judge is asked once more, with the method and
    /// the URL of the logout, if it [wants](auth_core::Judge::wants_request) them: a session that
    /// it calls rejected is over.
    ///
    /// The body may [not be whole](crate::response::is_whole). Only one that looks there for what
    /// says that the logout has failed need care.
    ///
    /// # Errors
    /// A [`LoginError`], if the server did not confirm that the session has ended, or was over.
    fn logged_out(
        &self,
        response: &http::Response<Bytes>,
        logout: Logout,
    ) -> Result<(), LoginError> {
        response::logged_out(response, self.judge(), logout.was_over)
    }

    /// What one logout ends. The default is the session that it carries.
    fn logout_scope(&self) -> LogoutScope {
        LogoutScope::ThisSession
    }

    /// The URL of a documented `GET` request that any live session may send, if there is one.
    fn probe_url(&self) -> Option<String> {
        None
    }

    /// The URL of `path`, which begins with a slash, below the base URL.
    fn url(&self, path: &str) -> String {
        self.account().url(path)
    }

    /// Moves the login to another base URL, a test server's for instance.
    ///
    /// # Errors
    /// See [`BaseUrl::parse`].
    fn base_url(
        mut self,
        base: impl TryInto<BaseUrl, Error: Into<ConfigError>>,
    ) -> Result<Self, ConfigError>
    where
        Self: Sized,
    {
        self.account_mut().set_base_url(base)?;
        Ok(self)
    }

    /// Limits how many logins are allowed in any window. See [`Account::set_quota`].
    fn quota(mut self, quota: Quota) -> Self
    where
        Self: Sized,
    {
        self.account_mut().set_quota(quota);
        self
    }

    /// Sets the lifetime of every session, whatever the documents and the response say.
    fn lifetime(mut self, lifetime: Lifetime) -> Self
    where
        Self: Sized,
    {
        self.account_mut().set_lifetime(lifetime);
        self
    }

    /// Keeps every cookie that the login and later responses set beside the session's own, as a
    /// browser does. Without this they are dropped.
    ///
    /// An API needs it behind a load balancer that pins a session to a machine by a cookie of its
    /// own, as `AWSALB`. Such a cookie neither ends the session nor extends it.
    ///
    /// ```
    /// use auth_providers::{Login, Quinn};
    ///
    /// let quinn = Quinn::new("https://acme.replit.app", "ada@example.com", "correct horse")?
    ///     .keep_cookies();
    /// # let _ = quinn;
    /// # Ok::<(), auth_providers::ConfigError>(())
    /// ```
    fn keep_cookies(mut self) -> Self
    where
        Self: Sized,
    {
        self.account_mut().set_keep_cookies();
        self
    }

    /// Combines this login with the transport that carries it.
    fn via<T: Transport>(self, transport: T) -> LoginVia<Self, T>
    where
        Self: Sized,
    {
        LoginVia::new(self, transport)
    }
}

#[cfg(test)]
mod tests {
    use auth_core::{LoginErrorKind, Session, testing};
    use bytes::Bytes;
    use http::{Request, Response};

    use super::*;

    struct Plain(Account);

    impl Login for Plain {
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
    }

    #[test]
    fn a_login_that_says_no_more_renews_by_login_alone() {
        let plain = Plain(Account::new("acme", "https://acme.example", "ada", "pw").unwrap());
        assert!(plain.renews_ahead());
        assert!(plain.refresh_by().is_none() && !plain.continues_cookies());
        assert!(!plain.repairs() && !plain.updates());
        assert_eq!((plain.variant(), plain.probe_url()), (String::new(), None));

        let current = testing::credential(Session::new().with_bearer("t").unwrap());
        let answer = Response::new(Bytes::new());
        for none in [
            plain.refresh_request(&current).map(drop),
            plain.read_refresh(&answer, &current).map(drop),
            plain.repair_request(&current).map(drop),
            plain.read_repair(&answer, &current).map(drop),
        ] {
            assert_eq!(none.unwrap_err().kind(), LoginErrorKind::Misconfigured);
        }
    }
}
