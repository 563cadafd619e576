//! How long a session is good: what a provider states, and the deadlines that follow from it.

mod life;
mod stated;
mod window;

pub(crate) use life::{Freshness, Life, made_progress};
pub use stated::Lifetime;
pub use window::RefreshWindow;
