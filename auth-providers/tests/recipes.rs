//! What a recipe's author and its user meet.

#![cfg(feature = "recipes")]
#![allow(clippy::unwrap_used, reason = "the helpers of tests, too")]

use std::time::Duration;

use auth_core::{Lifetime, Refresh, SecretSource, Session, testing};
use auth_providers::recipe::{Recipe, RecipeError, Values, ValuesError};
use auth_providers::{Answers, ConfigError, Login, Step};
use bytes::Bytes;
use http::{Request, Response};

const PROXMOX: &str = r#"
recipe = 1
name = "proxmox"
documents = ["Proxmox VE API: Ticket and CSRF token"]
base = "https://{host}:8006"
account = "username"

[fields.host]
about = "the machine, as pve1.example.com"

[[login]]
post = "/api2/json/access/ticket"
form = { username = "{username}", password = "{password}" }
failures = [{ status = 401, means = "refused" }]
take.ticket = { json = "/data/ticket" }
take.csrf = { json = "/data/CSRFPreventionToken" }

[life]
fixed = "2h"

[attach]
cookie.PVEAuthCookie = "{ticket}"
header.CSRFPreventionToken = { value = "{csrf}", methods = "unsafe" }

[refresh]
with = "ticket"
counts_as_login = true
step.post = "/api2/json/access/ticket"
step.form = { username = "{username}", password = "{ticket}" }
"#;

fn values() -> Values {
    Values::new()
        .with("host", "pve1.example.com")
        .with("username", "ada@pam")
        .with("password", "correct & horse")
}

fn request(login: &impl Login) -> Request<Bytes> {
    login.request(&"correct & horse".into()).unwrap()
}

fn session(login: &impl Login, answer: &'static str) -> Session {
    let secret = "correct & horse".into();
    let answers = Answers::new(request(login).uri(), Response::new(answer.into()), &secret);
    match login.read(&answers).unwrap() {
        Step::Session(session) => session,
        step => panic!("{step:?}"),
    }
}

#[test]
fn a_recipe_makes_the_documented_request_and_reads_the_documented_answer() {
    let recipe: Recipe = PROXMOX.parse().unwrap();
    let login = recipe.login(&values()).unwrap();
    let request = request(&login);
    assert_eq!(request.method(), "POST");
    assert_eq!(
        request.uri(),
        "https://pve1.example.com:8006/api2/json/access/ticket"
    );
    assert_eq!(
        *request.body(),
        "password=correct+%26+horse&username=ada%40pam"
    );
    let documents: Vec<&str> = recipe.documents().collect();
    assert_eq!(documents, ["Proxmox VE API: Ticket and CSRF token"]);
    let answer = r#"{"data": {"ticket": "t-1", "CSRFPreventionToken": "c-1"}}"#;
    let session = session(&login, answer);
    assert_eq!(session.lifetime(), Lifetime::of(Duration::from_secs(7_200)));
}

fn read(login: &impl Login, answers: &[&'static str]) -> Step {
    let secret = "correct & horse".into();
    let first = request(login);
    let mut answers = answers
        .iter()
        .map(|text| Response::new(Bytes::from_static(text.as_bytes())));
    let mut all = Answers::new(first.uri(), answers.next().unwrap(), &secret);
    for answer in answers {
        all = all.and(first.uri(), answer);
    }
    login.read(&all).unwrap()
}

#[test]
fn a_value_that_is_missing_unknown_or_unusable_is_told_before_a_login() {
    let recipe: Recipe = PROXMOX.parse().unwrap();
    let told = |values: Values| recipe.login(&values).unwrap_err().to_string();
    let missing = told(
        Values::new()
            .with("username", "ada")
            .with("password", "canary"),
    );
    assert!(
        missing.contains("`host` of the recipe has no value: the machine"),
        "{missing}"
    );
    let missing = told(Values::new().with("host", "h"));
    assert!(missing.contains("`password`"), "{missing}");
    let unknown = told(values().with("hots", "canary"));
    assert!(unknown.contains("no field `hots`; its fields are username, password, host"));
    let unset = told(values().with("host", SecretSource::variable("AUTH_NEVER_SET")));
    assert!(unset.contains("`host` can't be read"), "{unset}");
    for host in ["a/b", "a?b", "a#b", "u@a", "a b", "a\\b"] {
        let leaves = told(values().with("host", host));
        assert!(leaves.contains("stands within a URL"), "{leaves}");
    }
    let by_user = PROXMOX.replace("\"2h\"", "\"{life}\"");
    let by_user = by_user.replace("[fields.host]", "[fields.life]\n[fields.host]");
    let by_user: Recipe = by_user.parse().unwrap();
    assert!(by_user.login(&values().with("life", "3h")).is_ok());
    let unusable = by_user.login(&values().with("life", "3 hours"));
    let unusable = unusable.unwrap_err().to_string();
    assert!(unusable.contains("`life` can't be used: it is no span of time"));
    let no_more = PROXMOX.replace("about = \"the machine, as pve1.example.com\"", "");
    let no_more: Recipe = no_more.parse().unwrap();
    for (missing, about) in [
        ("host", "the recipe says no more about it"),
        ("username", "the name of the account"),
        ("password", "the secret that logs in"),
    ] {
        let given = ["host", "username", "password"].into_iter();
        let given = given.filter(|field| *field != missing);
        let values = given.fold(Values::new(), |values, field| values.with(field, "a"));
        let error = no_more.login(&values).unwrap_err().to_string();
        assert!(error.ends_with(&format!("`{missing}` of the recipe has no value: {about}")));
    }
    let short = PROXMOX.replace(
        "[fields.host]",
        "[fields.password]\nat_least = 20\n[fields.host]",
    );
    let short = short.parse::<Recipe>().unwrap();
    let fields: Vec<&str> = short.fields().collect();
    assert_eq!(fields, ["username", "password", "host"], "each once");
    let short = short.login(&values()).unwrap_err();
    let expected = ValuesError::Account(ConfigError::ShortPassword { minimum: 20 });
    assert_eq!(short.to_string(), expected.to_string());
}

#[test]
fn the_values_of_a_login_tell_it_from_another_and_print_nothing() {
    let recipe: Recipe = PROXMOX.parse().unwrap();
    let login = recipe.login(&values()).unwrap();
    assert_eq!(login.options(), recipe.login(&values()).unwrap().options());
    let elsewhere = recipe
        .login(&values().with("host", "pve2.example.com"))
        .unwrap();
    assert_ne!(login.options(), elsewhere.options());
    let other = PROXMOX.replace("2h", "3h").parse::<Recipe>().unwrap();
    assert_ne!(login.options(), other.login(&values()).unwrap().options());
    let printed = format!("{login:?} {:?} {recipe:?}", values());
    assert!(printed.starts_with("RecipeLogin { recipe: \"proxmox\", account: "));
    assert!(
        !printed.contains("horse") && !printed.contains("ada@"),
        "{printed}"
    );
}

#[test]
fn what_names_an_absent_value_is_left_out_and_a_step_is_sent_only_when_its_value_is_there() {
    const STEPS: &str = r#"
        recipe = 1
        name = "steps"
        base = "https://a.example"
        account = "user"
        refused = "undocumented"
        fields.code.optional = true
        fields.code.secret = true
        fields.realm.default = "pam"

        [[login]]
        post = "/first"
        query = { code = "{code}", realm = "{realm}" }
        header = { x-code = "{code}" }
        form = { user = "{user}", code = "{code}" }
        basic = { user = "{user}", password = "{password}" }
        take.token = { json = "/token" }
        take.next = { json = "/next", optional = true }

        [[login]]
        when = "next"
        get = "{+next}"
        bearer = "{token}"
        take.token = { json = "/token" }

        [attach]
        bearer = "{token}"
        header.x-next = "{next}"
    "#;
    let recipe: Recipe = STEPS.parse().unwrap();
    let plain = Values::new().with("user", "ada").with("password", "p");
    let login = recipe.login(&plain).unwrap();
    let first = request(&login);
    assert_eq!(first.uri(), "https://a.example/first?realm=pam");
    assert_eq!(*first.body(), "user=ada");
    assert!(!first.headers().contains_key("x-code"));
    let with_code = recipe.login(&plain.with("code", "1 2")).unwrap();
    let first = request(&with_code);
    assert_eq!(first.uri(), "https://a.example/first?code=1%202&realm=pam");
    assert_eq!(first.headers()["x-code"], "1 2");
    assert!(first.headers()["x-code"].is_sensitive());

    assert!(matches!(
        read(&login, &[r#"{"token": "t-1"}"#]),
        Step::Session(_)
    ));
    let one = r#"{"token": "t-1", "next": "/second?x=1"}"#;
    let Step::Request(second) = read(&login, &[one]) else {
        panic!("there is a second step");
    };
    assert_eq!(second.uri(), "https://a.example/second?x=1");
    assert_eq!(second.headers()["authorization"], "Bearer t-1");
    let Step::Session(session) = read(&login, &[one, r#"{"token": "t-2"}"#]) else {
        panic!("there is no third step");
    };
    assert!(session.to_parts().expose().contains("t-2"));
}

#[test]
fn a_configuration_states_values_variables_and_files() {
    let file = std::env::temp_dir().join(format!("auth-recipe-{}", std::process::id()));
    std::fs::write(&file, "pve3.example.com\n").unwrap();
    let json = serde_json::json!({
        "username": "ada@pam", "password": { "variable": "PVE" }, "host": { "file": file },
    });
    let values: Values = serde_json::from_value(json).unwrap();
    let login = PROXMOX.parse::<Recipe>().unwrap().login(&values).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(login.url("/"), "https://pve3.example.com:8006/");
}

/// Parsers show what they refuse, and toml's even the line. So nothing is refused by them.
#[test]
fn rule_17_what_is_no_value_of_a_field_is_refused_by_its_name_and_not_shown() {
    let recipe = PROXMOX.parse::<Recipe>().unwrap();
    let mut read: Vec<Values> = Vec::new();
    for wrong in [
        "271828",
        "-271828",
        "271828.5",
        "true",
        "[\"canary\"]",
        "{}",
    ] {
        for text in [format!("{{\"password\": {wrong}}}"), String::new()] {
            read.push(match text.as_str() {
                "" => toml::from_str(&format!("password = {wrong}")).unwrap(),
                json => serde_json::from_str(json).unwrap(),
            });
        }
    }
    for wrong in [
        "null",
        "340282366920938463463374607431768211455",
        r#"{"value": 271828}"#,
        r#"{"variabel": "canary"}"#,
        r#"{"variable": "canary", "file": "canary"}"#,
        r#"{"variable": 271828}"#,
        r#"{"file": ["canary"]}"#,
    ] {
        read.push(serde_json::from_str(&format!("{{\"password\": {wrong}}}")).unwrap());
    }
    for wrong in [
        "{ value = \"canary\" }",
        "{ variable = 271828 }",
        "{ file = { path = \"canary\" } }",
        "1828-01-27",
    ] {
        read.push(toml::from_str(&format!("password = {wrong}")).unwrap());
    }
    for values in read {
        let values = values.with("username", "ada@pam").with("host", "h.example");
        let Err(error) = recipe.login(&values) else {
            panic!("{values:?} is taken");
        };
        let printed = format!("{values:?} {error} {error:?}");
        let says = "`password` can't be used: a text, { variable = \"NAME\" } or";
        assert!(printed.contains(says), "{printed}");
        for secret in ["canary", "1828"] {
            assert!(!printed.contains(secret), "{printed}");
        }
        assert!(recipe.login(&values.with("password", "p")).is_ok());
    }
    for wrong in ["\"canary\"", "[\"canary\"]", "271828"] {
        let error = serde_json::from_str::<Values>(wrong).unwrap_err();
        assert!(error.to_string().contains("a table of"), "{error}");
        for secret in ["canary", "271828"] {
            assert!(!error.to_string().contains(secret), "{error}");
        }
    }
    // A field of no recipe's is still that.
    let values: Values = serde_json::from_str(r#"{"pasword": 1}"#).unwrap();
    let error = recipe.login(&values).map(|_| ()).unwrap_err();
    assert!(matches!(error, ValuesError::Unknown { .. }), "{error}");
}

#[test]
fn rule_17_a_text_in_the_place_of_another_type_is_not_repeated() {
    let secret = "canary\", expected a canary";
    let toml = format!("recipe = '{secret}'");
    let json = serde_json::json!({ "recipe": secret }).to_string();
    for read in [Recipe::from_toml(&toml), Recipe::from_json(&json)] {
        let error = read.expect_err("it is no number");
        let printed = format!("{error} {error:?}");
        assert!(printed.contains("a text, expected u32"), "{printed}");
        assert!(!printed.contains("canary"), "{printed}");
    }
}

#[test]
fn rule_17_a_number_in_the_place_of_another_type_is_not_repeated() {
    for number in ["271828", "-271828", "271828.5"] {
        let toml = Recipe::from_toml(&format!("name = {number}"));
        let json = Recipe::from_json(&format!("{{\"name\": {number}}}"));
        for read in [toml, json] {
            let error = read.expect_err("it is no text");
            let printed = format!("{error} {error:?}");
            assert!(printed.contains("invalid type: a number"), "{printed}");
            assert!(!printed.contains("271828"), "{printed}");
        }
    }
}

/// The error of the recipe after one change.
fn error_after(old: &str, new: &str) -> RecipeError {
    assert!(PROXMOX.contains(old), "{old}");
    let changed = PROXMOX.replacen(old, new, 1);
    match changed.parse::<Recipe>() {
        Ok(_) => panic!("{new:?} is taken"),
        Err(error) => error,
    }
}

/// A recipe that could not work, and a word of what is said of it.
const UNWORKABLE: &[(&str, &str)] = &[
    ("login.post = '//evil.example/l'", "leads elsewhere"),
    ("login.post = '/a/../l'", "leads elsewhere"),
    ("login.post = '/a b'", "%20"),
    ("login.post = '{+password}'", "would show in logs"),
    (
        "login.post = '/l/{p}'\nlogin.compute.p = { hex = '{password}' }",
        "would show in logs",
    ),
    (
        "login.post = '/l/{o}'\nfields.o.optional = true",
        "may be absent",
    ),
    (
        "login.failures = [{ status = 401, means = 'unavailable' }]",
        "is a refusal",
    ),
    (
        "login.failures = [{ status = '4xx', means = 'limited' }]",
        "is a refusal",
    ),
    // The label of a body is no evidence against a refusal, and neither is what it lacks.
    (
        "login.failures = [{ type = 'text/html', means = 'unavailable' }, \
         { status = 401, means = 'refused' }]",
        "is a refusal",
    ),
    (
        "login.failures = [{ absent = ['/t'], means = 'limited' }, \
         { status = 401, means = 'refused' }]",
        "is a refusal",
    ),
    (
        "login.failures = [{ status = 401, header.x-api = false, means = 'unavailable' }, \
         { status = 403, means = 'refused' }]",
        "is a refusal",
    ),
    (
        "login.failures = [{ json.'' = { kind = 'object' }, means = 'limited' }, \
         { status = 401, means = 'refused' }]",
        "is a refusal",
    ),
    (
        "login.failures = [{ present = [''], text = '.*', means = 'unavailable' }, \
         { status = 401, means = 'refused' }]",
        "is a refusal",
    ),
    (
        "login.failures = [{ status = 401, means = 'refused' }, \
         { type = 'text/html', means = 'unavailable' }]",
        "may be a refusal",
    ),
    (
        "login.failures = [{ status = '4xx', means = 'malformed' }, \
         { status = [401, 403], json.'/error' = 'password', means = 'refused' }]",
        "a clause above",
    ),
    (
        "verdicts = [{ status = '4xx', means = 'not_permitted' }, \
         { status = 440, text = 'over', means = 'rejected' }]",
        "a clause above",
    ),
    ("login.ok = [{ status = [200, 401] }]", "and no success"),
    (
        "login.failures = [{ type = 'json', means = 'refused' }]",
        "a media type",
    ),
    (
        "login.content_type = 'application/json'\nlogin.text = '{email}{password}'",
        "not escaped",
    ),
    (
        "login.xml = '<p><![CDATA[{password}{email}]]></p>'",
        "CDATA",
    ),
    ("login.xml = '<!-- {password}{email} --><p/>'", "comment"),
    ("login.json = { e = '{email}' }", "no step sends the secret"),
    ("login.json = { p = '{password}' }", "no step sends it"),
    ("login.take.t = { cookie = 'a;b' }", "the name of a cookie"),
    (
        "login.take.t = { text = '(\\w{1,900})=' }",
        "regular expression",
    ),
    ("attach.cookie.'a b' = '{t}'", "the name of a cookie"),
    ("attach.header.'{t}' = 'x'", "may be a secret"),
    (
        "attach.header.X-Token = 'x'\nattach.header.x-Token = '{t}'",
        "in another case",
    ),
    (
        "attach.bearer = '{k}'\nfields.k.optional = true",
        "may be absent",
    ),
    (
        "attach.cookie.k = '{k}'\nfields.k.optional = true",
        "may be absent",
    ),
    (
        "login.xml = '<p>{email}{password}{otp}</p>'\nfields.otp.optional = true",
        "may be absent",
    ),
    (
        "login = [{ post = '/a', json = { e = '{email}', p = '{password}' }, \
         failures = [{ status = 401, means = 'refused' }], take.n = { json = '/n', optional = true } \
         }, { get = '/b/{n}', take.t = { json = '/t' } }]",
        "may be absent",
    ),
    ("login.header = { X-A = '1', x-a = '2' }", "in another case"),
    (
        "login.ok = [{ header = { X-A = '1', x-a = '2' } }]",
        "in another case",
    ),
    (
        "login = [{ head = '/l', basic = { user = '{email}', password = '{password}' }, \
         ok = [{ json.'/ok' = true }], failures = [{ status = 401, means = 'refused' }], \
         take.t = { header = 'x-t' } }]",
        "a HEAD has no body",
    ),
    (
        "login = [{ head = '/l', basic = { user = '{email}', password = '{password}' }, \
         failures = [{ text = 'wrong', means = 'refused' }], take.t = { header = 'x-t' } }]",
        "a HEAD has no body",
    ),
    (
        "login = [{ method = 'HEAD', url = '/l', basic = { user = '{email}', \
         password = '{password}' }, failures = [{ status = 401, means = 'refused' }], \
         take.t = { json = '/t' } }]",
        "HEAD has a key of its own: head",
    ),
    (
        "login = [{ method = 'GET', url = '/l', json = { e = '{email}', p = '{password}' }, \
         failures = [{ status = 401, means = 'refused' }], take.t = { json = '/t' } }]",
        "GET has a key of its own: get",
    ),
    (
        "login.ok = [{ status = 200, redirect = '/home' }]",
        "a redirect has a status 3xx",
    ),
    (
        "base = 'https://{host}/x?tenant=a'\nfields.host.about = 'its name'",
        "no query",
    ),
    (
        "base = 'https://ada@{host}'\nfields.host.about = 'its name'",
        "no user",
    ),
    (
        "life.idle = '{timeout}'\nfields.timeout.default = '30 min'",
        "no span of time",
    ),
    (
        "login.query.c = '{code}'\nfields.code = { default = '1', at_least = 2 }",
        "shorter than `at_least`",
    ),
    // Otherwise a name would stand for itself, without an end.
    (
        "login = [{ post = '/a', json = { e = '{email}', p = '{password}' }, \
         failures = [{ status = 401, means = 'refused' }], take.c = { json = '/c' } }, \
         { get = '/b/{c}', take.t = { json = '/t' } }]\n\
         attach.compute.c = { hex = '{d}' }\nattach.compute.d = { hex = '{c}' }",
        "another value has this name",
    ),
    (
        "login.post = '/l/{c}'\nfields.c.about = 'a field'\n\
         attach.compute.c = { hex = '{c}' }",
        "another value has this name",
    ),
    ("life.fixed = '1m'\nlife.margin = '1m'", "leaves nothing"),
    (
        "attach.bearer = '{t}'\nlogout.step.post = '/o'\nlogout.step.bearer = '{t}'",
        "session = false",
    ),
    (
        "refresh.with = 't'\nrefresh.step.post = '/r'",
        "does not send",
    ),
    (
        "refresh.with = 't'\nrefresh.step.post = '/r/{t}'",
        "would show in logs",
    ),
    (
        "refresh.with = 't'\nrefresh.step.post = '/r'\nrefresh.step.form.t = '{t}'\n\
         probe.step.get = '/p'\nprobe.step.query.t = '{t}'",
        "the refresh and the logout alone",
    ),
    (
        "refresh.with = 't'\nrefresh.step.post = '/r'\nrefresh.step.form.t = '{t}'\n\
         attach.header.x-key = '{password}'",
        "has no `password`",
    ),
    (
        "refresh.with = 't'\nrefresh.step.post = '/r'\nrefresh.step.form.t = '{t}'\n\
         refresh.step.take.x = { json = '/x' }",
        "nothing that requests carry",
    ),
    (
        "login = [{ post = '/a', compute.n = { time = 'ms' }, json = { e = '{email}', \
         p = '{password}', n = '{n}' }, failures = [{ status = 401, means = 'refused' }] }, \
         { post = '/b', json = { n = '{n}' }, take.t = { json = '/t' } }]",
        "compute it anew",
    ),
    // In the words of TOML, and not of Rust.
    ("logout = '/logout'", "a table is expected: { .. }"),
    ("judged_body = 4096", "a table is expected: { .. }"),
    ("fields.x = 'y'", "a table is expected: { .. }"),
    (
        "login.basic = '{email}:{password}'",
        "a table is expected: { .. }",
    ),
    (
        "attach.header.x-token = { value = '{t}', methods = ['POST'] }",
        "a text or a table is expected",
    ),
    // No request could carry it, and that would show after the secret was sent.
    ("attach.header.x-token = \"{t}\\n\"", "stand in a header"),
    (
        "attach.header.x-token = \"a\\u0000{t}\"",
        "stand in a header",
    ),
    ("attach.bearer = ''", "is empty"),
    ("attach.bearer = 'Bearer {t}'", "writes that word itself"),
    ("attach.cookie.sid = '{t};x'", "semicolon"),
    ("attach.cookie.sid = ''", "is empty"),
    (
        "attach.basic = { user = 'a:{email}', password = '{t}' }",
        "a colon",
    ),
    ("attach.query.'' = '{t}'", "is empty"),
    ("attach.form.'' = '{t}'", "is empty"),
    ("attach.body.'/a' = ''", "is empty"),
    (
        "attach.body.'/a' = '{t}'\nattach.body.'/a/b' = '{t}'",
        "below another field",
    ),
    (
        "attach.header.x-token = { value = '{t}', below = ['/api?v=1'] }",
        "no query",
    ),
    (
        "attach.header.x-token = { value = '{t}', below = ['/api/../v1'] }",
        "leads elsewhere",
    ),
    (
        "attach.header.x-token = { value = '{t}', below = ['/a b'] }",
        "%20",
    ),
    (
        "verdicts = [{ status = 403, path = '/api?v=1', means = 'rejected' }]",
        "no query",
    ),
    (
        "verdicts = [{ status = 403, path = '/api//v1', means = 'rejected' }]",
        "leads elsewhere",
    ),
    ("scope = ['https://files.acme.example/v1']", "no path"),
    ("login.post = '/a/%2e%2E/l'", "leads elsewhere"),
    ("login.post = '/a\\..\\l'", "leads elsewhere"),
    ("login.post = '/\u{e9}'", "can't stand in a URL"),
    (
        "login.header.x-key = \"{password}\\n\"",
        "stand in a header",
    ),
    (
        "login.bearer = 'Bearer {password}'",
        "writes that word itself",
    ),
    (
        "login.basic = { user = 'a:{email}', password = '{password}' }",
        "a colon",
    ),
    (
        "login.content_type = \"application/json\\n\"",
        "stand in a header",
    ),
    ("login.content_type = ''", "stand in a header"),
    ("login.bearer = \"a\\n{password}\"", "stand in a header"),
    ("attach.bearer = ' bearer {t}'", "writes that word itself"),
    ("login.post = '/a<b>'", "%20"),
    (
        "base = 'https://api.acme.example/v1/../x'",
        "leads elsewhere",
    ),
    (
        "login.take.h = { json = '/h', plain = true }\nattach.header.'{h}' = 'x'\n\
         capture.h = { header = 'x-h' }",
        "the name of a header",
    ),
    (
        "login.take.h = { json = '/h', plain = true }\nattach.header.'{h}' = 'x'\n\
         repair.step.get = '/r'\nrepair.step.take.h = { json = '/h', plain = true }\n\
         verdicts = [{ status = 403, means = 'repair' }]",
        "the name of a header",
    ),
    // What a header's name and what carries a value may be.
    ("attach.header.'{nope}' = '{t}'", "nothing is called `nope`"),
    (
        "attach.header.'{k}' = '{t}'\nfields.k.secret = true",
        "may be a secret",
    ),
    ("attach.bearer = '{+t}'", "a step's URL alone"),
    ("attach.bearer = '{#t}'", "a step's URL alone"),
    ("attach.bearer = 'x{+t}'", "a step's URL alone"),
    (
        "login.json = { e = '{email}', p = '{password}', u = '{+email}' }",
        "a step's URL alone",
    ),
    ("login.post = '/l/{+email}'", "a step's URL alone"),
    (
        "attach.header.x-token = { value = '{t}', percent_decoded = true }",
        "only a cookie's value",
    ),
    (
        "attach.cookies = ['sess*']\nattach.header.x-c = { cookie = 'other' }",
        "the session has no cookie \"other\"; add it",
    ),
    (
        "attach.cookies = ['sid']\nattach.header.x-c = { cookie = '{k}' }\nfields.k.about = 'a'",
        "the session has no cookie",
    ),
    // What changes while a session lasts.
    ("capture.t = { claim = '/x', of = 't' }", "from one place"),
    (
        "capture.t = { header = 'x-t', json = '/t' }",
        "from one place",
    ),
    (
        "repair.step.get = '/r'\nverdicts = [{ status = 403, means = 'repair' }]",
        "takes what the session lacks",
    ),
    (
        "verdicts = [{ status = 403, means = 'repair' }]",
        "nothing brings one",
    ),
    // Times and clauses.
    ("life.idle = '{nope}'", "no field that could hold"),
    (
        "life.idle = '{k}'\nfields.k.secret = true",
        "no field that could hold",
    ),
    ("life.stated = [{ jwt = 'nope' }]", "no step takes `nope`"),
    (
        "login.take.c = { json = '/c', life = '{k}' }\nfields.k.about = 'a'",
        "is no field",
    ),
    (
        "login.take.c = { json = '/c', life = { json = '/a', header = 'x' } }",
        "from one place",
    ),
    (
        "login.ok = [{ status = 200, wait = '5s' }]",
        "only a failure is waited for",
    ),
    (
        "login.failures = [{ status = 401, means = 'refused' }, \
         { status = 429, means = 'limited', wait = { json = '/a', header = 'x' } }]",
        "from one place",
    ),
    (
        "login.failures = [{ status = 401, means = 'refused' }, \
         { status = 429, means = 'limited', wait = '{k}' }]\nfields.k.about = 'a'",
        "so it is no field",
    ),
    ("login.ok = [{ status = 200, path = '/l' }]", "for verdicts"),
    (
        "login.ok = [{ status = 200, method = 'PUT' }]",
        "for verdicts",
    ),
    (
        "verdicts = [{ status = 403, method = 'put', means = 'rejected' }]",
        "a list of names",
    ),
    (
        "verdicts = [{ status = 403, method = '', means = 'rejected' }]",
        "a list of names",
    ),
    (
        "verdicts = [{ status = 403, method = [], means = 'rejected' }]",
        "a list of names",
    ),
    ("login.ok = [{ json.'/a' = [] }]", "a list of these"),
    ("login.ok = [{ json.'/a' = [[1]] }]", "a list of these"),
    (
        "login.ok = [{ json.'/a' = [{ b = 1 }] }]",
        "a list of these",
    ),
    // The fields of the user.
    ("fields.email.optional = true", "its account and its secret"),
    (
        "fields.password.optional = true",
        "its account and its secret",
    ),
    ("base = '{+k}'\nfields.k.about = 'a'", "without `+`"),
    ("base = '{#k}'\nfields.k.about = 'a'", "without `+`"),
    ("base = 'https://{+k}'\nfields.k.about = 'a'", "without `+`"),
    // A step has a method, a body that fits, and values that are computed in one way.
    ("login.method = 'PUT'", "another method is written"),
    ("login.url = '/l'", "another method is written"),
    (
        "login.method = 'get it'\nlogin.url = '/l'",
        "another method is written",
    ),
    (
        "login = [{ get = '/l', basic = { user = '{email}', password = '{password}' }, \
         content_type = 'text/plain', failures = [{ status = 401, means = 'refused' }], \
         take.t = { json = '/t' } }]",
        "has no body",
    ),
    (
        "login.take.c = { claim = '/a', of = 't' }\nlogin.take.d = { claim = '/b', of = 'c' }",
        "is a claim itself",
    ),
    (
        "login.take.c = { claim = '/a', of = 'nope' }",
        "nothing is called `nope`",
    ),
    (
        "login.compute.email = { time = 's' }",
        "another value has this name",
    ),
    (
        "login.compute.h = { hmac = 'sha256', of = '{email}' }",
        "an HMAC has a `key`",
    ),
    (
        "login.compute.h = { md5 = '{email}', key = '{password}' }",
        "an HMAC has a `key`",
    ),
    (
        "login.compute.h = { md5 = '{email}', sha1 = '{email}' }",
        "in one way",
    ),
    ("login.compute.h = {}", "in one way"),
    // Later steps.
    (
        "refresh.single_use = true\nrefresh.step.post = '/r'",
        "say which value",
    ),
    (
        "refresh.step = { post = '/r', session = false }",
        "without a value `with`",
    ),
    (
        "attach.header.Authorization = 'Token {t}'\nlogout.step.post = '/o'\n\
         logout.step.basic = { user = '{email}', password = 'x' }",
        "session = false",
    ),
    // Where a table or a text is expected, it says so.
    (
        "attach.header.x-token = 5",
        "expected a text, or a table with `value` or `cookie`",
    ),
    (
        "login.ok = [{ header.x-a = 5 }]",
        "expected a text, true, false, or { matches = 'pattern' }",
    ),
    ("login.header = 'x'", "expected a table of headers"),
    ("login.take.t = 5", "expected a table, or a list of tables"),
];

/// What is unusual, and works.
const WORKABLE: &[&str] = &[
    "login.failures = [{ json.'/error' = { kind = 'string' }, means = 'limited' }, \
     { status = 401, means = 'refused' }]",
    "login.failures = [{ present = ['/error'], means = 'limited' }, \
     { status = 401, means = 'refused' }]",
    "login.ok = [{ status = [302], redirect = '/home' }]",
    "login.ok = [{ json.'/a' = [1, 'b', true] }]",
    "attach.header.'{k}' = '{t}'\nfields.k.about = 'a header'",
    "attach.cookie.sid = '{t}'\nattach.header.x-sid = { cookie = 'sid' }",
    "attach.cookies = ['sid']\nrepair.step.get = '/r'\n\
     verdicts = [{ status = 403, means = 'repair' }]",
    "attach.cookies = ['sid']\nverdicts = [{ status = 403, means = 'repair' }]",
    "attach.optional_cookies = ['sid']\nverdicts = [{ status = 403, means = 'repair' }]",
    "attach.all_cookies = true\nverdicts = [{ status = 403, means = 'repair' }]",
    "login.take.c = { json = '/c', life = '5m' }",
    "login.take.t = { text = '(\\w{1,100})=' }",
    "login.text = '{email}:{password}'",
    "login.content_type = 'application/vnd.acme'\nlogin.text = '{email}:{password}'",
    "login = [{ method = 'PROPFIND', url = '/l', json = { e = '{email}', p = '{password}' }, \
     failures = [{ status = 401, means = 'refused' }], take.t = { json = '/t' } }]",
    "logout.step.post = '/o'\nlogout.step.bearer = '{t}'",
];

#[test]
fn a_recipe_that_could_not_work_is_refused_when_it_is_loaded() {
    let keys = |text: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.split_once(" = "));
        lines.map(|(key, _)| key.to_owned()).collect()
    };
    let plain = [
        "recipe = 1",
        "name = 'acme'",
        "base = 'https://api.acme.example'",
        "account = 'email'",
        "login.post = '/l'",
        "login.json = { e = '{email}', p = '{password}' }",
        "login.failures = [{ status = 401, means = 'refused' }]",
        "login.take.t = { json = '/t' }",
        "attach.header.x-token = '{t}'",
    ];
    let with = |text: &str| {
        let mut keys = keys(text);
        if keys
            .iter()
            .any(|key| ["login.text", "login.xml"].contains(&key.as_str()))
        {
            keys.push("login.json".to_owned());
        }
        let has_steps = text.contains("login = [");
        let is_other = |line: &&&str| {
            let is_step = line.starts_with("login.") && has_steps;
            !is_step && !keys.iter().any(|key| line.starts_with(&format!("{key} =")))
        };
        let lines: Vec<&str> = plain
            .iter()
            .filter(is_other)
            .copied()
            .chain(text.lines())
            .collect();
        lines.join("\n").parse::<Recipe>()
    };
    assert!(with("").is_ok());
    // It may be another thing than a refusal, as a wrong Host, and is tried no more often for that.
    let may_be = "{ status = 401, means = 'malformed' }, { status = 403, means = 'refused' }";
    assert!(with(&format!("login.failures = [{may_be}]")).is_ok());
    // What is needed is there where the step is sent.
    let steps = "login = [{ post = '/a', json = { e = '{email}', p = '{password}' }, \
                 failures = [{ status = 401, means = 'refused' }], \
                 take.n = { json = '/n', optional = true } }, \
                 { when = 'n', get = '/b/{n}', take.m = { json = '/m' } }, \
                 { when = 'n', get = '/c/{m}' }, { get = '/d', take.t = { json = '/t' } }]";
    assert!(with(steps).is_ok());
    for text in WORKABLE {
        assert!(with(text).is_ok(), "{text}: {:?}", with(text));
    }
    // As many steps as a login may have requests, and more.
    for (more, is_taken) in [(9, true), (10, false), (11, false)] {
        let step = "{ post = '/l', json = { e = '{email}', p = '{password}' }, \
                    failures = [{ status = 401, means = 'refused' }], take.t = { json = '/t' } }";
        let steps = format!("{}{step}", format!("{step}, ").repeat(more));
        assert_eq!(with(&format!("login = [{steps}]")).is_ok(), is_taken);
    }
    // The answer to a `HEAD` has no body to take a value from.
    for place in ["json = '/t'", "text = 't'", "field = 't'", "xml = 't'"] {
        let head = format!(
            "login = [{{ head = '/l', basic = {{ user = '{{email}}', password = '{{password}}' }}, \
             failures = [{{ status = 401, means = 'refused' }}], take.t = {{ {place} }} }}]"
        );
        let error = with(&head).unwrap_err().to_string();
        assert!(error.contains("a HEAD has no body"), "{place}: {error}");
    }
    let mut wrong = Vec::new();
    for (text, says) in UNWORKABLE {
        match with(text) {
            Ok(_) => wrong.push(format!("{text}: is taken")),
            Err(error) if !error.to_string().contains(says) => {
                wrong.push(format!("{text}: {error}"));
            }
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A change that spoils the recipe, and what its author reads.
struct Mistake {
    old: &'static str,
    new: &'static str,
    line: usize,
    field: &'static str,
    says: &'static str,
}

const MISTAKES: &[Mistake] = &[
    Mistake {
        old: "recipe = 1",
        new: "recipe = 2",
        line: 2,
        field: "recipe",
        says: "this library reads format 1, and not 2",
    },
    Mistake {
        old: "recipe = 1",
        new: "recipe = \"1\"",
        line: 2,
        field: "recipe",
        says: "invalid type: a text, expected u32",
    },
    Mistake {
        old: "recipe = 1\n",
        new: "",
        line: 1,
        field: "",
        says: "missing field `recipe`",
    },
    Mistake {
        old: "name = \"proxmox\"",
        new: "name = \"a b\"",
        line: 3,
        field: "name",
        says: "a name is letters, digits, `-`, `_` and `.`",
    },
    Mistake {
        old: "name = \"proxmox\"",
        new: "nmae = \"a b\"",
        line: 3,
        field: "nmae",
        says: "unknown field",
    },
    Mistake {
        old: "{host}:8006",
        new: "{hots}:8006",
        line: 5,
        field: "base",
        says: "nothing is called `hots`",
    },
    Mistake {
        old: "https://{host}",
        new: "http://{host}",
        line: 5,
        field: "base",
        says: "a URL begins with https://, or is a field alone",
    },
    Mistake {
        old: "https://{host}",
        new: "https://{password}",
        line: 5,
        field: "base",
        says: "the secret `password` would show in every URL",
    },
    Mistake {
        old: "[fields.host]",
        new: "[fields.hosts]",
        line: 5,
        field: "base",
        says: "nothing is called `host`",
    },
    Mistake {
        old: "about =",
        new: "abuot =",
        line: 9,
        field: "fields.host.abuot",
        says: "unknown field",
    },
    Mistake {
        old: "[[login]]",
        new: "[logins]",
        line: 11,
        field: "logins",
        says: "unknown field",
    },
    Mistake {
        old: "post = ",
        new: "psot = ",
        line: 12,
        field: "login[0].psot",
        says: "unknown field",
    },
    Mistake {
        old: "post = ",
        new: "get = ",
        line: 13,
        field: "login[0].form",
        says: "a get has no body",
    },
    Mistake {
        old: "post = \"/api2",
        new: "post = \"api2",
        line: 12,
        field: "login[0].post",
        says: "a path begins with a",
    },
    Mistake {
        old: "post = \"/api2",
        new: "post = \"https://evil.example/api2",
        line: 12,
        field: "login[0].post",
        says: "https",
    },
    Mistake {
        old: "access/ticket\"",
        new: "access/{password}\"",
        line: 12,
        field: "login[0].post",
        says: "the secret `password` would show in",
    },
    Mistake {
        old: "access/ticket\"",
        new: "access/ticket?x=1\"",
        line: 12,
        field: "login[0].post",
        says: "a query has a field of its",
    },
    Mistake {
        old: "status = 401",
        new: "status = 40",
        line: 14,
        field: "login[0].failures[0].status",
        says: "a status is a number such as",
    },
    Mistake {
        old: "status = 401",
        new: "status = [401, \"5x\"]",
        line: 14,
        field: "login[0].failures[0].status",
        says: "a status is a number such as",
    },
    Mistake {
        old: "status = 401, ",
        new: "",
        line: 14,
        field: "login[0].failures[0]",
        says: "a clause without a condition would match every",
    },
    Mistake {
        old: "means = \"refused\"",
        new: "means = \"wrong\"",
        line: 14,
        field: "login[0].failures[0].means",
        says: "unknown variant",
    },
    Mistake {
        old: "failures = [{ status = 401, means = \"refused\" }]",
        new: "",
        line: 11,
        field: "login",
        says: "no failure says what a wrong secret looks",
    },
    Mistake {
        old: "name = \"proxmox\"",
        new: "name = \"proxmox\"\nrefused = \"undocumented\"",
        line: 4,
        field: "refused",
        says: "a failure says what a refusal is; leave this out",
    },
    Mistake {
        old: "\"/data/ticket\"",
        new: "\"data/ticket\"",
        line: 15,
        field: "login[0].take.ticket.json",
        says: "\"data/ticket\" is not a JSON",
    },
    Mistake {
        old: "json = \"/data/ticket\"",
        new: "json = \"/data/ticket\", header = \"x\"",
        line: 15,
        field: "login[0].take.ticket",
        says: "a value is taken from one",
    },
    Mistake {
        old: "take.csrf",
        new: "take.username",
        line: 16,
        field: "login[0].take.username",
        says: "a field has this name already",
    },
    Mistake {
        old: "\"{username}\"",
        new: "\"{user}\"",
        line: 13,
        field: "login[0].form.username",
        says: "nothing is called `user`",
    },
    Mistake {
        old: "\"{username}\"",
        new: "\"{username\"",
        line: 13,
        field: "login[0].form.username",
        says: "\"{username\" has a brace without its",
    },
    Mistake {
        old: "\"2h\"",
        new: "\"2 parsecs\"",
        line: 19,
        field: "life.fixed",
        says: "is no span of time, or none at all; write 30s",
    },
    Mistake {
        old: "\"2h\"",
        new: "7200",
        line: 19,
        field: "life.fixed",
        says: "but a text in quotes is expected; a time has a unit",
    },
    Mistake {
        old: "fixed = \"2h\"",
        new: "fixed = \"2h\"\ndefault = \"2h\"",
        line: 20,
        field: "life.default",
        says: "`fixed` holds whatever a response",
    },
    Mistake {
        old: "header.CSRFPreventionToken",
        new: "header.\"a b\"",
        line: 23,
        field: "attach.header.a b",
        says: "this is not the name of a header",
    },
    Mistake {
        old: "header.CSRFPreventionToken",
        new: "header.Host",
        line: 23,
        field: "attach.header.Host",
        says: "this header can't be set: the URL says it",
    },
    Mistake {
        old: "methods = \"unsafe\"",
        new: "methods = \"POST\"",
        line: 23,
        field: "attach.header.CSRFPreventionToken.methods",
        says: "unknown variant `POST`, expected `unsafe`",
    },
    Mistake {
        old: "value = \"{csrf}\"",
        new: "value = \"{csrf}\", cookie = \"x\"",
        line: 23,
        field: "attach.header.CSRFPreventionToken",
        says: "a part has either a `value` or a `cookie`",
    },
    Mistake {
        old: "value = \"{csrf}\"",
        new: "cookie = \"x\"",
        line: 23,
        field: "attach.header.CSRFPreventionToken",
        says: "the session has no cookie",
    },
    Mistake {
        old: "with = \"ticket\"",
        new: "with = \"tickets\"",
        line: 26,
        field: "refresh.with",
        says: "nothing is called `tickets`",
    },
    Mistake {
        old: "password = \"{ticket}\"",
        new: "password = \"{ticket}\", again = \"{password}\"",
        line: 29,
        field: "refresh.step.form.again",
        says: "`password` is for logins alone, and is not kept",
    },
    Mistake {
        old: "[refresh]",
        new: "[refresh]\nsingle_use = 1",
        line: 26,
        field: "refresh.single_use",
        says: "invalid type: a number, expected a boolean",
    },
    Mistake {
        old: "[refresh]",
        new: "[repair]\nstep.get = \"/x\"\nstep.take.csrf = { json = \"/c\" }\n[refresh]",
        line: 25,
        field: "repair",
        says: "no verdict says when: { .., means = \"repair\" }",
    },
    Mistake {
        old: "[refresh]",
        new: "[repair]\nstep.get = \"/x\"\nstep.take.other = { json = \"/c\" }\n[refresh]",
        line: 27,
        field: "repair.step.take.other",
        says: "nothing carries `other`",
    },
    Mistake {
        old: "[refresh]",
        new: "[capture]\nother = { header = \"x\" }\n[refresh]",
        line: 26,
        field: "capture.other",
        says: "neither the login nor the repair takes `other`",
    },
    Mistake {
        old: "[refresh]",
        new: "[capture]\nticket = { header = \"x\" }\n[refresh]",
        line: 22,
        field: "attach.cookie.PVEAuthCookie",
        says: "`ticket` changes during a",
    },
    Mistake {
        old: "[refresh]",
        new: "[[verdicts]]\ntext = '('\nmeans = \"rejected\"\n[refresh]",
        line: 26,
        field: "verdicts[0].text",
        says: "\"(\" is not a regular",
    },
    Mistake {
        old: "[refresh]",
        new: "[[verdicts]]\nmeans = \"rejected\"\n[refresh]",
        line: 25,
        field: "verdicts[0]",
        says: "a clause without a condition would match every",
    },
    Mistake {
        old: "form = {",
        new: "json = {}\nform = {",
        line: 14,
        field: "login[0].form",
        says: "the step has a body already: json",
    },
    Mistake {
        old: "form = {",
        new: "header = { Content-Length = \"1\" }\nform = {",
        line: 13,
        field: "login[0].header.content-length",
        says: "this header can't be set: the client writes it",
    },
    Mistake {
        old: "form = {",
        new: "compute.a = { md5 = \"{b}\" }\ncompute.b = { md5 = \"{a}\" }\nform = {",
        line: 13,
        field: "login[0].compute",
        says: "these values are computed from each other",
    },
    Mistake {
        old: "form = {",
        new: "compute.a = { md5 = \"{zz}\" }\nform = {",
        line: 13,
        field: "login[0].compute.a.md5",
        says: "nothing is called `zz`",
    },
    Mistake {
        old: "form = {",
        new: "when = \"username\"\nform = {",
        line: 13,
        field: "login[0].when",
        says: "`username` is neither an optional field nor an",
    },
    Mistake {
        old: "form = {",
        new: "session = true\nform = {",
        line: 13,
        field: "login[0].session",
        says: "a login carries nothing of an earlier session",
    },
    Mistake {
        old: "account = \"username\"",
        new: "account = \"password\"",
        line: 6,
        field: "account",
        says: "the account and the secret are two fields",
    },
    Mistake {
        old: "base = \"https://{host}:8006\"",
        new: "base = \"http://a.example\"",
        line: 5,
        field: "base",
        says: "the base URL can't be",
    },
    Mistake {
        old: "base = \"https://{host}:8006\"",
        new: "base = \"ftp://a.example\"",
        line: 5,
        field: "base",
        says: "the base URL can't be",
    },
    Mistake {
        old: "form = {",
        new: "header = { Authorization = \"ntlm {password}\" }\nform = {",
        line: 13,
        field: "login[0].header.authorization",
        says: "NTLM answers each request",
    },
    Mistake {
        old: "header.CSRFPreventionToken = {",
        new: "header.Authorization = \"AWS4-HMAC-SHA256 {csrf}\"\nheader.x = {",
        line: 23,
        field: "attach.header.Authorization",
        says: "AWS4-HMAC-SHA256 answers each request",
    },
    Mistake {
        old: "post = \"/api2",
        new: "post = \"wss://{host}/api2",
        line: 12,
        field: "login[0].post",
        says: "a login over a WebSocket",
    },
];

#[test]
fn a_mistake_is_told_with_its_line_its_field_and_a_remedy() {
    let mut wrong = Vec::new();
    for mistake in MISTAKES {
        let error = error_after(mistake.old, mistake.new);
        let told = (error.line(), error.field());
        let at = match mistake.field {
            "" => format!("line {}: ", mistake.line),
            field => format!("line {}, `{field}`: ", mistake.line),
        };
        let is_right = told == (Some(mistake.line), mistake.field);
        let text = error.to_string();
        if !is_right || !text.contains(&at) || !text.contains(mistake.says) {
            wrong.push(format!("{}: {error}", mistake.new));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn plain_http_is_by_explicit_choice() {
    let recipe = PROXMOX.replace("https://{host}:8006", "{url}");
    let recipe = recipe.replace("[fields.host]", "[fields.url]");
    let recipe = recipe.replace("account =", "scope = [\"{url}\"]\naccount =");
    let recipe: Recipe = recipe.parse().unwrap();
    let values = Values::new().with("url", "http://pve1.lan:8006");
    let values = values.with("username", "ada@pam").with("password", "pw");
    assert!(recipe.login(&values).is_err());
    let login = recipe.login(&values.allow_plain_http()).unwrap();
    let sent = request(&login);
    assert!(sent.uri().to_string().starts_with("http://pve1.lan:8006/"));
    assert!(login.account().scope().contains_uri(sent.uri()));
}

#[test]
fn a_key_of_the_recipe_itself_that_stands_below_a_table_is_told_where_it_belongs() {
    for (key, is_told) in [("verdicts = []", true), ("fixd = \"2h\"", false)] {
        let error = error_after("fixed = \"2h\"", key).to_string();
        let told = error.contains("stands above the first [table]");
        assert_eq!(told, is_told, "{error}");
    }
}

#[test]
fn a_recipe_prints_what_it_says() {
    let recipe = PROXMOX.replace(
        "take.ticket = { json = \"/data/ticket\" }",
        "take.ticket = { text = 'ticket=(.*)' }",
    );
    let printed = format!("{:?}", recipe.parse::<Recipe>().unwrap());
    for said in ["https://{host}:8006", "\"2h\"", "ticket=(.*)"] {
        assert!(printed.contains(said), "{said}: {printed}");
    }
}

#[test]
fn a_mistake_in_json_is_told_with_its_line() {
    let error = Recipe::from_json("{\n\"recipe\": 1,\n\"nmae\": \"acme\"}").unwrap_err();
    assert_eq!(error.line(), Some(3), "{error}");
}

mod refreshed_cookies {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    use async_trait::async_trait;
    use auth_core::clock::ManualClock;
    use auth_core::{Attempt, Credential, Credentials, LoginError, ResponseView, Target};
    use auth_providers::Transport;
    use http::header::{COOKIE, SET_COOKIE};
    use http::{HeaderMap, StatusCode};

    use super::*;

    const RECIPE: &str = r#"
recipe = 1
name = "acme"
documents = ["none"]
refused = "undocumented"
base = "https://api.acme.example"
account = "username"

[[login]]
post = "/auth/login"
form = { username = "{username}", password = "{password}" }
take.token = { json = "/token" }
take.refresh = { json = "/refresh" }

[life]
fixed = "5m"

[attach]
cookies = ["sid*"]
optional_cookies = ["csrf"]
cookie.ticket = "{token}"

[refresh]
with = "refresh"
step.post = "/auth/refresh"
step.form = { token = "{refresh}" }
step.take.token = { json = "/token" }
"#;

    const API: Target<'_> = Target::new("https", "api.acme.example", "/api/x");

    fn headers(lines: &[&str]) -> HeaderMap {
        let lines = lines.iter();
        lines
            .map(|line| (SET_COOKIE, line.parse().unwrap()))
            .collect()
    }

    /// A server whose answers bring the tokens `t-1`, `t-2` and so on.
    struct Server {
        login: &'static [&'static str],
        refresh: &'static [&'static str],
        tokens: AtomicU64,
        logins: Arc<AtomicU64>,
    }

    #[async_trait]
    impl Transport for Server {
        async fn carry(&self, request: Request<Bytes>) -> Result<Response<Bytes>, LoginError> {
            let lines = if request.uri().path() == "/auth/login" {
                self.logins.fetch_add(1, SeqCst);
                self.login
            } else {
                assert!(!request.headers().contains_key(COOKIE));
                self.refresh
            };
            let token = self.tokens.fetch_add(1, SeqCst) + 1;
            let body = format!(r#"{{"token": "t-{token}", "refresh": "r"}}"#);
            let mut answer = Response::new(Bytes::from(body));
            *answer.headers_mut() = headers(lines);
            Ok(answer)
        }
    }

    struct Handle {
        credentials: Credentials,
        clock: ManualClock,
        logins: Arc<AtomicU64>,
    }

    impl Handle {
        fn new(
            recipe: &str,
            login: &'static [&'static str],
            refresh: &'static [&'static str],
        ) -> Self {
            let recipe: Recipe = recipe.parse().unwrap();
            let values = Values::new().with("username", "ada");
            let (clock, logins) = (ManualClock::new(), Arc::<AtomicU64>::default());
            let server = Server {
                login,
                refresh,
                tokens: AtomicU64::new(0),
                logins: Arc::clone(&logins),
            };
            let acme = recipe.login(&values.with("password", "horse")).unwrap();
            let credentials = Credentials::builder(acme.via(server)).clock(clock.clock());
            Self {
                credentials: credentials.build(),
                clock,
                logins,
            }
        }

        async fn refreshed(&self) -> Arc<Credential> {
            self.credentials.get().await.unwrap();
            self.clock.advance(Duration::from_secs(300));
            self.credentials.get().await.unwrap()
        }

        /// Whether the session goes on after a response that sets these cookies.
        fn goes_on_after(&self, lines: &[&str]) -> bool {
            let credential = Attempt::current(&self.credentials).unwrap();
            let attempt = Attempt::new(&self.credentials, &credential).sent_to(|| API);
            attempt.conclude(&ResponseView::new(StatusCode::OK, &headers(lines)));
            Attempt::current(&self.credentials).is_some()
        }

        fn logins(&self) -> u64 {
            self.logins.load(SeqCst)
        }
    }

    #[tokio::test]
    async fn rule_15_a_value_is_taken_from_a_cookie_of_the_host_that_was_asked() {
        let of_cookie = "step.take.token = [{ cookie = \"t\" }, { json = \"/token\" }]";
        let recipe = RECIPE.replace("step.take.token = { json = \"/token\" }", of_cookie);
        let first = &["sid=s; Path=/"];
        for (line, ticket) in [
            ("t=c; Path=/", "c"),
            ("t=c; Path=/; Domain=acme.example", "c"),
            ("t=c; Path=/; Domain=other.example", "t-2"),
            ("t=c; Path=/; Domain=example", "t-2"),
        ] {
            let line: &'static [&'static str] = Box::leak(Box::new([line]));
            let refreshed = Handle::new(&recipe, first, line).refreshed().await;
            let expected = format!("sid=s; ticket={ticket}");
            assert_eq!(sent(&refreshed, API), expected, "{line:?}");
        }
    }

    fn sent(credential: &Credential, target: Target<'_>) -> String {
        let mut headers = HeaderMap::new();
        credential.attach_headers(target, &mut headers);
        let header = headers.get(COOKIE);
        header.map_or(String::new(), |value| value.to_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn rule_15_a_recipe_continues_the_cookies_of_the_session_that_it_refreshes() {
        let recipe = RECIPE.replace(
            "cookies = [\"sid*\"]",
            "all_cookies = true\ncookies = [\"sid*\"]",
        );
        let handle = Handle::new(
            &recipe,
            &[
                "sid1=a; Path=/api; Secure; Max-Age=3600",
                "sid2=b; Path=/; Domain=acme.example",
                "csrf=c; Path=/; Max-Age=240",
                "lb=m-1; Path=/",
                "pin=p; Path=/; Domain=acme.example",
            ],
            &[
                "lb=m-2; Path=/",
                "sid2=; Path=/; Domain=acme.example; Max-Age=0",
                "new=n; Path=/",
                // A cookie of its own, beside that of the name.
                "sid1=z; Path=/other; Secure",
            ],
        );
        let refreshed = handle.refreshed().await;
        assert_eq!(handle.logins(), 1);
        for (scheme, host, path, expected) in [
            (
                "https",
                "api.acme.example",
                "/api/x",
                "sid1=a; lb=m-2; pin=p; ticket=t-2; new=n",
            ),
            (
                "http",
                "api.acme.example",
                "/api/x",
                "lb=m-2; pin=p; ticket=t-2; new=n",
            ),
            (
                "https",
                "api.acme.example",
                "/",
                "lb=m-2; pin=p; ticket=t-2; new=n",
            ),
            (
                "https",
                "api.acme.example",
                "/other",
                "sid1=z; lb=m-2; pin=p; ticket=t-2; new=n",
            ),
            ("https", "b.acme.example", "/", "pin=p; ticket=t-2"),
        ] {
            let target = Target::new(scheme, host, path);
            assert_eq!(sent(&refreshed, target), expected, "{target:?}");
        }
    }

    #[tokio::test]
    async fn rule_15_what_a_recipes_session_needs_it_needs_after_a_refresh_and_no_more() {
        let first = &["sid=s; Path=/", "csrf=c; Path=/"];
        let recipe = RECIPE.replace("cookie.ticket", "header.x-token");
        // A cookie whose name is listed, and which is new, is one of the session's.
        let handle = Handle::new(&recipe, first, &["sid2=n; Path=/", "other=o"]);
        let refreshed = handle.refreshed().await;
        assert_eq!(sent(&refreshed, API), "sid=s; csrf=c; sid2=n");
        assert!(handle.goes_on_after(&["csrf=; Path=/; Max-Age=0"]));
        assert!(handle.goes_on_after(&["sid2=; Path=/; Max-Age=0"]));
        assert!(!handle.goes_on_after(&["sid=; Path=/; Max-Age=0"]));
        assert_eq!(handle.logins(), 1);

        // As after a login, a cookie for another host is none (RFC 6265, section 5.3).
        let foreign = &["sid2=n; Path=/; Domain=other.example", "sid3=n; Path=/"];
        let refreshed = Handle::new(&recipe, first, foreign).refreshed().await;
        let other = Target::new("https", "other.example", "/");
        assert_eq!(sent(&refreshed, other), "sid=s; csrf=c; sid3=n");

        // Without any of those that it needs it is no session.
        let handle = Handle::new(&recipe, first, &["sid=; Path=/; Max-Age=0"]);
        let next = handle.refreshed().await;
        assert_eq!(sent(&next, API), "sid=s; csrf=c");
        assert_eq!(handle.logins(), 2, "the password is used");
    }
}

#[test]
fn a_refresh_spends_the_cookie_of_the_session_that_it_carries() {
    let text = r#"
        recipe = 1
        name = "grafana"
        base = "https://grafana.example"
        account = "user"

        [[login]]
        post = "/login"
        json = { user = "{user}", password = "{password}" }
        failures = [{ status = 401, means = "refused" }]
        take.token = { cookie = "grafana_session" }

        [attach]
        cookies = ["grafana_session"]

        [refresh]
        with = "token"
        step.post = "/api/user/auth-tokens/rotate"
        step.session = true
    "#;
    let recipe: Recipe = text.parse().unwrap();
    let values = Values::new().with("user", "ada").with("password", "pw");
    let login = recipe.login(&values).unwrap();
    assert_eq!(login.refresh_by(), Some(Refresh::with_kept("token")));
    let session = Session::new()
        .with_cookie("grafana_session", "s-1")
        .unwrap();
    let current = testing::credential(session);
    let request = login.refresh_request(&current).unwrap();
    assert_eq!(request.headers()["cookie"], "grafana_session=s-1");

    let error = |text: &str| text.parse::<Recipe>().unwrap_err().to_string();
    let unsent = "the step does not send {token}";
    assert!(error(&text.replace("step.session = true", "")).contains(unsent));
    let elsewhere = text.replace("cookie = \"grafana_session\"", "json = \"/token\"");
    assert!(error(&elsewhere).contains(unsent));
}
