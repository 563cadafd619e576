//! One table of tests for both stores.

/// Makes two tests of each function: one on files, and one on Redis.
macro_rules! on_both {
    ($($(#[$attribute:meta])* $name:ident)+) => {
        mod file {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                $(#[$attribute])*
                async fn $name() {
                    if let Some(place) = crate::place::Place::folder() {
                        super::$name(&place).await;
                    }
                }
            )+
        }

        mod redis {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                $(#[$attribute])*
                async fn $name() {
                    if let Some(place) = crate::place::Place::redis() {
                        super::$name(&place).await;
                    }
                }
            )+
        }
    };
}
