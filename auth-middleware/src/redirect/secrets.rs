//! The secrets that a credential puts on requests, and the texts that hold them.

use auth_core::Credential;
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

/// Words that stand alone in every URL.
const SCHEMES: [&str; 2] = ["http", "https"];

/// Values that a credential puts on a request, and those that it had lately. A form's encoding
/// writes a space as a plus sign, and a URL has its host in lower case. So each has spaces for its
/// plus signs, and is in lower case, as the texts that are searched. A value that is
/// percent-encoded itself, as those of cookies often are, is there in its plain forms as well.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<Zeroizing<String>>);

impl Secrets {
    /// Those of the query, which URLs show.
    pub(crate) fn of_query(credential: &Credential) -> Self {
        Self::of(credential.query_secrets())
    }

    /// All that must not leave the scope.
    pub(crate) fn of_request(credential: &Credential) -> Self {
        let mut secrets = Self::of_query(credential);
        let carried = credential.carried_values().flat_map(long_words);
        secrets.add(Self(carried.collect()));
        secrets
    }

    fn of<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        let says = |form: &Zeroizing<String>| {
            !form.chars().all(is_in_every_url) && !SCHEMES.contains(&form.as_str())
        };
        let forms = |value| rounds(value).take(ROUNDS).filter(says);
        Self(values.flat_map(forms).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the secrets of another credential, which a later attempt has sent.
    pub(crate) fn add(&mut self, others: Self) {
        for secret in others.0 {
            if !self.0.contains(&secret) {
                self.0.push(secret);
            }
        }
    }

    /// Whether the text holds one of the values, plain or percent-encoded, however often.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        if self.is_empty() {
            return false;
        }
        let mut rounds = rounds(text);
        let is_found = |text: &str| self.0.iter().any(|secret| holds(text, secret));
        rounds.by_ref().take(ROUNDS).any(|text| is_found(&text)) || rounds.next().is_some()
    }
}

/// The forms of a value that is not of the query, and the long words of each.
fn long_words(value: &str) -> impl Iterator<Item = Zeroizing<String>> {
    rounds(value).take(ROUNDS).flat_map(|form| {
        let words = form.split([' ', ',', ';', '=', '"', '{', '}']);
        let words = words.chain([form.as_str()]);
        let parts = words.flat_map(without_origins).flat_map(parted);
        let long = parts.filter(|word| word.len() >= LONG_WORD);
        let long = long.map(|word| Zeroizing::new(word.to_owned()));
        long.collect::<Vec<_>>()
    })
}

/// A word, and what its colons and ampersands part: they are within a token as well. Those of an
/// origin in a word part nothing.
fn parted(word: &str) -> impl Iterator<Item = &str> {
    let parts = (!word.contains("://")).then(|| word.split([':', '&']));
    [word].into_iter().chain(parts.into_iter().flatten())
}

/// A word without the origins of the URLs in it, which are in every URL of theirs. What is behind
/// one is parted as a path is. A word that is more than a URL is whole as well.
fn without_origins(word: &str) -> Vec<&str> {
    // A word that is encoded is looked at when it is decoded.
    let is_url = |form: &Zeroizing<String>| origin_in(form).is_some_and(|(at, _)| at == 0);
    if word.contains('%') && rounds(word).take(ROUNDS).skip(1).any(|form| is_url(&form)) {
        return Vec::new();
    }
    let mut parts = Vec::new();
    let mut rest = word;
    while let Some((begin, end)) = origin_in(rest) {
        let (before, origin, behind) = (&rest[..begin], &rest[begin..end], &rest[end..]);
        let ends_there = behind.is_empty() || behind.starts_with(['/', '?', '#']);
        if !(parts.is_empty() && begin == 0 && ends_there) {
            parts.push(word);
        }
        parts.extend(before.split(['/', '?', '#']));
        // What stands before the host is no part of the origin.
        let authority = origin.split_once("://").unwrap_or_default().1;
        parts.extend(authority.rsplit_once('@').map(|(user, _)| user));
        rest = behind;
    }
    if rest.len() == word.len() {
        parts.push(word);
    } else {
        parts.extend(rest.split(['/', '?', '#']));
    }
    parts
}

/// Where the first `scheme://authority` of a text begins and ends. What is glued to one, as to its
/// port, is no part of it.
fn origin_in(text: &str) -> Option<(usize, usize)> {
    let colon = text.find("://")?;
    let is_before = |scheme: &&str| {
        let begin = colon.checked_sub(scheme.len());
        let there = begin.and_then(|begin| text.get(begin..colon));
        there.is_some_and(|there| there.eq_ignore_ascii_case(scheme))
    };
    let scheme = ["https", "http", "wss", "ws"].into_iter().find(is_before)?;
    let behind = &text[colon + 3..];
    let is_of_authority = |letter: char| letter.is_alphanumeric() || ".-_~:@[]%".contains(letter);
    let ends = behind.find(|letter| !is_of_authority(letter));
    let authority = &behind[..ends.unwrap_or(behind.len())];
    let host = authority.rfind('@').map_or(0, |at| at + 1);
    let end = colon + 3 + host + host_and_port(&authority[host..]);
    Some((colon - scheme.len(), end))
}

/// How many bytes of a text are a host and its port.
fn host_and_port(text: &str) -> usize {
    let is_of_host = |letter: char| letter.is_alphanumeric() || ".-".contains(letter);
    let host = match text.strip_prefix('[').and_then(|address| address.find(']')) {
        Some(end) => end + 2,
        None => text
            .find(|letter| !is_of_host(letter))
            .unwrap_or(text.len()),
    };
    let port = text[host..].strip_prefix(':').unwrap_or_default();
    let is_port = (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    host + if is_port { 1 + port.len() } else { 0 }
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

    #[test]
    fn rule_16_the_origin_of_a_url_is_no_word() {
        let long = "0123456789abcdef";
        let cookie = |value: &str| Session::new().with_cookie("sid", value).unwrap();
        let header = |value: &str| {
            Session::new().with_header(http::header::AUTHORIZATION, value.parse().unwrap())
        };
        let all = [
            header("Signature keyId=\"https://files.example.com/k\""),
            header("Signature https://files.example.com:8443/reports/of/2024"),
            cookie("https://files.example.com"),
            cookie("files=https%3A%2F%2Ffiles.example.com%3A8443"),
            cookie("s1|https://files.example.com:8443/|https://files.example.com"),
            cookie(
                "%7B%22id%22%3A%22s1%22%2C%22files%22%3A%22https%3A%2F%2Ffiles.example.com%22%7D",
            ),
        ];
        for session in all {
            let secrets = of_request(session);
            for text in [
                "https://files.example.com/reports/of/2024/a.pdf",
                "https://files.example.com:8443/k?back=https%3A%2F%2Ffiles.example.com%3A8443",
            ] {
                assert!(!secrets.is_in(text), "{text}");
            }
        }
        // What is glued to an origin is no part of it.
        for (value, shown) in [
            ("https://files.example.com|{}", "|{}"),
            ("https://files.example.com:{}", "{}"),
            ("https://files.example.com_{}", "_{}"),
            ("https://files.example.com:{}", ":{}"),
            ("https://[::1]:{}", "{}"),
            ("{}.https://files.example.com", "{}."),
            (
                "https://files.example.com/a|{}:https://files.example.com",
                "a|{}",
            ),
        ] {
            let [value, shown] = [value, shown].map(|text| text.replace("{}", long));
            for session in [cookie(&value), header(&format!("Signature {value}"))] {
                let secrets = of_request(session);
                let url = format!("https://elsewhere.example/?t={shown}");
                assert!(secrets.is_in(&url), "{value}");
                let whole = format!("https://elsewhere.example/?t={value}");
                assert!(secrets.is_in(&whole), "{value}");
                assert!(
                    !secrets.is_in("https://files.example.com/reports"),
                    "{value}"
                );
            }
        }
        let shown = format!("https://elsewhere.example/?t={long}");
        for session in [
            header(&format!("Signature https://files.example.com/a/{long}/b")),
            header(&format!("Signature {long}:https://files.example.com/")),
            cookie(&format!("https://files.example.com?a={long}")),
            cookie(&format!("https%3A%2F%2Ffiles.example.com%23{long}")),
            cookie(&format!("https://me:{long}@files.example.com")),
        ] {
            assert!(of_request(session).is_in(&shown));
        }
        let whole = "s1|https://files.example.com/";
        let text = format!("https://elsewhere.example/?t={whole}");
        assert!(of_request(cookie(whole)).is_in(&text));
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
