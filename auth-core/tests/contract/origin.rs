//! Where a credential may go.

use std::sync::Arc;

use auth_core::clock::ManualClock;
use auth_core::testing::Scripted;
use auth_core::{
    Attempt, Credentials, Event, Identity, Lifetime, Miss, Origin, OriginError, Scope,
};
use http::Uri;
use parking_lot::Mutex;

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

/// A client may write an address in another form: `Url` never mixes in an IPv4 address.
#[test]
fn rule_16_an_ipv6_address_is_in_scope_in_each_of_its_forms() {
    for (url, same) in [
        ("https://[::ffff:1.2.3.4]", "[::ffff:102:304]"),
        ("https://[::ffff:102:304]", "[::ffff:102:304]"),
        ("https://[2001:db8::1]", "[2001:DB8:0:0:0:0:0:1]"),
    ] {
        let scope = Scope::only(Origin::parse(url).unwrap());
        assert!(scope.contains("https", same, None), "{url}");
        let uri = format!("https://{same}/me").parse().unwrap();
        assert!(scope.contains_uri(&uri), "{url}");
        assert!(!scope.contains("https", "[2001:db8::2]", None), "{url}");
        assert!(!scope.contains("https", "2001:db8::1", None), "{url}");
    }
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

/// So no server has two origins by which its logins are counted, and no origin is one that no
/// request of a client goes to.
#[test]
fn rule_10_what_is_no_origin_is_refused_with_a_reason() {
    for (url, error) in [
        ("", OriginError::NotAUrl),
        ("https://", OriginError::NotAUrl),
        ("https://a b", OriginError::NotAUrl),
        ("https://127.1", OriginError::NotAUrl),
        ("https://0x7f.1", OriginError::NotAUrl),
        ("https://127.0.0.0X1", OriginError::NotAUrl),
        ("https://0x7f000001.", OriginError::NotAUrl),
        ("https://0x", OriginError::NotAUrl),
        ("https://0177.0.0.1", OriginError::NotAUrl),
        ("https://api.example.1", OriginError::NotAUrl),
        ("http://127.0.0.1.", OriginError::NotAUrl),
        ("https://.", OriginError::NotAUrl),
        ("https://..", OriginError::NotAUrl),
        ("https://example.com:", OriginError::NotAUrl),
        ("https://example.com:99999", OriginError::NotAUrl),
        ("https://example.com:+443", OriginError::NotAUrl),
        ("https://[::1]x:443", OriginError::NotAUrl),
        ("/v3", OriginError::NoHost),
        ("example.com", OriginError::Scheme),
        ("ftp://example.com", OriginError::Scheme),
        ("https://me:pw@example.com", OriginError::UserInfo),
    ] {
        assert_eq!(Origin::parse(url), Err(error), "{url}");
    }
    for name in [
        "https://1password.com",
        "https://127.0.0.1.evil.net",
        "https://api.x7",
        "https://0xg",
        "https://example.com:0443",
    ] {
        assert!(Origin::parse(name).is_ok(), "{name}");
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

/// The events of a cache.
type Log = Arc<Mutex<Vec<Event>>>;

/// A cache of this scope, and its events.
fn watched(scope: Scope) -> (Credentials, Log) {
    let log = Log::default();
    let events = Arc::clone(&log);
    let credentials = Credentials::builder(Scripted::tokens(Lifetime::unknown()))
        .clock(ManualClock::new().clock())
        .scope(scope)
        .observer(move |_: &Identity, event: &Event| events.lock().push(event.clone()))
        .build();
    (credentials, log)
}

/// Reports a request to this URL.
fn request(credentials: &Credentials, url: &str) {
    let uri: Uri = url.parse().unwrap();
    assert!(!credentials.scope().contains_uri(&uri), "{url}");
    Attempt::out_of_scope(credentials, uri.scheme_str(), uri.host(), uri.port_u16());
}

#[test]
fn rule_16_a_request_that_misses_the_scope_is_an_event_once_and_always_counted() {
    let scope = Scope::only(Origin::parse("http://127.0.0.1:8080").unwrap());
    let (credentials, log) = watched(scope.clone());
    assert_eq!(credentials.status().out_of_scope, 0);
    for _ in 0..100 {
        request(&credentials.clone(), "http://localhost:8080/private?secret");
        request(&credentials, "http://LocalHost:8080/another");
        request(&credentials, "https://example.com");
        request(&credentials, "https://example.com:443/");
    }
    assert_eq!(credentials.status().out_of_scope, 400);
    let event = |asked: &str, miss| Event::OutOfScope {
        asked: asked.to_owned(),
        scope: scope.clone(),
        miss,
    };
    assert_eq!(
        *log.lock(),
        [
            event("http://localhost:8080", Miss::LoopbackName),
            event("https://example.com", Miss::Host)
        ]
    );
}

#[test]
fn rule_16_a_url_without_a_host_is_told_from_one_with_a_host() {
    let (credentials, log) = watched(Origin::parse("https://api.example.com").unwrap().into());
    for host in [Some("example.com"), None, None] {
        Attempt::out_of_scope(&credentials, None, host, None);
    }
    assert_eq!(log.lock().len(), 2);
}

#[test]
fn rule_16_a_client_for_everything_warns_of_a_bounded_number_of_origins() {
    let (credentials, log) = watched(Origin::parse("https://api.example.com").unwrap().into());
    for round in 0..2 {
        for host in 0..1_000 {
            request(&credentials, &format!("https://{host}.example.com/"));
        }
        assert_eq!(log.lock().len(), 8, "in round {round}");
    }
    assert_eq!(credentials.status().out_of_scope, 2_000);
    // Another handle has warnings of its own.
    let (other, log) = watched(Origin::parse("https://api.example.com").unwrap().into());
    request(&other, "https://0.example.com");
    assert_eq!(log.lock().len(), 1);
}

/// The event of one request to this URL.
fn missed(scope: &Scope, url: &str) -> (String, Miss) {
    let (credentials, log) = watched(scope.clone());
    request(&credentials, url);
    let events = std::mem::take(&mut *log.lock());
    match events.as_slice() {
        [Event::OutOfScope { asked, miss, .. }] => (asked.clone(), *miss),
        events => panic!("{events:?}"),
    }
}

#[test]
fn rule_16_a_near_miss_is_told_from_another_host() {
    let scope = |url| Scope::only(Origin::parse(url).unwrap());
    let api = scope("https://api.example.com");
    let dotted = scope("https://api.example.com.");
    let local = scope("http://127.0.0.1:8080");
    let both = api.clone().and(Origin::parse("http://[::1]").unwrap());
    for (scope, url, miss) in [
        (&api, "/v3/me?a=b", Miss::NoOrigin),
        (&api, "api.example.com:443", Miss::NoOrigin),
        (&api, "https://api.example.com./v3", Miss::Dot),
        (&dotted, "https://API.example.com", Miss::Dot),
        (&api, "http://api.example.com/", Miss::Scheme),
        (&api, "http://api.example.com:443", Miss::Scheme),
        (&api, "https://api.example.com:8443", Miss::Port),
        (&local, "http://127.0.0.1", Miss::Port),
        (&api, "https://example.com", Miss::Host),
        (&local, "http://localhost:8080/", Miss::LoopbackName),
        (&local, "http://[::1]:8080", Miss::LoopbackName),
        (&local, "http://localhost.:8080", Miss::LoopbackName),
        (&local, "http://localhost:9000", Miss::Host),
        (&local, "https://localhost:8080", Miss::Host),
        (&local, "http://example.com:8080", Miss::Host),
        // The nearest of several origins counts.
        (&both, "http://localhost", Miss::LoopbackName),
        (&both, "https://example.com", Miss::Host),
    ] {
        assert_eq!(missed(scope, url).1, miss, "{url}");
    }
}

#[test]
fn rule_17_a_request_out_of_scope_is_named_by_its_origin_alone() {
    let api = Scope::only(Origin::parse("https://api.example.com").unwrap());
    for (url, shown) in [
        ("/canary?canary", "a URL without an origin"),
        ("example.com:443", "//example.com:443"),
        ("http://example.com:80/canary?canary", "http://example.com"),
        ("https://example.com:80", "https://example.com:80"),
        ("https://canary:canary@example.com", "https://example.com"),
    ] {
        assert_eq!(missed(&api, url).0, shown);
    }
    // A scheme that was built in upper case is another one, as for `Origin::matches_uri`.
    let (credentials, log) = watched(api);
    Attempt::out_of_scope(&credentials, Some("HTTPS"), Some("api.example.com"), None);
    let printed = format!("{:?}", log.lock());
    assert!(printed.contains("HTTPS://api.example.com") && printed.contains("Scheme"));
}

#[test]
fn rule_16_a_request_to_any_origin_of_the_scope_may_carry_the_credential() {
    let scope = Scope::only(Origin::parse("https://login.example.com").unwrap())
        .and(Origin::parse("https://data.example.com:8443").unwrap());
    for (url, within) in [
        ("https://login.example.com/a", true),
        ("https://data.example.com:8443/b", true),
        ("https://login.example.com:8443/a", false),
        ("https://data.example.com/b", false),
    ] {
        let uri: Uri = url.parse().unwrap();
        assert_eq!(scope.contains_uri(&uri), within, "{url}");
        let (scheme, host) = (uri.scheme_str().unwrap(), uri.host().unwrap());
        let contains = scope.contains(scheme, host, uri.port_u16());
        assert_eq!(contains, within, "{url}");
    }
}

#[test]
fn a_miss_is_printed_as_what_is_different() {
    assert_eq!(Miss::Port.to_string(), "the port is another one");
}

#[test]
fn a_scope_is_printed_as_its_origins() {
    let scope = Scope::only(Origin::parse("https://login.example.com").unwrap())
        .and(Origin::parse("https://data.example.com:8443").unwrap());
    assert_eq!(
        scope.to_string(),
        "https://login.example.com, https://data.example.com:8443"
    );
    let printed = format!("{:?}", scope.origins().last().unwrap());
    assert_eq!(printed, "Origin(https://data.example.com:8443)");
}
