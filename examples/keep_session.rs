//! A command-line program that is run again and again, and logs in once. Its session is in a file.
//!
//! ```text
//! cargo run --example keep_session                      runs itself, against a demo server
//! cargo run --example keep_session -- http://127.0.0.1:8080
//! cargo run --example keep_session -- http://127.0.0.1:8080 logout
//! ```
//!
//! For the second form, start `cargo run --example demo_server -- quinn 8080` first. The third one
//! ends the session.

#![allow(clippy::print_stdout, reason = "it prints the results")]

use std::env;
use std::process::Command;

use anyhow::Context as _;
use auth_core::store::FileStore;
use auth_core::{Credentials, Event, Identity};
use auth_middleware::AuthMiddleware;
use auth_providers::demo::{Api, DemoServer, EMAIL, PASSWORD};
use auth_providers::{Login, Quinn, ReqwestTransport};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some(base_url) = arguments.first() else {
        return run_as_a_user().await;
    };
    let quinn = Quinn::new(base_url.as_str(), EMAIL, PASSWORD)?;
    let me = quinn.url("/api/auth/me");
    // A program of yours keeps it where its user has such things: ~/.local/state/acme.
    let folder = env::var_os("KEEP_SESSION_FOLDER").map_or_else(
        || env::temp_dir().join("auth-example-keep-session"),
        Into::into,
    );
    let credentials = Credentials::builder(quinn.via(ReqwestTransport::new()?))
        .store(FileStore::open(folder)?)
        .observer(|_: &Identity, event: &Event| match event {
            Event::LoggedIn { .. } => println!("logged in"),
            Event::Loaded { .. } => println!("found the session of a run before"),
            _ => {}
        })
        .build();

    if arguments.get(1).is_some_and(|word| word == "logout") {
        // Ends the session, for this run and all others.
        return Ok(credentials.log_out().await?);
    }
    let builder = reqwest::Client::builder().no_proxy();
    let client = AuthMiddleware::build_client(builder, credentials.clone())?;
    println!("{}", client.get(me).send().await?.status());
    // Leaves the session to the next run.
    credentials.close().await?;
    Ok(())
}

/// Runs this program as its user does: twice, with `logout`, and again. The server outlives them.
async fn run_as_a_user() -> anyhow::Result<()> {
    let server = DemoServer::start(Api::Quinn).await?;
    let folder = env::temp_dir().join(format!("auth-example-{}", std::process::id()));
    // With the logins and the logouts that the server has counted after the run.
    for (word, expected) in [
        (None, (1, 0)),
        (None, (1, 0)),
        (Some("logout"), (1, 1)),
        (None, (2, 1)),
    ] {
        let mut run = Command::new(env::current_exe()?);
        run.arg(server.base_url()).args(word);
        run.env("KEEP_SESSION_FOLDER", &folder);
        println!("keep_session {}", word.unwrap_or_default());
        let status = tokio::task::spawn_blocking(move || run.status()).await??;
        anyhow::ensure!(status.success(), "the run succeeds");
        let counts = server.counts();
        let counted = (counts.logins.total(), counts.logouts);
        anyhow::ensure!(counted == expected, "{counted:?} logins and logouts");
    }
    println!("4 runs, {} logins", server.counts().logins.total());
    std::fs::remove_dir_all(&folder).context("the folder of the session")?;
    server.shutdown().await;
    Ok(())
}
