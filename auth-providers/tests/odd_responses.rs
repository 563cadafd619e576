//! Responses that no documentation mentions.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use auth_core::{LoginError, LoginErrorKind, ResponseView, Session, Verdict};
use auth_providers::{CloudIo, ConfigError, Login, Quinn, V1Login};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};

mod reading;

const HOUR: u64 = 3_600;
/// Sat, 21 Nov 2026 12:00:00 GMT
const NOON: u64 = 1_795_262_400;
const DATE: (&str, &str) = ("date", "Sat, 21 Nov 2026 12:00:00 GMT");

fn token(issued: u64, expires: u64) -> String {
    let claims = format!(r#"{{"iat":{issued},"exp":{expires}}}"#);
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
}

fn v1(
    cookies: bool,
    token: &str,
    headers: &[(&'static str, &'static str)],
) -> Result<Session, LoginError> {
    let body = format!(r#"{{"success":true,"data":{{"token":"{token}"}}}}"#);
    let mut response = Response::new(Bytes::from(body));
    for (name, value) in headers {
        response
            .headers_mut()
            .append(*name, HeaderValue::from_static(value));
    }
    let login = V1Login::new("https://v1.example.com", "me", "password").unwrap();
    let login = if cookies { login.with_cookie() } else { login };
    reading::session(&login, &response)
}

fn expiry(session: &Session) -> Option<u64> {
    session
        .lifetime()
        .hard_expiry()
        .map(|expiry| expiry.as_secs())
}

#[test]
fn a_token_that_was_issued_before_this_login_lives_for_what_is_left() {
    let token = token(NOON - 23 * HOUR, NOON + HOUR);
    assert_eq!(expiry(&v1(false, &token, &[DATE]).unwrap()), Some(HOUR));
    assert_eq!(
        expiry(&v1(false, &token, &[]).unwrap()),
        Some(24 * HOUR),
        "without a `Date` the remaining time is unknown"
    );
}

#[test]
fn a_cookie_lives_for_its_max_age_within_the_documented_day_whatever_the_token_says() {
    let year = token(NOON, NOON + 365 * 24 * HOUR);
    let lifetime = |line| expiry(&v1(true, &year, &[DATE, ("set-cookie", line)]).unwrap());
    assert_eq!(lifetime("auth=x"), Some(24 * HOUR));
    assert_eq!(lifetime("auth=x; Max-Age=3600"), Some(HOUR));
    assert_eq!(lifetime("auth=x; Max-Age=999999"), Some(24 * HOUR));
    let two = [
        ("set-cookie", "auth=x"),
        ("set-cookie", "balancer=y; Max-Age=60"),
    ];
    assert_eq!(
        expiry(&v1(true, "opaque", &two).unwrap()),
        Some(24 * HOUR),
        "the cookie of the session is not known"
    );
}

#[test]
fn rule_15_a_cookies_name_is_what_a_user_agent_takes_for_one() {
    let odd = [("set-cookie", "prefs[lang]=en"), ("set-cookie", "=x")];
    let session = v1(true, "opaque", &odd).unwrap();
    assert!(format!("{session:?}").contains("prefs[lang]"));
    let none = [("set-cookie", "=x"), ("set-cookie", "no pair")];
    assert_eq!(
        v1(true, "opaque", &none).unwrap_err().kind(),
        LoginErrorKind::Malformed
    );
}

#[test]
fn a_cookie_of_the_same_name_deleted_on_another_path_does_not_hide_the_sessions() {
    let quinn = Quinn::new("https://quinn.example.com", "me", "password").unwrap();
    let mut response = Response::new(Bytes::from_static(
        br#"{"message":"Login successful","user":{}}"#,
    ));
    for line in [
        "sessionId=abc; Path=/; Max-Age=604800",
        "sessionId=; Path=/api; Max-Age=0",
    ] {
        response
            .headers_mut()
            .append("set-cookie", HeaderValue::from_static(line));
    }
    assert!(reading::session(&quinn, &response).is_ok());
}

#[test]
fn an_account_with_white_space_or_control_characters_is_a_configuration_error() {
    for account in ["me@example.com\n\n", " me@example.com", "me\t@example.com"] {
        let refused = Quinn::new("https://quinn.example.com", account, "password").unwrap_err();
        assert_eq!(refused, ConfigError::UnusualAccount, "{account:?}");
    }
}

#[test]
fn cloudio_tells_a_dead_session_from_a_missing_permission_by_the_message() {
    let cloudio = CloudIo::new("https://cloudio.example.com", "me", "password").unwrap();
    let headers = HeaderMap::new();
    let verdict = |body: &str| {
        let response = ResponseView::new(StatusCode::FORBIDDEN, &headers);
        cloudio.judge().judge(&response.with_body(body.as_bytes()))
    };
    for message in [
        "Session not found",
        "CSRF mismatch",
        "Not logged in",
        "No active session",
        "Authentication required",
    ] {
        let body = format!(r#"{{"code":403,"status":"ERROR","title":null,"message":"{message}"}}"#);
        assert_eq!(verdict(&body), Verdict::Rejected, "{message}");
    }
    for message in [
        "This session may not read invoices",
        "You have no access to this table",
        "Not permitted",
    ] {
        let body = format!(
            r#"{{"code":403,"status":"ERROR","title":"Access Denied","message":"{message}"}}"#
        );
        assert_eq!(verdict(&body), Verdict::NotPermitted, "{message}");
    }
}

#[cfg(feature = "tower")]
#[tokio::test]
async fn a_tower_client_without_tls_is_a_misconfiguration_and_no_outage() {
    use auth_core::{Ask, Credentials};
    use auth_providers::TowerTransport;
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};

    let client = Client::builder(TokioExecutor::new()).build_http::<http_body_util::Full<Bytes>>();
    let quinn = Quinn::new("https://127.0.0.1:1", "me", "password").unwrap();
    let credentials = Credentials::new(quinn.via(TowerTransport::new(client)));
    let error = credentials
        .get_with(Ask::new().fail_fast())
        .await
        .unwrap_err();
    assert!(error.is_misconfigured(), "{error:?}");
}

#[cfg(feature = "reqwest")]
#[test]
fn rule_17_a_transport_does_not_print_its_clients_headers() {
    use auth_providers::ReqwestTransport;

    let headers =
        HeaderMap::from_iter([(http::header::COOKIE, HeaderValue::from_static("canary"))]);
    let builder = reqwest::Client::builder().default_headers(headers);
    let transport = ReqwestTransport::from_builder(builder).unwrap();
    assert!(!format!("{transport:?} {transport:#?}").contains("canary"));
}

#[cfg(all(feature = "demo", feature = "reqwest"))]
#[tokio::test]
async fn a_demo_servers_sessions_may_live_for_less_than_a_second() {
    use std::time::Duration;

    use auth_core::{Lifetime, Provider, SecretSource};
    use auth_providers::ReqwestTransport;
    use auth_providers::demo::{Api, DemoServer, EMAIL, PASSWORD, Settings};

    let short = Duration::from_millis(900);
    let secret = || SecretSource::from(PASSWORD);
    let quinn = Settings::new().lifetime(Lifetime::unknown().idle(short));
    let quinn = DemoServer::start_with(Api::Quinn, quinn).await.unwrap();
    let login = Quinn::new(quinn.base_url(), EMAIL, secret()).unwrap();
    let provider = login.via(ReqwestTransport::new().unwrap());
    let session = provider.login(&PASSWORD.into()).await.unwrap();
    assert_eq!(
        session.lifetime().idle_timeout(),
        Some(Duration::from_secs(1))
    );

    let v1 = Settings::new().lifetime(Lifetime::of(short));
    let v1 = DemoServer::start_with(Api::V1Login, v1).await.unwrap();
    let login = V1Login::new(v1.base_url(), EMAIL, secret()).unwrap();
    let provider = login.via(ReqwestTransport::new().unwrap());
    let session = provider.login(&PASSWORD.into()).await.unwrap();
    assert!(session.lifetime().hard_expiry().unwrap() <= Duration::from_secs(2));
}
