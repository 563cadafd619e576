//! The JSON Schema that editors read.

#![cfg(feature = "schema")]

use std::fs;
use std::path::Path;

use auth_providers::recipe::Recipe;

/// With `WRITE_SCHEMA=1` in the environment, the file is written instead.
#[test]
fn the_schema_file_is_what_the_types_say() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes/schema.json");
    let schema = serde_json::to_string_pretty(&Recipe::schema()).unwrap() + "\n";
    if std::env::var_os("WRITE_SCHEMA").is_some() {
        fs::write(&file, &schema).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == schema,
        "recipes/schema.json is old: run this test with WRITE_SCHEMA=1"
    );
}
