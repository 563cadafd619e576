//! One login and one probe against the real service.

use std::process::ExitCode;

use anyhow::Context;
use auth_core::{Credentials, Provider, SecretSource};
use auth_middleware::AuthMiddleware;
use auth_providers::demo::Api;
use auth_providers::{Clay, CloudIo, Login, Quinn, ReqwestTransport, V1Login};

/// The environment variable that holds the password.
const VARIABLE: &str = "AUTH_PASSWORD";

pub(crate) async fn visit(
    api: Api,
    email: &str,
    base_url: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let secret = SecretSource::variable(VARIABLE);
    let instance = || {
        base_url.context("this API has no host of its own; add --base-url https://your.instance")
    };
    let (provider, probe): (Box<dyn Provider>, Option<String>) = match api {
        Api::Clay => {
            let clay = Clay::new(email, secret)?;
            let clay = match base_url {
                Some(url) => clay.base_url(url)?,
                None => clay,
            };
            let probe = clay.url(api.probe_path());
            (Box::new(clay.via(ReqwestTransport::new()?)), Some(probe))
        }
        Api::Quinn => {
            let quinn = Quinn::new(instance()?, email, secret)?;
            let probe = quinn.url(api.probe_path());
            (Box::new(quinn.via(ReqwestTransport::new()?)), Some(probe))
        }
        Api::CloudIo => {
            let cloudio = CloudIo::new(instance()?, email, secret)?;
            (Box::new(cloudio.via(ReqwestTransport::new()?)), None)
        }
        _ => {
            let v1 = V1Login::new(instance()?, email, secret)?;
            (Box::new(v1.via(ReqwestTransport::new()?)), None)
        }
    };
    let origin = provider.identity().origin().to_string();
    if origin.starts_with("https:") && !cfg!(feature = "tls") {
        anyhow::bail!("this build has no TLS; run it with `--features tls`");
    }

    let credentials = Credentials::new(provider);
    println!("logging in at {origin} …");
    let credential = match credentials.get().await {
        Ok(credential) => credential,
        Err(error) => {
            let error = anyhow::Error::from(error);
            println!("no session: {error:#}");
            return Ok(ExitCode::FAILURE);
        }
    };
    println!("logged in: {credential:?}");
    let Some(probe) = probe else {
        println!("no probe: this API documents no path without side effects");
        return Ok(ExitCode::SUCCESS);
    };
    let client = AuthMiddleware::build_client(reqwest::Client::builder(), credentials)?;
    let response = client.get(&probe).send().await?;
    println!("GET {probe}: {}", response.status());
    Ok(if response.status().is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
