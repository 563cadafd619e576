//! Checks a recipe at a live server: one login, and what it showed. For the author of a recipe.
//!
//! ```text
//! cargo run --features tls --example check_recipe -- RECIPE.toml url=https://acme.example \
//!     email=ada@example.com password=env:ACME_PASSWORD
//! ```
//!
//! It prints no secret, and nothing of what the server sent but statuses, types and lengths.
//! It fails if one of the recipe's facts is wrong. Without arguments it starts a server of its own.

#![allow(clippy::print_stdout, reason = "it prints the results")]

use std::env::args;

use anyhow::Context as _;
use auth_core::{Credential, Credentials, LoginError, RequestHead, ResponseView, Verdict};
use auth_providers::recipe::{Recipe, RecipeLogin, Values};
use auth_providers::{Login, ReqwestTransport, Transport};

mod acme_server;
mod recipe_values;
mod small_server;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = args().skip(1).collect();
    if !arguments.is_empty() {
        let (recipe, values, _) = recipe_values::read(&arguments)?;
        return check(&recipe, &values).await;
    }
    let (_server, values) = acme_server::start().await?;
    check(&acme_server::RECIPE.parse()?, &values).await
}

async fn check(recipe: &Recipe, values: &Values) -> anyhow::Result<()> {
    println!("{}: the recipe is in order", recipe.name());
    let login = recipe.login(values)?;
    let transport = ReqwestTransport::new()?;
    let credentials = Credentials::new(login.clone().via(transport.clone()));
    let credential = credentials.get().await.context("login: failed")?;
    println!("login: succeeded; requests carry, and the session keeps:\n  {credential:?}");
    let session = credentials.session();
    println!("life: {:?}", session.map(|session| session.lifetime()));

    let mut faults = Vec::new();
    let Some(alive) = probe(&login, &transport, &credential).await? else {
        println!("probe: the recipe has none, so a live session can't be told from a dead one");
        credentials.close().await.context("logout: not confirmed")?;
        return Ok(());
    };
    println!("probe: {}", alive.shown);
    if !alive.live {
        faults.push("the probe fails with a session that has just begun: its `ok` or [attach]");
    }
    if alive.verdict == Verdict::Rejected {
        faults.push("a verdict rejects a session that has just begun");
    }
    match credentials.close().await {
        Ok(()) => println!("logout: confirmed, if the recipe has one"),
        Err(error) => {
            println!("logout: not confirmed: {:#}", anyhow::Error::from(error));
            faults.push("the logout is not confirmed: its `ok` or its request");
        }
    }
    let dead = probe(&login, &transport, &credential)
        .await?
        .unwrap_or(alive);
    println!("probe after it: {}", dead.shown);
    match (dead.live, dead.verdict) {
        (true, _) => println!("the session is still live, so how a dead one looks was not seen"),
        (false, Verdict::Rejected) => println!("a dead session is recognised"),
        (false, _) => faults.push(
            "a dead session is NOT recognised, and would never be replaced: add a verdict. If one \
             looks at a body that is not read, see `judged_body` and `type`",
        ),
    }
    for fault in &faults {
        println!("FAULT: {fault}");
    }
    anyhow::ensure!(
        faults.is_empty(),
        "{} of the recipe's facts are wrong",
        faults.len()
    );
    Ok(())
}

/// What the answer to a probe says.
struct Seen {
    live: bool,
    /// As an integration comes to it: with the request, and with the body only if it is wanted.
    verdict: Verdict,
    shown: String,
}

async fn probe(
    login: &RecipeLogin,
    transport: &ReqwestTransport,
    credential: &Credential,
) -> Result<Option<Seen>, LoginError> {
    let Some(request) = login.probe_request(credential)? else {
        return Ok(None);
    };
    let head = RequestHead::new(request.method().clone(), request.uri().clone());
    let answer = transport.carry(request).await?;
    let mut view = ResponseView::new(answer.status(), answer.headers()).to_request(&head);
    let (judge, live) = (login.judge(), login.is_live(&answer));
    let is_read = judge.wants_body(&view);
    if is_read {
        view = view.with_body(answer.body());
    }
    let verdict = judge.judge(&view);
    let (status, kind) = (
        answer.status().as_u16(),
        view.media_type().unwrap_or("no type"),
    );
    let shown = format!(
        "{}, judged {verdict:?} (status {status}, {kind}, {} bytes, {} for the verdict)",
        if live { "live" } else { "not live" },
        answer.body().len(),
        if is_read { "read" } else { "not read" },
    );
    Ok(Some(Seen {
        live,
        verdict,
        shown,
    }))
}
