//! A credential, put on a request.
//!
//! Always on a pristine copy: a request that was rejected is not the one that is sent again.

#[cfg(feature = "reqwest")]
pub(crate) fn to_reqwest(credential: &auth_core::Credential, request: &mut reqwest::Request) {
    if let Some(query) = credential.attach_query(request.url().query()) {
        request.url_mut().set_query(Some(&query));
    }
    credential.attach_headers(request.headers_mut());
}
