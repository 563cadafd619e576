//! Which requests carry a part of a session.

use http::Method;

use super::{InvalidValue, Target};

/// Which requests carry a [`Part`](crate::Part) of a session: those with an unsafe method, those
/// below some paths, or those for which both is so.
///
/// ```
/// use auth_core::When;
///
/// let writes = When::unsafe_methods();
/// let writes_of_the_api = When::unsafe_methods().below("/api");
/// let all_of_two_apis = When::any_method().below("/api").below("/internal");
/// # let _ = (writes, writes_of_the_api, all_of_two_apis);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct When {
    pub(super) unsafe_only: bool,
    pub(super) below: Vec<String>,
}

impl When {
    /// Requests with any method. Without [paths](Self::below), that is every request.
    pub const fn any_method() -> Self {
        Self {
            unsafe_only: false,
            below: Vec::new(),
        }
    }

    /// Requests with any method but `GET`, `HEAD`, `OPTIONS` and `TRACE`, which are safe (RFC 9110,
    /// section 9.2.1). Servers want a csrf value only for the others.
    pub const fn unsafe_methods() -> Self {
        Self {
            unsafe_only: true,
            below: Vec::new(),
        }
    }

    /// Only requests whose path is `path` or below it, in whole segments as a cookie's: `/api`
    /// covers `/api/users` and not `/apis`. Of several paths, one is enough. It begins with a
    /// slash, and is compared byte for byte.
    pub fn below(mut self, path: impl Into<String>) -> Self {
        self.below.push(path.into());
        self
    }

    pub(super) const fn is_always(&self) -> bool {
        !self.unsafe_only && self.below.is_empty()
    }

    pub(super) fn check(&self) -> Result<(), InvalidValue> {
        let is_path = |path: &String| path.starts_with('/') && !path.contains(['?', '#']);
        if self.below.iter().all(is_path) {
            Ok(())
        } else {
            Err(InvalidValue::new(
                "path of a condition",
                "does not begin with a slash, or is more than a path",
            ))
        }
    }

    /// Whether a request to this target carries the part.
    pub(super) fn includes(&self, target: Target<'_>) -> bool {
        let has_method = || !self.unsafe_only || target.method().is_some();
        has_method() && self.may_include(target)
    }

    /// Whether a request to this target may carry the part. Without a method, it may have any.
    pub(super) fn may_include(&self, target: Target<'_>) -> bool {
        let by_method = !self.unsafe_only || target.method().is_none_or(is_unsafe);
        let is_below = |path: &String| target.is_below(path);
        by_method && (self.below.is_empty() || self.below.iter().any(is_below))
    }
}

/// Method names are case-sensitive (RFC 9110, section 9.1), so that `get` is none of the safe ones.
fn is_unsafe(method: &Method) -> bool {
    !matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn includes(when: &When, method: &str, path: &str) -> bool {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        when.includes(Target::new("https", "h", path).with_method(&method))
    }

    #[test]
    fn rule_16_unsafe_methods_are_all_but_four() {
        let writes = When::unsafe_methods();
        for method in ["POST", "PUT", "PATCH", "DELETE", "CONNECT", "PURGE", "get"] {
            assert!(includes(&writes, method, "/"), "{method}");
            assert!(includes(&When::any_method(), method, "/"), "{method}");
        }
        for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
            assert!(!includes(&writes, method, "/"), "{method}");
            assert!(includes(&When::any_method(), method, "/"), "{method}");
        }
        let unstated = Target::new("https", "h", "/");
        assert!(!writes.includes(unstated) && When::any_method().includes(unstated));
    }

    #[test]
    fn rule_16_a_condition_matches_whole_segments_below_one_of_its_paths() {
        let when = When::any_method().below("/api").below("/v2/");
        for path in ["/api", "/api/", "/api/x", "/v2/", "/v2/x"] {
            assert!(includes(&when, "GET", path), "{path}");
        }
        for path in ["/", "", "/apis", "/API", "/v2", "/x/api", "*"] {
            assert!(!includes(&when, "GET", path), "{path}");
        }
        let both = When::unsafe_methods().below("/api");
        assert!(includes(&both, "POST", "/api/x"));
        assert!(!includes(&both, "POST", "/x") && !includes(&both, "GET", "/api/x"));
        assert!(includes(&When::any_method().below("/"), "GET", ""));
    }
}
