//! The store in memory.

use auth_core::store::MemoryStore;

use crate::conformance::{Fresh, a_change_of_another_process_is_noticed};

fn fresh() -> Fresh<MemoryStore> {
    let store = MemoryStore::new();
    Fresh::new(store.clone(), store, ())
}

conformance!(fresh());

#[tokio::test]
async fn a_change_is_noticed() {
    a_change_of_another_process_is_noticed(&fresh()).await;
}
