use super::clay::Clay;
use super::cloudio::CloudIo;
use super::demo_api::DemoApi;
use super::quinn::Quinn;
use super::v1_login::V1Login;

/// An API that a [`DemoServer`](crate::demo::DemoServer) can behave as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Api {
    /// See [`Clay`](crate::Clay).
    Clay,
    /// See [`Quinn`](crate::Quinn).
    Quinn,
    /// See [`CloudIo`](crate::CloudIo).
    CloudIo,
    /// See [`V1Login`](crate::V1Login).
    V1Login,
}

impl Api {
    /// All APIs.
    pub const ALL: [Self; 4] = [Self::Clay, Self::Quinn, Self::CloudIo, Self::V1Login];

    /// The path of a `GET` request that any live session may send.
    pub fn probe_path(self) -> &'static str {
        self.demo().paths().probe
    }

    pub(in crate::demo) fn demo(self) -> &'static dyn DemoApi {
        match self {
            Self::Clay => &Clay,
            Self::Quinn => &Quinn,
            Self::CloudIo => &CloudIo,
            Self::V1Login => &V1Login,
        }
    }
}
