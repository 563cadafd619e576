//! Cookies of one name, and which of them is the session's.

use std::sync::Arc;

use auth_core::{Origin, Scope, Session, Target};

use crate::cookies::{Browser, at, keeping, named, response, set_by};
use crate::support::HERE;

const API: Target<'_> = Target::new("https", "api.example.com", "/api/x");
const DATA: Target<'_> = Target::new("https", "data.example.com", "/");

#[tokio::test]
async fn rule_15_a_cookie_for_one_host_is_another_than_one_for_its_domain() {
    let browser = named(&["sid=s1; Path=/; Domain=api.example.com"]);
    browser.send(HERE, 200, &["sid=; Path=/; Max-Age=0"]).await;
    assert_eq!(browser.cookies(HERE).await, "sid=s1");
    let of_domain = "sid=; Path=/; Domain=.API.example.com; Max-Age=0";
    browser.send(HERE, 200, &[of_domain]).await;
    assert!(browser.credentials.peek().is_none());

    let browser = named(&["sid=s1; Path=/"]);
    browser.send(HERE, 200, &[of_domain]).await;
    assert_eq!(browser.cookies(HERE).await, "sid=s1");

    let browser = keeping("sid=s; Path=/", &[]);
    let both = ["ui=1; Path=/", "ui=2; Path=/; Domain=api.example.com"];
    browser.send(HERE, 200, &both).await;
    assert_eq!(browser.cookies(HERE).await, "sid=s; ui=1; ui=2");
    browser.send(HERE, 200, &["ui=; Path=/; Max-Age=0"]).await;
    assert_eq!(browser.cookies(HERE).await, "sid=s; ui=2");
}

#[tokio::test]
async fn rule_15_a_domain_without_subdomains_is_the_host_alone() {
    for (origin, host) in [
        ("http://127.0.0.1:8080", "127.0.0.1"),
        ("http://[::1]:8080", "[::1]"),
        ("http://localhost:8080", "localhost"),
        ("https://intranet", "intranet"),
    ] {
        let target = Target::new("http", host, "/");
        let with_domain = |value: &str| format!("sid={value}; Path=/; Domain={host}");
        for (first, deletion) in [
            ("sid=s1; Path=/".into(), with_domain("; Max-Age=0")),
            (with_domain("s1"), "sid=; Path=/; Max-Age=0".into()),
        ] {
            let scope = Scope::only(Origin::parse(origin).unwrap());
            let browser = Browser::within(scope, move |_| set_by(&[&first]));
            browser.send(target, 200, &[&deletion]).await;
            assert!(browser.credentials.peek().is_none(), "{host} {deletion}");
        }
    }
}

#[tokio::test]
async fn rule_15_the_first_set_cookie_states_what_a_value_alone_does_not() {
    for (line, of_others) in [
        ("sid=s2; Path=/; Domain=example.com", "sid=s2"),
        ("sid=s2; Path=/; Domain=api.example.com", ""),
        ("sid=s2; Path=/", "sid=s2"),
        ("sid=s2", "sid=s2"),
    ] {
        let browser = Browser::new(|_| Ok(Session::new().with_cookie("sid", "s1")?));
        browser.send(at("/"), 200, &[line]).await;
        assert_eq!(browser.cookies(HERE).await, "sid=s2", "{line}");
        assert_eq!(browser.cookies(DATA).await, of_others, "{line}");
        assert_eq!((browser.logins.count(), browser.rolled()), (1, 1));
        // From then on it is what the server has stated.
        let is_of_domain = line.contains("Domain");
        browser
            .send(at("/"), 200, &["sid=; Path=/; Max-Age=0"])
            .await;
        let goes_on = browser.credentials.peek().is_some();
        assert_eq!(goes_on, is_of_domain, "{line}");
    }
}

#[tokio::test]
async fn rule_15_a_value_alone_learns_its_attributes_from_the_same_value_too() {
    for line in [
        "sid=s1",
        "sid=s1; Path=/",
        "sid=s1; Path=/; Domain=example.com",
    ] {
        let browser = Browser::new(|_| Ok(Session::new().with_cookie("sid", "s1")?));
        browser.send(HERE, 200, &[line]).await;
        assert_eq!(browser.rolled(), 0);
        let heard = browser.credentials.get().await.unwrap();
        browser.send(HERE, 200, &[line]).await;
        let after = browser.credentials.get().await.unwrap();
        assert!(Arc::ptr_eq(&heard, &after), "it is known: {line}");
        let other = "sid=; Path=/; Domain=api.example.com; Max-Age=0";
        browser.send(HERE, 200, &[other]).await;
        assert!(browser.credentials.peek().is_some(), "{line}");
    }
}

#[tokio::test]
async fn rule_15_a_value_alone_is_deleted_with_the_domain_of_the_host_or_without_one() {
    for (deletion, ends) in [
        ("sid=; Path=/; Max-Age=0", true),
        ("sid=; Path=/; Domain=api.example.com; Max-Age=0", true),
        ("sid=; Path=/; Domain=example.com; Max-Age=0", false),
        ("sid=; Path=/legacy; Max-Age=0", false),
    ] {
        let login = |_| Ok(Session::new().with_cookie("sid", "s1")?);
        let browser = Browser::new(login);
        browser.send(HERE, 200, &[deletion]).await;
        assert_eq!(browser.credentials.peek().is_none(), ends, "{deletion}");
        // A session that was stored knows it as well.
        let stored = Session::new().with_cookie("sid", "s1").unwrap().to_parts();
        let browser = Browser::new(move |_| Ok(stored.to_session()?));
        browser.send(HERE, 200, &[deletion]).await;
        assert_eq!(browser.credentials.peek().is_none(), ends, "{deletion}");
    }
}

#[tokio::test]
async fn rule_15_a_value_alone_does_not_take_the_path_of_a_narrower_namesake() {
    let browser = Browser::new(|_| Ok(Session::new().with_cookie("sid", "s1")?));
    browser.send(HERE, 200, &["sid=x; Path=/legacy"]).await;
    assert_eq!(browser.cookies(API).await, "sid=s1");
    assert_eq!(browser.cookies(at("/legacy")).await, "sid=x; sid=s1");
    let domain = "sid=s2; Path=/; Domain=example.com";
    browser.send(HERE, 200, &[domain]).await;
    assert_eq!(browser.cookies(API).await, "sid=s2");
}

#[tokio::test]
async fn rule_15_cookies_that_are_kept_do_not_double_a_value_alone() {
    let browser = Browser::new(|_| {
        let set = response(&["sid=s1; Path=/; Domain=example.com", "lb=1; Path=/"]);
        let session = Session::new().with_cookie("sid", "s1")?;
        Ok(session.keep_cookies(&set, at("/login")))
    });
    assert_eq!(browser.cookies(HERE).await, "sid=s1; lb=1");
}
