//! Strings that are set in the text of a JSON document. Every other byte stays as it is: the order
//! of keys, white space, and numbers that no type of Rust holds.
//!
//! 1. `serde_json` checks that all of the text is JSON, and keeps nothing of it.
//! 2. In text that is JSON, a value ends where its brackets or its quotes do, so that a place is
//!    found without reading numbers and names.
//! 3. The new text is written around those places, into a buffer of its exact size.

use std::ops::Range;

use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use super::BodyFieldError;

/// The document with these strings at these pointers.
pub(super) fn with(
    body: &[u8],
    fields: &[(&str, &str)],
) -> Result<Zeroizing<String>, BodyFieldError> {
    let text = std::str::from_utf8(body);
    let text = text.map_err(|_| BodyFieldError::NotJson { line: 0, column: 0 })?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| BodyFieldError::NotJson {
        line: error.line(),
        column: error.column(),
    })?;
    let mut now = Zeroizing::new(text.to_owned());
    for (pointer, value) in fields {
        let places = places(&now, pointer).ok_or_else(|| BodyFieldError::NoPlace {
            pointer: (*pointer).to_owned(),
        })?;
        now = written(&now, &places, &encoded(value));
    }
    Ok(now)
}

/// Where a value goes: what it replaces, and what comes before it.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    replaces: Range<usize>,
    lead: String,
}

impl Place {
    const fn of(replaces: Range<usize>) -> Self {
        Self {
            replaces,
            lead: String::new(),
        }
    }
}

/// The place of a pointer. In an array of requests, a JSON-RPC batch, each has one: a pointer that
/// begins with a name is of each element.
fn places(text: &str, pointer: &str) -> Option<Vec<Place>> {
    let tokens = pointer.split('/').skip(1);
    let tokens: Vec<String> = tokens
        .map(|token| token.replace("~1", "/").replace("~0", "~"))
        .collect();
    let root = skip(text, 0);
    let is_batch = byte(text, root) == b'[' && !tokens.first().is_some_and(|first| is_index(first));
    if !is_batch {
        return Some(vec![place(text, root, &tokens)?]);
    }
    let requests = Children::of(text, root)?.all;
    let each = requests
        .iter()
        .map(|it| place(text, it.value.start, &tokens));
    let places: Vec<Place> = each.collect::<Option<_>>()?;
    (!places.is_empty()).then_some(places)
}

/// The place that these tokens lead to from the value at `at`.
fn place(text: &str, mut at: usize, tokens: &[String]) -> Option<Place> {
    let (last, above) = tokens.split_last()?;
    for token in above {
        at = Children::of(text, at)?.find(text, token)?.start;
    }
    let children = Children::of(text, at)?;
    if let Some(value) = children.find(text, last) {
        return Some(Place::of(value));
    }
    let comma = if children.all.is_empty() { "" } else { "," };
    let lead = if children.are_members {
        format!("{comma}{}:", *encoded(last))
    } else if last == "-" || index(last) == Some(children.all.len()) {
        comma.to_owned()
    } else {
        return None;
    };
    Some(Place {
        lead,
        ..Place::of(children.end..children.end)
    })
}

/// The members of an object, or the elements of an array.
struct Children {
    are_members: bool,
    all: Vec<Child>,
    /// Where another one goes.
    end: usize,
}

struct Child {
    /// With its quotes. An element has none.
    name: Range<usize>,
    value: Range<usize>,
}

impl Children {
    /// `None` if the value at `open` has no children.
    fn of(text: &str, open: usize) -> Option<Self> {
        let are_members = match byte(text, open) {
            b'{' => true,
            b'[' => false,
            _ => return None,
        };
        let (mut all, mut end) = (Vec::new(), open + 1);
        let mut at = skip(text, end);
        while !matches!(byte(text, at), b'}' | b']' | END) {
            let mut name = at..at;
            if are_members {
                name = at..value_end(text, at);
                let colon = skip(text, name.end);
                at = skip(text, colon + 1);
            }
            end = value_end(text, at);
            let value = at..end;
            all.push(Child { name, value });
            at = skip(text, end);
            if byte(text, at) == b',' {
                at = skip(text, at + 1);
            }
        }
        Some(Self {
            are_members,
            all,
            end,
        })
    }

    /// The value that a token names. Of members with one name, it is the last, as most parsers have
    /// it.
    fn find(&self, text: &str, token: &str) -> Option<Range<usize>> {
        let child = if self.are_members {
            let is_named = |child: &&Child| {
                let name = serde_json::from_str::<String>(&text[child.name.clone()]);
                name.is_ok_and(|name| name == token)
            };
            self.all.iter().rfind(is_named)?
        } else {
            self.all.get(index(token)?)?
        };
        Some(child.value.clone())
    }
}

/// An index of an array, which has no leading zeros (RFC 6901, section 4).
fn index(token: &str) -> Option<usize> {
    let digits = token.bytes().all(|byte| byte.is_ascii_digit());
    let plain = token == "0" || !token.starts_with('0');
    if digits && plain {
        token.parse().ok()
    } else {
        None
    }
}

fn is_index(token: &str) -> bool {
    token == "-" || index(token).is_some()
}

/// Stands for the end of the text. JSON has no such byte.
const END: u8 = 0;

fn byte(text: &str, at: usize) -> u8 {
    text.as_bytes().get(at).copied().unwrap_or(END)
}

/// Where the white space that begins at `at` ends.
fn skip(text: &str, mut at: usize) -> usize {
    while matches!(byte(text, at), b' ' | b'\t' | b'\n' | b'\r') {
        at += 1;
    }
    at
}

/// Where the value that begins at `at` ends.
fn value_end(text: &str, mut at: usize) -> usize {
    let mut depth = 0_usize;
    loop {
        match byte(text, at) {
            b'"' => at = string_end(text, at),
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            END => return at,
            _ if depth > 0 => {
                at += 1;
                continue;
            }
            // A number or a name.
            _ => {
                while !matches!(
                    byte(text, at),
                    b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r' | END
                ) {
                    at += 1;
                }
            }
        }
        if depth == 0 {
            return at;
        }
    }
}

/// Where the string whose quote is at `open` ends.
fn string_end(text: &str, open: usize) -> usize {
    let mut at = open + 1;
    loop {
        match byte(text, at) {
            b'"' => return at + 1,
            b'\\' => at += 2,
            END => return at,
            _ => at += 1,
        }
    }
}

/// A string as JSON.
fn encoded(value: &str) -> Zeroizing<String> {
    // A character becomes six bytes at most, so that the buffer does not grow.
    let mut out = Zeroizing::new(Vec::with_capacity(6 * value.len() + 2));
    serde_json::to_writer(&mut *out, value).expect("memory takes all that is written");
    let text = String::from_utf8(std::mem::take(&mut *out));
    Zeroizing::new(text.expect("JSON is UTF-8"))
}

/// The text with a value at these places, which are in order.
fn written(text: &str, places: &[Place], value: &str) -> Zeroizing<String> {
    let added = |place: &Place| place.lead.len() + value.len();
    let length = text.len() + places.iter().map(added).sum::<usize>();
    let mut out = Zeroizing::new(String::with_capacity(length));
    let mut from = 0;
    for place in places {
        out.push_str(&text[from..place.replaces.start]);
        out.push_str(&place.lead);
        out.push_str(value);
        from = place.replaces.end;
    }
    out.push_str(&text[from..]);
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use super::*;

    fn set(body: &str, pointer: &str) -> Option<String> {
        match with(body.as_bytes(), &[(pointer, "s\"1")]) {
            Ok(text) => Some(text.to_string()),
            Err(BodyFieldError::NoPlace { pointer: told }) => {
                assert_eq!(told, pointer);
                None
            }
            Err(error) => panic!("{body} {error}"),
        }
    }

    #[test]
    fn rule_16_a_string_is_set_and_every_other_byte_stays() {
        for (pointer, before, after) in [
            ("/auth", r#"{"auth":"x","b":1}"#, r#"{"auth":"s\"1","b":1}"#),
            ("/auth", r#"{"b":1}"#, r#"{"b":1,"auth":"s\"1"}"#),
            ("/auth", "{}", r#"{"auth":"s\"1"}"#),
            ("/auth", " { \n} ", " {\"auth\":\"s\\\"1\" \n} "),
            (
                "/auth",
                r#"{"z":1.0e999,"auth":null,"a":1e-0}"#,
                r#"{"z":1.0e999,"auth":"s\"1","a":1e-0}"#,
            ),
            (
                "/auth",
                r#"{"a":12345678901234567890123, "auth" : [1,{"x":"}]"}] }"#,
                r#"{"a":12345678901234567890123, "auth" : "s\"1" }"#,
            ),
            (
                "/auth",
                r#"{"x":"\"auth\":1","auth":true,"y":"\\"}"#,
                r#"{"x":"\"auth\":1","auth":"s\"1","y":"\\"}"#,
            ),
            // A name may be escaped, and there may be two of it.
            ("/auth", r#"{"\u0061uth":1}"#, r#"{"\u0061uth":"s\"1"}"#),
            (
                "/auth",
                r#"{"auth":1,"auth":2}"#,
                r#"{"auth":1,"auth":"s\"1"}"#,
            ),
            (
                "/a~1b/~0~01",
                r#"{"a/b":{"~~1":0}}"#,
                r#"{"a/b":{"~~1":"s\"1"}}"#,
            ),
            ("/", r#"{"":0}"#, r#"{"":"s\"1"}"#),
            ("/0", r#"{"0":0}"#, r#"{"0":"s\"1"}"#),
            (
                "/params/0",
                r#"{"params":[0,"é",{}]}"#,
                r#"{"params":["s\"1","é",{}]}"#,
            ),
            ("/params/0", r#"{"params":[ ]}"#, r#"{"params":["s\"1" ]}"#),
            ("/params/1", r#"{"params":[0]}"#, r#"{"params":[0,"s\"1"]}"#),
            ("/params/-", r#"{"params":[0]}"#, r#"{"params":[0,"s\"1"]}"#),
            (
                "/params/1/0/x",
                r#"{"params":[[], [{"y":[]}]]}"#,
                r#"{"params":[[], [{"y":[],"x":"s\"1"}]]}"#,
            ),
        ] {
            assert_eq!(
                set(before, pointer).as_deref(),
                Some(after),
                "{before} {pointer}"
            );
        }
    }

    #[test]
    fn rule_16_a_string_has_no_place_where_nothing_can_hold_it() {
        for (pointer, body) in [
            ("/params/0", "{}"),
            ("/params/0", r#"{"params":null}"#),
            ("/params/0", r#"{"params":"[]"}"#),
            ("/params/1", r#"{"params":[]}"#),
            ("/params/00", r#"{"params":[0]}"#),
            ("/params/x", r#"{"params":[0]}"#),
            ("/params/99999999999999999999999", r#"{"params":[0]}"#),
            ("/params/-/a", r#"{"params":[{}]}"#),
            ("/auth", "1"),
            ("/auth", "\"auth\""),
            ("/auth", "null"),
            ("/2", "[0]"),
        ] {
            assert_eq!(set(body, pointer), None, "{body} {pointer}");
        }
    }

    #[test]
    fn rule_16_each_request_of_a_batch_has_the_string() {
        for (pointer, before, after) in [
            (
                "/auth",
                r#"[{"id":1}, {"auth":0}]"#,
                Some(r#"[{"id":1,"auth":"s\"1"}, {"auth":"s\"1"}]"#),
            ),
            (
                "/params/0",
                r#"[{"params":[0]},{"params":[]}]"#,
                Some(r#"[{"params":["s\"1"]},{"params":["s\"1"]}]"#),
            ),
            ("/params/0", r#"[{"params":[0]},{}]"#, None),
            ("/auth", "[]", None),
            ("/auth", "[{},1]", None),
            // One that begins with an index is of the array itself.
            ("/0", r#"[{"0":1}]"#, Some(r#"["s\"1"]"#)),
            ("/0/auth", "[{},{}]", Some(r#"[{"auth":"s\"1"},{}]"#)),
            ("/-", "[]", Some(r#"["s\"1"]"#)),
        ] {
            assert_eq!(set(before, pointer).as_deref(), after, "{before} {pointer}");
        }
    }

    #[test]
    fn rule_16_what_is_not_json_is_an_error_that_says_where() {
        for (body, line, column) in [
            (&b"{\"auth\":1"[..], 1, 9),
            (b"{\n \"canary\" 1}", 2, 11),
            (b"{} {}", 1, 4),
            (b"{\"a\":01}", 1, 7),
            (b"{'a':1}", 1, 2),
            (b"\xef\xbb\xbf{}", 1, 1),
            (b"{\"a\":\"\xff\"}", 0, 0),
        ] {
            let error = with(body, &[("/auth", "canary")]).unwrap_err();
            assert_eq!(error, BodyFieldError::NotJson { line, column });
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
    }

    #[test]
    fn rule_16_several_strings_are_set_one_after_the_other() {
        let fields = [("/auth", "1"), ("/params/-", "2"), ("/b", "\u{1}é")];
        let text = with(br#"{"params":[],"b":0}"#, &fields).unwrap();
        assert_eq!(*text, r#"{"params":["2"],"b":"\u0001é","auth":"1"}"#);
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(30_000), "]".repeat(30_000));
        let set = set(&deep, "/auth").unwrap();
        assert!(set.ends_with(r#"]],"auth":"s\"1"}"#));
    }

    #[test]
    fn rule_17_the_buffers_of_json_do_not_grow() {
        let value = "\u{1}".repeat(100);
        let json = encoded(&value);
        assert_eq!((json.len(), json.capacity()), (602, 602));
        let text = with(b"{}", &[("/auth", &value)]).unwrap();
        assert_eq!((text.len(), text.capacity()), (611, 611));
    }
}
