//! Where a credential may go.

use auth_core::{Origin, OriginError, Scope};
use http::Uri;

#[test]
fn rule_16_scheme_host_and_port_must_all_match() {
    let origin = Origin::parse("https://api.example.com").unwrap();
    let allowed = [
        "https://api.example.com/a?b=c",
        "https://API.EXAMPLE.COM:443/",
    ];
    let foreign = [
        "http://api.example.com/",
        "https://api.example.com:8443/",
        "https://example.com/",
        "https://evil.api.example.com/",
        "https://api.example.com.evil.net/",
        "https://api.example.com@evil.net/",
        "/relative",
    ];
    for uri in allowed {
        assert!(origin.matches_uri(&uri.parse().unwrap()), "{uri}");
    }
    for uri in foreign {
        assert!(!origin.matches_uri(&uri.parse().unwrap()), "{uri}");
    }
    let capitals = Uri::builder().scheme("HTTPS").authority("api.example.com");
    let capitals = capitals.path_and_query("/").build().unwrap();
    assert!(!origin.matches_uri(&capitals));
}

#[test]
fn an_address_is_kept_in_its_one_short_form() {
    let origin = Origin::parse("https://[2001:DB8:0::1]:8443").unwrap();
    assert_eq!(origin.to_string(), "https://[2001:db8::1]:8443");
    assert!(
        Origin::parse("http://[0:0:0:0:0:0:0:1]").is_ok(),
        "loopback, written out"
    );
}

#[test]
fn rule_16_no_plain_http_save_loopback_or_by_explicit_choice() {
    for url in [
        "http://localhost:1",
        "http://127.3.4.5",
        "http://[::1]:8080",
        "http://LOCALHOST",
    ] {
        assert!(Origin::parse(url).is_ok(), "{url}");
    }
    for url in [
        "http://example.com",
        "http://127.0.0.1.evil.net",
        "http://10.0.0.1",
        "http://[::2]",
        // A name server is asked for these.
        "http://evil.localhost",
        "http://localhost.",
        "http://localhost.localdomain",
        // These are this machine on some systems.
        "http://0.0.0.0",
        "http://[::]",
        "http://[::ffff:127.0.0.1]",
        "http://[::127.0.0.1]",
    ] {
        assert!(
            matches!(Origin::parse(url), Err(OriginError::PlainHttp { .. })),
            "{url}"
        );
        assert!(Origin::allow_plain_http(url).is_ok(), "{url}");
    }
}

#[test]
fn what_is_no_origin_is_refused_with_a_reason() {
    for (url, error) in [
        ("", OriginError::NotAUrl),
        ("https://", OriginError::NotAUrl),
        ("https://a b", OriginError::NotAUrl),
        ("https://127.1", OriginError::NotAUrl),
        ("http://127.0.0.1.", OriginError::NotAUrl),
        ("https://.", OriginError::NotAUrl),
        ("https://example.com:", OriginError::NotAUrl),
        ("https://example.com:99999", OriginError::NotAUrl),
        ("/v3", OriginError::NoHost),
        ("example.com", OriginError::Scheme),
        ("ftp://example.com", OriginError::Scheme),
        ("https://me:pw@example.com", OriginError::UserInfo),
    ] {
        assert_eq!(Origin::parse(url), Err(error), "{url}");
    }
}

#[test]
fn a_scope_may_hold_several_origins() {
    let login = Origin::parse("https://login.example.com").unwrap();
    let data = Origin::parse("https://data.example.com:8443").unwrap();
    let scope = Scope::only(login.clone())
        .and(data.clone())
        .and(login.clone());
    assert_eq!(scope.origins().count(), 2);
    assert_eq!(scope, Scope::only(data.clone()).and(login.clone()));
    assert_ne!(scope, Scope::only(login.clone()));
    assert_ne!(Scope::only(data), Scope::only(login));
    assert!(scope.contains("https", "data.example.com", Some(8443)));
    assert!(!scope.contains("https", "data.example.com", None));
}
