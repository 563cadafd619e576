//! How long a session is good: what a provider states, and the deadlines that follow from it.

mod cookie_lives;
mod life;
mod stated;
mod window;

pub(crate) use cookie_lives::CookieLives;
pub(crate) use life::{Birth, Freshness, Life, WORTH_STORING, made_progress};
pub use stated::Lifetime;
pub use window::RefreshWindow;
