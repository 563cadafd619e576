//! What gRPC says of a credential: in the header or the trailer `grpc-status`, while the HTTP
//! status is 200 (gRPC over HTTP/2, section "Responses").

use std::error::Error as StdError;
use std::iter::successors;

use auth_core::{Error, Judge, ResponseView, StatusJudge, Verdict};
use http::{HeaderMap, StatusCode};

// The codes, by their names in gRPC's documentation of status codes.
const OK: i32 = 0;
const DEADLINE_EXCEEDED: i32 = 4;
const PERMISSION_DENIED: i32 = 7;
const RESOURCE_EXHAUSTED: i32 = 8;
const FAILED_PRECONDITION: i32 = 9;
const INTERNAL: i32 = 13;
const UNAVAILABLE: i32 = 14;
const UNAUTHENTICATED: i32 = 16;

/// A judge by the `grpc-status` of an answer. Of an answer without one, another judge decides.
///
/// | `grpc-status` | verdict |
/// |---|---|
/// | 0 `OK` | [`Accepted`](Verdict::Accepted) |
/// | 16 `UNAUTHENTICATED` | [`Rejected`](Verdict::Rejected) |
/// | 7 `PERMISSION_DENIED` | [`NotPermitted`](Verdict::NotPermitted) |
/// | 14 `UNAVAILABLE`, which proxies write | [`Unclear`](Verdict::Unclear) |
/// | any other | [`Unproven`](Verdict::Unproven) |
///
/// # What is sent once more
///
/// A server that rejects a call before it answers sends no message, and its answer is *trailers
/// alone*: they arrive as headers. A unary call that was rejected so is sent once more, with a
/// newer credential. This is where servers check a credential, as in an interceptor.
///
/// These are not sent once more. The caller gets the status, and the *next* call finds a new
/// session:
///
/// - A call that is rejected after the answer's headers, as a stream whose session is revoked while
///   it runs: the caller has some of the answer. The rejection is in the trailers, and is heard if
///   the caller reads to the end of the stream.
/// - A call whose request is a stream of messages that is longer than the limit of
///   [`buffered`](crate::AuthLayer::buffered), or that the client still holds when it is rejected.
///   The bodies of tonic are not `Clone`, so that its calls need `buffered` in any case.
///
/// # With tonic
///
/// The URIs of its requests are relative, unless the generated client was made `with_origin`. Name
/// the [origin](crate::AuthLayer::origin) of the channel's endpoint. The example `grpc` shows the
/// whole stack, and the [code](grpc_code) of a login that fails.
///
/// ```
/// use auth_core::{Credentials, Lifetime, testing::Scripted};
/// use auth_middleware::{AuthLayer, GrpcJudge};
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), auth_middleware::BoxError> {
/// // In a program, a provider logs in, and this is a client that speaks HTTP/2.
/// let credentials = Credentials::new(Scripted::tokens(Lifetime::unknown()));
/// let client = service_fn(|request: Request<Full<Bytes>>| async move {
///     // The server has revoked the first session.
///     let revoked = request.headers()["authorization"] == "Bearer token-1";
///     Response::builder()
///         .header("content-type", "application/grpc")
///         .header("grpc-status", if revoked { "16" } else { "0" })
///         .body(Full::<Bytes>::default())
/// });
/// let service = ServiceBuilder::new()
///     .layer(AuthLayer::new(credentials).judge(GrpcJudge::new()))
///     .service(client);
///
/// let request = Request::post("https://api.example.com/pkg.Service/Method").body(Full::default())?;
/// let answer = service.oneshot(request).await?;
/// assert_eq!(answer.headers()["grpc-status"], "0");
/// # Ok(())
/// # }
/// ```
///
/// # Limits
///
/// - A stream that its caller drops says nothing, neither that the session is good nor that it is
///   not. So an idle timeout is not put off by it.
/// - Reqwest gives no trailers to a middleware, so there only answers of trailers alone are heard.
///   gRPC-Web has its trailers in the body, which is not read: the same holds there.
#[derive(Clone, Copy, Debug, Default)]
pub struct GrpcJudge<J = StatusJudge> {
    other: J,
}

impl GrpcJudge {
    /// A judge that takes answers without a `grpc-status` by their HTTP status: a 401 of a gateway
    /// is a rejection, too.
    pub const fn new() -> Self {
        Self::or(StatusJudge)
    }
}

impl<J> GrpcJudge<J> {
    /// A judge that leaves answers without a `grpc-status` to `other`, for an API that is not gRPC
    /// alone.
    ///
    /// ```
    /// use auth_core::{ResponseView, Verdict};
    /// use auth_middleware::GrpcJudge;
    ///
    /// // Beside gRPC, this host has pages, which say nothing of the session.
    /// let judge = GrpcJudge::or(|_: &ResponseView<'_>| Verdict::Unproven);
    /// # let _ = judge;
    /// ```
    pub const fn or(other: J) -> Self {
        Self { other }
    }
}

impl<J: Judge> Judge for GrpcJudge<J> {
    fn wants_body(&self, head: &ResponseView<'_>) -> bool {
        !is_grpc(head) && self.other.wants_body(head)
    }

    fn wants_request(&self) -> bool {
        self.other.wants_request()
    }

    fn judge(&self, response: &ResponseView<'_>) -> Verdict {
        match status_in(response.headers) {
            Some(code) => verdict(code),
            None if has_trailers(response) => Verdict::Unproven,
            None => self.other.judge(response),
        }
    }

    fn wants_trailers(&self, head: &ResponseView<'_>) -> bool {
        has_trailers(head) || self.other.wants_trailers(head)
    }

    fn judge_trailers(&self, trailers: &HeaderMap) -> Verdict {
        match status_in(trailers) {
            Some(code) => verdict(code),
            None => self.other.judge_trailers(trailers),
        }
    }
}

/// Whether the status is yet to come, in trailers. An answer of trailers alone has it already, and
/// one with another HTTP status was not written by a gRPC server.
fn has_trailers(head: &ResponseView<'_>) -> bool {
    head.status == StatusCode::OK && is_grpc(head) && status_in(head.headers).is_none()
}

/// `application/grpc`, with or without the name of an encoding (`+proto`) or of gRPC-Web.
fn is_grpc(head: &ResponseView<'_>) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    let media_type = head.media_type().unwrap_or_default().as_bytes();
    let start = media_type.get(..GRPC.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(GRPC))
}

fn status_in(headers: &HeaderMap) -> Option<i32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

const fn verdict(code: i32) -> Verdict {
    match code {
        OK => Verdict::Accepted,
        UNAUTHENTICATED => Verdict::Rejected,
        PERMISSION_DENIED => Verdict::NotPermitted,
        UNAVAILABLE => Verdict::Unclear,
        _ => Verdict::Unproven,
    }
}

/// The code that a gRPC client should report for a call that was not sent, because there was no
/// credential for it. `None`, if neither `error` nor any of its sources is an [`auth_core::Error`].
///
/// | error | code |
/// |---|---|
/// | [refused](Error::is_login_refused), [locked](Error::is_locked) | 16 `UNAUTHENTICATED` |
/// | [rate limited](Error::is_rate_limited), [too many sessions](Error::is_seats_exhausted) | 8 `RESOURCE_EXHAUSTED` |
/// | [`DeadlinePassed`](Error::DeadlinePassed) | 4 `DEADLINE_EXCEEDED` |
/// | [unavailable](Error::is_unavailable) | 14 `UNAVAILABLE` |
/// | [`Closed`](Error::Closed) | 9 `FAILED_PRECONDITION` |
/// | [misconfigured](Error::is_misconfigured) | 13 `INTERNAL` |
///
/// Without it, tonic reports each of them as 2 `UNKNOWN`. It takes a status of its own where it
/// finds one in an error, so that its stack begins with this, above the `AuthLayer`:
///
/// ```
/// # mod tonic { // As in tonic.
/// #     pub struct Status(pub i32, pub String);
/// #     impl Status {
/// #         pub fn new(code: i32, message: String) -> Self { Self(code, message) }
/// #         pub fn from_error(_: Box<dyn std::error::Error + Send + Sync>) -> Self {
/// #             Self(2, String::new())
/// #         }
/// #     }
/// # }
/// use auth_middleware::grpc_code;
///
/// // `ServiceBuilder::new().map_err(to_status).layer(…)`
/// fn to_status(error: Box<dyn std::error::Error + Send + Sync>) -> tonic::Status {
///     match grpc_code(&*error) {
///         Some(code) => tonic::Status::new(code.into(), error.to_string()),
///         None => tonic::Status::from_error(error),
///     }
/// }
/// # assert_eq!(to_status(auth_core::Error::Closed.into()).0, 9);
/// ```
pub fn grpc_code(error: &(dyn StdError + 'static)) -> Option<i32> {
    let mut chain = successors(Some(error), |error| (*error).source());
    let error = chain.find_map(|error| error.downcast_ref::<Error>())?;
    Some(if error.is_login_refused() || error.is_locked() {
        UNAUTHENTICATED
    } else if error.is_rate_limited() || error.is_seats_exhausted() {
        RESOURCE_EXHAUSTED
    } else if matches!(error, Error::DeadlinePassed { .. }) {
        DEADLINE_EXCEEDED
    } else if error.is_closed() {
        FAILED_PRECONDITION
    } else if error.is_misconfigured() {
        INTERNAL
    } else {
        UNAVAILABLE
    })
}
