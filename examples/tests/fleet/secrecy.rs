//! What is stored and what is printed, searched for every secret and for the account.

use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::time::Duration;

use super::child::Setup;
use super::place::Place;
use super::process::{ACCOUNT, ask_all};
use super::site::{PASSWORD, Site};

on_both! {
    no_secret_and_no_account_is_stored_or_printed
}

/// The forms in which a text may stand somewhere.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let bytes = text.as_bytes();
    let mut forms = vec![
        text.to_owned(),
        utf8_percent_encode(text, NON_ALPHANUMERIC).to_string(),
        text.replace('+', "%2B")
            .replace('/', "%2F")
            .replace('?', "%3F"),
        serde_json::Value::from(text).to_string(),
        text.replace('/', "\\/"),
        HEXLOWER.encode(bytes),
        HEXUPPER.encode(bytes),
    ];
    // In base64 a text has three forms, by what is before it. Its ends depend on what is beside it.
    for before in 0..3 {
        let padded = [&b"xx"[..before], bytes].concat();
        for encoding in [BASE64, BASE64URL] {
            let encoded = encoding.encode(&padded);
            forms.push(encoded[4.min(before * 4)..encoded.len() - 4].to_owned());
        }
    }
    forms.into_iter().map(String::into_bytes).collect()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[test]
fn the_search_finds_each_form() {
    let secret = "canary+/?of secrets";
    for before in ["", "a", "ab", "abc"] {
        let stored = format!("{before}{secret} and more");
        for text in [
            stored.clone(),
            BASE64.encode(stored.as_bytes()),
            HEXLOWER.encode(stored.as_bytes()),
            utf8_percent_encode(&stored, NON_ALPHANUMERIC).to_string(),
        ] {
            let found = forms(secret)
                .iter()
                .any(|form| contains(text.as_bytes(), form));
            assert!(found, "{text}");
        }
    }
}

async fn no_secret_and_no_account_is_stored_or_printed(place: &Place) {
    let site = Site::start().await;
    let mut setup = Setup::new(&site, place);
    setup.logs = true;
    let mut processes = setup.start(2);
    // A login, a refresh after a rejection, and a wrong password.
    ask_all(&mut processes, "tasks 20");
    site.says_life(Duration::from_millis(200));
    site.end_access();
    ask_all(&mut processes, "until 4");
    setup.password = String::from("wrong+canary/password?");
    setup.account = String::from("grace.canary@example.com");
    let refused = setup.start_one();
    let mut all = vec![refused];
    assert_eq!(all[0].ask("get 30000")["refused"], true);
    all.extend(processes);

    let stored = place.dump().await;
    let printed: Vec<String> = all.into_iter().map(super::process::Process::end).collect();
    let printed = printed.concat();
    assert!(printed.contains("login"), "the log is there: {printed}");
    assert!(site.refreshes() > 0 && site.refused() == 1);
    assert!(stored.len() > 500, "the store is there");

    let mut planted = site.secrets();
    assert!(planted.len() >= 6, "{planted:?}");
    planted.extend([PASSWORD, &setup.password, ACCOUNT, &setup.account].map(str::to_owned));
    for secret in planted {
        for form in forms(&secret) {
            let text = String::from_utf8_lossy(&form);
            assert!(!contains(&stored, &form), "{secret} is stored as {text}");
            let line = printed
                .lines()
                .find(|line| contains(line.as_bytes(), &form));
            assert_eq!(line, None, "{secret} is printed as {text}");
        }
    }
}
