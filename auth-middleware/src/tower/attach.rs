//! How a credential gets on a request.

use auth_core::{Credential, RequestHead, Target};
use http::Request;

use super::BoxError;
#[cfg(feature = "follow")]
use super::follow::Sent;
use super::replay::ReplayMode;
use crate::fields::{BodyFieldError, Edit, Wanted};
use crate::jar::JarRequest;
#[cfg(feature = "follow")]
use crate::redirect::FollowedAbove;
use crate::target::Target as _;

/// Puts the credential on a request, beside the cookies of the jar.
#[inline]
pub(super) fn attach<R: ReplayMode<B>, B>(
    credential: &Credential,
    jar: Option<&JarRequest>,
    request: &mut Request<R::Body>,
) -> Result<(), BoxError> {
    if credential.has_body_fields() {
        set_fields::<R, B>(credential, request)?;
    }
    if let Some(jar) = jar {
        jar.add_beside(credential, request.headers_mut());
    }
    #[cfg(feature = "follow")]
    {
        Sent::note(request, credential);
        // A layer below that follows redirects knows nothing of these values.
        if credential.has_query() || credential.has_body_fields() {
            request.extensions_mut().insert(FollowedAbove);
        }
    }
    Ok(credential.attach(request)?)
}

/// Sets the fields of the body.
#[cold]
fn set_fields<R: ReplayMode<B>, B>(
    credential: &Credential,
    request: &mut Request<R::Body>,
) -> Result<(), BodyFieldError> {
    let target = request.uri().target_of(request.method(), true);
    let Some(wanted) = Wanted::by(credential, target)? else {
        return Ok(());
    };
    if !R::has_data(request.body())? {
        return Ok(());
    }
    let edit = wanted.for_body(request.headers())?;
    let length = R::edit(request.body_mut(), |body| edit.copy(body))?;
    if let Some(length) = length {
        Edit::state_length(length, request.headers_mut());
    }
    Ok(())
}

/// Where a request goes. One whose body the replay mode can't look into is taken to have one.
#[inline]
pub(super) fn target_of<R: ReplayMode<B>, B>(request: &Request<R::Body>) -> Target<'_> {
    let has_body = R::has_data(request.body()).unwrap_or(true);
    request.uri().target_of(request.method(), has_body)
}

/// For a judge that wants it.
pub(super) fn head_of<B>(request: &Request<B>) -> RequestHead {
    RequestHead::new(request.method().clone(), request.uri().clone())
}
