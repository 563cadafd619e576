//! The store in files.

use auth_core::store::FileStore;

use self::folder::TestFolder;
use crate::conformance::{Fresh, a_change_of_another_process_is_noticed};

mod folder;

async fn fresh() -> Fresh<FileStore> {
    let folder = TestFolder::new();
    let open = || FileStore::open(folder.path()).unwrap();
    Fresh::new(open(), open(), folder)
}

conformance!(fresh());

#[tokio::test]
async fn a_change_is_noticed() {
    a_change_of_another_process_is_noticed(&fresh().await).await;
}
