//! The list of the contract's tests is complete.

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
fn every_test_that_the_threats_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // It is beside the crates in the repository, but not in a published package.
    let Ok(threats) = std::fs::read_to_string(root.join("../SECURITY.md")) else {
        return;
    };
    let list = std::fs::read_to_string(root.join("src/contract_tests.txt")).unwrap();
    let tests: BTreeSet<&str> = list
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let named: Vec<&str> = (threats.split('`'))
        .filter(|word| word.starts_with("rule_"))
        .collect();
    assert!(named.len() > 15, "the table was not found");
    for test in named {
        assert!(tests.contains(test), "{test} is no test");
    }
}

/// The tests of a source file that are named after a rule, as lines of the list.
fn proofs(name: &str, text: &str) -> Vec<String> {
    let functions = text.lines().filter_map(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("async ").unwrap_or(line);
        let function = line.strip_prefix("fn ")?.split('(').next()?;
        function.starts_with("rule_").then_some(function)
    });
    functions
        .map(|function| format!("{function} {name}"))
        .collect()
}

#[test]
fn the_list_of_the_contracts_tests_names_every_test_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests", "explore/tests"] {
        sources(&root.join(folder), &mut files);
    }
    // The other crates are next to this one in the repository, but not in a published package.
    let (beside, absent): (Vec<_>, Vec<_>) = ["../auth-middleware", "../auth-providers"]
        .into_iter()
        .partition(|other| root.join(other).is_dir());
    for other in beside.iter().map(|other| root.join(other)) {
        sources(&other.join("src"), &mut files);
        sources(&other.join("tests"), &mut files);
    }
    let found: BTreeSet<String> = files
        .iter()
        .flat_map(|(name, text)| proofs(name, text))
        .collect();
    assert!(found.len() > 50, "the sources were not found");
    let list = std::fs::read_to_string(root.join("src/contract_tests.txt")).unwrap();
    let listed: BTreeSet<String> = list
        .lines()
        .filter(|line| line.starts_with("rule_"))
        .filter(|line| !absent.iter().any(|other| line.contains(other)))
        .map(str::to_owned)
        .collect();
    for rule in 1..=25 {
        let proof = format!("rule_{rule}_");
        let proven = listed.iter().any(|line| line.starts_with(&proof));
        assert!(proven, "rule {rule} has no test");
    }
    let missing = found.difference(&listed).map(|line| format!("+ {line}"));
    let gone = listed.difference(&found).map(|line| format!("- {line}"));
    let difference: Vec<String> = gone.chain(missing).collect();
    assert!(
        difference.is_empty(),
        "src/contract_tests.txt is out of step with the tests:\n{}",
        difference.join("\n")
    );
}
