//! Recipes from TOML, with the lines of what is wrong with them.

use std::fmt::Write as _;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::check::Plan;
use super::error::{RecipeError, unquoted};
use super::schema::Schema;

/// Reads a recipe.
pub(super) fn read(text: &str) -> Result<(Schema, Plan), RecipeError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let read: Result<Schema, _> = toml::from_str(text);
    let schema = read.map_err(|error| {
        let span = error.span();
        let problem = explained(error.message());
        // What is missing is nowhere; the span is that of the table that lacks it.
        let is_missing = problem.starts_with("missing field");
        let field = span.as_ref().filter(|_| !is_missing);
        RecipeError {
            field: field.map(|span| field_at(text, span)).unwrap_or_default(),
            line: span.map(|span| line_of(text, span.start)),
            problem,
        }
    })?;
    let plan = Plan::new(&schema).map_err(|error| {
        let line = line_at(text, &error.field);
        RecipeError { line, ..error }
    })?;
    Ok((schema, plan))
}

/// The keys of the recipe itself, for which a table that was begun above is the wrong place.
const TOP: [&str; 10] = [
    "recipe",
    "name",
    "documents",
    "base",
    "scope",
    "account",
    "secret",
    "refused",
    "judged_body",
    "verdicts",
];

/// What the parser says, and what to write instead.
const WORDS: [(&str, &str); 11] = [
    (
        "invalid type: map, expected a sequence",
        "a list is expected: [{ .. }]",
    ),
    ("invalid type: map", "a table"),
    ("invalid type: sequence", "a list"),
    (", expected a sequence", ", but a list is expected: [ .. ]"),
    (", expected a map", ", but a table is expected: { .. }"),
    ("wanted string or table", "a text or a table is expected"),
    ("a nonzero u32", "a number from 1 on"),
    (
        "expected a string",
        "but a text in quotes is expected; a time has a unit, as \"30s\"",
    ),
    (
        "invalid unquoted key",
        "a key with other characters than letters, digits, - and _ stands in quotes",
    ),
    (
        "missing escaped value",
        "a backslash begins an escape here; write the text in single quotes",
    ),
    (
        "duplicate key",
        "this key or table is there already; write its keys in one place",
    ),
];

/// The parser's message, in the words of TOML and with what to write.
fn explained(message: &str) -> String {
    let text = WORDS.iter();
    let text = text.fold(unquoted(message), |text, (theirs, ours)| {
        text.replace(theirs, ours)
    });
    // It goes on with the name of a type.
    let text = match text.split_once(", expected struct ") {
        Some((found, _)) => format!("{found}, but a table is expected: {{ .. }}"),
        None => text,
    };
    let unknown = message.strip_prefix("unknown field `");
    match unknown.and_then(|rest| rest.split('`').next()) {
        Some(key) if TOP.contains(&key) => format!(
            "{text}; this key is the recipe's own and stands above the first [table], since all \
             that follows a table is part of it"
        ),
        _ => text,
    }
}

fn line_of(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or(text);
    before.bytes().filter(|byte| *byte == b'\n').count() + 1
}

/// The field that a piece of the text belongs to.
fn field_at(text: &str, span: &Range<usize>) -> String {
    let mut field = String::new();
    if let Ok(document) = DeTable::parse(text) {
        in_table(document.get_ref(), span, &mut field);
    }
    field
}

fn in_table(table: &DeTable<'_>, span: &Range<usize>, field: &mut String) {
    for (key, value) in table {
        let is_key = covers(&key.span(), span);
        // The span of a table that a header begins does not cover what stands below it.
        let before = field.len();
        push_key(field, key.get_ref());
        if is_key || in_value(value.get_ref(), span, field) || covers(&value.span(), span) {
            return;
        }
        field.truncate(before);
    }
}

/// Whether the piece is within the value, and then adds where.
fn in_value(value: &DeValue<'_>, span: &Range<usize>, field: &mut String) -> bool {
    let before = field.len();
    match value {
        DeValue::Table(table) => in_table(table, span, field),
        DeValue::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                let before = field.len();
                let _ = write!(field, "[{index}]");
                if in_value(value.get_ref(), span, field) || covers(&value.span(), span) {
                    return true;
                }
                field.truncate(before);
            }
        }
        _ => {}
    }
    field.len() > before
}

fn covers(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

fn push_key(field: &mut String, key: &str) {
    if !field.is_empty() {
        field.push('.');
    }
    field.push_str(key);
}

/// The line of a field, or of the nearest one above it that is there.
fn line_at(text: &str, field: &str) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let mut at = None;
    let mut table = document.get_ref();
    let mut rest = field;
    'table: while !rest.is_empty() {
        // A key may hold dots: the longest that fits is meant.
        let is_here = |key: &&str| {
            let behind = rest.strip_prefix(*key);
            behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(['.', '[']))
        };
        let keys = table.keys().map(|key| &**key.get_ref());
        let Some(key) = keys.filter(is_here).max_by_key(|key| key.len()) else {
            break;
        };
        let (spanned, mut value) = table.get_key_value(key)?;
        at = Some(spanned.span().start);
        rest = &rest[key.len()..];
        while let Some(index) = rest.strip_prefix('[') {
            let (index, behind) = index.split_once(']')?;
            let DeValue::Array(list) = value.get_ref() else {
                break 'table;
            };
            value = list.get(index.parse::<usize>().ok()?)?;
            at = Some(value.span().start);
            rest = behind;
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => break,
        }
    }
    at.map(|at| line_of(text, at))
}
