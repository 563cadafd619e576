//! The secrets that a credential puts on requests, and the texts that hold them.

use std::cmp::Ordering;
use std::net::Ipv6Addr;

use auth_core::Credential;
use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE};
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

/// How often a text is decoded, or a value. A text that still changes then is taken to hold a
/// secret.
const ROUNDS: usize = 8;

/// A value of so many characters is hardly met by chance, and is found within others. A shorter
/// one, such as that of `v=2`, is in most URLs, and is found only where it stands alone.
const LONG: usize = 8;

/// The shortest word that counts of a value that is not of the query.
const LONG_WORD: usize = 16;

/// A longer value is looked for as a whole, so that a server can't make the look take long.
const LONGEST_PARTED: usize = 8_192;

/// A longer text is taken to hold a secret, for the same reason.
const LONGEST_TEXT: usize = 16_384;

/// The name of a host has at most 253 characters (RFC 1035, section 2.3.4, without the lengths).
const LONGEST_HOST: usize = 254;

/// Words that stand alone in every URL.
const SCHEMES: [&str; 2] = ["http", "https"];

/// Values that a credential puts on a request, and those that it had lately. A form's encoding
/// writes a space as a plus sign, and a URL has its host in lower case. So each has spaces for its
/// plus signs, and is in lower case, as the texts that are searched. A value that is
/// percent-encoded itself, as those of cookies often are, is there in its plain forms as well.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    /// Sorted, and each one once.
    all: Vec<Secret>,
    /// What there is can't be told, so every text is taken to hold it.
    unknown: bool,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Secret {
    text: Text,
    /// It may be a host, which is no secret where a URL has it as its host.
    is_host: bool,
}

/// A text that is zeroed when it is dropped.
#[derive(Clone, PartialEq, Eq)]
struct Text(Zeroizing<String>);

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.as_str().cmp(other.0.as_str())
    }
}

impl Secrets {
    /// Those of the query, which URLs show.
    pub(crate) fn of_query(credential: &Credential) -> Self {
        Self::of(credential.query_secrets())
    }

    /// All that must not leave the scope.
    pub(crate) fn of_request(credential: &Credential) -> Self {
        let mut secrets = Self::of_query(credential);
        secrets.add(Self::of_carried(credential.carried_values()));
        secrets
    }

    /// What an integration above has put on a request: it marks it sensitive.
    pub(crate) fn of_headers(headers: &HeaderMap) -> Self {
        let sensitive = |name| {
            let all = headers.get_all(name).into_iter();
            all.filter(|value| value.is_sensitive())
        };
        let texts = sensitive(COOKIE).flat_map(|cookies| cookies.as_bytes().utf8_chunks());
        let pairs = texts.flat_map(|text| text.valid().split(';'));
        let cookies = pairs.map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
        let behind = sensitive(AUTHORIZATION).flat_map(Credential::behind_scheme);
        Self::of_carried(behind.chain(cookies))
    }

    /// What can't be told.
    pub(crate) const fn unknown() -> Self {
        Self {
            all: Vec::new(),
            unknown: true,
        }
    }

    fn of<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        let says = |form: &Zeroizing<String>| {
            !form.chars().all(is_in_every_url) && !SCHEMES.contains(&form.as_str())
        };
        let forms = |value| rounds(value).take(ROUNDS).filter(says);
        Self::sorted(values.flat_map(forms).map(|form| (form, false)))
    }

    fn of_carried<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        let mut found = Self::default();
        for value in values {
            let plain = plain(value);
            // As it is as well, since what is around it may decode otherwise.
            let names_one = behind_origin(&plain).is_some() || is_host(&plain);
            let whole = Some(value).filter(|_| !names_one);
            // JSON in a text has each quote behind a backslash.
            let unescaped = Zeroizing::new(plain.replace('\\', ""));
            let words = words(&plain).into_iter().chain(words(&unescaped));
            let words = words.map(|word| (word, is_host(word)));
            let all = words.chain(whole.map(|whole| (whole, false)));
            let long = all.filter(|(word, _)| word.len() >= LONG_WORD);
            let forms = long.map(|(word, is_host)| (folded(word), is_host));
            found.add(Self::sorted(forms));
        }
        found
    }

    fn sorted(all: impl Iterator<Item = (Zeroizing<String>, bool)>) -> Self {
        let mut all: Vec<_> = all
            .map(|(text, is_host)| Secret {
                text: Text(text),
                is_host,
            })
            .collect();
        all.sort();
        all.dedup();
        Self {
            all,
            unknown: false,
        }
    }

    #[cfg(any(feature = "reqwest", test))]
    pub(crate) const fn is_empty(&self) -> bool {
        self.all.is_empty() && !self.unknown
    }

    /// Adds the secrets of another credential, which a later attempt has sent.
    pub(crate) fn add(&mut self, others: Self) {
        self.unknown |= others.unknown;
        if !others.all.is_empty() {
            self.all.extend(others.all);
            self.all.sort();
            self.all.dedup();
        }
    }

    /// Whether the text holds one of the values, plain or percent-encoded, however often.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        if self.all.is_empty() {
            return self.unknown;
        }
        if text.len() > LONGEST_TEXT {
            return true;
        }
        let mut rounds = rounds(text);
        let mut plain = None;
        for form in rounds.by_ref().take(ROUNDS) {
            let mut others = self.all.iter().filter(|secret| !secret.is_host);
            if others.any(|secret| holds(&form, &secret.text.0)) {
                return true;
            }
            plain = Some(form);
        }
        // Only there it is seen where URLs within the text have their hosts.
        let shows = |text: &str| {
            let mut hosts = self.all.iter().filter(|secret| secret.is_host);
            hosts.any(|host| is_beside_a_host(text, &host.text.0))
        };
        self.unknown || rounds.next().is_some() || plain.is_some_and(|text| shows(&text))
    }

    /// Whether the text holds one of the values, perhaps as `Debug` writes it.
    #[cfg(any(feature = "reqwest", test))]
    pub(crate) fn is_printed_in(&self, text: &str) -> bool {
        let folded = folded(text);
        let is_there = |secret: &Secret| {
            let printed = Zeroizing::new(secret.text.0.escape_debug().to_string());
            *printed != *secret.text.0 && folded.contains(printed.as_str())
        };
        self.is_in(text) || self.all.iter().any(is_there)
    }
}

/// What parts a value into words.
const fn parts_words(letter: char) -> bool {
    matches!(
        letter,
        ' ' | '\t' | ',' | ';' | '=' | '"' | '\'' | '{' | '}' | '(' | ')' | '<' | '>' | '\\'
    )
}

/// What parts some words, and is within the token in others.
const fn parts_a_word(letter: char) -> bool {
    matches!(letter, ':' | '&' | '|' | '/' | '?' | '#' | '@')
}

/// The words of a value, and it whole. The names in it are not among them: they are in URLs without
/// a secret.
fn words(value: &str) -> Vec<&str> {
    if value.len() > LONGEST_PARTED {
        return vec![value];
    }
    let mut words = Vec::new();
    if behind_origin(value).is_none() {
        words.push(value);
    }
    let mut rest = value;
    loop {
        let end = rest.find(parts_words).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        let word = without_brackets(word);
        let is_name = behind.starts_with("\":")
            || behind.strip_prefix('=').is_some_and(|value| {
                // Otherwise it pads a token.
                let pads = |letter| parts_words(letter) || "&|:.".contains(letter);
                value.starts_with('"') || !value.is_empty() && !value.starts_with(pads)
            });
        let parts = if is_name {
            // `value&name=`
            word.rsplit_once(parts_a_word).map(|(before, _)| before)
        } else {
            Some(word)
        };
        if let Some(parts) = parts {
            let parts = behind_origin(parts).unwrap_or_else(|| {
                words.push(parts);
                parts
            });
            words.extend(parts.split(parts_a_word));
        }
        let mut letters = behind.chars();
        if letters.next().is_none() {
            return words;
        }
        rest = letters.as_str();
    }
}

/// A word of a list, which an address is not.
fn without_brackets(word: &str) -> &str {
    if word.contains("//") {
        word
    } else {
        word.trim_matches(['[', ']'])
    }
}

/// What is behind the origin of a word that is a URL.
fn behind_origin(word: &str) -> Option<&str> {
    let schemes = ["https://", "http://", "wss://", "ws://", "//"];
    let rest = (schemes.iter()).find_map(|scheme| word.strip_prefix(scheme))?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at(end);
    let is_port = |port: &str| port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if is_port(port) => host,
        _ => authority,
    };
    let is_name = |letter: char| letter.is_ascii_alphabetic() || letter == '-';
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let is_origin = match address {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => is_host(host) || !host.is_empty() && host.chars().all(is_name),
    };
    let is_one = !behind.contains(|letter| parts_words(letter) || letter == '|');
    (is_origin && is_one).then_some(behind)
}

/// Whether a word may be a host with a domain, or the address of one: what is glued to a host, as
/// `.` and a signature are, makes it none.
fn is_host(word: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .chars()
                .all(|c| c.is_alphanumeric() || "-_".contains(c))
    };
    let Some((before, last)) = word.rsplit_once('.') else {
        return false;
    };
    let is_top = last.starts_with("xn--")
        || (2..=18).contains(&last.len()) && last.chars().all(char::is_alphabetic);
    let is_number =
        |label: &str| label.len() <= 3 && label.bytes().all(|byte| byte.is_ascii_digit());
    let is_address = word.split('.').count() == 4 && word.split('.').all(is_number);
    before.split('.').all(is_label) && is_label(last) && (is_top || is_address)
}

/// Whether a text holds a host other than as the host of a URL, or the end of one.
fn is_beside_a_host(text: &str, host: &str) -> bool {
    let is_of_host = |letter: char| letter.is_alphanumeric() || ".-_".contains(letter);
    text.match_indices(host).any(|(at, _)| {
        let (before, rest) = text.split_at(at);
        let is_whole = before.ends_with(['/', '.']);
        let mut letters = before.char_indices().rev().take(LONGEST_HOST);
        let begins = letters.find(|(_, letter)| !is_of_host(*letter));
        let slashes = |(at, slash): (usize, char)| before[..at + slash.len_utf8()].ends_with("//");
        let begins = begins.is_some_and(slashes);
        let ends = !rest[host.len()..].starts_with(is_of_host);
        !(is_whole && begins && ends)
    })
}

const fn is_in_every_url(character: char) -> bool {
    matches!(character, ' ' | '.' | '/' | ':' | '?' | '&' | '=')
}

/// A text, and what it becomes each time that it is decoded, until that changes nothing.
fn rounds(text: &str) -> impl Iterator<Item = Zeroizing<String>> {
    std::iter::successors(Some(folded(text)), |text| {
        // Most have none.
        let plain = text
            .contains('%')
            .then(|| folded(&String::from_utf8_lossy(&decoded(text))))?;
        (plain != *text).then_some(plain)
    })
}

/// A value as it is decoded until that changes nothing, in lower case. Its plus signs stay: they
/// are in tokens, where a space parts words.
fn plain(value: &str) -> Zeroizing<String> {
    let lower = |text: &str| Zeroizing::new(text.to_ascii_lowercase());
    let mut plain = lower(value);
    for _ in 1..ROUNDS {
        let next = lower(&String::from_utf8_lossy(&decoded(&plain)));
        if next == plain {
            break;
        }
        plain = next;
    }
    plain
}

/// Whether a text, decoded as it is, holds the secret.
fn holds(text: &str, secret: &str) -> bool {
    if secret.chars().count() >= LONG {
        return text.contains(secret);
    }
    text.char_indices().any(|(at, _)| {
        let (before, rest) = text.split_at(at);
        let stands_alone = |after: &str| {
            let beside = [before.chars().next_back(), after.chars().next()];
            !beside.into_iter().flatten().any(joins)
        };
        rest.strip_prefix(secret).is_some_and(stands_alone)
    })
}

/// Whether a character is part of the word beside it: it is unreserved in a URL (RFC 3986, section
/// 2.3) or encodes another.
fn joins(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '-' | '.' | '_' | '~' | '%')
}

// Neither buffer grows, which would leave a copy that is not zeroed.

fn folded(text: &str) -> Zeroizing<String> {
    let mut folded = Zeroizing::new(String::with_capacity(text.len()));
    folded.extend(text.chars().map(|letter| match letter {
        '+' => ' ',
        letter => letter.to_ascii_lowercase(),
    }));
    folded
}

fn decoded(text: &str) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    bytes.extend(percent_decode_str(text));
    bytes
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use auth_core::{Session, testing};
    use http::HeaderValue;

    use super::*;

    fn secrets(value: &'static str) -> Secrets {
        let session = Session::new().with_query("csrf", value).unwrap();
        Secrets::of_query(&testing::credential(session))
    }

    #[test]
    fn rule_16_what_is_in_every_url_is_no_secret() {
        for value in ["/", "%2F", ":", "//", "%20"] {
            let secrets = secrets(value);
            assert!(!secrets.is_in("https://api.example.com/ :x"), "{value}");
        }
    }

    #[test]
    fn rule_16_a_long_value_of_a_header_is_found_as_one_of_the_query() {
        let session = Session::new().with_bearer("0123/456+789abcdef==").unwrap();
        let credential = testing::credential(session);
        let all = Secrets::of_request(&credential);
        for text in ["/?t=0123%2F456%2b789ABCDEF%3D%3D", "/0123/456+789abcdef/"] {
            assert!(all.is_in(text), "{text}");
        }
        assert!(!all.is_in("/?t=0123/456+789abcde"));
        assert!(Secrets::of_query(&credential).is_empty());
    }

    fn of_request(session: Session) -> Secrets {
        Secrets::of_request(&testing::credential(session))
    }

    #[test]
    fn rule_16_a_token_is_found_whole_where_its_parts_are_short() {
        let halves = "0123456789abcde:fedcba987654321";
        let header = format!("token {halves}").parse().unwrap();
        let of_header = Session::new().with_header(http::header::AUTHORIZATION, header);
        let cookie = format!("{{\"token\":\"{halves}\"}}");
        let of_cookie = Session::new().with_cookie("sid", &cookie).unwrap();
        let encoded = "0123456789abcde%3Afedcba987654321";
        for secrets in [of_request(of_header), of_request(of_cookie)] {
            for text in [halves, encoded] {
                assert!(secrets.is_in(&format!("/?t={text}")), "{text}");
            }
            assert!(!secrets.is_in("/?t=0123456789abcde"));
        }
        let long = "0123456789abcdef";
        for value in [format!("sso-key k:{long}"), format!("token k={long}&v")] {
            let header = value.parse().unwrap();
            let session = Session::new().with_header(http::header::AUTHORIZATION, header);
            assert!(of_request(session).is_in(long), "{value}");
        }
    }

    const LONG_ONE: &str = "0123456789abcdef";

    fn cookie(value: &str) -> Session {
        Session::new().with_cookie("sid", value).unwrap()
    }

    fn authorization(value: &str) -> Session {
        Session::new().with_header(http::header::AUTHORIZATION, value.parse().unwrap())
    }

    #[test]
    fn rule_16_a_url_or_a_host_in_a_session_is_no_secret() {
        for session in [
            authorization("Signature keyId=\"https://files.example.com/k\""),
            authorization("Signature https://files.example.com:8443/reports/of/2024"),
            cookie("https://files.example.com"),
            cookie("https://files.example.com/reports"),
            cookie("https%3A%2F%2Ffiles.example.com%3A8443%2F"),
            cookie("files=https%3A%2F%2Ffiles.example.com%3A8443"),
            cookie("s1|https://files.example.com:8443/|https://files.example.com"),
            cookie("s1&https%3A%2F%2Ffiles.example.com"),
            cookie("url:https%3A%2F%2Ffiles.example.com"),
            cookie("url%3Ahttps%253A%252F%252Ffiles.example.com"),
            cookie("{\"host\":\"files.example.com\"}"),
            cookie(
                "%7B%22id%22%3A%22s1%22%2C%22files%22%3A%22https%3A%2F%2Ffiles.example.com%22%7D",
            ),
            cookie("//files.example.com"),
            cookie("@me:files.example.com"),
            cookie("me@files.example.com:8443"),
            cookie("https://https://files.example.com"),
            cookie("https://files.example.com@s1"),
            cookie("files.example.com"),
        ] {
            let secrets = of_request(session);
            for text in [
                "https://files.example.com/reports/of/2024/a.pdf",
                "https://eu.files.example.com/",
                "https://files.example.com:8443/k?back=https%3A%2F%2Ffiles.example.com%3A8443",
            ] {
                let found = secrets.all.iter().map(|secret| secret.text.0.as_str());
                let found: Vec<_> = found.collect();
                assert!(!secrets.is_in(text), "{found:?} {text}");
            }
        }
        for host in [
            "https://files_eu.example.com",
            "http://my-intranet-files",
            "https://192.168.100.200:8443",
            "wss://[2001:db8:1234::7]:9000",
            "https://xn--bcher-kva.example.xn--p1ai",
        ] {
            assert!(
                !of_request(cookie(host)).is_in(&format!("{host}/x")),
                "{host}"
            );
        }
    }

    #[test]
    fn rule_16_what_is_glued_to_an_origin_makes_it_none() {
        for glued in [
            "|{}", ":{}", "_{}", ".{}", "-{}", "@{}", "/a|{}", "/a:{}", "{}",
        ] {
            for scheme in [
                "https://files.example.com",
                "https://me",
                "wss://files.example.com:443",
            ] {
                let value = format!("{scheme}{}", glued.replace("{}", LONG_ONE));
                for session in [cookie(&value), authorization(&format!("Signature {value}"))] {
                    let secrets = of_request(session);
                    let url = format!("https://elsewhere.example/?t={value}");
                    assert!(secrets.is_in(&url), "{value}");
                    assert!(
                        !secrets.is_in("https://files.example.com/reports"),
                        "{value}"
                    );
                    let alone = format!("https://elsewhere.example/?t={LONG_ONE}");
                    let is_parted = glued.len() > 2 && !"_.-".contains(&glued[..1]);
                    assert!(secrets.is_in(&alone) || !is_parted, "{value}");
                }
            }
        }
        for value in [
            "https://[0123456789abcdef]",
            "{}.https://files.example.com",
            "files.example.com|{}",
            "https://files.example.com:0123456789012345",
            "https://1.2.3.0123456789012345",
            "https://[::1]:{}",
        ] {
            let value = value.replace("{}", LONG_ONE);
            let url = format!("https://elsewhere.example/?t={value}");
            assert!(of_request(cookie(&value)).is_in(&url), "{value}");
        }
        for value in [
            "https://files.example.com/a/{}/b",
            "https://files.example.com?a={}",
            "https%3A%2F%2Ffiles.example.com%23{}",
            "https://me:{}@files.example.com",
            "{}:https://files.example.com/",
            "x://{}",
            "https://[::1]:{}",
        ] {
            let value = value.replace("{}", LONG_ONE);
            let url = format!("https://elsewhere.example/?t={LONG_ONE}");
            assert!(of_request(cookie(&value)).is_in(&url), "{value}");
        }
        // A host is one where a URL has it as its host.
        let host = of_request(cookie("{\"host\":\"files.example.com\"}"));
        for text in [
            "https://elsewhere.example/?host=files.example.com",
            "https://elsewhere.example/files.example.com",
            "https://files.example.com.elsewhere.example/",
            "https://notfiles.example.com/",
            "https://elsewhere.example/?host=\u{20ac}files.example.com",
            "https://elsewhere.example/?host=\u{20ac}.files.example.com",
        ] {
            assert!(host.is_in(text), "{text}");
        }
        let long = format!("https://{}files.example.com/", "a.".repeat(130));
        assert!(host.is_in(&long));
    }

    #[test]
    fn rule_16_names_and_schemes_are_no_secrets() {
        for session in [
            authorization(
                "AWS4-HMAC-SHA256 Credential=AKIA/20241126/s3/aws4_request, Signature=abc",
            ),
            authorization("OAuth oauth_consumer_key=\"k\", oauth_signature_method=\"PLAINTEXT\""),
            cookie("{\"preferred_username\":\"me\"}"),
            cookie("s1&preferred_username=me&signature_version=2"),
            cookie("preferred_username=/me"),
            cookie("preferred_username=@me"),
        ] {
            let secrets = of_request(session);
            for text in [
                "/?X-Amz-Algorithm=AWS4-HMAC-SHA256",
                "/?oauth_consumer_key=another&oauth_signature_method=HMAC",
                "/?preferred_username=you&signature_version=3",
            ] {
                assert!(!secrets.is_in(text), "{text}");
            }
        }
        for value in [
            "token={}=&exp=1700000000",
            "2|1:0|8:username|24:{}=|signature",
            "user:{}=:1700000000",
            "\\\"token\\\": \\\"{}\\\"\\054",
            "{\"user\":\"{\\\"access_token\\\":\\\"{}\\\"}\"}",
            "{'token':'{}'}",
            "({})",
            "[{},1]",
            "<{}>",
            "{}&name_of_sixteen_=2",
            "name=\"{}\"",
            "a={}==",
            "{}=",
            "{\"a\":\"{}\"}",
        ] {
            let value = value.replace("{}", LONG_ONE);
            assert!(
                of_request(cookie(&value)).is_in(&format!("/?t={LONG_ONE}")),
                "{value}"
            );
        }
        let escaped = cookie("{\"t\":\"01234567\\/89abcdef\"}");
        assert!(of_request(escaped).is_in("/?t=01234567/89abcdef"));
        // What is encoded more often than one looks is taken to hold one.
        let secrets = of_request(cookie(LONG_ONE));
        let deep = |times| format!("/?t=%{}41", "25".repeat(times));
        assert!(!secrets.is_in(&deep(ROUNDS - 2)) && secrets.is_in(&deep(ROUNDS - 1)));
        let value = "aaaaaaaaaaaaaaa=bbbbbbbbbbbbbbb";
        for session in [authorization(&format!("Bearer {value}")), cookie(value)] {
            assert!(of_request(session).is_in(&format!("/?t={value}")));
        }
    }

    #[test]
    fn rule_16_a_token_is_found_as_it_is_encoded_where_its_decoded_words_are_short() {
        let token = "0123456%3Bfedcba";
        let secrets = of_request(authorization(&format!("token {token}")));
        for text in [token, "0123456%253Bfedcba"] {
            assert!(secrets.is_in(&format!("/?t={text}")), "{text}");
        }
        assert!(!secrets.is_in("/?t=0123456"));
    }

    #[test]
    fn rule_16_a_value_is_parted_into_no_more_than_it_has() {
        let value = "https://a.example/,".repeat(LONGEST_PARTED / 19);
        let secrets = of_request(cookie(&value));
        assert_eq!(secrets.all.len(), 1, "it is whole alone, and once");
        let words = (0..400).map(|number| format!("{number:016},"));
        let value: String = words.collect();
        let secrets = of_request(cookie(&value));
        assert_eq!(secrets.all.len(), 401);
        let mut twice = secrets.clone();
        twice.add(secrets.clone());
        assert_eq!(twice.all.len(), 401);
        assert!(secrets.is_in("0000000000000399"));
        assert!(secrets.is_in(&"1".repeat(LONGEST_TEXT + 1)));
        assert!(!secrets.is_in(&"1".repeat(LONGEST_TEXT)));
        let longest = format!("{value}{}", "0".repeat(LONGEST_PARTED - value.len()));
        assert!(of_request(cookie(&longest)).is_in("0000000000000399"));
        let url = format!("https://a.example/{}", "0".repeat(LONGEST_PARTED));
        assert!(of_request(cookie(&url)).is_in(&url));
        let longer = format!("{value}{}", "0".repeat(LONGEST_PARTED));
        let secrets = of_request(cookie(&longer));
        assert_eq!(secrets.all.len(), 1);
        assert!(secrets.is_in(&longer));
    }

    #[test]
    fn rule_16_what_is_above_counts_if_it_is_marked_sensitive() {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, format!("lang=en; sid={LONG_ONE}").parse().unwrap());
        let other = "AWS4-HMAC-SHA256 fedcba9876543210";
        headers.insert(AUTHORIZATION, other.parse().unwrap());
        assert!(Secrets::of_headers(&headers).is_empty());
        for value in headers.values_mut() {
            value.set_sensitive(true);
        }
        let secrets = Secrets::of_headers(&headers);
        assert!(secrets.is_in(LONG_ONE));
        assert!(secrets.is_in("fedcba9876543210"));
        assert!(!secrets.is_in("/?X-Amz-Algorithm=AWS4-HMAC-SHA256"));
        let mut bare: HeaderValue = "token=\"fedcba9876543210\", x=1".parse().unwrap();
        bare.set_sensitive(true);
        let headers = HeaderMap::from_iter([(AUTHORIZATION, bare)]);
        assert!(Secrets::of_headers(&headers).is_in("fedcba9876543210"));
        let mut glued: HeaderValue = "key:0123456789abcdef v=2".parse().unwrap();
        glued.set_sensitive(true);
        let headers = HeaderMap::from_iter([(AUTHORIZATION, glued)]);
        assert!(Secrets::of_headers(&headers).is_in("/?t=key:0123456789abcdef"));
    }

    #[test]
    fn rule_17_what_debug_prints_of_a_secret_is_one() {
        let secrets = secrets("xab\"c\\defg");
        assert!(secrets.is_printed_in(&format!("{:?}", "it is xab\"c\\defg.")));
        assert!(secrets.is_printed_in("it is xab\"c\\defg."));
        assert!(!secrets.is_printed_in("it is xabcdefg."));
    }

    #[test]
    fn rule_17_a_secret_is_found_however_a_text_encodes_it() {
        let secrets = secrets("xa+b c/é");
        for text in [
            "it is xa+b c/é.",
            "/?csrf=xa%2Bb%20c%2F%C3%A9",
            "/?csrf=xa+b%20c/%c3%a9",
            "/?csrf=xa%2Bb+c%2F%C3%A9",
            "/?next=%2F%3Fcsrf%3Dxa%252Bb%2Bc%252F%25C3%25A9",
            "/?csrf=XA%2bB%20C/%c3%a9",
            "/?csrf=%78a%2bb+c%2f%c3%a9",
            "/?csrf=anxa%2bb+c%2f%c3%a9s",
        ] {
            assert!(secrets.is_in(text), "{text}");
        }
        for text in ["", "/?csrf=", "xa+b", "xab c/é", "/?csrf=xa%2Bb%20c"] {
            assert!(!secrets.is_in(text), "{text}");
        }
    }

    /// A cookie's value is percent-encoded in many frameworks, and a part may be derived from it.
    #[test]
    fn rule_17_a_secret_is_found_where_it_is_less_encoded_than_it_is() {
        let secrets = secrets("eyJ%252Fab%253D");
        for text in ["eyJ%252Fab%253D", "?a=eyJ%2fAB%3d.", "?a=eyJ/ab="] {
            assert!(secrets.is_in(text), "{text}");
        }
        for text in ["?a=eyJ/ab", "?a=xeyJ/ab=", "eyJ%25252Fa"] {
            assert!(!secrets.is_in(text), "{text}");
        }
    }

    #[test]
    fn rule_17_a_short_secret_is_found_where_it_stands_alone() {
        for (secret, text, expected) in [
            ("2", "2", true),
            ("2", "/?v=2", true),
            ("2", "/?v=%32&a=1", true),
            ("2", "/?next=%2F%3Fv%3D2%26a", true),
            ("2", "(https://api.example.com/?v=2): reset", true),
            ("2", "https://api.example.com:12/v2/a-2.pdf?page=22", false),
            ("2", "/?v=b%32", false),
            ("2f", "/a%2f?x", false),
            ("a/a", "/?v=xa/a/a", true),
            ("é", "/?v=%C3%A9", true),
            ("é", "/?v=caf%C3%A9", false),
            ("1234567", "/?v=12345678", false),
            ("12345678", "/?v=123456789", true),
        ] {
            assert_eq!(secrets(secret).is_in(text), expected, "{secret} {text}");
        }
    }
}
