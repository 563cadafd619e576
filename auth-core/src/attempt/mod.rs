//! One attempt of one request, without I/O: what it carries, and what its response says.

#[allow(clippy::module_inception, reason = "a file for each noun")]
mod attempt;
mod conclusion;

pub use attempt::Attempt;
pub use conclusion::Conclusion;
