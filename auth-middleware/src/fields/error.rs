//! Why a request can't have the session in its body.

use thiserror::Error;

/// The largest body that a field is set in, in bytes.
///
/// JSON-RPC calls and forms have hundreds of bytes. The body is read and copied by the task of the
/// caller each time that it is sent, so its length is bounded. It is the bound of the bodies that a
/// judge reads, [`auth_core::MAX_JUDGED_BODY`], which takes a fraction of a millisecond.
pub const MAX_EDITED_BODY: usize = auth_core::MAX_JUDGED_BODY;

/// Why a request can't have a field of the session in its [body](crate#fields-of-the-body). The
/// request was not sent, or not sent again, and a login does not help. No message shows a value or
/// anything of the body.
///
/// With reqwest, [`body_field_error`](crate::body_field_error) finds it, and with tower
/// `downcast_ref::<BodyFieldError>()`.
///
/// ```
/// use auth_middleware::BodyFieldError;
///
/// fn is_in_the_wiring(error: &BodyFieldError) -> bool {
///     matches!(error, BodyFieldError::FeatureOff | BodyFieldError::ReplayMode)
/// }
/// # assert!(is_in_the_wiring(&BodyFieldError::FeatureOff));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BodyFieldError {
    /// The feature `body-fields` is off.
    #[error(
        "this session goes in the body of requests; turn on the feature `body-fields` of \
         auth-middleware"
    )]
    FeatureOff,
    /// The replay mode of the tower layer knows nothing of its bodies.
    #[error(
        "this session goes in the body of requests, and the layer can't look into them; add \
         `.in_memory()` or `.buffered(limit)` to the AuthLayer"
    )]
    ReplayMode,
    /// The body is a stream, or is not there as a whole.
    #[error(
        "this session goes in the body of the request, which is a stream; give the request a body \
         that is in memory, or leave the session out with AuthContext::skip"
    )]
    NotInMemory,
    /// The body is longer than [`MAX_EDITED_BODY`].
    #[error(
        "this session goes in the body of the request, which is longer than {MAX_EDITED_BODY} \
         bytes; send a shorter one"
    )]
    TooLong,
    /// The body is of a media type that none of the fields goes into, by its `Content-Type`.
    #[error(
        "this session goes in the body of the request, whose Content-Type is not {wanted}; state \
         it, or give the part a condition (auth_core::When) that the request does not meet"
    )]
    MediaType {
        /// The media type that the fields go into.
        wanted: &'static str,
    },
    /// The body is compressed or otherwise encoded, by its `Content-Encoding`.
    #[error(
        "this session goes in the body of the request, which is encoded; encode it below the \
         integration"
    )]
    Encoded,
    /// The body is not JSON, although its `Content-Type` says so.
    #[error(
        "this session goes in the body of the request, which is not JSON at line {line}, column \
         {column}"
    )]
    NotJson {
        /// The line, counted from 1. Zero if the body is not UTF-8.
        line: usize,
        /// The column, counted from 1.
        column: usize,
    },
    /// The JSON has no place for the field: what the pointer leads through is not there.
    #[error(
        "this session goes in the body of the request at {pointer}, and the body has nothing that \
         can hold it; add what it stands in"
    )]
    NoPlace {
        /// The JSON pointer.
        pointer: String,
    },
    /// The session has a field of a kind that this version does not know.
    #[error("this session has a field of the body that this version of auth-middleware can't set")]
    UnknownField,
}
