//! A folder that can be read and not written, as on a disk that is full.

#![cfg(unix)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::store::FileStore;
use auth_core::{
    Credentials, Identity, Lifetime, LoginError, Origin, Provider, Quota, Secret, SecretSource,
    Session,
};

use super::folder::TestFolder;

struct Account {
    identity: Identity,
    secret: SecretSource,
    logins: Arc<AtomicU32>,
}

#[async_trait]
impl Provider for Account {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn secret(&self) -> &SecretSource {
        &self.secret
    }

    fn quota(&self) -> Quota {
        // So that no start waits for a fifth of the quota.
        Quota::new(10_000.try_into().unwrap(), Duration::from_secs(60))
    }

    async fn login(&self, secret: &Secret) -> Result<Session, LoginError> {
        self.logins.fetch_add(1, SeqCst);
        if secret.expose() != "right" {
            return Err(LoginError::refused("wrong"));
        }
        Ok(Session::new()
            .with_bearer("token")?
            .with_lifetime(Lifetime::of(Duration::from_secs(3600))))
    }
}

fn account(number: usize, secret: &str, logins: &Arc<AtomicU32>) -> Account {
    let origin = Origin::parse(&format!("https://h{number}.example.com")).unwrap();
    Account {
        identity: Identity::new("trouble", origin, "me"),
        secret: secret.into(),
        logins: Arc::clone(logins),
    }
}

/// What `ENOSPC` does, also for root: `NAME.lease` can't be replaced. `NAME.entry` is untouched.
fn no_lease_can_be_written(folder: &TestFolder) {
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|end| end == "lease") {
            std::fs::remove_file(&path).unwrap();
            std::fs::create_dir(&path).unwrap();
        }
    }
}

async fn starts(folder: &TestFolder, secret: &str, logins: &Arc<AtomicU32>, times: usize) {
    for _ in 0..times {
        let credentials = Credentials::builder(account(0, secret, logins))
            .store(FileStore::open(folder.path()).unwrap())
            .build();
        let _ = credentials.get().await;
        let _ = credentials.close().await;
    }
}

#[tokio::test]
async fn rule_22_a_refusal_that_can_be_read_holds_though_no_lease_can_be_written() {
    let (folder, logins) = (TestFolder::new(), Arc::default());
    starts(&folder, "wrong", &logins, 1).await;
    no_lease_can_be_written(&folder);
    starts(&folder, "wrong", &logins, 12).await;
    assert_eq!(logins.load(SeqCst), 1, "thirteen starts, one attempt");
}

#[tokio::test]
async fn rule_20_a_session_that_can_be_read_is_used_though_its_lock_is_held() {
    let (folder, logins) = (TestFolder::new(), Arc::default());
    starts(&folder, "right", &logins, 1).await;
    let held: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "lock"))
        .map(|path| {
            let file = std::fs::File::options().write(true).open(path).unwrap();
            file.lock().unwrap();
            file
        })
        .collect();
    starts(&folder, "right", &logins, 2).await;
    drop(held);
    assert_eq!(logins.load(SeqCst), 1, "three starts, one login");
}
