//! An answer in the making.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, LOCATION, SET_COOKIE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::Value;

use super::unserved::Unserved;
use crate::recipe::schema::{Clause, CookieName, Expected, HeaderTest, Kind, Pattern};
use crate::request::xml_escaped;

/// An answer in the making. Each call adds what makes it hold a value or meet a condition.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) status: Option<StatusCode>,
    media_type: Option<String>,
    headers: BTreeMap<String, String>,
    /// The value of each cookie, and its `Max-Age`.
    cookies: BTreeMap<String, (String, Option<u64>)>,
    json: Option<Value>,
    fields: BTreeMap<String, String>,
    elements: BTreeMap<String, String>,
    /// Texts that the body has beside them, and the patterns that it has to match then.
    texts: Vec<(String, Pattern, String)>,
}

/// The largest index of a list that is filled up to it.
const LONGEST_LIST: usize = 99;

impl Draft {
    /// Meets a clause. `random` is for a number that the clause only says the kind of.
    pub(super) fn meet<M>(
        &mut self,
        at: &str,
        clause: &Clause<M>,
        random: fn() -> String,
    ) -> Result<(), Unserved> {
        if let Some(statuses) = &clause.status {
            self.status = Some(statuses.first());
        }
        if let Some(kind) = &clause.media_type {
            self.media_type = Some(kind.clone());
        }
        for (name, test) in &clause.header {
            let text = match test {
                HeaderTest::Is(text) => text.clone(),
                HeaderTest::There(true) => "1".to_owned(),
                HeaderTest::There(false) => continue,
                HeaderTest::Matches(pattern) => {
                    literal(pattern, || format!("{at}.header.{}", name.get()))?
                }
            };
            self.header(name.get(), &text);
        }
        for (pointer, expected) in &clause.json {
            let pointer = pointer.as_str();
            let field = format!("{at}.json.{pointer:?}");
            let there = self.json.as_ref().and_then(|json| json.pointer(pointer));
            let value = match expected {
                Expected::AnyOf(list) => list.first().cloned().unwrap_or_default(),
                Expected::Kind(kind) if there.is_some_and(|there| kind.is_of(there)) => continue,
                Expected::Kind(kind) => example(*kind, random),
                Expected::Matches(pattern) => literal(pattern, || field.clone())?.into(),
            };
            self.json(&field, pointer, value)?;
        }
        for pointer in &clause.present {
            let there = self.json.as_ref();
            let there = there.and_then(|json| json.pointer(pointer.as_str()));
            if there.is_none_or(Value::is_null) {
                let field = format!("{at}.present");
                self.json(&field, pointer.as_str(), random().into())?;
            }
        }
        if !clause.absent.is_empty() {
            self.json.get_or_insert_with(|| serde_json::json!({}));
        }
        if let Some(name) = &clause.sets_cookie {
            self.cookie(name, random);
        }
        if let Some(pattern) = &clause.redirect {
            let location = literal(pattern, || format!("{at}.redirect"))?;
            self.status.get_or_insert(StatusCode::FOUND);
            self.header(&LOCATION, &location);
        }
        if let Some(pattern) = &clause.text {
            let field = format!("{at}.text");
            let text = literal(pattern, || field.clone())?;
            self.texts.push((field, pattern.clone(), text));
        }
        Ok(())
    }

    pub(super) fn header(&mut self, name: &HeaderName, value: &str) {
        self.headers.insert(name.to_string(), value.to_owned());
    }

    /// Sets a cookie, unless it is set already.
    pub(super) fn cookie(&mut self, name: &CookieName, value: impl FnOnce() -> String) {
        let cookie = self.cookies.entry(name_of(name));
        cookie.or_insert_with(|| (value(), None));
    }

    /// Sets the cookie of an API that keeps all cookies and names none.
    pub(super) fn any_cookie(&mut self, value: impl FnOnce() -> String) {
        let cookie = self.cookies.entry("session".to_owned());
        cookie.or_insert_with(|| (value(), None));
    }

    /// States the life of a cookie, if it is set.
    pub(super) fn cookie_life(&mut self, name: &CookieName, seconds: u64) {
        if let Some((_, life)) = self.cookies.get_mut(&name_of(name)) {
            *life = Some(seconds);
        }
    }

    pub(super) fn field(&mut self, name: &str, value: String) {
        self.fields.insert(name.to_owned(), value);
    }

    pub(super) fn element(&mut self, name: &str, value: String) {
        self.elements.insert(name.to_owned(), value);
    }

    /// Puts a value where a pointer leads to.
    pub(super) fn json(
        &mut self,
        field: &str,
        pointer: &str,
        value: Value,
    ) -> Result<(), Unserved> {
        let body = self.json.get_or_insert_default();
        put(body, pointer, value)
            .ok_or_else(|| Unserved::new(field, "something else of the same answer stands there"))
    }

    /// The answer.
    pub(super) fn build(mut self, at: &str, now: SystemTime) -> Result<Response<Bytes>, Unserved> {
        let is_page = !self.fields.is_empty();
        let is_xml = !self.elements.is_empty();
        let texts: Vec<&str> = self.texts.iter().map(|(_, _, text)| &**text).collect();
        let (kind, body) = match (self.json, is_page, is_xml) {
            (None, false, false) if !texts.is_empty() => {
                ("text/plain; charset=utf-8", texts.join("\n"))
            }
            (json, false, false) => {
                let mut json = json.unwrap_or_else(|| serde_json::json!({}));
                if let (Value::Object(table), false) = (&mut json, texts.is_empty()) {
                    table.insert("text".to_owned(), texts.join(", ").into());
                }
                ("application/json", json.to_string())
            }
            (None, true, false) => {
                let (page, texts) = (
                    page(&self.fields),
                    xml_escaped(&texts.join("\n")).to_string(),
                );
                ("text/html; charset=utf-8", format!("{page}<p>{texts}"))
            }
            (None, false, true) => {
                self.elements.insert("text".to_owned(), texts.join("\n"));
                ("application/xml", xml(&self.elements))
            }
            _ => {
                let problem = "its answer would be JSON, a page and XML at once";
                return Err(Unserved::new(at, problem));
            }
        };
        if let Some((field, ..)) = self
            .texts
            .iter()
            .find(|(_, pattern, _)| !pattern.matches(&body))
        {
            return Err(Unserved::pattern(field));
        }
        let status = self.status.unwrap_or(StatusCode::OK);
        let has_body = ![StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
        let mut answer = Response::new(Bytes::from(if has_body { body } else { String::new() }));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        if has_body {
            let kind = self.media_type.as_deref().unwrap_or(kind);
            headers.insert(CONTENT_TYPE, value(at, kind)?);
        }
        // Times in an answer count from its own.
        headers.insert(DATE, value(at, &httpdate::fmt_http_date(now))?);
        if status.is_redirection() {
            headers.insert(LOCATION, HeaderValue::from_static("/"));
        }
        for (name, text) in &self.headers {
            let name = HeaderName::try_from(name).map_err(|_| Unserved::new(at, "a header"))?;
            headers.insert(name, value(at, text)?);
        }
        for (name, (text, life)) in &self.cookies {
            let life = life.map_or(String::new(), |life| format!("; Max-Age={life}"));
            let cookie = format!("{name}={text}; Path=/; HttpOnly{life}");
            headers.append(SET_COOKIE, value(at, &cookie)?);
        }
        Ok(answer)
    }
}

/// The name of a cookie, with one for the rest that a `*` stands for.
fn name_of(name: &CookieName) -> String {
    name.as_str().replace('*', "1")
}

fn literal(pattern: &Pattern, field: impl FnOnce() -> String) -> Result<String, Unserved> {
    let text = pattern.literal();
    text.ok_or_else(|| Unserved::pattern(field()))
}

fn value(at: &str, text: &str) -> Result<HeaderValue, Unserved> {
    let value = HeaderValue::try_from(text);
    value.map_err(|_| Unserved::new(at, "a text that no header can hold"))
}

/// Puts a value where a pointer leads to, with what is missing on the way. `None` if something else
/// is in the way.
pub(super) fn put(body: &mut Value, pointer: &str, value: Value) -> Option<()> {
    let mut at = body;
    for segment in pointer.split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        let index = segment.parse::<usize>().ok();
        let index = index.filter(|index| *index <= LONGEST_LIST);
        if at.is_null() {
            *at = match index {
                Some(_) => Value::Array(Vec::new()),
                None => Value::Object(serde_json::Map::new()),
            };
        }
        at = match (at, index) {
            (Value::Object(table), _) => table.entry(segment).or_insert(Value::Null),
            (Value::Array(list), Some(index)) => {
                let length = list.len().max(index + 1);
                list.resize(length, Value::Null);
                &mut list[index]
            }
            _ => return None,
        };
    }
    if at.is_object() || at.is_array() {
        return None;
    }
    *at = value;
    Some(())
}

fn example(kind: Kind, random: fn() -> String) -> Value {
    let number = || u32::from_str_radix(&random()[..8], 16).unwrap_or_default();
    match kind {
        Kind::Object => serde_json::json!({}),
        Kind::Array => serde_json::json!([]),
        Kind::String => random().into(),
        Kind::Number => number().into(),
        Kind::Boolean => true.into(),
    }
}

fn page(fields: &BTreeMap<String, String>) -> String {
    let input = |(name, value): (&String, &String)| {
        let (name, value) = (xml_escaped(name), xml_escaped(value));
        format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">")
    };
    let inputs: String = fields.iter().map(input).collect();
    format!("<!doctype html><form method=\"post\">{inputs}</form>")
}

fn xml(elements: &BTreeMap<String, String>) -> String {
    let element =
        |(name, value): (&String, &String)| format!("<{name}>{}</{name}>", xml_escaped(value));
    let elements: String = elements.iter().map(element).collect();
    format!("<answer>{elements}</answer>")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_put_where_nothing_else_stands() {
        let longest: Value = (0..=99).map(|index| (index == 99).then_some(7)).collect();
        for (body, pointer, expected) in [
            (json!(null), "", Some(json!(7))),
            (json!(null), "/99", Some(longest)),
            (json!(null), "/a/1", Some(json!({ "a": [null, 7] }))),
            (json!(null), "/100", Some(json!({ "100": 7 }))),
            (json!([1, 2]), "/0", Some(json!([7, 2]))),
            (
                json!({ "a": 1 }),
                "/b~1c",
                Some(json!({ "a": 1, "b/c": 7 })),
            ),
            (json!({ "a": 1 }), "/a", Some(json!({ "a": 7 }))),
            (json!({ "a": {} }), "/a", None),
            (json!({ "a": [] }), "/a", None),
            (json!({ "a": 1 }), "/a/b", None),
            (json!([1]), "/a", None),
        ] {
            let mut put_in = body.clone();
            let put = put(&mut put_in, pointer, json!(7));
            assert_eq!(put.map(|()| put_in), expected, "{body} {pointer}");
        }
    }
}
