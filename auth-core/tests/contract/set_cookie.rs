//! `Set-Cookie` and its dates, as a user agent reads them.

use std::time::{Duration, SystemTime};

use auth_core::{SetCookie, set_cookies};
use http::header::{DATE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

fn read(date: Option<&'static str>, set_cookie: &'static str) -> Option<SetCookie> {
    let mut headers = HeaderMap::new();
    if let Some(date) = date {
        headers.insert(DATE, HeaderValue::from_static(date));
    }
    headers.insert(SET_COOKIE, HeaderValue::from_static(set_cookie));
    set_cookies(&headers).next()
}

const NOON: Option<&str> = Some("Sat, 21 Nov 2026 12:00:00 GMT");

#[test]
fn rule_15_max_age_beats_expires() {
    let cookie = read(
        NOON,
        "a=b; Expires=Sat, 21 Nov 2026 13:00:00 GMT; Max-Age=60",
    )
    .unwrap();
    assert_eq!(cookie.expires_in, Some(Duration::from_secs(60)));
    assert!(!cookie.deleted);
}

#[test]
fn expires_counts_from_the_responses_own_date() {
    let cookie = read(NOON, "a=b; Expires=Sat, 21 Nov 2026 13:00:00 GMT").unwrap();
    assert_eq!(cookie.expires_in, Some(Duration::from_secs(3_600)));
}

#[test]
fn rule_15_without_a_date_expires_counts_from_the_machines_clock() {
    let in_an_hour = SystemTime::now() + Duration::from_secs(3_600);
    let an_hour_ago = SystemTime::now() - Duration::from_secs(3_600);
    for date in [None, Some("Sat, 21 Nov 2026 12:00:00 UTC+1")] {
        let line = |expires| format!("a=b; Expires={}", httpdate::fmt_http_date(expires)).leak();
        let cookie = read(date, line(in_an_hour)).unwrap();
        let expires_in = cookie.expires_in.unwrap().as_secs();
        assert!((3_590..=3_600).contains(&expires_in), "{expires_in}");
        assert!(!cookie.deleted);
        assert!(read(date, line(an_hour_ago)).unwrap().deleted);
    }
}

#[test]
fn a_cookie_that_is_over_is_deleted() {
    for text in [
        "a=; Max-Age=0",
        "a=b; Max-Age=-1",
        "a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "a=b; Expires=Wed, 31-Dec-25 23:59:59 GMT",
    ] {
        assert!(read(None, text).unwrap().deleted, "{text}");
    }
    assert!(
        read(NOON, "a=b; Expires=Sat, 21 Nov 2026 12:00:00 GMT")
            .unwrap()
            .deleted
    );
    assert!(!read(NOON, "a=b").unwrap().deleted);
}

#[test]
fn the_value_is_kept_byte_for_byte() {
    for value in ["s%3Aabc.def%2F", "\"quoted\"", "a=b=c=="] {
        let text = Box::leak(format!("claysession={value}; Path=/; HttpOnly").into_boxed_str());
        assert_eq!(read(None, text).unwrap().value, value);
    }
}

/// A user agent reads bytes.
#[test]
fn rule_15_an_attribute_that_is_not_utf_8_loses_no_cookie() {
    let mut headers = HeaderMap::new();
    for line in [
        &b"a=1; Comment=caf\xe9; Max-Age=60; Path=/x"[..],
        b"b=2; Expires=Sa\xdf, 21 Nov 2025 12:00:00 GMT",
        b"c=3; Domain=caf\xe9.example.com",
        b"d=4; \xe9; Path=/caf\xe9; Secure",
        b"e=caf\xe9; Path=/",
        b"\xe9=5",
        "f=café; Path=/".as_bytes(),
    ] {
        headers.append(SET_COOKIE, HeaderValue::from_bytes(line).unwrap());
    }
    let read: Vec<_> = set_cookies(&headers).collect();
    let names: Vec<_> = read.iter().map(|cookie| &*cookie.name).collect();
    assert_eq!(names, ["a", "b", "c", "d", "f"]);
    assert_eq!(read[0].expires_in, Some(Duration::from_secs(60)));
    assert_eq!(read[0].path.as_deref(), Some("/x"));
    assert!(read[1].deleted && read[3].secure);
    assert!(!read[2].is_from("api.example.com"));
    assert_eq!(read[4].value, "café");
}

#[test]
fn rule_15_the_last_attribute_of_a_name_counts_whatever_its_case() {
    for (text, domain, path, secure) in [
        ("a=b", None, None, false),
        (
            "a=b; Domain=.Example.COM; Path=/x; Secure",
            Some("example.com"),
            Some("/x"),
            true,
        ),
        (
            "a=b;domain=a.org;DOMAIN=b.org;path=/a;PATH=/b",
            Some("b.org"),
            Some("/b"),
            false,
        ),
        (
            "a=b; Domain=a.org; Domain=; Path=/a; Path=",
            Some("a.org"),
            None,
            false,
        ),
        ("a=b; Path=a; Secure=no", None, None, true),
        (
            "a=b; Domain=..a.org; Path=\"/a\"",
            Some(".a.org"),
            None,
            false,
        ),
        (
            "a=b; \t Domain = a.org ; Path = /a b ;",
            Some("a.org"),
            Some("/a b"),
            false,
        ),
        ("a=b; Domain; Path", None, None, false),
        ("a=b; XPath=/x; Path-=/y", None, None, false),
    ] {
        let cookie = read(None, text).unwrap();
        let read = (
            cookie.domain.as_deref(),
            cookie.path.as_deref(),
            cookie.secure,
        );
        assert_eq!(read, (domain, path, secure), "{text}");
    }
}

#[test]
fn rule_15_the_first_pair_is_the_cookie() {
    for (text, name, value) in [
        ("a=b=c; a=d", "a", "b=c"),
        (" a \t=\t b ; Path=/", "a", "b"),
        ("a=\"b, c\"", "a", "\"b, c\""),
        ("a=", "a", ""),
        ("a b[]=%20", "a b[]", "%20"),
        ("Path=/x; Max-Age=1", "Path", "/x"),
    ] {
        let cookie = read(None, text).unwrap();
        assert_eq!((&*cookie.name, &*cookie.value), (name, value), "{text}");
    }
    for text in ["", "a", "=b", " =b", "; a=b", "a; b=c"] {
        assert_eq!(read(None, text), None, "{text}");
    }
}

#[test]
fn rule_15_an_age_is_a_whole_number_of_seconds() {
    let hour = "Sat, 21 Nov 2026 13:00:00 GMT";
    for (age, seconds) in [
        ("60", Some(60)),
        ("060", Some(60)),
        ("-60", Some(0)),
        ("99999999999999999999", Some(u64::MAX)),
        ("60; Max-Age=90", Some(90)),
        ("60; Max-Age=soon", Some(60)),
        ("+60", Some(3_600)),
        ("1e3", Some(3_600)),
        ("", Some(3_600)),
        ("\"60\"", Some(3_600)),
    ] {
        let text = Box::leak(format!("a=b; Expires={hour}; Max-Age={age}").into_boxed_str());
        let expires_in = read(NOON, text).unwrap().expires_in;
        assert_eq!(expires_in.map(|life| life.as_secs()), seconds, "{age}");
    }
}

#[test]
fn rule_15_a_prefix_promises_what_browsers_ask_of_it() {
    for text in [
        "__Host-a=b; Secure; Path=/",
        "__Secure-a=b; Secure; Domain=a.org; Path=/x",
        "__Hosta=b",
    ] {
        assert!(read(None, text).is_some(), "{text}");
    }
    for text in [
        "__Host-a=b; Path=/",
        "__Host-a=b; Secure",
        "__Host-a=b; Secure; Path=/x",
        "__host-a=b; Secure; Path=/; Domain=a.org",
        "__Secure-a=b; Path=/",
    ] {
        assert_eq!(read(None, text), None, "{text}");
    }
}

#[test]
fn what_is_no_cookie_is_passed_over_and_values_do_not_print() {
    assert_eq!(read(None, "no pair here"), None);
    let printed = format!("{:?}", read(None, "sid=canary").unwrap());
    assert!(printed.contains("sid") && !printed.contains("canary"));
}

/// The seconds from the epoch to the date of a cookie, by a response of the epoch.
fn seconds(date: &str) -> Option<u64> {
    let mut headers = HeaderMap::new();
    headers.insert(
        DATE,
        HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"),
    );
    let line = format!("a=b; Expires={date}");
    headers.insert(
        SET_COOKIE,
        HeaderValue::from_bytes(line.as_bytes()).unwrap(),
    );
    let expires_in = set_cookies(&headers).next().unwrap().expires_in?;
    Some(expires_in.as_secs())
}

#[test]
fn rule_15_a_cookies_date_is_read_in_every_form_that_a_user_agent_reads() {
    const NOON: Option<u64> = Some(1_795_262_400);
    for text in [
        "Sat, 21 Nov 2026 12:00:00 GMT",
        "Saturday, 21-Nov-26 12:00:00 GMT",
        "Sat Nov 21 12:00:00 2026",
        "21 nov 2026 12:00:00",
        "12:00:00 21 November 2026",
        "Sat, 21-NOV-2026 12:0:0 UTC",
        "21th Nov 2026x 12:00:00pm",
    ] {
        assert_eq!(seconds(text), NOON, "{text}");
    }
    assert_eq!(seconds("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
    assert_eq!(seconds("Mon, 01 Jan 1601 00:00:00 GMT"), Some(0));
    assert_eq!(
        seconds("Tue, 29 Feb 2028 23:59:59 GMT"),
        Some(1_835_481_599)
    );
    assert_eq!(seconds("Fri, 31-Dec-99 23:59:59 GMT"), Some(946_684_799));
    assert_eq!(seconds("Sun, 31-Dec-69 23:59:59 GMT"), Some(3_155_759_999));
    assert_eq!(
        seconds("Fri, 31 Dec 9999 23:59:59 GMT"),
        Some(253_402_300_799)
    );
}

#[test]
fn dates_as_http_writes_them_are_read() {
    for days in (0..80_000).step_by(7) {
        let since_epoch = Duration::from_secs(days * 86_400 + 3_723);
        let written = httpdate::fmt_http_date(std::time::UNIX_EPOCH + since_epoch);
        assert_eq!(seconds(&written), Some(since_epoch.as_secs()), "{written}");
    }
}

#[test]
fn what_is_no_date_is_none() {
    for text in [
        "",
        "tomorrow",
        "Sat, 21 Nov 2026",
        "21 Nov 12:00:00",
        "Nov 2026 12:00:00",
        "21 2026 12:00:00",
        "32 Nov 2026 12:00:00",
        "31 Nov 2026 12:00:00",
        "30 Feb 2028 12:00:00",
        "29 Feb 2026 12:00:00",
        "0 Nov 2026 12:00:00",
        "21 Nov 1600 12:00:00",
        "21 Nov 2026 24:00:00",
        "21 Nov 2026 12:60:00",
        "21 Nov 2026 12:00:60",
        "21 Nov 2026 123:00:00",
        "21 Nov 2026 12x:00:00",
        "21 Nov 2026 12:00x:00",
        "21 Nov 20261 12:00:00",
        "21 Nov 2026 12:00",
        "ééé",
    ] {
        assert_eq!(seconds(text), None, "{text}");
    }
}
