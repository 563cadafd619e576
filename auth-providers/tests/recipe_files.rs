//! The recipes of this crate, and the files that are made of them.

#![cfg(feature = "schema")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::fs;
use std::path::{Path, PathBuf};

use auth_providers::recipe::Recipe;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Compares a file with what it is made of. With `WRITE_FILES=1` in the environment, it is written.
fn check_file(file: &Path, text: &str) {
    if std::env::var_os("WRITE_FILES").is_some() {
        fs::write(file, text).unwrap();
    }
    let written = fs::read_to_string(file).unwrap_or_default();
    let shown = file.display();
    assert!(
        written == text,
        "{shown} is old: run this test with WRITE_FILES=1"
    );
}

fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

#[test]
fn the_schema_is_what_the_types_say() {
    let file = folder("recipes").join("schema.json");
    check_file(&file, &pretty(&Recipe::schema()));
}

#[test]
fn the_logins_of_this_crate_are_their_recipes() {
    for name in ["clay", "quinn", "cloudio", "v1_login"] {
        let recipe = fs::read_to_string(folder("recipes").join(format!("{name}.toml"))).unwrap();
        let recipe: toml::Table = recipe.parse().unwrap();
        let json = pretty(&serde_json::to_value(recipe).unwrap());
        assert!(Recipe::from_json(&json).is_ok());
        check_file(&folder("src/apis").join(format!("{name}.json")), &json);
    }
}

#[test]
fn every_recipe_is_in_order_short_and_says_where_its_facts_are_from() {
    let mut count = 0;
    for entry in fs::read_dir(folder("recipes")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "toml") {
            continue;
        }
        let (shown, text) = (path.display(), fs::read_to_string(&path).unwrap());
        let recipe = text
            .parse::<Recipe>()
            .unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert!(
            recipe.documents().next().is_some(),
            "{shown} names no document"
        );
        let named = path.with_file_name(format!("{}.toml", recipe.name().replace('-', "_")));
        assert_eq!(named, path);
        let lines = text.lines().map(str::trim);
        let lines = lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .count();
        assert!(lines <= 40, "{shown} has {lines} lines");
        count += 1;
    }
    assert!(count >= 4, "{count}");
}

#[test]
fn rule_7_each_recipe_that_looks_into_successes_does_without_their_length() {
    let mut looks = Vec::new();
    for entry in fs::read_dir(folder("recipes")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "toml") {
            continue;
        }
        let recipe: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
        let verdicts = recipe.get("verdicts").and_then(toml::Value::as_array);
        let looks_into = |clause: &toml::Value| {
            let by_body = ["json", "text", "present", "absent"];
            by_body.iter().any(|key| clause.get(*key).is_some()) && clause.get("status").is_none()
        };
        if verdicts.is_some_and(|clauses| clauses.iter().any(looks_into)) {
            let judged = recipe.get("judged_body");
            let without = judged.and_then(|judged| judged.get("without_length"));
            let without = without.and_then(toml::Value::as_bool);
            assert_eq!(without, Some(true), "{}", path.display());
            looks.push(path);
        }
    }
    assert_eq!(looks.len(), 4, "{looks:?}");
}
