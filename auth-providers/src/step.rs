use std::fmt;

use auth_core::Session;
use bytes::Bytes;
use http::Request;

/// What follows an answer to a login: the session, or the next request.
///
/// It is made from either of the two:
///
/// ```
/// use auth_core::Session;
/// use auth_providers::{Step, request};
///
/// let done: Step = Session::new().with_bearer("t-1")?.into();
/// let next: Step = request::get("https://api.example.com/csrf")?.into();
/// assert_eq!(format!("{next:?}"), "Request(GET …)", "nothing of it is printed");
/// # let _ = done;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
pub enum Step {
    /// The login is done.
    Session(Session),
    /// The login goes on with this request, whose URI is absolute.
    Request(Request<Bytes>),
}

impl From<Session> for Step {
    fn from(session: Session) -> Self {
        Self::Session(session)
    }
}

impl From<Request<Bytes>> for Step {
    fn from(request: Request<Bytes>) -> Self {
        Self::Request(request)
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(session) => f.debug_tuple("Session").field(session).finish(),
            // Its URL, its headers and its body may hold secrets.
            Self::Request(request) => write!(f, "Request({} …)", request.method()),
        }
    }
}
