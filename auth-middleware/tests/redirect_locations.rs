//! Rule 16: what a server writes as a `Location` to make the scope look like another one.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use auth_core::testing::Scripted;
use auth_core::{Credentials, Origin, Session};
use auth_middleware::{AuthLayer, Redirects};
use bytes::Bytes;
use common::{ORIGIN, Script, get};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};

/// The last request of a call that is redirected to this location, and whether it carries the
/// credential.
async fn reached(location: &str) -> (String, bool) {
    let (credentials, _) = Script::at(ORIGIN).build();
    reached_with(credentials, location).await
}

async fn reached_with(credentials: Credentials, location: &str) -> (String, bool) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let location = HeaderValue::from_bytes(location.as_bytes()).unwrap();
    let api = service_fn(move |request: Request<Full<Bytes>>| {
        let carries = request.headers().contains_key("authorization");
        let mut noted = noted.lock().unwrap();
        noted.push((request.uri().to_string(), carries));
        let mut response = Response::new(Full::<Bytes>::default());
        if noted.len() == 1 {
            *response.status_mut() = StatusCode::FOUND;
            response.headers_mut().insert("location", location.clone());
        }
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let layer = AuthLayer::new(credentials).follow_redirects(Redirects::new());
    let request = get(&format!("{ORIGIN}/v1/away"));
    layer.layer(api).oneshot(request).await.unwrap();
    let last = seen.lock().unwrap().pop();
    last.unwrap()
}

#[tokio::test]
async fn rule_16_a_location_that_looks_like_the_scope_carries_the_credential_only_in_it() {
    assert_eq!(ORIGIN, "https://api.example.com");
    for (location, url, carries) in [
        // Elsewhere.
        ("/\t/evil.example/x", "https://evil.example/x", false),
        ("\\\t\\evil.example/x", "https://evil.example/x", false),
        ("https:/\\evil.example/x", "https://evil.example/x", false),
        ("https:\\\\evil.example/x", "https://evil.example/x", false),
        ("ht\ttps://evil.example/x", "https://evil.example/x", false),
        ("//api.example.com./x", "https://api.example.com./x", false),
        (
            "//api.example.com:8443/x",
            "https://api.example.com:8443/x",
            false,
        ),
        (
            "//api.example.com.evil.example/x",
            "https://api.example.com.evil.example/x",
            false,
        ),
        ("//0x7f.1/x", "https://127.0.0.1/x", false),
        // In the scope.
        (
            "https:evil.example/x",
            "https://api.example.com/v1/evil.example/x",
            true,
        ),
        (
            "//api.example.com\\.evil.example/x",
            "https://api.example.com/.evil.example/x",
            true,
        ),
        (
            "//api.example.com#@evil.example/x",
            "https://api.example.com/",
            true,
        ),
        (
            "//api.example.com?@evil.example/x",
            "https://api.example.com/?@evil.example/x",
            true,
        ),
        (
            "//API%2eexample\u{3002}com:0443/x",
            "https://api.example.com/x",
            true,
        ),
        (
            "/a/..//evil.example/x",
            "https://api.example.com//evil.example/x",
            true,
        ),
        ("/../../%2e%2E/x", "https://api.example.com/x", true),
    ] {
        let (last, carried) = reached(location).await;
        assert_eq!((&*last, carried), (url, carries), "{location:?}");
    }
}

#[tokio::test]
async fn rule_16_a_location_that_names_a_user_or_is_not_of_the_web_is_handed_to_the_caller() {
    for location in [
        "//api.example.com@evil.example/x",
        "//api.example.com:443@evil.example/x",
        "//api.example.com%40evil.example/x",
        "//api.example.com%2fevil.example/x",
        "//api.example.com%00.evil.example/x",
        "//:pass@api.example.com/x",
        "http://api.example.com/x",
        "http:/x",
        "wss://api.example.com/x",
        "ftp://api.example.com/x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:text/html,x",
        "//",
        "https://",
        "//api.example.com:99999/x",
        "//[::1/x",
    ] {
        let (last, _) = reached(location).await;
        assert_eq!(last, "https://api.example.com/v1/away", "{location:?}");
    }
}

/// Many sessions name a server. Those of another origin than the session's are followed to it.
#[tokio::test]
async fn rule_16_a_redirect_to_an_origin_that_the_session_names_is_followed() {
    let cookie = "%7B%22id%22%3A%22s1%22%2C%22files%22%3A%22https%3A%2F%2Ffiles.example.com%22%7D";
    let signature = HeaderValue::from_static("Signature keyId=\"https://files.example.com/k\"");
    let sessions = [
        Session::new().with_cookie("sid", cookie).unwrap(),
        Session::new().with_header(http::header::AUTHORIZATION, signature),
    ];
    for session in sessions {
        let parts = session.to_parts();
        let provider = Scripted::new(move |_| Ok(parts.to_session()?));
        let origin = Origin::parse(ORIGIN).unwrap();
        let credentials = Credentials::new(provider.with_origin(origin));
        let url = "https://files.example.com/a.pdf";
        let (last, carries) = reached_with(credentials, url).await;
        assert_eq!((&*last, carries), (url, false));
    }
}
