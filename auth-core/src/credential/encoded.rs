//! The forms of values on requests.

use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

/// All characters but the unreserved ones (RFC 3986, section 2.3).
pub(super) const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Marks the value as sensitive, and clones it once: the first clone of a value allocates its
/// reference count, so that no later clone for a request does.
pub(super) fn prepared(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    let _ = value.clone();
    value
}
