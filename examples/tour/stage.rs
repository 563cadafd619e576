//! One API behind one front: a server, a client, and a clock that both go by.

use std::path::PathBuf;
use std::time::Duration;

use auth_core::clock::ShiftedClock;
use auth_core::{Credentials, Provider, SecretSource};
use auth_providers::demo::{Api, Counts, DemoServer, EMAIL, PASSWORD, Settings};
use auth_providers::{Clay, CloudIo, Login, Quinn, ReqwestTransport, TowerTransport, V1Login};

use crate::front::{Front, Kind, hyper_client};

/// Everything that a stage needs, and what was seen on it.
pub(crate) struct Stage {
    pub(crate) api: Api,
    pub(crate) kind: Kind,
    pub(crate) server: DemoServer,
    pub(crate) credentials: Credentials,
    pub(crate) front: Front,
    clock: ShiftedClock,
    secret: PathBuf,
    pub(crate) next_id: u64,
    /// Requests that callers saw fail where a login could heal them.
    pub(crate) failed: u64,
    /// Requests that were told in so many words that the password is wrong.
    pub(crate) told: u64,
    pub(crate) broken: Vec<String>,
}

/// What is left of a stage when its server is gone.
pub(crate) struct Played {
    pub(crate) api: Api,
    pub(crate) kind: Kind,
    pub(crate) counts: Counts,
    pub(crate) failed: u64,
    pub(crate) told: u64,
    pub(crate) broken: Vec<String>,
}

impl Stage {
    pub(crate) async fn set(api: Api, kind: Kind, connections: usize) -> anyhow::Result<Self> {
        let settings = Settings::new()
            .login_latency(Duration::from_millis(100))
            .call_latency(Duration::from_millis(50));
        let server = DemoServer::start_with(api, settings).await?;
        let secret =
            std::env::temp_dir().join(format!("tour-{}-{api:?}-{kind:?}", std::process::id()));
        tokio::fs::write(&secret, PASSWORD).await?;
        let clock = ShiftedClock::new();
        let provider = provider(api, kind, &server.base_url(), SecretSource::file(&secret))?;
        let credentials = Credentials::builder(provider).clock(clock.clock()).build();
        Ok(Self {
            api,
            kind,
            front: Front::new(kind, credentials.clone(), connections)?,
            credentials,
            server,
            clock,
            secret,
            next_id: 0,
            failed: 0,
            told: 0,
            broken: Vec::new(),
        })
    }

    /// Time passes, for the client and for the server.
    pub(crate) fn advance(&self, by: Duration) {
        self.server.advance(by);
        self.clock.advance(by);
    }

    /// The server's password changes, and the client's doesn't.
    pub(crate) fn change_password(&self, password: &str) {
        self.server.set_password(EMAIL, password);
    }

    /// The client learns the new password.
    pub(crate) async fn mend_password(&self, password: &str) -> anyhow::Result<()> {
        Ok(tokio::fs::write(&self.secret, password).await?)
    }

    pub(crate) async fn strike(self) -> Played {
        let counts = self.server.counts();
        let _ = tokio::fs::remove_file(&self.secret).await;
        drop(self.front);
        self.server.shutdown().await;
        Played {
            api: self.api,
            kind: self.kind,
            counts,
            failed: self.failed,
            told: self.told,
            broken: self.broken,
        }
    }
}

fn provider(
    api: Api,
    kind: Kind,
    url: &str,
    secret: SecretSource,
) -> anyhow::Result<Box<dyn Provider>> {
    Ok(match api {
        Api::Clay => carried(Clay::new(EMAIL, secret)?.base_url(url)?, kind)?,
        Api::Quinn => carried(Quinn::new(url, EMAIL, secret)?, kind)?,
        Api::CloudIo => carried(CloudIo::new(url, EMAIL, secret)?, kind)?,
        Api::V1Login => carried(V1Login::new(url, EMAIL, secret)?, kind)?,
        other => anyhow::bail!("no provider for {other:?}"),
    })
}

/// The login goes over a client of the front's own kind.
fn carried(login: impl Login, kind: Kind) -> anyhow::Result<Box<dyn Provider>> {
    Ok(match kind {
        Kind::Reqwest => Box::new(login.via(ReqwestTransport::new()?)),
        Kind::Tower => Box::new(login.via(TowerTransport::new(hyper_client()))),
    })
}
