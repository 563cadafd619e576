//! One API through one integration: a server, a client, and a clock that both use.

use std::path::PathBuf;
use std::time::Duration;

use auth_core::clock::ShiftedClock;
use auth_core::{Credentials, Provider, SecretSource};
use auth_providers::demo::{Api, Counts, DemoServer, EMAIL, PASSWORD, Settings};
use auth_providers::{Clay, CloudIo, Login, Quinn, ReqwestTransport, TowerTransport, V1Login};

use crate::integration::{Integration, Kind, login_client};

/// The parts of a scenario, and what its callers saw.
pub(crate) struct Scenario {
    pub(crate) api: Api,
    pub(crate) kind: Kind,
    pub(crate) server: DemoServer,
    pub(crate) credentials: Credentials,
    pub(crate) integration: Integration,
    clock: ShiftedClock,
    secret: PathBuf,
    pub(crate) next_id: u64,
    /// Requests that failed although a login could have recovered them.
    pub(crate) failed: u64,
    /// Requests whose error said that the password is wrong.
    pub(crate) told: u64,
    pub(crate) broken: Vec<String>,
}

/// The result of a scenario, after its server was shut down.
pub(crate) struct Finished {
    pub(crate) api: Api,
    pub(crate) kind: Kind,
    pub(crate) counts: Counts,
    pub(crate) failed: u64,
    pub(crate) told: u64,
    pub(crate) broken: Vec<String>,
}

impl Scenario {
    pub(crate) async fn start(api: Api, kind: Kind, connections: usize) -> anyhow::Result<Self> {
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
            integration: Integration::new(kind, credentials.clone(), connections)?,
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

    /// Advances the clocks of the client and of the server.
    pub(crate) fn advance(&self, by: Duration) {
        self.server.advance(by);
        self.clock.advance(by);
    }

    /// Changes the password at the server, but not at the client.
    pub(crate) fn change_password(&self, password: &str) {
        self.server.set_password(EMAIL, password);
    }

    /// Gives the client the new password.
    pub(crate) async fn correct_password(&self, password: &str) -> anyhow::Result<()> {
        Ok(tokio::fs::write(&self.secret, password).await?)
    }

    pub(crate) async fn finish(self) -> Finished {
        let counts = self.server.counts();
        let _ = tokio::fs::remove_file(&self.secret).await;
        drop(self.integration);
        self.server.shutdown().await;
        Finished {
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

/// Carries the login over the kind of client that the integration uses.
fn carried(login: impl Login, kind: Kind) -> anyhow::Result<Box<dyn Provider>> {
    Ok(match kind {
        Kind::Reqwest => Box::new(login.via(ReqwestTransport::new()?)),
        Kind::Tower => Box::new(login.via(TowerTransport::new(login_client()))),
    })
}
