//! Rule 16: a redirect out of the scope takes no value of the session along.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;
#[path = "common/follow.rs"]
mod follow;

use std::sync::{Arc, Mutex};

use auth_core::testing::Scripted;
use auth_core::{Ask, Credentials, InvalidValue, Origin, Part, Session, set_cookies};
use auth_middleware::Redirects;
use common::{Api, Kind, Script, response};
use follow::{BOTH, get, moved, redirecting, send};
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};

const VALUE: &str = "s%3AkQ7b/Zx4+0123456789==";

fn credentials(
    origin: &str,
    session: impl Fn() -> Result<Session, InvalidValue> + Send + Sync + 'static,
) -> Credentials {
    let script = Scripted::new(move |_| Ok(session()?));
    Credentials::new(script.with_origin(Origin::parse(origin).unwrap()))
}

#[tokio::test]
async fn rule_16_a_redirect_that_takes_a_value_of_the_session_away_is_not_followed() {
    type Make = fn() -> Result<Session, InvalidValue>;
    let places: [(&str, Make); 4] = [
        ("bearer", || Session::new().with_bearer(VALUE)),
        ("cookie", || Session::new().with_cookie("sid", VALUE)),
        ("derived", || {
            let derived = Part::header_from_cookie("x-xsrf-token", "XSRF").percent_decoded();
            let session = Session::new().with_cookie("XSRF", VALUE)?;
            session.with_part(derived)
        }),
        ("query", || Session::new().with_query("sid", VALUE)),
    ];
    let foreign = Api::new(|_| response(200, "elsewhere"));
    let elsewhere = foreign.serve().await;
    for via in BOTH {
        for (place, make) in places {
            for (path, taken) in [
                ("/file", true),
                ("/file?of=s%253AkQ7b", true),
                ("/?t=s%3AkQ7b/Zx4+0123456789==", false),
                ("/?t=s:kQ7b/Zx4+0123456789==&a=1", false),
                ("/?t=s%253AkQ7b%252FZx4%252B0123456789%253D%253D", false),
                ("/?t=s%3akq7b%2fzx4%2b0123456789%3d%3d", false),
                (
                    "/?next=%2Fme%3Ft%3Ds%25253AkQ7b%2FZx4%2B0123456789==",
                    false,
                ),
                ("/s:kQ7b/Zx4+0123456789==/file", false),
                ("/#s:kQ7b/Zx4+0123456789==", false),
                ("/?t=s:kQ7b/Zx4\t+0123456789==", false),
            ] {
                let api = redirecting(302, &format!("{elsewhere}{path}"));
                let origin = api.serve().await;
                let credentials = credentials(&origin, make);
                let request = get(&format!("{origin}/away"));
                let got = send(via, &credentials, Redirects::new(), request).await;
                let expected = if taken { 200 } else { 302 };
                assert_eq!(got.unwrap().status, expected, "{via:?} {place} {path:?}");
            }
        }
    }
}

#[tokio::test]
async fn rule_16_a_redirect_takes_no_value_away_that_its_own_response_replaces() {
    let foreign = Api::new(|_| response(200, "elsewhere"));
    let elsewhere = foreign.serve().await;
    for via in BOTH {
        let to = elsewhere.clone();
        let api = Api::new(move |seen| match seen.uri.path() {
            "/roll" => {
                let mut rolled = moved(302, HeaderValue::from_static("/away"));
                let cookie = HeaderValue::from_static("sid=another-long-value");
                rolled.headers_mut().insert("set-cookie", cookie);
                rolled
            }
            "/away" => {
                let location = format!("{to}/?t=0123456789abcdef").parse().unwrap();
                let mut rolled = moved(302, location);
                let cookie = HeaderValue::from_static("sid=a-third-long-value");
                rolled.headers_mut().insert("set-cookie", cookie);
                rolled
            }
            _ => response(200, "here"),
        });
        let origin = api.serve().await;
        for path in ["/away", "/roll"] {
            let credentials = credentials(&origin, || {
                Session::new().with_cookie("sid", "0123456789abcdef")
            });
            let request = get(&format!("{origin}{path}"));
            let got = send(via, &credentials, Redirects::new(), request).await;
            assert_eq!(got.unwrap().status, 302, "{via:?} {path}");
        }
    }
    assert_eq!(foreign.count(), 0);
}

/// A session that is renewed ahead of its expiry is good at the server for a while.
#[tokio::test]
async fn rule_16_a_redirect_takes_no_token_away_that_was_renewed_while_its_request_was_under_way() {
    let foreign = Api::new(|_| response(200, "elsewhere"));
    let elsewhere = foreign.serve().await;
    for via in BOTH {
        for kind in [Kind::Bearer, Kind::Cookie, Kind::Query] {
            let renewed = Arc::new(Mutex::new(None::<Credentials>));
            let (handle, to) = (Arc::clone(&renewed), elsewhere.clone());
            let api = Api::new(move |seen| {
                let credentials = handle.lock().unwrap().clone().unwrap();
                std::thread::spawn(move || credentials.blocking_get_with(Ask::new().renewed()))
                    .join()
                    .unwrap()
                    .unwrap();
                let location = format!("{to}/?t=canary-0123456789-1&next={}", seen.uri);
                moved(302, location.parse().unwrap())
            });
            let origin = api.serve().await;
            let script = Script::at(&origin).kind(kind).prefix("canary-0123456789");
            let (credentials, _) = script.build();
            *renewed.lock().unwrap() = Some(credentials.clone());
            let request = get(&format!("{origin}/away"));
            let got = send(via, &credentials, Redirects::new(), request).await;
            assert_eq!(got.unwrap().status, 302, "{via:?} {kind:?}");
            assert_eq!(credentials.get().await.unwrap().stamp().generation(), 2);
        }
    }
    assert_eq!(foreign.count(), 0);
}

/// `url` writes a backslash as a slash, leaves a tab out, and puts a host into Punycode.
#[tokio::test]
async fn rule_16_a_value_is_found_as_the_server_has_written_it() {
    let foreign = Api::new(|_| response(200, "elsewhere"));
    let elsewhere = foreign.serve().await;
    for via in BOTH {
        for (value, path) in [
            ("01234567\\89abcdef", "/01234567\\89abcdef"),
            ("01234567/./9abcdef", "/01234567/./9abcdef"),
            ("01234567\t89abcdef", "/?t=01234567\t89abcdef"),
        ] {
            let api = redirecting(302, &format!("{elsewhere}{path}"));
            let origin = api.serve().await;
            let credentials = credentials(&origin, || Session::new().with_query("sid", value));
            let request = get(&format!("{origin}/away"));
            let got = send(via, &credentials, Redirects::new(), request).await;
            assert_eq!(got.unwrap().status, 302, "{via:?} {path:?}");
        }
    }
    assert_eq!(foreign.count(), 0);
}

/// What a session adds to requests that have it anyhow, and what is short, is in a URL by chance.
#[tokio::test]
async fn a_redirect_that_holds_no_secret_of_the_session_is_followed() {
    let foreign = Api::new(|_| response(200, "elsewhere"));
    let elsewhere = foreign.serve().await;
    let page: HeaderValue = elsewhere.parse().unwrap();
    for via in BOTH {
        let path = "/01234567-89ab-cdef-0123-456789abcdef/eu-central-1?state=fedcba9876543210&\
            response-content-type=application%2Fvnd.acme.v2%2Bjson";
        let api = redirecting(302, &format!("{elsewhere}{path}"));
        let origin = api.serve().await;
        let page = page.clone();
        let state = HeaderMap::from_iter([(SET_COOKIE, "state=fedcba9876543210".parse().unwrap())]);
        let credentials = credentials(&origin, move || {
            Session::new()
                .with_bearer("0123456789abcdef")?
                .with_cookie("region", "eu-central-1")?
                .with_cookie("home", "%2Feu-central-1%2F")?
                .with_optional_cookie(&set_cookies(&state).next().unwrap())?
                .with_part(Part::header(
                    "x-tenant",
                    "01234567-89ab-cdef-0123-456789abcdef",
                ))?
                .with_query("scheme", "https")?
                .with_part(Part::header("origin", page.as_bytes()))?
                .with_part(Part::header("accept", "application/vnd.acme.v2+json"))
        });
        let request = get(&format!("{origin}/away"));
        let got = send(via, &credentials, Redirects::new(), request).await;
        assert_eq!(got.unwrap().status, 200, "{via:?}");
    }
}

/// The session has all of these headers too, so that one alone names it.
#[tokio::test]
async fn rule_16_a_header_that_any_request_may_have_goes_along() {
    let foreign = Api::new(|_| response(200, "elsewhere"));
    let elsewhere = foreign.serve().await;
    let api = redirecting(307, &elsewhere);
    let origin = api.serve().await;
    for via in BOTH {
        for (name, goes_along) in [
            ("accept-language", true),
            ("content-language", true),
            ("origin", true),
            ("user-agent", true),
            ("x-tenant", false),
        ] {
            let credentials = credentials(&origin, move || {
                Session::new().with_part(Part::header(name, "of-the-session"))
            });
            let mut request = get(&format!("{origin}/away"));
            let written = HeaderValue::from_static("of-the-caller");
            request.headers_mut().insert(name, written.clone());
            let got = send(via, &credentials, Redirects::new(), request).await;
            assert_eq!(got.unwrap().status, 200, "{via:?} {name}");
            let seen = foreign.seen().pop().unwrap();
            let expected = goes_along.then_some(&written);
            assert_eq!(seen.headers.get(name), expected, "{via:?} {name}");
        }
    }
}
