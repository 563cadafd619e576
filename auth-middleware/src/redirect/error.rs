//! Why the redirects of a request could not be followed.

use thiserror::Error;

/// Why the redirects of a request could not be followed to their end. No message shows more of a
/// URL than its origin.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RedirectError {
    /// There were more redirects than allowed.
    #[error("more than {most} redirects; allow more with Redirects::at_most")]
    TooMany {
        /// How many are allowed.
        most: usize,
    },
    /// A redirect leads to a request that was made before. Since then, no cookie was set and the
    /// credential has not changed.
    #[error("redirects in a circle at {origin}")]
    Loop {
        /// The origin of the URL that came again.
        origin: String,
    },
    /// The client below the integration has followed a redirect out of the credential's scope by
    /// itself, and may have sent the credential there.
    #[error(
        "the client followed a redirect to {origin}, out of the credential's scope; build it with \
         AuthMiddleware::build_client or with reqwest::redirect::Policy::none()"
    )]
    LeftScope {
        /// The origin that responded. Not one whose name holds a value of the session that no
        /// [redirect](crate::Redirects) takes away, nor any if the handle was closed meanwhile.
        origin: String,
    },
}
