//! Where a credential may go, for the types that requests are written in.

/// Whether a request to `url` may carry the credential.
#[cfg(feature = "reqwest")]
pub(crate) fn contains_url(scope: &auth_core::Scope, url: &reqwest::Url) -> bool {
    url.host_str()
        .is_some_and(|host| scope.contains(url.scheme(), host, url.port()))
}

/// Whether a request to `uri` may carry the credential.
///
/// As [`auth_core::Scope::contains_uri`], at a third of the time: the host is found in one pass, where the `http` crate makes
/// one for each of its user, host and port. What is not plainly a host, or a host and a port, is left to that.
#[cfg(feature = "tower")]
#[inline]
pub(crate) fn contains_uri(scope: &auth_core::Scope, uri: &http::Uri) -> bool {
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return false;
    };
    let authority = authority.as_str();
    let mut colon = None;
    for (index, byte) in authority.bytes().enumerate() {
        match byte {
            b'@' | b'[' => return scope.contains_uri(uri),
            b':' => colon = Some(index),
            _ => {}
        }
    }
    let Some(colon) = colon else {
        return scope.contains(scheme, authority, None);
    };
    let (host, port) = authority.split_at(colon);
    match port[1..].parse() {
        Ok(port) => scope.contains(scheme, host, Some(port)),
        Err(_) => scope.contains_uri(uri),
    }
}

/// A redirect policy for a client that carries credentials: it stops at the edge of their scope.
///
/// A redirect that would leave `scope` is not followed; the caller gets the 3xx answer, and decides. Within the scope, and
/// for requests that were never in it, ten hops are followed, as by default.
///
/// Give it to every `reqwest::Client` under an [`AuthMiddleware`](crate::AuthMiddleware). Such a client follows redirects
/// below the middleware, which sees none of the hops: left to itself it keeps a header such as `X-Api-Key` on every hop,
/// and tells the new host the old query in `Referer`.
///
/// ```
/// use auth_core::{Origin, Scope};
/// use auth_middleware::redirect_policy;
///
/// let scope = Scope::only(Origin::parse("https://api.example.com")?);
/// let client = reqwest::Client::builder().redirect(redirect_policy(scope)).build();
/// # let _ = client;
/// # Ok::<(), auth_core::OriginError>(())
/// ```
#[cfg(feature = "reqwest")]
pub fn redirect_policy(scope: auth_core::Scope) -> reqwest::redirect::Policy {
    const HOPS: usize = 10;
    reqwest::redirect::Policy::custom(move |attempt| {
        let leaves = attempt
            .previous()
            .iter()
            .any(|url| contains_url(&scope, url))
            && !contains_url(&scope, attempt.url());
        if leaves {
            attempt.stop()
        } else if attempt.previous().len() > HOPS {
            attempt.error("too many redirects")
        } else {
            attempt.follow()
        }
    })
}

#[cfg(all(test, feature = "tower"))]
mod tests {
    use auth_core::{Origin, Scope};

    #[test]
    fn rule_16_the_quick_look_agrees_with_the_scopes_own() {
        let scope = Scope::only(Origin::parse("https://api.example.com").unwrap())
            .and(Origin::parse("http://[::1]:8080").unwrap())
            .and(Origin::parse("http://127.0.0.1:8080").unwrap());
        let hosts = [
            "api.example.com",
            "API.example.com",
            "api.example.com.evil.net",
            "evil.net",
            "127.0.0.1",
            "[::1]",
            "user@api.example.com",
            "api.example.com:443@evil.net",
            "user:pw@api.example.com",
        ];
        let mut inside = 0;
        for scheme in ["http://", "https://", "ftp://", ""] {
            for host in hosts {
                for port in ["", ":", ":443", ":8080", ":0443", ":99999"] {
                    let Ok(uri) = format!("{scheme}{host}{port}").parse() else {
                        continue;
                    };
                    let expected = scope.contains_uri(&uri);
                    assert_eq!(super::contains_uri(&scope, &uri), expected, "{uri}");
                    inside += usize::from(expected);
                }
            }
        }
        assert!(inside > 5);
        assert!(!super::contains_uri(&scope, &"/relative".parse().unwrap()));
    }
}
