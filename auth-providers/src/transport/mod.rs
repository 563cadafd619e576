//! Sends the request of a login and reads the response.

mod carry;
mod cut_short;
#[cfg(feature = "reqwest")]
mod reqwest;
#[cfg(any(feature = "reqwest", feature = "tower"))]
mod shared;
#[cfg(feature = "tower")]
mod tower;

pub use self::carry::Transport;
pub(crate) use self::cut_short::{ByStatus, CutShort};
#[cfg(feature = "reqwest")]
pub use self::reqwest::{ClientError, ReqwestTransport};
#[cfg(feature = "tower")]
pub use self::tower::TowerTransport;
