//! Where a password comes from.

use async_trait::async_trait;
use auth_core::{ReadSecret, Secret, SecretError, SecretSource};

struct Fixed;
#[async_trait]
impl ReadSecret for Fixed {
    async fn read(&self) -> Result<Secret, SecretError> {
        Ok("v".into())
    }
}

#[tokio::test]
async fn a_file_is_read_at_each_login_and_its_last_line_break_dropped() {
    let path = std::env::temp_dir().join(format!("auth-core-secret-{}", std::process::id()));
    std::fs::write(&path, "one\r\n").unwrap();
    let source = SecretSource::file(&path);
    assert_eq!(source.read().await.unwrap().expose(), "one");
    std::fs::write(&path, " two \n\n").unwrap();
    assert_eq!(
        source.read().await.unwrap().expose(),
        " two \n",
        "only one line break, and no spaces"
    );
    std::fs::write(&path, "\n").unwrap();
    assert!(
        source
            .read()
            .await
            .unwrap_err()
            .to_string()
            .contains("is empty")
    );
    std::fs::remove_file(&path).unwrap();
    let error = source.read().await.unwrap_err();
    assert!(error.to_string().contains("can't be read"));
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test]
async fn a_missing_variable_and_an_empty_value_say_so() {
    let missing = SecretSource::variable("AUTH_CORE_TEST_NOT_SET")
        .read()
        .await;
    assert!(
        missing
            .unwrap_err()
            .to_string()
            .contains("AUTH_CORE_TEST_NOT_SET is not set")
    );
    let empty = SecretSource::value("").read().await;
    assert!(empty.unwrap_err().to_string().contains("is empty"));
}

#[test]
fn rule_17_a_secret_does_not_print() {
    let source = SecretSource::value("canary-4711");
    let printed = format!("{source:?} {:?}", source.fixed());
    assert!(!printed.contains("4711"), "{printed}");
}

#[test]
fn the_same_place_is_the_same_source() {
    assert!(SecretSource::value("a").is_same(&"a".into()));
    assert!(!SecretSource::value("a").is_same(&"b".into()));
    assert!(SecretSource::variable("A").is_same(&SecretSource::variable("A")));
    assert!(!SecretSource::variable("A").is_same(&SecretSource::variable("B")));
    assert!(SecretSource::file("a").is_same(&SecretSource::file("a")));
    assert!(!SecretSource::file("a").is_same(&SecretSource::file("b")));
    assert!(!SecretSource::file("A").is_same(&SecretSource::variable("A")));
    let vault = SecretSource::custom(Fixed);
    assert!(vault.is_same(&vault.clone()));
    assert!(!vault.is_same(&SecretSource::custom(Fixed)));
}
