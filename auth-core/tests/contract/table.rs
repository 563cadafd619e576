//! The contract's tables name every test, and no other.

use std::collections::BTreeSet;
use std::path::Path;

fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let name = path.strip_prefix(root).unwrap().display().to_string();
            found.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn the_tables_of_the_contract_name_every_test_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    sources(&root.join("tests"), &mut files);
    sources(&root.join("explore/tests"), &mut files);
    let contract = std::fs::read_to_string(root.join("src/contract.rs")).unwrap();
    // The other crates are beside this one in the repository, but not where it was unpacked by itself.
    let beside = ["../auth-middleware", "../auth-providers"];
    for other in beside.map(|other| root.join(other)) {
        if other.is_dir() {
            sources(&other.join("src"), &mut files);
            sources(&other.join("tests"), &mut files);
        }
    }
    let mut written = BTreeSet::new();
    let mut rule = String::new();
    for line in contract.lines() {
        if let Some(number) = line.strip_prefix("//! ## Rule ") {
            rule = format!("rule_{number}_");
        } else if let Some(row) = line.strip_prefix("//! | `") {
            let (test, rest) = row.split_once("` | `").unwrap();
            assert!(test.starts_with(&rule), "{test} stands under {rule}");
            written.insert((test.to_owned(), rest.trim_end_matches("` |").to_owned()));
        }
    }
    let mut found = BTreeSet::new();
    for (name, text) in &files {
        for line in text.lines() {
            let line = line.trim_start();
            let Some((_, rest)) = line.split_once("fn rule_") else {
                continue;
            };
            if line.starts_with("fn ") || line.starts_with("async fn ") {
                let test = rest.split('(').next().unwrap();
                found.insert((format!("rule_{test}"), name.clone()));
            }
        }
    }
    assert!(found.len() > 50);
    for rule in 1..=19 {
        let prefix = format!("rule_{rule}_");
        assert!(
            written.iter().any(|(test, _)| test.starts_with(&prefix)),
            "rule {rule} has no test"
        );
    }
    for other in beside.iter().filter(|other| !root.join(other).is_dir()) {
        written.retain(|(_, file): &(String, String)| !file.starts_with(other));
    }
    assert_eq!(
        written, found,
        "src/contract.rs is out of step with the tests"
    );
}
