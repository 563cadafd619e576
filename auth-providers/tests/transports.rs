//! Logins over real sockets, through both transports.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![cfg(all(feature = "demo", feature = "reqwest", feature = "tower"))]

use std::time::Duration;

use auth_core::{
    Ask, Credentials, LoginErrorKind, Logout, LogoutReason, Provider, Secret, Session, testing,
};
use auth_providers::demo::{Api, EMAIL, PASSWORD};
use auth_providers::{Login, Quinn, ReqwestTransport};
use parking_lot::Mutex;

mod common;

use common::{Canned, both, over_reqwest, printed, provider, start};

const CANARY: &str = "canary-password";

fn canary() -> Secret {
    CANARY.into()
}

#[tokio::test]
async fn every_api_is_logged_in_to_over_every_transport() {
    for api in Api::ALL {
        for transport in both() {
            let server = start(api).await;
            let provider = provider(api, &server.base_url(), PASSWORD, transport);
            let session = provider.login(&PASSWORD.into()).await.unwrap();
            assert!(!session.is_empty());
            assert_eq!(server.counts().logins.ok, 1, "{api:?}");
            assert_eq!(server.counts().logins.total(), 1);
            server.shutdown().await;
        }
    }
}

#[tokio::test]
async fn a_wrong_password_is_refused_by_every_api() {
    for api in Api::ALL {
        let server = start(api).await;
        let provider = provider(api, &server.base_url(), CANARY, over_reqwest());
        let error = provider.login(&canary()).await.unwrap_err();
        assert_eq!(error.kind(), LoginErrorKind::Refused, "{api:?}");
        assert!(!printed(&error).contains(CANARY));
        assert_eq!(server.counts().logins.refused, 1);
    }
}

#[tokio::test]
async fn rule_10_the_eleventh_login_of_a_minute_is_limited() {
    let server = start(Api::Quinn).await;
    let provider = provider(Api::Quinn, &server.base_url(), PASSWORD, over_reqwest());
    let password = Secret::from(PASSWORD);
    for _ in 0..10 {
        provider.login(&password).await.unwrap();
    }
    let error = provider.login(&password).await.unwrap_err();
    assert_eq!(error.kind(), LoginErrorKind::Limited);
    let wait = error.retry_after().unwrap();
    assert!(
        wait > Duration::ZERO && wait <= Duration::from_secs(60),
        "{wait:?}"
    );
    server.advance(wait);
    provider.login(&password).await.unwrap();
    assert_eq!(server.counts().most_logins_in_a_minute, 11);
}

#[tokio::test]
async fn rule_12_an_outage_is_unavailable_and_not_refused() {
    for transport in both() {
        let server = start(Api::V1Login).await;
        server.set_login_outage(true);
        let v1 = provider(Api::V1Login, &server.base_url(), PASSWORD, transport);
        let error = v1.login(&PASSWORD.into()).await.unwrap_err();
        assert_eq!(error.kind(), LoginErrorKind::Unavailable);
        server.set_login_outage(false);
        v1.login(&PASSWORD.into()).await.unwrap();
    }
}

#[tokio::test]
async fn rule_10_a_login_after_its_clients_time_out_may_still_arrive() {
    let server = Canned::start_and_stall("").await;
    let soon = Duration::from_millis(50);
    let client = reqwest::Client::builder().timeout(soon);
    let transport = ReqwestTransport::from_builder(client).unwrap();
    let quinn = Quinn::new(&*server.base_url, EMAIL, canary()).unwrap();
    let error = quinn.via(transport).login(&canary()).await.unwrap_err();
    assert_eq!(error.kind(), LoginErrorKind::TimedOut, "{error:?}");
    assert!(!error.is_not_sent());
}

#[tokio::test]
async fn a_refused_connection_is_unavailable_and_the_url_is_not_printed() {
    let server = start(Api::Clay).await;
    let base_url = format!("{}/canary-prefix", server.base_url());
    server.shutdown().await;
    for transport in both() {
        let clay = provider(Api::Clay, &base_url, CANARY, transport);
        let error = clay.login(&canary()).await.unwrap_err();
        assert_eq!(error.kind(), LoginErrorKind::Unavailable);
        assert!(!printed(&error).contains("canary"), "{}", printed(&error));
    }
}

#[tokio::test]
async fn rule_18_a_redirect_is_not_followed() {
    for status in [
        "301 Moved",
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        for transport in both() {
            let other = Canned::start("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
            let redirect = format!(
                "HTTP/1.1 {status}\r\nlocation: {}/api/auth/login\r\ncontent-length: 0\r\n\r\n",
                other.base_url
            );
            let login = Canned::start(redirect).await;
            let quinn = provider(Api::Quinn, &login.base_url, CANARY, transport);
            let error = quinn.login(&canary()).await.unwrap_err();
            assert_eq!(error.kind(), LoginErrorKind::Malformed, "{status}");
            assert_eq!(other.hits(), 0, "{status} sent the password elsewhere");
            assert_eq!(login.hits(), 1);
        }
    }
}

#[tokio::test]
async fn rule_18_no_cookie_of_an_old_session_and_no_referer_is_sent() {
    let response = "HTTP/1.1 200 OK\r\nset-cookie: sessionId=old\r\nconnection: close\r\n\
                  content-length: 11\r\n\r\n{\"user\":{}}";
    let server = Canned::start(response).await;
    let jar = reqwest::cookie::Jar::default();
    jar.add_cookie_str("sessionId=older", &server.base_url.parse().unwrap());
    let builder = || reqwest::Client::builder().referer(true);
    for builder in [
        builder().cookie_store(true),
        builder().cookie_provider(jar.into()),
    ] {
        let transport = ReqwestTransport::from_builder(builder).unwrap();
        let quinn = provider(Api::Quinn, &server.base_url, CANARY, transport);
        for _ in 0..2 {
            quinn.login(&canary()).await.unwrap();
        }
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 4);
    for request in requests {
        let request = request.to_ascii_lowercase();
        assert!(
            request.starts_with("post /api/auth/login http/1.1"),
            "{request}"
        );
        assert!(!request.contains("\r\ncookie:"), "{request}");
        assert!(!request.contains("\r\nreferer:"), "{request}");
    }
}

/// What all crates of this process log.
struct Captured(Mutex<String>);

static CAPTURED: Captured = Captured(Mutex::new(String::new()));

impl log::Log for Captured {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {}\n", record.target(), record.args());
        self.0.lock().push_str(&line);
    }

    fn flush(&self) {}
}

#[tokio::test]
async fn rule_18_a_login_is_not_logged_by_its_client() {
    const PASSWORD: &str = "canary-verbose";
    log::set_logger(&CAPTURED).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let response = "HTTP/1.1 200 OK\r\nset-cookie: sessionId=canary-verbose\r\n\
                  connection: close\r\ncontent-length: 11\r\n\r\n{\"user\":{}}";
    let server = Canned::start(response).await;
    let verbose = || reqwest::Client::builder().connection_verbose(true);
    let transport = ReqwestTransport::from_builder(verbose()).unwrap();
    let quinn = provider(Api::Quinn, &server.base_url, PASSWORD, transport);
    quinn.login(&PASSWORD.into()).await.unwrap();
    let printed = std::mem::take(&mut *CAPTURED.0.lock());
    assert!(printed.contains("reqwest::connect"), "{printed}");
    assert!(!printed.contains(PASSWORD), "{printed}");

    // Any other client that is told to logs it.
    let request = verbose().build().unwrap().post(&server.base_url);
    let body = format!("{{\"password\":\"{PASSWORD}\"}}");
    request.body(body).send().await.unwrap();
    let printed = std::mem::take(&mut *CAPTURED.0.lock());
    assert!(printed.contains(PASSWORD), "{printed}");
}

#[tokio::test]
async fn the_login_sends_its_own_user_agent_unless_the_users_client_sends_one() {
    let response = "HTTP/1.1 200 OK\r\nset-cookie: sessionId=a\r\nconnection: close\r\n\
                  content-length: 11\r\n\r\n{\"user\":{}}";
    let expected = format!(
        "user-agent: auth-providers/{}\r\n",
        env!("CARGO_PKG_VERSION")
    );
    for transport in both() {
        let server = Canned::start(response).await;
        let quinn = provider(Api::Quinn, &server.base_url, CANARY, transport);
        quinn.login(&canary()).await.unwrap();
        assert!(
            server.requests()[0]
                .to_ascii_lowercase()
                .contains(&expected)
        );
    }
    let server = Canned::start(response).await;
    let named = reqwest::Client::builder().user_agent("mine/1");
    let transport = ReqwestTransport::from_builder(named).unwrap();
    let quinn = provider(Api::Quinn, &server.base_url, CANARY, transport);
    quinn.login(&canary()).await.unwrap();
    assert!(
        server.requests()[0]
            .to_ascii_lowercase()
            .contains("user-agent: mine/1\r\n")
    );
}

#[tokio::test]
async fn rule_18_a_response_is_read_up_to_its_bound_and_no_further() {
    let long = "x".repeat(256 * 1024 + 1);
    let declared = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{long}",
        long.len()
    );
    let undeclared = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{long}");
    for response in [declared, undeclared] {
        for transport in both() {
            let server = Canned::start(response.clone()).await;
            let quinn = provider(Api::Quinn, &server.base_url, CANARY, transport);
            let error = quinn.login(&canary()).await.unwrap_err();
            assert_eq!(error.kind(), LoginErrorKind::Malformed);
            assert!(error.to_string().contains("more than 256 KiB"), "{error}");
        }
    }
    let padding = " ".repeat(256 * 1024 - 11);
    let longest = format!(
        "HTTP/1.1 200 OK\r\nset-cookie: sessionId=a\r\ncontent-length: 262144\r\n\r\n{{\"user\":{{}}}}{padding}"
    );
    for transport in both() {
        let server = Canned::start(longest.clone()).await;
        let quinn = provider(Api::Quinn, &server.base_url, CANARY, transport);
        quinn.login(&canary()).await.unwrap();
    }
}

/// The status of a failure says enough, so that a refusal is not taken for an outage and repeated.
#[tokio::test]
async fn rule_12_a_status_counts_even_if_its_body_is_too_long_or_breaks_off() {
    let long = "x".repeat(256 * 1024 + 1);
    for (status, kind) in [
        ("302 Found", LoginErrorKind::Malformed),
        ("401 Unauthorized", LoginErrorKind::Refused),
        ("403 Forbidden", LoginErrorKind::Malformed),
        ("408 Request Timeout", LoginErrorKind::Unavailable),
        ("429 Too Many Requests", LoginErrorKind::Limited),
        ("503 Service Unavailable", LoginErrorKind::Unavailable),
    ] {
        let head = format!("HTTP/1.1 {status}\r\nretry-after: 9\r\n");
        let too_long = format!("{head}content-length: {}\r\n\r\n{long}", long.len());
        let cut_short = format!("{head}content-length: 100\r\n\r\ncanary");
        for (response, said) in [(too_long, "more than 256 KiB"), (cut_short, "broke off")] {
            for transport in both() {
                let server = Canned::start(response.clone()).await;
                let quinn = provider(Api::Quinn, &server.base_url, CANARY, transport);
                let error = quinn.login(&canary()).await.unwrap_err();
                assert_eq!(error.kind(), kind, "{status}");
                assert_eq!(
                    error.retry_after(),
                    Some(Duration::from_secs(9)),
                    "{status}"
                );
                assert!(error.to_string().contains(&status[..3]), "{error}");
                assert!(printed(&error).contains(said), "{}", printed(&error));
                assert!(!printed(&error).contains("canary"), "{}", printed(&error));
            }
        }
    }
}

/// It ends the session with its status, whatever becomes of the page that says so.
#[tokio::test]
async fn rule_19_a_success_that_is_not_whole_confirms_a_logout() {
    let long = "x".repeat(256 * 1024 + 1);
    let closing = || Logout::new(LogoutReason::Closing);
    for (status, is_confirmed) in [("200 OK", true), ("403 Forbidden", false)] {
        let head = format!("HTTP/1.1 {status}\r\n");
        let too_long = format!("{head}content-length: {}\r\n\r\n{long}", long.len());
        let broke_off = format!("{head}content-length: 100\r\n\r\nbye");
        let no_gzip = format!("{head}content-encoding: gzip\r\ncontent-length: 3\r\n\r\nbye");
        for response in [too_long, broke_off, no_gzip] {
            for transport in both() {
                let server = Canned::start(response.clone()).await;
                let quinn = provider(Api::Quinn, &server.base_url, PASSWORD, transport);
                let session = Session::new().with_cookie("sessionId", "s").unwrap();
                let told = quinn.logout(&testing::credential(session), closing()).await;
                assert_eq!(told.is_ok(), is_confirmed, "{status}: {told:?}");
            }
        }
    }
}

#[cfg(feature = "recipes")]
#[tokio::test]
async fn rule_19_a_recipe_that_reads_the_answer_to_a_logout_needs_all_of_it() {
    const RECIPE: &str = "recipe = 1
        name = 'acme'
        base = 'https://api.acme.example'
        account = 'email'
        login.post = '/l'
        login.json = { e = '{email}', p = '{password}' }
        login.failures = [{ status = 401, means = 'refused' }]
        login.take.t = { json = '/t' }
        attach.bearer = '{t}'
        logout.step.post = '/out'\n";
    let session = Session::new().with_bearer("t").unwrap();
    let credential = testing::credential(session);
    for (lines, is_confirmed) in [
        ("", true),
        (
            "logout.step.failures = [{ status = 409, text = 'no', means = 'malformed' }]",
            true,
        ),
        (
            "logout.step.failures = [{ text = 'no', means = 'malformed' }]",
            false,
        ),
        ("logout.step.ok = [{ json = { '/done' = true } }]", false),
        ("logout.over = [{ text = 'gone' }]", true),
    ] {
        for transport in both() {
            let server = Canned::start("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nbye").await;
            let recipe: auth_providers::recipe::Recipe =
                format!("{RECIPE}{lines}").parse().unwrap();
            let values = auth_providers::recipe::Values::new()
                .with("email", EMAIL)
                .with("password", PASSWORD);
            let login = recipe.login(&values).unwrap();
            let provider = login.base_url(&server.base_url).unwrap().via(transport);
            let closing = Logout::new(LogoutReason::Closing);
            let told = provider.logout(&credential, closing).await;
            assert_eq!(told.is_ok(), is_confirmed, "{lines}: {told:?}");
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn rule_3_a_login_does_not_need_the_runtime_of_an_earlier_one() {
    let servers = tokio::runtime::Runtime::new().unwrap();
    for transport in both() {
        let server = servers.block_on(start(Api::Quinn));
        let quinn = Quinn::new(server.base_url(), EMAIL, PASSWORD).unwrap();
        let credentials = Credentials::new(quinn.via(transport));
        // This runtime is kept, and is not driven after its login.
        let idle = runtime();
        let first = idle.block_on(async {
            let first = credentials.get().await.unwrap();
            // A client would keep the connection about now.
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
            first
        });
        let renewed = runtime().block_on(async {
            let renewed = Ask::new().renewed();
            let waits =
                tokio::time::timeout(Duration::from_secs(10), credentials.get_with(renewed));
            waits.await.expect("in time").unwrap()
        });
        assert_ne!(first.stamp(), renewed.stamp());
        assert_eq!(server.counts().logins.ok, 2);
        drop(idle);
    }
}

/// The server has judged the password, and may have refused it in what is missing.
#[tokio::test]
async fn rule_12_a_success_that_breaks_off_may_be_a_refusal() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\nset-cookie: sessionId=canary\r\nretry-after: 9\r\n";
    for (rest, said) in [
        (
            "content-length: 100\r\n\r\n{\"canary",
            "200, and the response broke off",
        ),
        (
            "transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
            "200, and the response broke off",
        ),
        (
            "transfer-encoding: chunked\r\n\r\ncanary\r\n",
            "200, and the response broke off",
        ),
        ("content-length: 2\r\n\r\n{\"user\":{}}", "status 200"),
    ] {
        for transport in both() {
            let server = Canned::start(format!("{HEAD}{rest}")).await;
            let v1 = provider(Api::V1Login, &server.base_url, CANARY, transport);
            let error = v1.login(&canary()).await.unwrap_err();
            assert_eq!(error.kind(), LoginErrorKind::Malformed, "{rest}");
            assert_eq!(error.retry_after(), Some(Duration::from_secs(9)), "{rest}");
            assert!(error.to_string().contains(said), "{error}");
            assert!(!printed(&error).contains("canary"), "{}", printed(&error));
        }
    }
}

#[tokio::test]
async fn a_short_password_spends_no_attempt() {
    let server = start(Api::Quinn).await;
    let password = auth_core::SecretSource::variable("QUINN_PASSWORD");
    let quinn = Quinn::new(server.base_url(), "ada@example.com", password).unwrap();
    let quinn = quinn.via(over_reqwest());
    let short = Secret::from("short");
    let refused = auth_core::Provider::check_secret(&quinn, &short).unwrap_err();
    assert_eq!(refused.kind(), LoginErrorKind::Misconfigured);
    let error = auth_core::Provider::login(&quinn, &short).await;
    assert_eq!(error.unwrap_err().kind(), LoginErrorKind::Misconfigured);
    assert_eq!(server.counts().most_logins_in_a_minute, 0);
}

#[cfg(not(feature = "rustls"))]
#[tokio::test]
async fn https_without_tls_says_which_feature_is_missing() {
    let quinn = provider(Api::Quinn, "https://127.0.0.1:1", CANARY, over_reqwest());
    let error = quinn.login(&canary()).await.unwrap_err();
    assert_eq!(error.kind(), LoginErrorKind::Misconfigured, "{error:?}");
    assert!(error.to_string().contains("rustls"));
}

#[test]
fn rule_17_transports_print_nothing_of_what_they_carry() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let quinn = Quinn::new("https://host.example", "ada@example.com", CANARY).unwrap();
    let printed = format!(
        "{:?} {:?}",
        quinn.clone().via(over_reqwest()),
        quinn.via(common::over_tower())
    );
    assert!(printed.contains("ReqwestTransport") && printed.contains("TowerTransport"));
    assert!(
        !printed.contains("canary") && !printed.contains("ada"),
        "{printed}"
    );
}
