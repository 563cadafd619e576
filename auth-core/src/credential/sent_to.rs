//! Where a request was sent, for when its answer is read.

use super::Target;

/// Where a request was sent, as far as it decides which cookies its answer may set: its host, its
/// path, and whether it went over plain HTTP to another machine.
#[derive(Clone)]
pub(crate) struct SentTo {
    is_plain: bool,
    host: String,
    path: String,
}

impl SentTo {
    pub(crate) fn new(target: Target<'_>) -> Self {
        Self {
            is_plain: target.is_plain(),
            host: target.host().to_owned(),
            path: target.path().to_owned(),
        }
    }

    pub(crate) fn target(&self) -> Target<'_> {
        let scheme = if self.is_plain { "http" } else { "" };
        Target::new(scheme, &self.host, &self.path)
    }
}
