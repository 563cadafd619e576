//! Values in HTML and XML. A text is read once from its start to its end, so the time that it takes
//! is proportional to its length, whatever a server sends.

use std::borrow::Cow;

/// The value of the first `<input>` with this name that has one. A page may hold several forms.
pub(crate) fn input_value(html: &str, name: &str) -> Option<String> {
    let mut inputs = Tags::of_html(html).filter(|tag| {
        let named = || {
            tag.attribute("name")
                .is_some_and(|its| decoded(its) == name)
        };
        tag.name.eq_ignore_ascii_case("input") && named()
    });
    inputs.find_map(|input| {
        let value = decoded(input.attribute("value")?);
        (!value.is_empty()).then(|| value.into_owned())
    })
}

/// The text of the first element with this name, whatever its namespace is. `None` if there is no
/// such element, or if it holds another one.
pub(crate) fn element_text(xml: &str, name: &str) -> Option<String> {
    let element = Tags::of_xml(xml).find(|tag| tag.local_name() == name)?;
    let mut text = String::new();
    if element.is_empty {
        return Some(text);
    }
    let mut rest = element.behind;
    loop {
        let (plain, markup) = rest.split_once('<')?;
        text.push_str(&decoded(plain));
        if markup.starts_with('/') {
            return Some(text);
        }
        rest = if let Some(section) = markup.strip_prefix(CDATA) {
            let (verbatim, behind) = section.split_once("]]>")?;
            text.push_str(verbatim);
            behind
        } else {
            markup.strip_prefix("!--")?.split_once("-->")?.1
        };
    }
}

const CDATA: &str = "![CDATA[";

/// What contains no tags in HTML, but for its own end (HTML, section 13.2.6.2).
const RAW_TEXT: [&str; 8] = [
    "script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes",
];

/// The start tags of a text, in order.
struct Tags<'a> {
    rest: &'a str,
    is_html: bool,
}

struct Tag<'a> {
    name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
    /// Whether it is its own end, as `<br/>` is in XML.
    is_empty: bool,
    /// The text that follows.
    behind: &'a str,
}

impl<'a> Tags<'a> {
    const fn of_html(rest: &'a str) -> Self {
        Self {
            rest,
            is_html: true,
        }
    }

    const fn of_xml(rest: &'a str) -> Self {
        Self {
            rest,
            is_html: false,
        }
    }
}

impl Tags<'_> {
    /// Whether a tag has a name that begins so. In HTML, `<` before anything else is a text.
    fn begins_name(&self, c: char) -> bool {
        c.is_ascii_alphabetic() || (!self.is_html && (c.is_alphabetic() || c == '_'))
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        loop {
            let (_, markup) = self.rest.split_once('<')?;
            // What has no end goes on to the end of the text, and nothing follows it.
            self.rest = if markup.starts_with("!--") {
                // `<!-->` is a whole comment in HTML.
                markup["!".len()..].split_once("-->")?.1
            } else if markup.starts_with(CDATA) && !self.is_html {
                markup.split_once("]]>")?.1
            } else if markup.starts_with(['!', '?', '/']) {
                markup.split_once('>')?.1
            } else if markup.starts_with(|c| self.begins_name(c)) {
                let tag = Tag::read(markup)?;
                self.rest = if self.is_html {
                    tag.behind_raw_text()
                } else {
                    tag.behind
                };
                return Some(tag);
            } else {
                markup
            };
        }
    }
}

impl<'a> Tag<'a> {
    /// The tag that begins here, with its name. `None` if it does not end.
    fn read(markup: &'a str) -> Option<Self> {
        let (name, mut rest) = until(markup, |c| is_space(c) || c == '/' || c == '>')?;
        let mut attributes = Vec::new();
        loop {
            let before = rest;
            rest = rest.trim_start_matches(|c| is_space(c) || c == '/');
            if let Some(behind) = rest.strip_prefix('>') {
                let skipped = &before[..before.len() - rest.len()];
                return Some(Self {
                    name,
                    attributes,
                    is_empty: skipped.ends_with('/'),
                    behind,
                });
            }
            // An equals sign may begin a name (HTML, section 13.2.5.32).
            let first = rest.chars().next()?.len_utf8();
            let ends = |c| is_space(c) || c == '/' || c == '>' || c == '=';
            let (more, behind) = until(&rest[first..], ends)?;
            let attribute = &rest[..first + more.len()];
            rest = behind;
            let value = match rest.trim_start_matches(is_space).strip_prefix('=') {
                Some(value) => {
                    let (value, behind) = read_value(value.trim_start_matches(is_space))?;
                    rest = behind;
                    value
                }
                None => "",
            };
            attributes.push((attribute, value));
        }
    }

    /// The value of an attribute, as it is written. Of several with a name the first counts.
    fn attribute(&self, name: &str) -> Option<&'a str> {
        let mut all = self.attributes.iter();
        let found = all.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(found.1)
    }

    /// The name without its prefix.
    fn local_name(&self) -> &'a str {
        self.name.rsplit(':').next().unwrap_or(self.name)
    }

    /// The text behind it, from its end tag on if no other tag may be before that.
    fn behind_raw_text(&self) -> &'a str {
        let is_name = |name: &str| name.eq_ignore_ascii_case(self.name);
        if !RAW_TEXT.into_iter().any(is_name) {
            return self.behind;
        }
        let mut ends = self.behind.match_indices("</").map(|(at, _)| at);
        let is_own = |at: &usize| {
            let end = &self.behind[at + "</".len()..];
            end.get(..self.name.len()).is_some_and(is_name)
        };
        ends.find(is_own).map_or("", |at| &self.behind[at..])
    }
}

fn read_value(text: &str) -> Option<(&str, &str)> {
    match text.chars().next()? {
        quote @ ('"' | '\'') => text[1..].split_once(quote),
        _ => until(text, |c| is_space(c) || c == '>'),
    }
}

/// A text up to the first character of a kind, and from there. `None` if there is no such one.
fn until(text: &str, is_end: impl Fn(char) -> bool) -> Option<(&str, &str)> {
    text.find(is_end).map(|at| text.split_at(at))
}

const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}')
}

/// A text whose character references are replaced: numbers, and the five names that HTML and XML
/// share. Any other stays as it is.
pub(crate) fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return text.into();
    }
    let mut plain = String::with_capacity(text.len());
    let mut pieces = text.split('&');
    plain.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let reference = piece.split_once(';');
        let reference = reference.and_then(|(name, behind)| Some((character(name)?, behind)));
        if let Some((character, behind)) = reference {
            plain.push(character);
            plain.push_str(behind);
        } else {
            plain.push('&');
            plain.push_str(piece);
        }
    }
    plain.into()
}

fn character(reference: &str) -> Option<char> {
    let Some(number) = reference.strip_prefix('#') else {
        return match reference {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => None,
        };
    };
    let (digits, radix) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    // `from_str_radix` takes a sign.
    let are_digits = digits.chars().all(|digit| digit.is_digit(radix));
    let code = are_digits
        .then(|| u32::from_str_radix(digits, radix))?
        .ok()?;
    Some(
        char::from_u32(code)
            .filter(|c| *c != '\0')
            .unwrap_or(char::REPLACEMENT_CHARACTER),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_of_a_form_field_is_found_however_it_is_written() {
        for html in [
            r#"<input name="csrf" value="c-1">"#,
            r#"<INPUT TYPE="hidden" VALUE="c-1" NAME="csrf" />"#,
            "<input value='c-1'\n\tname='csrf'>",
            "<input type=hidden name=csrf value=c-1>",
            "<input name = csrf  value = 'c-1' checked>",
            "<input/name=csrf value=c-1>",
            r#"<input checked name="csrf"value="c-1">"#,
            r#"<input name="csrf" value="&#99;&#x2d;&#X31;">"#,
            r#"<input name="c&#115;rf" value="c-1">"#,
            r#"<input name="csrf" value="c-1" value="c-2" name="other">"#,
            r#"<input name="other" value="a > b"><input name="csrf" value="c-1">"#,
            r#"<input data-name="csrf" value="x"><input name="csrf" value="c-1">"#,
            r#"<a title=it's><b title="<input name='csrf'>"><input name=csrf value=c-1>"#,
            r#"<!-- <input name="csrf" value="x"> --><input name="csrf" value="c-1">"#,
            r#"<!--><input name="csrf" value="c-1">-->"#,
            r#"<!--[if !IE]><!--><input name="csrf" value="c-1"><!--<![endif]-->"#,
            r#"<![CDATA[><input name="csrf" value="c-1">]]>"#,
            r#"<!DOCTYPE html><script>'<input name="csrf" value="x">'</SCRIPT><input name=csrf value=c-1>"#,
            r#"<title></t<input name="csrf"></title><input name=csrf value=c-1>"#,
            r#"<p>1 < 2 <é><br/></p ><?x?><input name="csrf" value="c-1">"#,
            r#"<input =x name="csrf" value="c-1">"#,
            r#"<form><input name=csrf value=""><input name=csrf></form><input name=csrf value=c-1>"#,
            "a <é it's <_ it's <input name=csrf value=c-1>",
        ] {
            assert_eq!(input_value(html, "csrf").as_deref(), Some("c-1"), "{html}");
        }
        let odd = r#"<input name="csrf" value="&amp;&lt;&quot;&apos;&gt;&nbsp;&amp &#0;&#xD800;&#+5;&#;">"#;
        let expected = "&<\"'>&nbsp;&amp \u{fffd}\u{fffd}&#+5;&#;";
        assert_eq!(input_value(odd, "csrf").as_deref(), Some(expected));
        for html in [
            "",
            "<",
            "csrf",
            "<input name=csrf><input name=csrf value=''>",
            "<input name=CSRF value=c-1>",
            "<inputs name=csrf value=c-1>",
            "<input name=csrf value=c-1",
            "<input name=csrf value='c-1>",
            "<input name='csrf",
            "<input name=",
            "<!-- <input name=csrf value=c-1>",
            "<script><input name=csrf value=c-1></p>",
            "</input name=csrf value=c-1>",
            "<meta name=csrf value=c-1>",
        ] {
            assert_eq!(input_value(html, "csrf"), None, "{html}");
        }
    }

    #[test]
    fn the_text_of_an_element_is_found_in_any_namespace() {
        for xml in [
            "<sid>s-1</sid>",
            "<?xml version='1.0'?><a><b sid='x'/><sid x='>'>s-1</sid></a>",
            "<x:sid xmlns:x='urn:y'>s-1</x:sid>",
            "<!-- <sid>x</sid> --><![CDATA[<sid>x</sid>]]><sid>s-1</sid><sid>s-2</sid>",
            "<![CDATA[><sid>x</sid>]]><sid>s-1</sid>",
            "<sid><![CDATA[s]]>-<!-- < -->&#49;</sid>",
            "<_a x='<sid>x</sid>'/><é x='<sid>x</sid>'/><sid>s-1</sid>",
        ] {
            assert_eq!(element_text(xml, "sid").as_deref(), Some("s-1"), "{xml}");
        }
        assert_eq!(
            element_text("<sid> &lt;&#x20AC;\n</sid>", "sid").as_deref(),
            Some(" <€\n")
        );
        assert_eq!(element_text("<sid/>", "sid").as_deref(), Some(""));
        for xml in [
            "",
            "<SID>s-1</SID>",
            "<sids>s-1</sids>",
            "<sid>s-1",
            "<sid><b>s-1</b></sid>",
            "<sid><![CDATA[s-1</sid>",
            "<sid",
        ] {
            assert_eq!(element_text(xml, "sid"), None, "{xml}");
        }
    }

    /// Whatever is opened again and again and never closed is read once.
    #[test]
    fn a_hostile_text_is_read_once() {
        for piece in [
            "<",
            "<!--",
            "<![CDATA[",
            "<a ",
            "<a b='",
            "<script>",
            "<script></",
            "<title></titl",
            "&",
            "&#",
            "<a b=\"&",
            "<?",
            "</",
            "<a/",
            "<a=",
        ] {
            let text = piece.repeat(256 * 1024 / piece.len());
            assert_eq!(input_value(&text, "csrf"), None, "{piece}");
            assert_eq!(element_text(&text, "sid"), None, "{piece}");
            let value = format!("<input name=csrf value=\"{text}\"><sid>{text}</sid>");
            let _ = (input_value(&value, "csrf"), element_text(&value, "sid"));
        }
    }
}
