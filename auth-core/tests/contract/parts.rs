//! A session as plain parts, out and in again.

use std::time::Duration;

use auth_core::clock::ManualClock;
use auth_core::testing::Scripted;
use auth_core::{
    Attempt, BodyField, Credential, Credentials, InvalidValue, Lifetime, LoginError, Part,
    ResponseView, Session, SessionParts, Target, When, set_cookies,
};
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use proptest::prelude::*;

use crate::support::{HERE, HOUR, SECOND, on};

const KEEPS: [&str; 3] = ["refresh_token", "id", "ü /"];

/// One thing that is done to a session.
#[derive(Clone, Debug)]
enum Step {
    Header(u8, Vec<u8>),
    Query(u8, String),
    Part(u8, u8, Source, When),
    Cookie(u8, String),
    SetCookie(u8, bool),
    KeepCookies,
    Keep(u8, String, Option<Duration>),
    Lifetime(Option<Duration>, Option<Duration>, Option<Duration>),
    Age(Duration),
}

#[derive(Clone, Debug)]
enum Source {
    Value(String),
    Cookie(u8, bool),
}

const NAMES: [&str; 3] = ["sid", "csrf", "a.b"];
const LINES: [&str; 5] = [
    "sid=s%3A1; Secure; Max-Age=3600",
    "csrf=c%2Bé; Path=/v3; Domain=example.com",
    "sid=\"q 1\"; Path=/v3/me; Max-Age=86400",
    "a.b=1; Max-Age=60",
    "csrf=x=y; Path=/",
];

fn name(number: u8) -> &'static str {
    NAMES[usize::from(number) % NAMES.len()]
}

fn apply(session: Session, step: &Step) -> Result<Session, InvalidValue> {
    let set_cookie = |number: u8| {
        let line = HeaderValue::from_bytes(LINES[usize::from(number) % LINES.len()].as_bytes());
        let headers = HeaderMap::from_iter([(SET_COOKIE, line.unwrap())]);
        set_cookies(&headers).next().unwrap()
    };
    match step {
        Step::Header(number, value) => {
            let header = HeaderName::from_static(name(*number));
            let value = HeaderValue::from_bytes(value);
            Ok(value.map_or(session.clone(), |value| session.with_header(header, value)))
        }
        Step::Query(number, value) => session.with_query(name(*number), value),
        Step::Part(place, number, source, when) => {
            let name = name(*number);
            let pointer = format!("/{name}");
            let part = match (place % 4, source) {
                (0, Source::Value(value)) => Part::header(name, value),
                (1, Source::Value(value)) => Part::query(name, value),
                (2, Source::Value(value)) => Part::json_field(pointer, value),
                (_, Source::Value(value)) => Part::form_field(name, value),
                (0, Source::Cookie(cookie, _)) => {
                    Part::header_from_cookie(name, self::name(*cookie))
                }
                (1, Source::Cookie(cookie, _)) => {
                    Part::query_from_cookie(name, self::name(*cookie))
                }
                (2, Source::Cookie(cookie, _)) => {
                    Part::json_field_from_cookie(pointer, self::name(*cookie))
                }
                (_, Source::Cookie(cookie, _)) => {
                    Part::form_field_from_cookie(name, self::name(*cookie))
                }
            };
            let part = match source {
                Source::Cookie(_, true) => part.percent_decoded(),
                _ => part,
            };
            session.with_part(part.when(when.clone()))
        }
        Step::Cookie(number, value) => session.with_cookie(name(*number), value),
        Step::SetCookie(number, true) => session.with_set_cookie(&set_cookie(*number)),
        Step::SetCookie(number, false) => session.with_optional_cookie(&set_cookie(*number)),
        Step::KeepCookies => {
            let lines = ["lb=n1; Path=/", "ui=1; Max-Age=60", "empty=; Path=/v3"];
            let headers = lines.map(|line| (SET_COOKIE, HeaderValue::from_static(line)));
            Ok(session.keep_cookies(&HeaderMap::from_iter(headers), HERE))
        }
        Step::Keep(number, value, life) => {
            let name = KEEPS[usize::from(*number) % KEEPS.len()];
            match life {
                Some(life) => session.with_kept_for(name, value, *life),
                None => session.with_kept(name, value),
            }
        }
        Step::Lifetime(hard, idle, absolute) => {
            let mut lifetime = hard.map_or(Lifetime::unknown(), Lifetime::of);
            lifetime = idle.map_or(lifetime, |idle| lifetime.idle(idle));
            lifetime = absolute.map_or(lifetime, |absolute| lifetime.absolute(absolute));
            Ok(session.with_lifetime(lifetime))
        }
        Step::Age(by) => Ok(session.aged(*by)),
    }
}

fn life() -> impl Strategy<Value = Duration> {
    (1_u64..100_000, 0_u32..1_000_000_000).prop_map(|(secs, nanos)| Duration::new(secs, nanos))
}

fn when() -> impl Strategy<Value = When> {
    let paths = prop::collection::vec(prop::sample::select(vec!["/v3", "/v3/", "/é %"]), 0..3);
    (any::<bool>(), paths).prop_map(|(writes, paths)| {
        let method = if writes {
            When::unsafe_methods()
        } else {
            When::any_method()
        };
        paths.into_iter().fold(method, When::below)
    })
}

fn step() -> impl Strategy<Value = Step> {
    let number = 0_u8..6;
    let source = prop_oneof![
        ".{1,8}".prop_map(Source::Value),
        (0_u8..6, any::<bool>()).prop_map(|(cookie, decoded)| Source::Cookie(cookie, decoded)),
    ];
    prop_oneof![
        (number.clone(), any::<Vec<u8>>()).prop_map(|(n, value)| Step::Header(n, value)),
        (number.clone(), ".{1,8}").prop_map(|(n, value)| Step::Query(n, value)),
        (0_u8..4, number.clone(), source, when())
            .prop_map(|(place, n, source, when)| Step::Part(place, n, source, when)),
        (number.clone(), ".{1,8}").prop_map(|(n, value)| Step::Cookie(n, value)),
        (number.clone(), any::<bool>()).prop_map(|(n, named)| Step::SetCookie(n, named)),
        Just(Step::KeepCookies),
        (number, ".{1,8}", prop::option::of(life()))
            .prop_map(|(n, value, life)| Step::Keep(n, value, life)),
        (
            prop::option::of(life()),
            prop::option::of(life()),
            prop::option::of(life())
        )
            .prop_map(|(hard, idle, absolute)| Step::Lifetime(hard, idle, absolute)),
        life().prop_map(|by| Step::Age(by / 1_000)),
    ]
}

/// All that a credential of this session does, as text.
fn seen(session: &Session) -> Option<String> {
    let clock = ManualClock::new();
    let session = session.clone();
    let credentials = on(&clock, Scripted::new(move |_| Ok(session.clone()))).build();
    let credential = credentials.blocking_get().ok()?;
    let mut seen = format!("{:?}", credentials.status());
    for path in ["/", "/v3", "/v3/me", "/é %"] {
        for method in [Method::GET, Method::POST] {
            for scheme in ["https", "http"] {
                let target = Target::new(scheme, "api.example.com", path).with_method(&method);
                seen += &carried(&credential, target);
            }
        }
    }
    for name in KEEPS {
        seen += credential.kept(name).unwrap_or("-");
    }
    Some(seen)
}

fn carried(credential: &Credential, target: Target<'_>) -> String {
    let mut headers = HeaderMap::new();
    credential.attach_headers(target, &mut headers);
    let headers = headers.iter().map(|(name, value)| (name, value.as_bytes()));
    let headers: Vec<_> = headers.collect();
    let query = credential.attach_query(target, None);
    let fields = credential.body_fields(target).map(|field| match field {
        BodyField::Json { pointer, value } => (pointer.to_owned(), value.to_owned()),
        BodyField::Form { name, value } => (name.to_owned(), value.to_owned()),
        other => panic!("{other:?}"),
    });
    format!("{headers:?} {query:?} {:?}", fields.collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn a_session_is_the_same_after_it_was_plain_parts(steps in prop::collection::vec(step(), 0..12)) {
        let session = steps.iter().fold(Session::new(), |session, step| {
            apply(session.clone(), step).unwrap_or(session)
        });
        let parts = session.to_parts();
        let again = SessionParts::from(parts.expose()).to_session().unwrap();
        let twice = again.to_parts();
        prop_assert_eq!(twice.expose(), parts.expose());
        prop_assert_eq!(seen(&again), seen(&session));
        prop_assert_eq!(again.lifetime(), session.lifetime());
    }

    #[test]
    fn a_damaged_text_is_an_error_or_a_session_and_never_a_panic(
        at in any::<prop::sample::Index>(),
        byte in any::<char>(),
    ) {
        let session = session().unwrap();
        let mut text: Vec<char> = session.to_parts().expose().chars().collect();
        let at = at.index(text.len());
        text[at] = byte;
        let parts = SessionParts::from(text.into_iter().collect::<String>());
        if let Ok(session) = parts.to_session() {
            let _ = (seen(&session), format!("{parts:?}"));
        }
    }
}

/// A session with a part of each kind.
fn session() -> Result<Session, LoginError> {
    let writes = When::unsafe_methods().below("/api").below("/v2");
    let mut headers = HeaderMap::new();
    for line in [
        "sid=s1; Max-Age=3600; Path=/",
        "ui=u1; Max-Age=60; Path=/v3; Domain=example.com; Secure",
    ] {
        headers.append(SET_COOKIE, HeaderValue::from_static(line));
    }
    let cookies: Vec<_> = set_cookies(&headers).collect();
    let lb = HeaderMap::from_iter([(SET_COOKIE, HeaderValue::from_static("lb=n1; Path=/"))]);
    Ok(Session::new()
        .with_bearer("t /1")?
        .with_part(Part::header("x-csrf", "c1").when(writes.clone()))?
        .with_part(
            Part::header_from_cookie("x-sid", "sid")
                .percent_decoded()
                .when(writes),
        )?
        .with_query("q", "é&=")?
        .with_part(Part::query_from_cookie("sid", "sid"))?
        .with_set_cookie(&cookies[0])?
        .with_optional_cookie(&cookies[1])?
        .with_kept_for("refresh_token", "r 1", HOUR)?
        .with_kept("id", "7")?
        .with_lifetime(Lifetime::of(2 * HOUR).absolute(9 * HOUR))
        .keep_cookies(&lb, HERE))
}

#[test]
fn the_plain_form_is_the_documented_one() {
    let text = "\
session form=1 hard=7200 absolute=32400 keeps-cookies
header name=authorization value=Bearer%20t%20%2F1
header name=x-csrf value=c1 unsafe below=%2Fapi below=%2Fv2
header name=x-sid cookie=sid percent-decoded unsafe below=%2Fapi below=%2Fv2
query name=q value=%C3%A9%26%3D
query name=sid cookie=sid
cookie name=ui value=u1 path=%2Fv3 domain=example.com secure life=60 optional
cookie name=sid value=s1 path=%2F life=3600
cookie name=lb value=n1 path=%2F host=api.example.com kept
kept name=refresh_token value=r%201 life=3600
kept name=id value=7
";
    let parts = session().unwrap().to_parts();
    assert_eq!(parts.expose(), text);
    let restated = "session form=1\ncookie name=sid value=s path=%2F life=60 restated\n";
    let nanosecond = "session form=1 hard=0.000000001\n";
    for text in [text, restated, nanosecond] {
        let again = SessionParts::from(text).to_session().unwrap();
        assert_eq!(again.to_parts().expose(), text);
    }
    let aged = session().unwrap().aged(SECOND + SECOND / 4);
    let first = aged.to_parts();
    let first = first.expose().lines().next().unwrap();
    assert_eq!(
        first,
        "session form=1 hard=7198.75 absolute=32398.75 keeps-cookies"
    );
}

#[test]
fn a_text_of_another_form_is_refused_without_repeating_it() {
    for text in [
        "",
        "\n",
        "canary",
        "session",
        "session form=2",
        "sessions form=1",
        "session form=1 hard=canary",
        "session form=1 hard=1.0000000001",
        "session form=1 hard=-1",
        "session form=1 hard=+1",
        "session form=1 hard=1.",
        "session form=1 hard=.5",
        "session form=1\ncanary name=a value=b",
        "session form=1\n",
        "session form=1\nheader value=canary",
        "session form=1\nheader name=a",
        "session form=1\nheader name=a value=canary cookie=b",
        "session form=1\nheader name=a value=%0Acanary",
        "session form=1\nheader name=a value=canary below=api",
        "session form=1\nheader name=%FF value=canary",
        "session form=1\nquery name=a value=%FFcanary",
        "session form=1\nquery name= value=canary",
        "session form=1\ncookie name=a value=canary path=x",
        "session form=1\ncookie name=a value=canary%3B path=%2F",
        "session form=1\ncookie name=a%3D value=canary path=%2F",
        "session form=1\ncookie name= value=canary path=%2F",
        "session form=1\ncookie name=a value=canary path=%2F host=a domain=b",
        "session form=1\ncookie name=a value=canary path=%2F optional kept",
        "session form=1\njson name=a value=canary",
        "session form=1\njson name=%2Fa value=%FFcanary",
        "session form=1\nform name= value=canary",
        "session form=1\nform name=a value=canary cookie=b",
        "session form=1\nkept name=a value=",
        "session form=1\nkept value=canary",
        "session form=1\n\nkept name=a value=canary",
    ] {
        let result = SessionParts::from(text).to_session();
        if text == "session form=1\n" {
            assert!(result.unwrap().is_empty());
            continue;
        }
        let error = result.expect_err(text);
        let printed = format!("{error} {error:?}");
        assert!(!printed.contains("canary"), "{printed}");
    }
}

/// A handle whose login brings this session.
fn resumed(session: Session, clock: &ManualClock) -> Credentials {
    let credentials = on(clock, Scripted::new(move |_| Ok(session.clone()))).build();
    credentials.blocking_get().unwrap();
    credentials
}

fn hear(credentials: &Credentials, line: &'static str) {
    let credential = credentials.peek().unwrap();
    let headers = HeaderMap::from_iter([(SET_COOKIE, HeaderValue::from_static(line))]);
    let attempt = Attempt::new(credentials, &credential);
    attempt.conclude(&ResponseView::new(StatusCode::OK, &headers));
}

/// Both go on alike: what they carry, when they end, and what the same answers do to them.
fn assert_alike(one: &Credentials, other: &Credentials, clock: &ManualClock) {
    let look = |credentials: &Credentials| {
        let status = credentials.status();
        let carried = credentials
            .peek()
            .map(|credential| carried(&credential, HERE));
        (status.condition, status.expires_in, status.idle_in, carried)
    };
    for line in [
        "sid=s3; Path=/",
        "csrf=c3; Path=/; Max-Age=90",
        "sid=s4; Path=/; Max-Age=500",
    ] {
        assert_eq!(look(one), look(other), "before {line}");
        for credentials in [one, other] {
            if credentials.peek().is_some() {
                hear(credentials, line);
            }
        }
        assert_eq!(look(one), look(other), "after {line}");
        clock.advance(45 * SECOND);
    }
}

#[test]
fn rule_15_a_session_that_is_taken_up_again_has_what_is_left_of_its_lives() {
    let cookies = |lines: &[&'static str]| -> Session {
        let lines = lines
            .iter()
            .map(|line| (SET_COOKIE, HeaderValue::from_static(line)));
        let headers: HeaderMap = lines.collect();
        set_cookies(&headers).fold(Session::new(), |session, cookie| {
            session.with_set_cookie(&cookie).unwrap()
        })
    };
    let both = ["sid=s1; Max-Age=600", "csrf=c1; Max-Age=300"];
    let sliding = Lifetime::unknown().idle(HOUR).absolute(2 * HOUR);
    let sessions = [
        Session::new()
            .with_bearer("t")
            .unwrap()
            .with_lifetime(Lifetime::of(HOUR)),
        Session::new()
            .with_bearer("t")
            .unwrap()
            .with_lifetime(sliding),
        cookies(&both),
        cookies(&both).with_lifetime(sliding),
        cookies(&["sid=s1", "csrf=c1"]).with_lifetime(Lifetime::of(400 * SECOND)),
        cookies(&["sid=s1", "csrf=c1"]).with_lifetime(sliding),
        session().unwrap(),
    ];
    for heard in [
        &[][..],
        &["sid=s2; Path=/; Max-Age=350"],
        &["sid=s2; Path=/; Max-Age=395"],
        &["csrf=c2; Path=/; Max-Age=9999"],
    ] {
        for session in &sessions {
            let clock = ManualClock::new();
            let one = resumed(session.clone(), &clock);
            clock.advance(10 * SECOND);
            for line in heard {
                hear(&one, line);
            }
            clock.advance(20 * SECOND);
            let parts = one.session().unwrap().to_parts();
            let again = parts.to_session().unwrap();
            // Stored for a while.
            clock.advance(15 * SECOND);
            let other = resumed(again.aged(15 * SECOND), &clock);
            assert_alike(&one, &other, &clock);
        }
    }
}

#[test]
fn a_lifetime_that_is_set_begins_anew_after_a_session_was_stored() {
    let idle = Lifetime::unknown().idle(HOUR);
    let session = Session::new().with_bearer("t").unwrap().with_lifetime(idle);
    let whole = session.to_parts();
    let aged = session.aged(SECOND);
    assert_ne!(aged.to_parts().expose(), whole.expose());
    let anew = aged.with_lifetime(idle).to_parts();
    assert_eq!(anew.expose(), whole.expose());
}

#[test]
fn rule_15_a_kept_value_that_has_ended_is_not_among_the_parts() {
    let clock = ManualClock::new();
    let one = resumed(session().unwrap(), &clock);
    clock.advance(HOUR - SECOND);
    let left = one.session().unwrap().to_parts();
    assert!(
        left.expose()
            .contains("kept name=refresh_token value=r%201 life=1\n")
    );
    let aged = left.to_session().unwrap().aged(SECOND).to_parts();
    assert!(
        !aged.expose().contains("refresh_token"),
        "{}",
        aged.expose()
    );
    let other = resumed(left.to_session().unwrap(), &clock).peek().unwrap();
    assert_eq!(other.kept("refresh_token"), Some("r 1"));
    clock.advance(SECOND);
    assert_eq!(other.kept("refresh_token"), None);
    assert_eq!(other.kept("id"), Some("7"));
    assert!(one.session().is_none(), "the session's cookie has ended");
}

#[test]
fn a_cookie_that_is_gone_is_known_when_it_is_set_again_after_it_was_plain() {
    let clock = ManualClock::new();
    let session = Session::new()
        .with_cookie("sid", "s")
        .and_then(|session| session.with_cookie("csrf", "c"))
        .unwrap();
    let one = resumed(session, &clock);
    hear(&one, "csrf=; Path=/; Max-Age=0");
    let parts = one.session().unwrap().to_parts();
    assert!(
        parts
            .expose()
            .contains("cookie name=csrf value= bare gone\n")
    );
    let other = resumed(parts.to_session().unwrap(), &clock);
    assert_eq!(other.peek().unwrap().cookie("csrf"), None);
    hear(&other, "csrf=c2; Path=/");
    assert_eq!(other.peek().unwrap().cookie("csrf"), Some("c2"));
}
