//! A guide to the three crates, for those who use them. It is present in the documentation only.
//!
//! To begin:
//!
//! 1. [Quick start](quick_start): a client whose requests carry a session.
//! 2. [Which login for whom](which_login): one that is built in, a recipe, or Rust.
//! 3. [A login of one's own](own_login), as a recipe and in Rust.
//! 4. [Refresh tokens](refresh_tokens).
//!
//! In service:
//!
//! 5. [Quotas and failures](quotas_and_failures): what each error means, and what to do.
//! 6. [Keeping and sharing sessions](keeping_sessions): files, Redis, keys.
//! 7. [Redirects and scope](redirects_and_scope): "why am I still 401?"
//! 8. [Cookies](cookies) beside those of the session.
//! 9. [Observability](observability): events, logs, metrics.
//! 10. [Testing](testing) one's code.
//!
//! With other clients:
//!
//! 11. [Tower stacks](tower_stacks), in order.
//! 12. [Sync programs and other clients](other_clients).
//! 13. [gRPC](grpc).
//!
//! To decide:
//!
//! 14. [When not to use these crates](when_not_to_use).
//! 15. [Comparison](comparison), with figures and versions.
//! 16. [Names that changed](names_that_changed).
//!
//! What the crates promise is in [the contract][contract], sentence by sentence. Whole programs are
//! in the folder `examples` of the repository.
//!
//! [contract]: https://docs.rs/auth-core/latest/auth_core/contract/

#[doc = include_str!("quick_start.md")]
pub mod quick_start {}
#[doc = include_str!("which_login.md")]
pub mod which_login {}
#[doc = include_str!("own_login.md")]
pub mod own_login {}
#[doc = include_str!("refresh_tokens.md")]
pub mod refresh_tokens {}
#[doc = include_str!("quotas_and_failures.md")]
pub mod quotas_and_failures {}
#[doc = include_str!("keeping_sessions.md")]
pub mod keeping_sessions {}
#[doc = include_str!("redirects_and_scope.md")]
pub mod redirects_and_scope {}
#[doc = include_str!("cookies.md")]
pub mod cookies {}
#[doc = include_str!("observability.md")]
pub mod observability {}
#[doc = include_str!("testing.md")]
pub mod testing {}
#[doc = include_str!("tower_stacks.md")]
pub mod tower_stacks {}
#[doc = include_str!("other_clients.md")]
pub mod other_clients {}
#[doc = include_str!("grpc.md")]
pub mod grpc {}
#[doc = include_str!("when_not_to_use.md")]
pub mod when_not_to_use {}
#[doc = include_str!("comparison.md")]
pub mod comparison {}
#[doc = include_str!("names_that_changed.md")]
pub mod names_that_changed {}
