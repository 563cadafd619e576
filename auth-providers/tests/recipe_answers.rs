//! What a recipe makes of answers: lives, waits, URLs, parts of values.

#![cfg(feature = "recipes")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::time::Duration;

use auth_core::clock::ManualClock;
use auth_core::{
    Ask, Credential, Credentials, LoginError, LoginErrorKind, Logout, LogoutReason, LogoutScope,
    Provider as _, Refresh, RequestHead, ResponseView, SecretSource, Session, Target, Verdict,
    testing,
};
use auth_providers::recipe::{Recipe, RecipeLogin, Values};
use auth_providers::{Answers, Login, Step, Transport};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, Uri};

const SECOND: Duration = Duration::from_secs(1);

/// An API with these lines beside the usual ones.
fn login(lines: &str) -> RecipeLogin {
    let usual = [
        "recipe = 1",
        "name = 'acme'",
        "base = 'https://api.acme.example'",
        "account = 'email'",
        "login.post = '/l'",
        "login.json = { e = '{email}', p = '{password}' }",
        "login.failures = [{ status = 401, means = 'refused' }]",
        "login.take.t = { json = '/t' }",
        "attach.bearer = '{t}'",
    ];
    let keys = lines.lines().filter_map(|line| line.split_once(" = "));
    let keys: Vec<String> = keys.map(|(key, _)| format!("{key} =")).collect();
    let has_steps = lines.contains("login = [");
    let is_usual = |line: &&&str| {
        let is_step = line.starts_with("login.") && has_steps;
        !is_step && !keys.iter().any(|key| line.starts_with(key))
    };
    let text: Vec<&str> = usual
        .iter()
        .filter(is_usual)
        .copied()
        .chain(lines.lines())
        .collect();
    let recipe: Recipe = text.join("\n").parse().unwrap();
    recipe.login(&values()).unwrap()
}

fn values() -> Values {
    Values::new()
        .with("email", "ada")
        .with("password", "correct horse")
}

fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Response<Bytes> {
    let mut answer = Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    answer.body(Bytes::from(body.to_owned())).unwrap()
}

fn read(login: &RecipeLogin, answers: &[Response<Bytes>]) -> Result<Session, LoginError> {
    let (url, secret) = (
        Uri::from_static("https://api.acme.example/l"),
        "correct horse".into(),
    );
    let mut answers = answers.iter().cloned();
    let mut all = Answers::new(&url, answers.next().unwrap(), &secret);
    for answer in answers {
        all = all.and(&url, answer);
    }
    match login.read(&all)? {
        Step::Session(session) => Ok(session),
        step => panic!("{step:?}"),
    }
}

fn session(login: &RecipeLogin, body: &str) -> Session {
    read(login, &[answer(200, &[], body)]).unwrap()
}

/// A session that keeps a URL of its own.
fn current(url: &str) -> Credential {
    let session = Session::new().with_bearer("t").unwrap();
    testing::credential(session.with_kept("url", url).unwrap())
}

#[test]
fn rule_1_another_second_secret_is_another_login() {
    let recipe: Recipe = "recipe = 1\nname = 'a'\nbase = 'https://a.example'\nsecret = 'app'\n\
        fields.user.secret = true\nlogin.post = '/l'\n\
        login.json = { app = '{app}', user = '{user}' }\n\
        login.failures = [{ status = 401, means = 'refused' }]\n\
        login.take.t = { json = '/t' }\nattach.bearer = '{t}'"
        .parse()
        .unwrap();
    let of = |user: &str| {
        let values = Values::new().with("app", "app-secret").with("user", user);
        recipe.login(&values).unwrap()
    };
    assert_eq!(of("ada").options(), of("ada").options());
    assert_ne!(of("ada").options(), of("bob").options());
    let by = |pattern: &str| login(&format!("login.take.t = {{ text = '{pattern}' }}"));
    assert_eq!(by("t=(.)").options(), by("t=(.)").options());
    assert_ne!(by("t=(.)").options(), by("t=(..)").options());
    assert_eq!(of("ada").variant(), of("ada").variant());
    assert_ne!(of("ada").variant(), of("bob").variant());
    assert_eq!(login("").variant(), "", "nothing but account and secret");
    let with_app = |secret: SecretSource| {
        let values = Values::new().with("app", secret).with("user", "ada");
        recipe.login(&values).unwrap()
    };
    let other = with_app("another-secret".into());
    assert_ne!(
        of("ada").variant(),
        other.variant(),
        "no account tells them apart"
    );
    let unknown = || with_app(SecretSource::variable("AUTH_TEST_NOT_SET")).variant();
    assert_ne!(unknown(), unknown(), "it shares with no one");
}

#[test]
fn rule_18_no_step_carries_the_session_to_where_an_answer_leads() {
    let lines = "login.take.url = { json = '/url' }\nprobe.step.get = '{+url}'\n\
                 logout.step.post = '{+url}'";
    let login = login(lines);
    for (url, sent) in [
        ("https://evil.example/x", None),
        ("//evil.example/x", None),
        ("https://api.acme.example@evil.example/", None),
        ("https://u:p@api.acme.example/x", None),
        ("http://api.acme.example/x", None),
        (
            "https://api.acme.example/x?a=1#f",
            Some("https://api.acme.example/x?a=1"),
        ),
        ("/x", Some("https://api.acme.example/x")),
        ("x?b=2", Some("https://api.acme.example/x?b=2")),
    ] {
        let current = current(url);
        let probe = login.probe_request(&current).ok().flatten();
        let to = probe.map(|request| request.uri().to_string());
        assert_eq!(to.as_deref(), sent, "{url}");
        let logout = login.logout_request(&current).ok().flatten();
        assert_eq!(logout.is_some(), sent.is_some(), "{url}");
    }
}

#[test]
fn rule_18_the_session_goes_to_the_scope_alone() {
    let lines = "scope = ['https://data.acme.example']\nlogout.step.post = '/out'";
    let error = login(lines).logout_request(&current("/")).unwrap_err();
    assert!(error.to_string().contains("out of the scope"), "{error}");
}

#[test]
fn rule_11_the_longer_wait_counts() {
    let login = login(
        "login.failures = [{ status = 401, means = 'refused' }, \
         { status = 429, means = 'limited', wait = { json = '/wait' } }]",
    );
    for (header, body, wait) in [("600", 5, 600), ("5", 600, 600)] {
        let body = format!("{{\"wait\": {body}}}");
        let error = read(&login, &[answer(429, &[("retry-after", header)], &body)]).unwrap_err();
        assert_eq!(error.kind(), LoginErrorKind::Limited);
        assert_eq!(error.retry_after(), Some(wait * SECOND));
    }
}

#[test]
fn rule_11_a_time_to_wait_for_counts_from_the_machines_clock_if_the_answer_has_none() {
    let login = login(
        "login.failures = [{ status = 401, means = 'refused' }, { status = 429, \
         means = 'limited', wait = { header = 'x-reset', unit = 'epoch' } }]",
    );
    let now = auth_core::Clock::system().now().wall().as_secs();
    let wait = |headers: &[(&'static str, &str)]| {
        let failed = read(&login, &[answer(429, headers, "")]).unwrap_err();
        failed.retry_after()
    };
    let left = wait(&[("x-reset", &(now + 600).to_string())]).unwrap();
    assert!(left <= 600 * SECOND && left > 540 * SECOND, "{left:?}");
    let past = (now - 600).to_string();
    assert_eq!(wait(&[("x-reset", &past)]), None);
    let date = ("date", "Sat, 21 Nov 2026 12:00:00 GMT");
    let told = wait(&[("x-reset", "1795262490"), date]);
    assert_eq!(told, Some(90 * SECOND), "the answer's own clock");
}

#[test]
fn a_life_is_stated_by_any_answer_and_never_becomes_longer_by_the_margin() {
    let default = "life.stated = [{ json = '/in' }]\nlife.default = '1d'\nlife.margin = '60s'";
    for (stated, life) in [(600, 540), (61, 1), (60, 60), (30, 30)] {
        let body = format!(r#"{{"t": "t-1", "in": {stated}}}"#);
        let life = Some(life * SECOND);
        assert_eq!(
            session(&login(default), &body).lifetime().hard_expiry(),
            life,
            "{stated}"
        );
    }
    let two = login(
        "login = [{ post = '/a', json = { e = '{email}', p = '{password}' }, \
         failures = [{ status = 401, means = 'refused' }], \
         take.rt = { json = '/rt', life = { json = '/rt_in' } } }, \
         { get = '/b', take.t = { json = '/t' } }]\nlife.stated = [{ json = '/in' }]\n\
         refresh.with = 'rt'\nrefresh.step.post = '/r'\nrefresh.step.form.rt = '{rt}'",
    );
    let first = answer(200, &[], r#"{"rt": "r-1", "rt_in": 60, "in": 30}"#);
    let session = read(&two, &[first, answer(200, &[], r#"{"t": "t-1"}"#)]).unwrap();
    assert_eq!(session.lifetime().hard_expiry(), Some(30 * SECOND));
    assert!(
        session.to_parts().expose().contains("life=60"),
        "the refresh token's own"
    );
}

#[test]
fn rule_14_a_life_is_stated_in_its_unit() {
    for (unit, stated) in [
        ("s", "5400"),
        ("ms", "5400000"),
        ("min", "90"),
        ("s", "5.4e3"),
    ] {
        let unit = format!("life.stated = [{{ json = '/in', unit = '{unit}' }}]");
        let body = format!(r#"{{"t": "t-1", "in": {stated}}}"#);
        let life = session(&login(&unit), &body).lifetime().hard_expiry();
        assert_eq!(life, Some(5_400 * SECOND), "{unit} {stated}");
    }
}

#[test]
fn rule_14_a_life_of_zero_states_nothing_of_a_refresh_token() {
    let login = login(
        "login.take.rt = { json = '/rt', optional = true, life = { json = '/rt_in' } }\n\
         refresh.with = 'rt'\nrefresh.step.post = '/r'\nrefresh.step.form.rt = '{rt}'",
    );
    let body = r#"{"t": "t-1", "rt": "r-1", "rt_in": 0}"#;
    let session = session(&login, body);
    let parts = session.to_parts();
    assert!(
        !parts.expose().contains("life=0"),
        "it would be over at once"
    );
}

#[test]
fn a_clause_of_a_cookie_is_met_by_that_cookie_with_a_value() {
    let login = login("login.ok = [{ sets_cookie = 'sid' }]");
    for (line, is_met) in [
        ("sid=1", true),
        ("other=1", false),
        ("sid=", false),
        (r#"sid="""#, false),
        ("sid=1; Max-Age=0", false),
    ] {
        let answer = answer(200, &[("set-cookie", line)], r#"{"t": "t-1"}"#);
        assert_eq!(read(&login, &[answer]).is_ok(), is_met, "{line}");
    }
}

#[test]
fn a_clause_of_a_number_is_met_however_the_number_is_written() {
    let login = login("login.ok = [{ json = { '/code' = 1 } }]");
    for (code, is_met) in [("1", true), ("1.0", true), ("2", false), ("\"1\"", false)] {
        let body = format!(r#"{{"t": "t-1", "code": {code}}}"#);
        let read = read(&login, &[answer(200, &[], &body)]);
        assert_eq!(read.is_ok(), is_met, "{code}");
    }
}

/// As an API that hides from a session that has ended what it might write to.
#[test]
fn a_verdict_may_be_of_some_methods_and_paths_alone() {
    for (of, method, path, is_met) in [
        ("method = 'unsafe'", "POST", "/v1/x", true),
        ("method = 'unsafe'", "GET", "/v1/x", false),
        ("method = ['PUT', 'PATCH']", "PATCH", "/v1/x", true),
        ("method = ['PUT', 'PATCH']", "POST", "/v1/x", false),
        ("path = '/v1'", "GET", "/v1/x", true),
        ("path = '/v1'", "GET", "/v10", false),
        ("method = 'PUT'", "POST", "/v1/x", false),
        ("method = 'PUT', path = '/v1'", "PUT", "/v1", true),
        ("method = 'PUT', path = '/v1'", "GET", "/v1", false),
        ("method = 'PUT', path = '/v1'", "PUT", "/v2", false),
    ] {
        let clause = format!("{{ status = 404, {of}, means = 'rejected' }}");
        let login = login(&format!("verdicts = [{clause}]"));
        assert!(login.judge().wants_request());
        let asked = RequestHead::new(method.parse().unwrap(), path.parse().unwrap());
        let headers = HeaderMap::new();
        let view = ResponseView::new(StatusCode::NOT_FOUND, &headers).to_request(&asked);
        let is_rejected = login.judge().judge(&view) == Verdict::Rejected;
        assert_eq!(is_rejected, is_met, "{of}: {method} {path}");
    }
    let of_all = login("verdicts = [{ status = 404, means = 'rejected' }]");
    assert!(!of_all.judge().wants_request());
}

/// So that no long answer, and none that may be a download, is held back for a verdict.
#[test]
fn rule_7_a_body_is_read_for_a_verdict_if_it_is_of_an_error_or_short_json() {
    let by_text = "verdicts = [{ text = 'over', means = 'rejected' }]";
    let by_type = "verdicts = [{ type = 'text/plain', text = 'over', means = 'rejected' }]";
    let capture = "capture.t = { json = '/t' }";
    let header = "capture.t = { header = 'x-t' }";
    let head_first = "verdicts = [{ status = 200, means = 'accepted' }, \
                      { text = 'over', means = 'rejected' }]";
    let (short, long) = (Some("100"), Some("1000000"));
    for (lines, status, kind, length, wants) in [
        (by_text, 200, "application/json", short, true),
        (by_text, 200, "application/json", long, false),
        (by_text, 200, "text/plain", short, false),
        (by_text, 500, "text/plain", long, true),
        (by_type, 200, "text/plain", short, true),
        (by_type, 200, "text/plain", long, false),
        (by_type, 200, "application/json", short, false),
        (capture, 200, "application/json", short, true),
        (capture, 200, "application/json", long, false),
        (capture, 200, "text/plain", short, false),
        (header, 200, "application/json", short, false),
        (head_first, 200, "application/json", short, false),
        (head_first, 201, "application/json", short, true),
        ("", 200, "application/json", short, false),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", kind.parse().unwrap());
        if let Some(length) = length {
            headers.insert("content-length", length.parse().unwrap());
        }
        let head = ResponseView::new(StatusCode::from_u16(status).unwrap(), &headers);
        let wanted = login(lines).judge().wants_body(&head);
        assert_eq!(wanted, wants, "{lines}: {status} {kind} {length:?}");
    }
}

#[test]
fn an_answer_that_no_clause_of_a_success_matches_means_what_its_status_means() {
    let login = login(
        "login.ok = [{ json = { '/ok' = true } }]\nlogin.take.rt = { json = '/rt' }\n\
         refresh.with = 'rt'\nrefresh.step.post = '/r'\nrefresh.step.form.rt = '{rt}'\n\
         refresh.step.ok = [{ json = { '/ok' = true } }]",
    );
    let current = logged_in(&login, r#"{"t": "t-1", "rt": "r-1", "ok": true}"#);
    for (status, is_refused) in [(200, false), (399, false), (400, true), (401, true)] {
        let answer = answer(status, &[], "{}");
        let failed = read(&login, std::slice::from_ref(&answer)).unwrap_err();
        let by_ok = failed
            .to_string()
            .contains("no clause of the recipe's `ok`");
        assert_eq!(by_ok, status < 400, "{failed}");
        let failed = login.read_refresh(&answer, &current).unwrap_err();
        assert_eq!(
            failed.kind() == LoginErrorKind::Refused,
            is_refused,
            "{status}: {failed}"
        );
    }
}

#[test]
fn a_computed_uuid_is_one_for_each_login() {
    let id = || {
        let login = login("login.compute.id = { uuid = true }\nlogin.header.x-id = '{id}'");
        let first = login.request(&"pw".into()).unwrap();
        assert_eq!(first.headers()["x-id"].len(), 36);
        first.headers()["x-id"].clone()
    };
    assert_ne!(id(), id());
}

#[test]
fn a_value_that_is_missing_is_told_with_its_places() {
    for (place, told) in [
        ("json = '/t'", r#"JSON at "/t""#),
        ("json = ''", "a text of JSON"),
        ("header = 'x-t'", "the header x-t"),
        ("cookie = 't'", r#"the cookie "t""#),
        ("text = 't=(.)'", r#"a text like "t=(.)""#),
        ("field = 't'", r#"the form field "t""#),
        ("xml = 't'", "the element <t>"),
        ("claim = '/c', of = 'id'", r#"the claim "/c""#),
    ] {
        let lines = "login.take.id = { json = '/id', optional = true }\nlogin.take.t = { ";
        let login = login(&format!("{lines}{place} }}"));
        let failed = read(&login, &[answer(200, &[], "{}")]).unwrap_err();
        let expected = format!("t is missing or empty in the answer: {told} was expected");
        assert!(failed.to_string().contains(&expected), "{failed}");
    }
}

#[test]
fn rule_15_a_namesake_of_the_sessions_cookie_goes_where_its_path_says() {
    let login = login("attach.cookies = ['sid']\nattach.header.x-sid.cookie = 'sid'");
    let set = |cookies: &[&'static str]| {
        let headers: Vec<_> = cookies.iter().map(|set| ("set-cookie", *set)).collect();
        let session = read(&login, &[answer(200, &headers, r#"{"t": "t-1"}"#)]).unwrap();
        let life = session.lifetime().hard_expiry();
        let credential = testing::credential(session);
        let sent = |path: &str| {
            let url = format!("https://api.acme.example{path}");
            let mut request = Request::get(url).body(()).unwrap();
            credential.attach(&mut request).unwrap();
            assert_eq!(request.headers()["x-sid"], "a", "what most requests carry");
            request.headers()["cookie"].to_str().unwrap().to_owned()
        };
        (sent("/api/x"), sent("/other"), life)
    };
    let narrow = "sid=b; Path=/api; Max-Age=60";
    for both in [["sid=a; Path=/", narrow], [narrow, "sid=a; Path=/"]] {
        let (api, other, life) = set(&both);
        assert_eq!((&*api, &*other), ("sid=b; sid=a", "sid=a"), "{both:?}");
        assert_eq!(life, None, "the session is that of the wide one");
    }
    let (api, other, _) = set(&[
        "sid=a; Path=/",
        "sid=b; Path=/api",
        "sid=; Path=/api; Max-Age=0",
    ]);
    assert_eq!((&*api, &*other), ("sid=a", "sid=a"), "deleted");
}

#[test]
fn rule_12_a_flag_in_place_of_a_token_is_no_session() {
    for flag in ["true", "false"] {
        let wrong = answer(200, &[], &format!(r#"{{"t": {flag}}}"#));
        let error = read(&login(""), &[wrong]).unwrap_err();
        assert_eq!(error.kind(), LoginErrorKind::Malformed, "{flag}");
    }
}

#[test]
fn a_flag_says_whether_a_step_is_sent() {
    let login = login(
        "login = [{ post = '/a', json = { e = '{email}', p = '{password}' }, \
         failures = [{ status = 401, means = 'refused' }], take.t = { json = '/t' }, \
         take.terms = { json = '/terms', optional = true } }, \
         { when = 'terms', post = '/terms', bearer = '{t}' }]",
    );
    let next = |body: &str| {
        let (url, secret) = (Uri::from_static("https://api.acme.example/a"), "pw".into());
        let answers = Answers::new(&url, answer(200, &[], body), &secret);
        matches!(login.read(&answers).unwrap(), Step::Request(_))
    };
    assert!(next(r#"{"t": "t-1", "terms": true}"#));
    assert!(!next(r#"{"t": "t-1", "terms": false}"#));
}

#[test]
fn a_part_of_an_optional_value_that_is_absent_is_left_out() {
    let lines = "login.take.tenant = { json = '/tenant', optional = true }\n\
                 attach.header.x-tenant = '{tenant}'\nattach.query.tenant = '{tenant}'";
    let login = login(lines);
    for (body, header, query) in [
        (
            r#"{"t": "t-1", "tenant": "a"}"#,
            Some("a"),
            Some("tenant=a"),
        ),
        (r#"{"t": "t-1"}"#, None, None),
    ] {
        let credential = logged_in(&login, body);
        let mut request = Request::get("https://api.acme.example/me")
            .body(())
            .unwrap();
        assert!(!credential.lacks(Target::of(request.uri())), "{body}");
        credential.attach(&mut request).unwrap();
        let sent = request.headers().get("x-tenant");
        assert_eq!(sent.map(|sent| sent.to_str().unwrap()), header);
        assert_eq!(request.uri().query(), query);
    }
}

/// Laravel wants the value of its cookie in a header, without the percent-encoding.
#[test]
fn a_step_carries_a_cookie_of_an_earlier_one_without_its_percent_encoding() {
    let login = login(
        "login = [{ get = '/csrf', take.xsrf = { cookie = 'XSRF-TOKEN' } }, { post = '/login', \
         compute.plain = { percent_decoded = '{xsrf}' }, header.X-XSRF-TOKEN = '{plain}', \
         json = { e = '{email}', p = '{password}' }, take.t = { json = '/t' }, \
         failures = [{ status = 422, means = 'refused' }] }]",
    );
    let (url, secret) = (
        Uri::from_static("https://api.acme.example/csrf"),
        "pw".into(),
    );
    let cookie = ("set-cookie", "XSRF-TOKEN=eyJpdiI6%2FIn0%3D; Path=/");
    let answers = Answers::new(&url, answer(204, &[cookie], ""), &secret);
    let Step::Request(request) = login.read(&answers).unwrap() else {
        panic!("the second step is missing");
    };
    assert_eq!(request.headers()["x-xsrf-token"], "eyJpdiI6/In0=");
}

#[test]
fn rule_15_a_login_whose_cookie_is_secure_and_came_over_plain_http_says_so() {
    let login = login("attach.cookies = ['sid*']");
    let secret = "correct horse".into();
    for (line, says) in [
        (
            "sid1=s; Path=/; Secure",
            "(no sid* cookie that plain HTTP may",
        ),
        ("sid1=; Path=/; Secure", "(no sid* cookie)"),
        ("csrf=c; Path=/; Secure", "(no sid* cookie)"),
    ] {
        let url = Uri::from_static("http://api.acme.example/l");
        let came = answer(200, &[("set-cookie", line)], r#"{"t": "t-1"}"#);
        let error = login.read(&Answers::new(&url, came, &secret)).unwrap_err();
        assert!(error.to_string().contains(says), "{line}: {error}");
    }
}

#[test]
fn a_number_is_a_token_if_it_can_be_written_as_it_came() {
    let token = |number: &str| {
        let came = answer(200, &[], &format!(r#"{{"t": {number}}}"#));
        let session = read(&login(""), &[came]).ok()?;
        Some(session.to_parts().expose().to_owned())
    };
    for number in ["7", "-7", "1.5", "18446744073709551615"] {
        let parts = token(number).unwrap();
        assert!(parts.contains(&format!("Bearer%20{number}")), "{parts}");
    }
    for number in [
        "9007199254740992.3",
        "18446744073709551616",
        "123456789012345678901234567890",
        "1e300",
    ] {
        assert_eq!(token(number), None, "{number}");
    }
}

/// As Gerrit and servers for Angular write it, lest another site's page runs it as a script.
#[test]
fn rule_18_what_keeps_json_from_being_a_script_does_not_decide() {
    for before in [")]}'", ")]}',", ")]}'\n", "\u{feff})]}',\r\n"] {
        let body = format!("{before}{{\"t\": \"t-1\"}}\n");
        let session = session(&login(""), &body);
        assert!(session.to_parts().expose().contains("t-1"), "{before:?}");
    }
    let other = answer(200, &[], ")]}'',{\"t\": \"t-1\"}");
    assert!(read(&login(""), &[other]).is_err());
}

#[test]
fn rule_18_what_surrounds_a_text_does_not_decide_what_it_says() {
    let login = login("login.failures = [{ text = '^Fails\\.$', means = 'refused' }]");
    for body in ["Fails.", "\u{feff}Fails.\r\n"] {
        let error = read(&login, &[answer(200, &[], body)]).unwrap_err();
        assert_eq!(error.kind(), LoginErrorKind::Refused, "{body:?}");
    }
}

#[test]
fn a_text_of_a_page_is_taken_as_a_browser_reads_it() {
    let meta = r#"login.take.t = { text = '<meta name="csrf-token" content="([^"]*)"' }"#;
    // Go writes a plus sign so.
    let page =
        "\u{feff}<!doctype html>\n<meta name=\"csrf-token\" content=\"a&#43;b&#x2F;c&amp;d==\">";
    let taken = |lines: &str, page: &str| {
        let session = session(&login(lines), page);
        let credential = testing::credential(session);
        let bearer = credential.header(&http::header::AUTHORIZATION).unwrap();
        bearer.to_str().unwrap().to_owned()
    };
    assert_eq!(taken(meta, page), "Bearer a+b/c&d==");
    let xml = "login.take.t = { text = '<sid>([^<]*)<' }";
    let reply = "<?xml version='1.0'?><sid>a&amp;b</sid>";
    assert_eq!(taken(xml, reply), "Bearer a&b");
    // A text that is no page stands for itself.
    let form = "login.take.t = { text = '^token=(.*)$' }";
    assert_eq!(taken(form, "token=a&amp;b"), "Bearer a&amp;b");
    let json = r#"login.take.t = { text = '"token": "([^"]*)"' }"#;
    let reply = r#"{"token": "a&amp;b"}"#;
    assert_eq!(taken(json, reply), "Bearer a&amp;b");
}

#[test]
fn a_step_goes_to_where_a_form_says() {
    let login = login(
        "login = [{ get = '/auth', take.action = { text = 'action=\"([^\"]+)\"', plain = true } }, \
         { post = '{+action}', form = { username = '{email}', password = '{password}' }, \
         ok = [{ redirect = '[?&]code=' }], failures = [{ status = 200, means = 'refused' }], \
         take.code = { header = 'location', pattern = '[?&]code=([^&]+)' } }, \
         { post = '/token', form = { code = '{code}' }, take.t = { json = '/access_token' } }]",
    );
    let url = Uri::from_static("https://api.acme.example/auth");
    let secret = "correct horse".into();
    let page = r#"<form id="f" action="https://api.acme.example/do?session_code=a%3D&amp;execution=e&#38;tab_id=t" method="post">"#;
    let first = || Answers::new(&url, answer(200, &[], page), &secret);
    let Step::Request(second) = login.read(&first()).unwrap() else {
        panic!("there is a second step");
    };
    assert_eq!(
        second.uri(),
        "https://api.acme.example/do?session_code=a%3D&execution=e&tab_id=t"
    );
    let wrong = login.read(&first().and(&url, answer(200, &[], page)));
    assert_eq!(wrong.unwrap_err().kind(), LoginErrorKind::Refused);
    let location = ("location", "https://app.example/cb?state=s&code=c.1");
    let Step::Request(third) = login
        .read(&first().and(&url, answer(302, &[location], "")))
        .unwrap()
    else {
        panic!("there is a third step");
    };
    assert_eq!(third.body(), "code=c.1");
}

#[test]
fn rule_19_the_401_of_a_session_that_was_over_is_no_failure() {
    let login = login("logout.step.post = '/out'\nlogout.step.ok = [{ status = 204 }]");
    let closing = Logout::new(LogoutReason::Closing);
    let gone = answer(401, &[], "");
    assert!(login.logged_out(&gone, closing).is_err());
    assert!(login.logged_out(&gone, closing.of_dead_session()).is_ok());
    assert!(login.logged_out(&answer(204, &[], ""), closing).is_ok());
}

#[test]
fn rule_19_an_answer_to_a_logout_means_what_the_recipe_says_or_else_what_it_always_means() {
    let closing = Logout::new(LogoutReason::Closing);
    let ended = |lines: &str, status: u16| {
        let login = login(&format!("logout.step.post = '/out'\n{lines}"));
        login
            .logged_out(&answer(status, &[], "no"), closing)
            .is_ok()
    };
    for (lines, statuses) in [
        ("", [true, true, false]),
        ("logout.step.ok = [{ status = 204 }]", [false, false, false]),
        (
            "logout.step.failures = [{ text = '^no', means = 'malformed' }]",
            [false, false, false],
        ),
        ("logout.over = [{ status = 403 }]", [true, true, true]),
    ] {
        assert_eq!(
            [200, 302, 403].map(|status| ended(lines, status)),
            statuses,
            "{lines}"
        );
    }
}

#[test]
fn rule_19_a_whole_answer_without_the_words_of_a_failure_confirms_the_logout() {
    let login = login(
        "logout.step.post = '/out'\n\
         logout.step.failures = [{ text = 'try again', means = 'malformed' }]",
    );
    let logged_out = |body| {
        let closing = Logout::new(LogoutReason::Closing);
        login.logged_out(&answer(200, &[], body), closing)
    };
    assert!(logged_out("Goodbye.").is_ok());
    assert!(logged_out("Please try again.").is_err());
}

#[test]
fn a_recipe_says_what_its_sessions_are_and_what_is_secret() {
    let usual = login("");
    assert!(usual.renews_ahead() && !usual.repairs() && !usual.updates());
    assert_eq!(usual.secret_headers(), &[] as &[HeaderName]);
    let scope = |ends: &str| login(&format!("logout.step.post = '/out'{ends}")).logout_scope();
    assert_eq!(scope(""), LogoutScope::ThisSession);
    assert_eq!(scope("\nlogout.ends = 'account'"), LogoutScope::Account);
    let other = login(
        "login.take.h = { json = '/h' }\nattach.header.x-h = '{h}'\n\
         capture.h = { header = 'x-h' }\nrepair.step.get = '/h'\n\
         repair.step.take.h = { json = '/h' }\n\
         verdicts = [{ status = 403, means = 'repair' }]\nlife.renew_ahead = false",
    );
    assert!(!other.renews_ahead() && other.repairs() && other.updates());
    assert_eq!(other.secret_headers(), ["x-h"]);
}

/// The session that a login reads from this body.
fn logged_in(login: &RecipeLogin, body: &str) -> Credential {
    testing::credential(session(login, body))
}

#[test]
fn rule_6_a_refresh_whose_answer_brings_nothing_has_failed() {
    let login = login(
        "life.fixed = '5m'\nlogin.take.rt = { json = '/rt' }\nlogin.take.c = { json = '/c' }\n\
         attach.header.x-c = '{c}'\nrefresh.with = 'rt'\nrefresh.step.post = '/r'\n\
         refresh.step.form.rt = '{rt}'\nlogout.step.post = '/out'\n\
         logout.step.form = { token = '{t}', c = '{c}' }",
    );
    let current = logged_in(&login, r#"{"t": "t-1", "rt": "r-1", "c": "c-1"}"#);
    let refreshed = |body: &str| login.read_refresh(&answer(200, &[], body), &current);
    for body in [
        "{}",
        r#"{"error": "invalid_grant"}"#,
        r#"{"t": null, "rt": ""}"#,
        r#"{"rt": "r-2"}"#,
        "<html>log in</html>",
    ] {
        let error = refreshed(body).unwrap_err();
        assert_eq!(error.kind(), LoginErrorKind::Malformed, "{body}");
    }
    let parts = refreshed(r#"{"t": "t-2"}"#).unwrap().to_parts();
    assert!(parts.expose().contains("t-2") && parts.expose().contains("c-1"));
}

/// The refresh is read as the last step, which reads a claim of what an earlier one has taken.
#[test]
fn a_session_keeps_what_its_refresh_reads_a_claim_from() {
    let login = login(
        "login = [{ post = '/a', json = { e = '{email}', p = '{password}' }, \
         failures = [{ status = 401, means = 'refused' }], take.id = { json = '/id' } }, \
         { post = '/b', form.id = '{id}', take.t = { json = '/t' }, take.rt = { json = '/rt' }, \
         take.sub = { claim = '/sub', of = 'id' }, \
         take.tenant = { claim = '/tenant', of = 't', optional = true } }]\n\
         attach.header.x-sub = '{sub}'\nrefresh.with = 'rt'\nrefresh.step.post = '/r'\n\
         refresh.step.form.rt = '{rt}'",
    );
    // {"sub":"u-1"}
    let first = answer(200, &[], r#"{"id": "e30.eyJzdWIiOiJ1LTEifQ.x"}"#);
    let second = answer(200, &[], r#"{"t": "t-1", "rt": "r-1"}"#);
    let current = testing::credential(read(&login, &[first, second]).unwrap());
    assert_eq!(current.kept("t"), None, "the refresh brings it");
    let refreshed = answer(200, &[], r#"{"t": "t-2", "rt": "r-2"}"#);
    let refreshed = login.read_refresh(&refreshed, &current).unwrap();
    let refreshed = testing::credential(refreshed);
    assert_eq!(refreshed.header(&"x-sub".parse().unwrap()).unwrap(), "u-1");
}

#[test]
fn rule_6_a_refresh_whose_answer_rolls_a_cookie_of_the_session_brings_something() {
    let login = login(
        "life.fixed = '5m'\nattach.cookies = ['sid']\nlogin.take.rt = { json = '/rt' }\n\
         refresh.with = 'rt'\nrefresh.step.post = '/r'\nrefresh.step.form.rt = '{rt}'\n\
         logout.step.post = '/out'\nlogout.step.form = { token = '{t}' }",
    );
    let came = answer(
        200,
        &[("set-cookie", "sid=s-1")],
        r#"{"t": "t-1", "rt": "r-1"}"#,
    );
    let current = testing::credential(read(&login, &[came]).unwrap());
    let brings = |cookie| {
        let answer = answer(200, &[("set-cookie", cookie)], "{}");
        login.read_refresh(&answer, &current).is_ok()
    };
    assert!(brings("sid=s-2"));
    assert!(!brings("node=n-1"), "it is none of the session's");
    assert!(!brings("sid="), "it is taken away");
}

#[test]
fn rule_6_a_refresh_that_states_a_life_alone_prolongs_the_session() {
    let login = login(
        "life.stated = [{ json = '/expires_in' }]\nlogin.take.rt = { json = '/rt' }\n\
         refresh.with = 'rt'\nrefresh.step.post = '/r'\nrefresh.step.form.rt = '{rt}'\n\
         logout.step.post = '/out'\nlogout.step.form = { token = '{t}' }",
    );
    let current = logged_in(&login, r#"{"t": "t-1", "rt": "r-1", "expires_in": 300}"#);
    let refreshed = |body: &str| login.read_refresh(&answer(200, &[], body), &current);
    let parts = refreshed(r#"{"expires_in": 300}"#).unwrap().to_parts();
    assert!(parts.expose().contains("t-1"));
    for body in [
        "{}",
        r#"{"expires_in": 0}"#,
        r#"{"error": "invalid_grant"}"#,
    ] {
        assert!(refreshed(body).is_err(), "{body}");
    }
}

#[test]
fn rule_10_a_refresh_at_the_path_that_the_password_goes_to_counts_as_a_login() {
    let by = |lines: &str| {
        let refresh = "login.take.rt = { json = '/rt' }\nrefresh.with = 'rt'\n\
            refresh.step.form.rt = '{rt}'";
        login(&format!("{refresh}\n{lines}")).refresh_by()
    };
    let own = Refresh::with_kept("rt");
    let counts = own.clone().counts_as_login();
    assert_eq!(by("refresh.step.post = '/r'"), Some(own));
    // By whichever method, and however its URL is written.
    for there in [
        "refresh.step.post = '/l'",
        "refresh.step.put = '/l'",
        "refresh.step.post = 'https://api.acme.example/l'",
    ] {
        assert_eq!(by(there), Some(counts.clone()), "{there}");
    }
    let stated = "refresh.step.post = '/r'\nrefresh.counts_as_login = true";
    assert_eq!(by(stated), Some(counts));
}

#[test]
fn rule_10_tenants_that_log_in_at_one_host_share_what_it_allows() {
    let recipe = |login: &str| -> Recipe {
        format!(
            "recipe = 1\nname = 'a'\nbase = 'https://{{tenant}}.a.example'\naccount = 'email'\n\
             scope = ['https://{{tenant}}.a.example', 'https://{{region}}.login.example', '{{at}}']\n\
             fields.tenant.about = 't'\nfields.at.about = 'a'\nfields.region.about = 'r'\n\
             login.json = {{ e = '{{email}}', p = '{{password}}' }}\n\
             login.failures = [{{ status = 401, means = 'refused' }}]\n\
             login.take.t = {{ json = '/t' }}\nattach.bearer = '{{t}}'\n{login}"
        )
        .parse()
        .unwrap()
    };
    let at = |recipe: &Recipe, tenant: &str| {
        let values = values()
            .with("tenant", tenant)
            .with("region", "eu")
            .with("at", "https://at.example/token");
        let login = recipe.login(&values).unwrap().via(Nowhere);
        assert_eq!(
            login.identity().origin().host(),
            format!("{tenant}.a.example")
        );
        login.login_origin().to_string()
    };
    for (login, expected) in [
        (
            "login.post = 'https://{region}.login.example/{tenant}/token'",
            "https://eu.login.example",
        ),
        ("login.post = '{+at}'", "https://at.example"),
        (
            "login.post = 'https://{tenant}.a.example/l'",
            "https://one.a.example",
        ),
        ("login.post = '/l'", "https://one.a.example"),
    ] {
        assert_eq!(at(&recipe(login), "one"), expected, "{login}");
    }
}

#[tokio::test]
async fn rule_10_a_login_that_cant_be_sent_takes_no_permit() {
    let recipe: Recipe = "recipe = 1\nname = 'a'\nbase = 'https://cant.be.sent.example'\n\
        account = 'email'\nfields.key = { secret = true, about = 'k' }\nlogin.post = '/l'\n\
        login.compute.code = { totp = '{key}' }\n\
        login.json = { e = '{email}', p = '{password}', c = '{code}' }\n\
        login.failures = [{ status = 401, means = 'refused' }]\n\
        login.take.t = { json = '/t' }\nattach.bearer = '{t}'\n\
        limits = { logins = 1, window = '60s' }"
        .parse()
        .unwrap();
    let clock = ManualClock::new();
    for _ in 0..3 {
        let login = recipe.login(&values().with("key", "no base32!")).unwrap();
        let credentials = Credentials::builder(login.via(Nowhere));
        let credentials = credentials.clock(clock.clock()).build();
        let error = credentials
            .get_with(Ask::new().fail_fast())
            .await
            .unwrap_err();
        let failed = error.login_error().unwrap();
        assert_eq!(failed.kind(), LoginErrorKind::Misconfigured, "{error:?}");
    }
}

/// Carries nothing.
struct Nowhere;

#[async_trait::async_trait]
impl Transport for Nowhere {
    async fn carry(&self, _: Request<Bytes>) -> Result<Response<Bytes>, LoginError> {
        unreachable!("nothing is sent")
    }
}

#[test]
fn rule_14_the_time_of_an_end_is_in_the_unit_that_makes_it_plausible() {
    let now = ("date", "Wed, 17 Dec 2025 19:33:20 GMT");
    for unit in ["epoch", "epoch_ms"] {
        let login = login(&format!(
            "life.stated = [{{ json = '/at', unit = '{unit}' }}]"
        ));
        for at in [
            "1766003600",
            "1766003600000",
            "\"1766003600000\"",
            "1766003600000000",
            "1766003600000000000",
        ] {
            let body = format!(r#"{{"t": "t-1", "at": {at}}}"#);
            let session = read(&login, &[answer(200, &[now], &body)]).unwrap();
            let life = session.lifetime().hard_expiry();
            assert_eq!(life, Some(3_600 * SECOND), "{at} as {unit}");
        }
    }
}

#[test]
fn rule_14_an_offset_that_a_server_begins_to_write_counts() {
    let noon = ("date", "Sat, 21 Nov 2026 12:00:00 GMT");
    let login = login("life.stated = [{ json = '/at', unit = 'iso8601_utc' }]");
    for at in [
        "2026-11-21T13:00:00",
        "2026-11-21 13:00:00.000 ",
        "2026-11-21T13:00:00Z",
        "2026-11-21T15:00:00+02:00",
    ] {
        let body = format!(r#"{{"t": "t-1", "at": "{at}"}}"#);
        let session = read(&login, &[answer(200, &[noon], &body)]).unwrap();
        let life = session.lifetime().hard_expiry();
        assert_eq!(life, Some(3_600 * SECOND), "{at}");
    }
}

#[test]
fn a_part_of_a_value_is_that_of_the_group_or_none() {
    let by = |take: &str| login(&format!("login.take.t = {take}"));
    let token = |login: &RecipeLogin, body: &str| {
        let session = read(login, &[answer(200, &[], body)]).ok()?;
        let parts = session.to_parts();
        let value = parts.expose().split("Bearer%20").nth(1)?;
        Some(value.split_whitespace().next()?.to_owned())
    };
    let text = by(r"{ text = 'session=(\w+)|logged out' }");
    assert_eq!(token(&text, "session=s1").as_deref(), Some("s1"));
    assert_eq!(token(&text, "logged out"), None);
    let pattern = by(r"{ json = '/t', pattern = '^.{5}' }");
    assert_eq!(
        token(&pattern, r#"{"t": "abcdefg"}"#).as_deref(),
        Some("abcde")
    );
    assert_eq!(token(&pattern, r#"{"t": "abc"}"#), None);
}

#[test]
fn a_number_that_was_taken_can_be_one_in_json_and_a_session_can_be_computed() {
    let login = login(
        "login = [{ post = '/a', json = { e = '{email}', p = '{password}' }, \
         failures = [{ status = 401, means = 'refused' }], take.id = { json = '/id' } }, \
         { post = '/b', json = { id = '{#id}', text = '{id}' }, take.t = { json = '/t' } }]\n\
         attach.compute.auth = { base64 = '{email}:{id}:{t}' }\nattach.bearer = '{auth}'",
    );
    let (url, secret) = (Uri::from_static("https://api.acme.example/a"), "p".into());
    let first = answer(200, &[], r#"{"id": 7}"#);
    let all = Answers::new(&url, first.clone(), &secret);
    let Step::Request(second) = login.read(&all).unwrap() else {
        panic!("there is a second step");
    };
    assert_eq!(*second.body(), r#"{"id":7,"text":"7"}"#);
    let session = read(&login, &[first, answer(200, &[], r#"{"t": "t-1"}"#)]).unwrap();
    assert!(
        session
            .to_parts()
            .expose()
            .contains("Bearer%20YWRhOjc6dC0x")
    );
}

#[test]
fn a_later_step_computes_a_value_of_the_same_name_anew() {
    let login = login(
        "login = [{ post = '/a', compute.h = { hex = 'a{email}' }, json = { h = '{h}', \
         p = '{password}' }, failures = [{ status = 401, means = 'refused' }] }, \
         { post = '/b', compute.h = { hex = 'b{email}' }, json = { h = '{h}' }, \
         take.t = { json = '/t' } }]",
    );
    let (url, secret) = (Uri::from_static("https://api.acme.example/a"), "p".into());
    let first = login.request(&secret).unwrap();
    assert_eq!(*first.body(), r#"{"h":"61616461","p":"p"}"#);
    let all = Answers::new(&url, answer(200, &[], ""), &secret);
    let Step::Request(second) = login.read(&all).unwrap() else {
        panic!("there is a second step");
    };
    assert_eq!(*second.body(), r#"{"h":"62616461"}"#);
}

#[test]
fn a_header_that_an_answer_names_is_none_that_the_client_writes() {
    let login = login("login.take.h = { json = '/h', plain = true }\nattach.header.'{h}' = '{t}'");
    for name in ["host", "Cookie", "content-length", "authorization", "a b"] {
        let body = format!(r#"{{"t": "t-1", "h": "{name}"}}"#);
        assert!(read(&login, &[answer(200, &[], &body)]).is_err(), "{name}");
    }
    assert!(
        read(
            &login,
            &[answer(200, &[], r#"{"t": "t-1", "h": "x-crumb"}"#)]
        )
        .is_ok()
    );
}

#[test]
fn the_url_of_a_probe_is_that_of_its_step() {
    let probe = |step: &str| login(&format!("probe.step.{step}")).probe_url().unwrap();
    assert_eq!(probe("get = '/me'"), "https://api.acme.example/me");
    let whole = "get = 'https://api.acme.example/me'\nprobe.step.query.a = '{email}'";
    assert_eq!(probe(whole), "https://api.acme.example/me?a=ada");
}
