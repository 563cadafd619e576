//! What each login sends, and how it reads responses, without a server.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use auth_core::clock::ManualClock;
use auth_core::{
    Credential, Credentials, Lifetime, LoginError, LoginErrorKind, Logout, LogoutReason, Pool,
    PoolError, Provider, Quota, Secret, SecretSource, Session, Verdict,
};
use auth_providers::{
    Answers, BaseUrl, Clay, CloudIo, ConfigError, Login, Quinn, Step, Transport, V1Login, response,
};
use base64::Engine as _;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

mod reading;

const EMAIL: &str = "ada@example.com";
const PASSWORD: &str = "canary-p\"w é";
const HOST: &str = "https://host.example";
const DAY: Duration = Duration::from_secs(86_400);

fn clay() -> Clay {
    Clay::new(EMAIL, PASSWORD).unwrap()
}

fn quinn() -> Quinn {
    Quinn::new(HOST, EMAIL, PASSWORD).unwrap()
}

fn cloudio() -> CloudIo {
    CloudIo::new(HOST, "ada", PASSWORD).unwrap()
}

fn v1() -> V1Login {
    V1Login::new(HOST, EMAIL, PASSWORD).unwrap()
}

fn all() -> [Box<dyn Login>; 4] {
    [
        Box::new(clay()),
        Box::new(quinn()),
        Box::new(cloudio()),
        Box::new(v1()),
    ]
}

fn request(login: &impl Login) -> Request<Bytes> {
    let request = login.request(&PASSWORD.into()).unwrap();
    assert_eq!(request.method(), Method::POST);
    assert_eq!(request.headers()["content-type"], "application/json");
    assert_eq!(request.headers()["accept"], "application/json");
    assert!(!request.headers().contains_key("cookie"));
    request
}

fn body(request: &Request<Bytes>) -> Value {
    serde_json::from_slice(request.body()).unwrap()
}

fn jwt(claims: &Value) -> String {
    let encode = |text: String| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    format!(
        "{}.{}.c2ln",
        encode(json!({ "alg": "HS256" }).to_string()),
        encode(claims.to_string())
    )
}

struct Served(Response<Bytes>);

impl Served {
    fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self(
            Response::builder()
                .status(status)
                .body(body.into())
                .unwrap(),
        )
    }

    fn json(status: u16, body: &Value) -> Self {
        Self::new(status, body.to_string())
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.0.headers_mut().append(name, value.parse().unwrap());
        self
    }
}

fn clay_ok(cookie: &str) -> Served {
    let body = json!({ "success": true, "redirect_to": "https://app.clay.com/workspaces/123456" });
    Served::json(200, &body).with("set-cookie", cookie)
}

fn quinn_ok() -> Served {
    Served::json(
        200,
        &json!({ "message": "Login successful", "user": { "id": "550e", "role": "admin" } }),
    )
}

fn cloudio_ok(jwt: &str, csrf: &str) -> Served {
    Served::json(
        200,
        &json!({ "orgUid": "cloudio", "sessionId": "e5f5", "jwt": jwt, "csrf": csrf, "status": "OK" }),
    )
}

fn v1_ok(token: &str) -> Served {
    Served::json(
        200,
        &json!({ "success": true, "data": { "name": "A", "id": "63d0", "token": token } }),
    )
}

fn read(login: &impl Login, served: &Served) -> Session {
    reading::session(login, &served.0).unwrap()
}

fn refuse(login: &(impl Login + ?Sized), served: &Served) -> LoginError {
    let error = reading::session(login, &served.0).unwrap_err();
    let printed = format!("{error} {error:?}");
    assert!(!printed.contains("canary"), "{printed}");
    error
}

fn kind(login: &(impl Login + ?Sized), served: &Served) -> LoginErrorKind {
    refuse(login, served).kind()
}

#[test]
fn clay_sends_email_password_and_a_null_source() {
    let request = request(&clay());
    assert_eq!(request.uri(), "https://api.clay.com/v3/auth/login");
    let expected = json!({ "email": EMAIL, "password": PASSWORD, "source": null });
    assert_eq!(body(&request), expected);
    let probe = clay().probe_url();
    assert_eq!(
        probe.as_deref(),
        Some("https://api.clay.com/v3/my-workspaces")
    );
}

#[test]
fn quinn_and_v1_send_email_and_password() {
    let expected = json!({ "email": EMAIL, "password": PASSWORD });
    let sent = request(&quinn());
    assert_eq!(sent.uri(), "https://host.example/api/auth/login");
    assert_eq!(body(&sent), expected);
    let probe = quinn().probe_url().unwrap();
    assert_eq!(probe, "https://host.example/api/auth/me");
    let sent = request(&v1());
    assert_eq!(sent.uri(), "https://host.example/v1/login");
    assert_eq!(body(&sent), expected);
}

#[test]
fn cloudio_sends_an_empty_object_and_the_pair_in_a_sensitive_header() {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("ada:{PASSWORD}"));
    let expected = format!("Token {pair}");
    for (login, name, other) in [
        (cloudio(), "authorization", "authentication"),
        (
            cloudio().authentication_header(),
            "authentication",
            "authorization",
        ),
    ] {
        let request = request(&login);
        assert_eq!(request.uri(), "https://host.example/v1/auth");
        assert_eq!(request.body(), "{}");
        assert_eq!(request.headers()[name], *expected);
        assert!(request.headers()[name].is_sensitive());
        assert!(!request.headers().contains_key(other));
    }
}

#[test]
fn clay_is_good_for_24_hours_and_a_jwt_may_only_shorten_them() {
    let plain = "claysession=s%3Aabc.d%2Be; Path=/; HttpOnly; Secure; SameSite=Lax";
    assert_eq!(read(&clay(), &clay_ok(plain)).lifetime(), Lifetime::of(DAY));
    let with_jwt = |exp: u64| {
        let token = jwt(&json!({ "iat": 0, "exp": exp }));
        read(&clay(), &clay_ok(&format!("claysession={token}; Path=/"))).lifetime()
    };
    assert_eq!(with_jwt(3_600), Lifetime::of(Duration::from_secs(3_600)));
    assert_eq!(with_jwt(900_000), Lifetime::of(DAY));
    let hour = Lifetime::of(Duration::from_secs(3_600));
    assert_eq!(
        read(&clay(), &clay_ok("claysession=a; Max-Age=3600")).lifetime(),
        hour
    );
}

#[test]
fn quinn_expires_after_7_idle_days_or_its_max_age_and_after_30_days_in_all() {
    let with_cookie = |cookie| {
        let served = quinn_ok().with("set-cookie", cookie);
        read(&quinn(), &served).lifetime()
    };
    let sliding = |idle| Lifetime::unknown().idle(idle).absolute(30 * DAY);
    assert_eq!(
        with_cookie("sessionId=a; Path=/; Max-Age=604800"),
        sliding(7 * DAY)
    );
    assert_eq!(with_cookie("sessionId=a; Path=/"), sliding(7 * DAY));
    assert_eq!(with_cookie("sessionId=a; Max-Age=86400"), sliding(DAY));
}

#[test]
fn cloudio_has_no_documented_life_but_what_the_token_or_the_user_states() {
    let served = cloudio_ok("eya.b.c", "29f5");
    assert_eq!(read(&cloudio(), &served).lifetime(), Lifetime::unknown());
    let idle = cloudio().session_timeout(DAY);
    assert_eq!(
        read(&idle, &served).lifetime(),
        Lifetime::unknown().idle(DAY)
    );
    let stated = cloudio_ok(&jwt(&json!({ "iat": 0, "exp": 60 })), "29f5");
    let minute = Lifetime::of(Duration::from_secs(60));
    assert_eq!(read(&idle, &stated).lifetime(), minute.idle(DAY));
}

#[test]
fn v1_is_good_for_as_long_as_its_token_says_or_else_one_day() {
    assert_eq!(read(&v1(), &v1_ok("opaque")).lifetime(), Lifetime::of(DAY));
    let week = v1_ok(&jwt(&json!({ "iat": 1_674_691_711, "exp": 1_675_296_511 })));
    assert_eq!(read(&v1(), &week).lifetime(), Lifetime::of(7 * DAY));
    let by_date = v1_ok(&jwt(&json!({ "exp": 1_795_262_460_u64 })))
        .with("date", "Sat, 21 Nov 2026 12:00:00 GMT");
    let minute = Duration::from_secs(60);
    assert_eq!(read(&v1(), &by_date).lifetime(), Lifetime::of(minute));
}

#[test]
fn rule_14_a_life_a_hundred_times_the_documented_one_states_nothing() {
    let issued = 1_766_000_000_u64;
    let v1_life = |claims: &Value| read(&v1(), &v1_ok(&jwt(claims))).lifetime();
    let milliseconds = json!({ "iat": issued, "exp": (issued + 86_400) * 1_000 });
    assert_eq!(v1_life(&milliseconds), Lifetime::of(DAY));
    let after_days = |days: u64| json!({ "iat": issued, "exp": issued + days * 86_400 });
    assert_eq!(v1_life(&after_days(99)), Lifetime::of(99 * DAY));
    for days in [100, 1_000, 100_000] {
        assert_eq!(v1_life(&after_days(days)), Lifetime::of(DAY), "{days}");
    }
    let quinn_life = |max_age: u64| {
        let cookie = format!("sessionId=a; Max-Age={max_age}");
        let served = quinn_ok().with("set-cookie", &cookie);
        read(&quinn(), &served).lifetime()
    };
    let sliding = |idle| Lifetime::unknown().idle(idle).absolute(30 * DAY);
    assert_eq!(quinn_life(604_800_000), sliding(7 * DAY));
    assert_eq!(quinn_life(u64::MAX), sliding(7 * DAY));
    assert_eq!(
        quinn_life(60_479_999)
            .idle_timeout()
            .map(|idle| idle.as_secs()),
        Some(60_479_999)
    );
    let clay_served = clay_ok("claysession=a; Max-Age=86400000");
    assert_eq!(read(&clay(), &clay_served).lifetime(), Lifetime::of(DAY));
    let cookie = v1_ok("t").with("set-cookie", "a=a; Max-Age=86400000");
    assert_eq!(
        read(&v1().with_cookie(), &cookie).lifetime(),
        Lifetime::of(DAY)
    );
}

#[test]
fn each_session_carries_what_its_api_wants_and_nothing_else() {
    // The `Debug` output of a session contains only the names of what it carries.
    let carried = |session: Session| format!("{session:?}").replace(['"', '[', ']'], "");
    let clay = carried(read(
        &clay(),
        &clay_ok("claysession=a").with("set-cookie", "lb=b"),
    ));
    assert!(clay.contains("cookies: claysession,"), "{clay}");
    let quinn_response = quinn_ok().with("set-cookie", "sessionId=a");
    let quinn = carried(read(&quinn(), &quinn_response));
    assert!(quinn.contains("cookies: sessionId,"), "{quinn}");
    let cloudio = carried(read(&cloudio(), &cloudio_ok("j", "c")));
    assert!(
        cloudio.contains("headers: authorization, cookies: , query: csrf"),
        "{cloudio}"
    );
    let set = || {
        v1_ok("t")
            .with("set-cookie", "auth=a")
            .with("set-cookie", "lb=b")
    };
    let token = carried(read(&v1(), &set()));
    assert!(
        token.contains("headers: authorization, cookies: , query: "),
        "{token}"
    );
    let cookies = carried(read(&v1().with_cookie(), &set()));
    assert!(
        cookies.contains("headers: , cookies: auth, lb, query: "),
        "{cookies}"
    );
}

#[test]
fn a_200_without_the_promised_cookie_or_token_is_a_failed_login() {
    let malformed = LoginErrorKind::Malformed;
    for cookie in ["other=canary", "claysession=", "claysession=a; Max-Age=0"] {
        assert_eq!(kind(&clay(), &clay_ok(cookie)), malformed, "{cookie}");
    }
    assert_eq!(kind(&quinn(), &quinn_ok()), malformed);
    assert_eq!(kind(&cloudio(), &cloudio_ok("", "c")), malformed);
    assert_eq!(kind(&cloudio(), &cloudio_ok("j", "")), malformed);
    assert_eq!(kind(&v1(), &v1_ok("")), malformed);
    assert_eq!(kind(&v1().with_cookie(), &v1_ok("canary")), malformed);
    assert_eq!(
        kind(
            &v1().with_cookie(),
            &v1_ok("t").with("set-cookie", "a=; Max-Age=0")
        ),
        malformed
    );
}

/// The credential of a login, which is under the quota of no other test.
async fn logged_in(provider: impl Provider) -> Arc<Credential> {
    let clock = ManualClock::new().clock();
    let credentials = Credentials::builder(provider).clock(clock).build();
    credentials.get().await.unwrap()
}

/// The request that carries the session which `served` brings.
async fn carried(login: impl Login, served: Served) -> Request<()> {
    let credential = logged_in(login.via(FixedResponse(served.0))).await;
    let mut request = Request::get("/").body(()).unwrap();
    credential.attach(&mut request).unwrap();
    request
}

#[tokio::test]
async fn rule_18_what_surrounds_the_documented_values_does_not_decide() {
    let surrounded = |served: Served| {
        let mut text = b"\xEF\xBB\xBF".to_vec();
        text.extend_from_slice(served.0.body());
        text.extend_from_slice(b"\r\n\0");
        // As a server in PHP labels what it prints.
        let mut other = Served::new(200, text).with("content-type", "text/html; charset=UTF-8");
        let cookies = served.0.headers().get_all("set-cookie");
        for cookie in cookies {
            other = other.with("set-cookie", cookie.to_str().unwrap());
        }
        other
    };
    let clay_served = surrounded(clay_ok("claysession=a"));
    assert!(!read(&clay(), &clay_served).is_empty());
    let quinn_served = surrounded(quinn_ok().with("set-cookie", "sessionId=a"));
    assert!(!read(&quinn(), &quinn_served).is_empty());
    for (around, csrf) in [(" ", "c-1 "), ("\t\r\n", "\nc-1"), ("\u{feff}", "c-1")] {
        let token = format!("{around}t-1{around}");
        let request = carried(v1(), surrounded(v1_ok(&token))).await;
        assert_eq!(request.headers()["authorization"], "Bearer t-1");
        let request = carried(cloudio(), surrounded(cloudio_ok(&token, csrf))).await;
        assert_eq!(request.headers()["authorization"], "Bearer t-1");
        assert_eq!(request.uri(), "/?csrf=c-1");
    }
    assert_eq!(kind(&v1(), &v1_ok(" \n")), LoginErrorKind::Malformed);
    assert_eq!(
        kind(&cloudio(), &cloudio_ok("j", " ")),
        LoginErrorKind::Malformed
    );
    let error = json!({ "code": 403, "status": "ERROR" });
    let refusal = surrounded(Served::json(200, &error)).0.into_body();
    assert_eq!(
        kind(&cloudio(), &Served::new(403, refusal.clone())),
        LoginErrorKind::Refused
    );
    assert_eq!(
        kind(&v1(), &Served::new(400, refusal)),
        LoginErrorKind::Refused
    );
}

#[test]
fn rule_12_a_401_to_a_login_is_a_refusal_whatever_its_body_is() {
    for login in all() {
        for body in ["Invalid email or password", "<html>canary</html>", "{}", ""] {
            let served = Served::new(401, body).with("content-type", "text/html; charset=utf-8");
            assert_eq!(kind(&*login, &served), LoginErrorKind::Refused, "{body}");
        }
        assert_eq!(
            kind(&*login, &Served::new(407, "<html>")),
            LoginErrorKind::Malformed
        );
    }
}

#[test]
fn a_200_that_reports_a_failure_is_a_failed_login() {
    let malformed = LoginErrorKind::Malformed;
    let unsuccessful = Served::json(
        200,
        &json!({ "success": false, "data": { "token": "canary" } }),
    )
    .with("set-cookie", "claysession=canary");
    assert_eq!(kind(&clay(), &unsuccessful), malformed);
    assert_eq!(kind(&v1(), &unsuccessful), malformed);
    let error = json!({ "status": "ERROR", "jwt": "canary", "csrf": "canary" });
    assert_eq!(kind(&cloudio(), &Served::json(200, &error)), malformed);
}

#[test]
fn a_token_that_cant_stand_in_a_header_is_malformed() {
    for token in ["canary\r\nx-evil: 1", "canary\u{0}", "canary\u{7f}"] {
        assert_eq!(
            kind(&v1(), &v1_ok(token)),
            LoginErrorKind::Malformed,
            "{token:?}"
        );
        assert_eq!(
            kind(&cloudio(), &cloudio_ok(token, "c")),
            LoginErrorKind::Malformed
        );
    }
}

#[test]
fn html_truncated_json_and_other_shapes_are_malformed() {
    for login in all() {
        for status in [200, 400, 403] {
            for body in ["<html>canary</html>", "<!DOCTYPE html>"] {
                let served = Served::new(status, body).with("set-cookie", "claysession=canary");
                assert_eq!(
                    kind(&*login, &served),
                    LoginErrorKind::Malformed,
                    "{login_name} {status}",
                    login_name = login.account().identity().provider()
                );
            }
        }
        for body in [
            "",
            "{",
            r#"{"canary": "#,
            "[]",
            "null",
            r#"{"success": "canary", "user": "canary", "jwt": 1, "data": 2}"#,
        ] {
            let served = Served::new(200, body)
                .with("set-cookie", "claysession=a")
                .with("set-cookie", "sessionId=a");
            assert_eq!(kind(&*login, &served), LoginErrorKind::Malformed, "{body}");
        }
    }
}

#[test]
fn a_refused_password_is_recognised_by_each_apis_own_status() {
    let error =
        json!({ "code": 403, "status": "ERROR", "title": "Access Denied", "message": "canary" });
    let refusals: [(Box<dyn Login>, u16); 4] = [
        (Box::new(clay()), 401),
        (Box::new(quinn()), 401),
        (Box::new(cloudio()), 403),
        (Box::new(v1()), 400),
    ];
    for (login, own) in refusals {
        for status in [400, 401, 403, 404, 422] {
            // 401 refuses the password for every API.
            let expected = if status == own || status == 401 {
                LoginErrorKind::Refused
            } else {
                LoginErrorKind::Malformed
            };
            let name = login.account().identity().provider();
            assert_eq!(
                kind(&*login, &Served::json(status, &error)),
                expected,
                "{name} {status}"
            );
        }
    }
    assert_eq!(
        kind(&clay(), &Served::new(401, "")),
        LoginErrorKind::Refused
    );
    // A 403 that is not JSON in CloudIO's form says nothing about the password.
    assert_eq!(
        kind(
            &cloudio(),
            &Served::json(403, &json!({ "message": "blocked" }))
        ),
        LoginErrorKind::Malformed
    );
    let no_error = json!({ "status": "BLOCKED", "message": "by the firewall" });
    assert_eq!(
        kind(&cloudio(), &Served::json(403, &no_error)),
        LoginErrorKind::Malformed
    );
    assert_eq!(
        kind(&cloudio(), &Served::new(403, "blocked")),
        LoginErrorKind::Malformed
    );
    assert_eq!(
        kind(&v1(), &Served::new(400, "Bad Request")),
        LoginErrorKind::Malformed
    );
    assert_eq!(
        kind(&v1(), &Served::new(400, "")),
        LoginErrorKind::Malformed
    );
}

#[test]
fn rule_19_a_401_to_quinns_logout_says_that_the_session_is_over() {
    let closing = Logout::new(LogoutReason::Closing);
    for (status, done) in [(200, true), (401, true), (403, false), (503, false)] {
        let answer = Served::new(status, "");
        let logged_out = quinn().logged_out(&answer.0, closing);
        assert_eq!(logged_out.is_ok(), done, "{status}");
    }
}

#[test]
fn rule_11_and_12_outages_and_limits_are_no_refusals() {
    for login in all() {
        for status in [500, 502, 503, 504, 408] {
            let served = Served::new(status, "<html>").with("retry-after", "30");
            let error = refuse(&*login, &served);
            assert_eq!(error.kind(), LoginErrorKind::Unavailable);
            assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
        }
        let error = refuse(
            &*login,
            &Served::new(429, "slow down").with("x-retry-after", "7"),
        );
        assert_eq!(error.kind(), LoginErrorKind::Limited);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
        for status in [301, 302, 303, 307, 308] {
            let served = Served::new(status, "").with("location", "https://canary.example");
            assert_eq!(kind(&*login, &served), LoginErrorKind::Malformed);
        }
    }
}

#[test]
fn a_password_that_cant_be_right_is_refused_before_an_attempt() {
    let short = Quinn::new(HOST, EMAIL, "canary7").unwrap_err();
    assert_eq!(short, ConfigError::ShortPassword { minimum: 8 });
    assert!(Quinn::new(HOST, EMAIL, "8 chars!").is_ok());
    let variable = Quinn::new(HOST, EMAIL, SecretSource::variable("X")).unwrap();
    let error = variable.check_secret(&Secret::from("canary7")).unwrap_err();
    assert_eq!(error.kind(), LoginErrorKind::Misconfigured);
    assert!(!format!("{error} {error:?}").contains("canary"));
    assert!(variable.check_secret(&Secret::from("8 chars!")).is_ok());
    assert_eq!(
        CloudIo::new(HOST, "a:b", "pw").unwrap_err(),
        ConfigError::ColonInUserName
    );
    assert_eq!(Clay::new("", "pw").unwrap_err(), ConfigError::EmptyAccount);
    assert_eq!(
        V1Login::new(HOST, EMAIL, "").unwrap_err(),
        ConfigError::EmptyPassword
    );
}

#[test]
fn rule_16_plain_http_needs_an_explicit_choice() {
    let url = "http://host.example";
    assert!(matches!(
        Quinn::new(url, EMAIL, PASSWORD),
        Err(ConfigError::BaseUrl(_))
    ));
    assert!(matches!(
        CloudIo::new(url, EMAIL, PASSWORD),
        Err(ConfigError::BaseUrl(_))
    ));
    assert!(matches!(
        V1Login::new(url, EMAIL, PASSWORD),
        Err(ConfigError::BaseUrl(_))
    ));
    assert!(matches!(clay().base_url(url), Err(ConfigError::BaseUrl(_))));
    let plain = || BaseUrl::allow_plain_http(url).unwrap();
    assert!(Quinn::new(plain(), EMAIL, PASSWORD).is_ok());
    assert!(CloudIo::new(plain(), EMAIL, PASSWORD).is_ok());
    assert!(V1Login::new(plain(), EMAIL, PASSWORD).is_ok());
    assert!(clay().base_url(plain()).is_ok());
}

#[test]
fn a_base_url_moves_the_login_its_scope_and_its_quota() {
    let moved = clay().base_url("https://clay.example/proxy/").unwrap();
    let sent = request(&moved);
    assert_eq!(sent.uri(), "https://clay.example/proxy/v3/auth/login");
    let account = moved.account();
    let origin = account.identity().origin();
    assert_eq!(origin.to_string(), "https://clay.example");
    assert!(account.scope().contains("https", "clay.example", None));
    assert!(!account.scope().contains("https", "api.clay.com", None));
}

/// For providers that log in nowhere.
fn unsent() -> FixedResponse {
    FixedResponse(Response::default())
}

fn pool() -> Pool {
    Pool::new(NonZeroUsize::new(10).unwrap())
}

#[test]
fn rule_1_two_instances_behind_one_host_are_two_identities() {
    let pool = pool();
    let instance = |path: &str, password: &str| {
        let quinn = Quinn::new(format!("{HOST}{path}"), EMAIL, password).unwrap();
        quinn.via(unsent())
    };
    let a = pool.add(instance("/tenant-a", PASSWORD)).unwrap();
    let b = pool.add(instance("/tenant-b", "another password")).unwrap();
    assert_ne!(a.identity(), b.identity());
    assert_eq!(pool.len(), 2);
    for same in ["/tenant-a/", "/./tenant-a", "/tenant-b/../tenant%2da"] {
        let again = pool.add(instance(same, PASSWORD)).unwrap();
        assert_eq!(again.identity(), a.identity(), "{same}");
    }
    assert_eq!(
        a.identity().stable_key(),
        "1:1,5:quinn,29:https://host.example/tenant-a,15:ada@example.com,"
    );
    let moved = instance("/tenant-a", PASSWORD).as_login().clone();
    let moved = moved.base_url(format!("{HOST}/tenant-b")).unwrap();
    assert_eq!(moved.account().identity(), b.identity());
}

/// Adds the first one, and then each of the others, which must be told apart from it.
fn told_apart<L: Login + Clone>(first: &L, others: impl IntoIterator<Item = L>) {
    let pool = pool();
    let add = |login: &L| pool.add(login.clone().via(unsent()));
    assert!(add(first).is_ok());
    assert!(add(first).is_ok(), "the same options");
    for (index, other) in others.into_iter().enumerate() {
        let error = add(&other).unwrap_err();
        assert_eq!(error, PoolError::DifferentOptions, "number {index}");
    }
}

#[test]
fn rule_1_a_login_with_other_options_is_not_silently_the_first_one() {
    let minute = Lifetime::of(Duration::from_secs(60));
    let fewer = Quota::DEFAULT.at_most(NonZeroU32::new(3).unwrap());
    told_apart(
        &v1(),
        [
            v1().with_cookie().lifetime(minute),
            v1().with_cookie(),
            v1().lifetime(minute),
            v1().quota(fewer),
        ],
    );
    told_apart(
        &v1().lifetime(minute),
        [v1(), v1().lifetime(minute.idle(DAY))],
    );
    told_apart(
        &cloudio(),
        [
            cloudio().authentication_header(),
            cloudio().session_timeout(DAY),
            cloudio().forbidden_is_rejected(),
        ],
    );
    let mut elsewhere = quinn();
    let data = auth_core::Origin::parse("https://data.example").unwrap();
    let scope = elsewhere.account().scope().and(data);
    elsewhere.account_mut().set_scope(scope);
    told_apart(&quinn(), [quinn().lifetime(minute), elsewhere]);
    told_apart(&clay(), [clay().lifetime(minute), clay().keep_cookies()]);
    told_apart(&clay().keep_cookies(), [clay()]);
    let mut counted_elsewhere = clay();
    let counts = auth_core::Origin::parse("https://login.example").unwrap();
    counted_elsewhere.account_mut().set_login_origin(counts);
    told_apart(&clay(), [counted_elsewhere]);
}

#[test]
fn rule_1_another_kind_of_login_under_the_same_name_is_not_silently_the_first_one() {
    struct Own(Quinn);

    impl Login for Own {
        fn account(&self) -> &auth_providers::Account {
            self.0.account()
        }

        fn account_mut(&mut self) -> &mut auth_providers::Account {
            self.0.account_mut()
        }

        fn request(&self, secret: &Secret) -> Result<Request<Bytes>, LoginError> {
            self.0.request(secret)
        }

        fn read(&self, answers: &Answers<'_>) -> Result<Step, LoginError> {
            self.0.read(answers)
        }
    }

    let pool = pool();
    pool.add(quinn().via(unsent())).unwrap();
    let own = pool.add(Own(quinn()).via(unsent()));
    assert_eq!(own.unwrap_err(), PoolError::DifferentOptions);
}

#[test]
fn only_cloudio_judges_a_403_by_its_body() {
    let headers = http::HeaderMap::new();
    let forbidden = auth_core::ResponseView::new(StatusCode::FORBIDDEN, &headers);
    for login in all() {
        let wants = login.judge().wants_body(&forbidden);
        assert_eq!(wants, login.account().identity().provider() == "cloudio");
    }
    assert_eq!(cloudio().judge().judge(&forbidden), Verdict::NotPermitted);
    let opted_in = cloudio().forbidden_is_rejected();
    assert_eq!(opted_in.judge().judge(&forbidden), Verdict::Rejected);
}

#[test]
fn rule_17_logins_print_neither_account_nor_password() {
    let printed = format!(
        "{:?} {:#?} {:?} {:?} {:?}",
        clay(),
        quinn(),
        cloudio().authentication_header(),
        v1().with_cookie(),
        response::retry_after(&http::HeaderMap::new()),
    );
    assert!(
        !printed.contains("canary") && !printed.contains("ada"),
        "{printed}"
    );
    let errors = [
        Clay::new("canary", "").unwrap_err(),
        Quinn::new("https://canary:canary@host.example", EMAIL, PASSWORD).unwrap_err(),
        Quinn::new("https://host.example?canary", EMAIL, PASSWORD).unwrap_err(),
        CloudIo::new(HOST, "canary:x", "pw").unwrap_err(),
    ];
    let printed = format!(
        "{errors:?} {}",
        errors.each_ref().map(ToString::to_string).concat()
    );
    assert!(!printed.contains("canary"), "{printed}");
    // The header holds the password, so its `Debug` output must not show it.
    let header = request(&cloudio()).headers()["authorization"].clone();
    assert_eq!(format!("{header:?}"), "Sensitive");
}

#[test]
fn rule_10_a_smaller_share_of_the_documented_quota_is_taken_and_a_larger_one_is_not() {
    let logins = |logins| Quota::new(NonZeroU32::new(logins).unwrap(), Duration::from_secs(60));
    for (asked, taken) in [(3, 3), (10, 10), (11, 10)] {
        let quotas = [
            clay().quota(logins(asked)).account().quota(),
            quinn().quota(logins(asked)).account().quota(),
            cloudio().quota(logins(asked)).account().quota(),
            v1().quota(logins(asked)).account().quota(),
        ];
        assert_eq!(quotas, [logins(taken); 4]);
    }
    for login in all() {
        assert_eq!(login.account().quota(), logins(10));
    }
    // Another API's documents may allow more, and a share of that is taken as well.
    let mut account = clay().account().clone();
    account.set_documented_quota(logins(60));
    for (asked, taken) in [(61, 60), (30, 30)] {
        account.set_quota(logins(asked));
        assert_eq!(account.quota(), logins(taken));
    }
}

/// Gives every login the same response.
struct FixedResponse(Response<Bytes>);

#[async_trait]
impl Transport for FixedResponse {
    async fn carry(&self, _: Request<Bytes>) -> Result<Response<Bytes>, LoginError> {
        Ok(self.0.clone())
    }
}

#[tokio::test]
async fn a_lifetime_that_was_set_overrides_the_documentation_and_the_response() {
    let minute = Lifetime::of(Duration::from_secs(60));
    let providers: [Box<dyn Provider>; 4] = [
        Box::new(
            clay()
                .lifetime(minute)
                .via(FixedResponse(clay_ok("claysession=a; Max-Age=3600").0)),
        ),
        Box::new(quinn().lifetime(minute).via(FixedResponse(
            quinn_ok().with("set-cookie", "sessionId=a; Max-Age=3600").0,
        ))),
        Box::new(
            cloudio()
                .session_timeout(DAY)
                .lifetime(minute)
                .via(FixedResponse(cloudio_ok("j", "c").0)),
        ),
        Box::new(v1().lifetime(minute).via(FixedResponse(v1_ok("t").0))),
    ];
    for provider in providers {
        let session = provider.login(&PASSWORD.into()).await.unwrap();
        assert_eq!(session.lifetime(), minute, "{:?}", provider.identity());
    }
}

/// The `Cookie` header of a request to `url` after a login.
async fn cookies_at(provider: impl Provider, url: &str) -> String {
    let credential = logged_in(provider).await;
    let mut request = Request::get(url).body(()).unwrap();
    credential.attach(&mut request).unwrap();
    let cookies = request.headers().get("cookie");
    cookies.map_or(String::new(), |value| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn rule_15_the_sessions_cookie_goes_to_the_whole_scope_and_others_only_by_choice() {
    let quinn_set = |line: &'static str| {
        let response = quinn_ok().with("set-cookie", line);
        let response = response.with("set-cookie", "AWSALB=n3; Path=/; Max-Age=604800");
        FixedResponse(response.with("set-cookie", "ui=1").0)
    };
    let at = |path: &str| quinn().url(path);
    for (line, path, carried) in [
        ("sessionId=s%3Aa", "/data", "sessionId=s%3Aa"),
        ("sessionId=a; Path=/; Secure", "/data", "sessionId=a"),
        ("sessionId=a; Path=/api", "/api/x", "sessionId=a"),
        ("sessionId=a; Path=/api", "/data", ""),
    ] {
        let via = quinn().via(quinn_set(line));
        assert_eq!(cookies_at(via, &at(path)).await, carried, "{line}");
    }
    for (path, carried) in [
        ("/data", "sessionId=a; AWSALB=n3"),
        ("/api/auth/me", "ui=1; sessionId=a; AWSALB=n3"),
    ] {
        let via = quinn().keep_cookies().via(quinn_set("sessionId=a; Path=/"));
        assert_eq!(cookies_at(via, &at(path)).await, carried);
    }

    let balanced = |response: Served| response.with("set-cookie", "lb=1; Path=/");
    let clay_set = FixedResponse(balanced(clay_ok("claysession=c")).0);
    let url = clay().url("/v3/x");
    let via = clay().keep_cookies().via(clay_set);
    assert_eq!(cookies_at(via, &url).await, "claysession=c; lb=1");
    let via = cloudio()
        .keep_cookies()
        .via(FixedResponse(balanced(cloudio_ok("j", "c")).0));
    assert_eq!(cookies_at(via, &cloudio().url("/x")).await, "lb=1");
    let via = v1()
        .keep_cookies()
        .via(FixedResponse(balanced(v1_ok("t")).0));
    assert_eq!(cookies_at(via, &v1().url("/x")).await, "lb=1");
    let set = balanced(v1_ok("t")).with("set-cookie", "auth=a; Path=/");
    let via = v1().with_cookie().via(FixedResponse(set.0));
    assert_eq!(cookies_at(via, &v1().url("/x")).await, "lb=1; auth=a");
}

#[test]
fn in_a_store_the_token_and_the_cookies_of_an_account_are_two_sessions() {
    assert_eq!(v1().variant(), v1().variant());
    assert_eq!(v1().with_cookie().variant(), v1().with_cookie().variant());
    assert_ne!(v1().with_cookie().variant(), v1().variant());
}
