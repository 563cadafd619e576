//! Checks a recipe at a live server: one login, and what it showed. For the author of a recipe.
//!
//! ```text
//! cargo run --features tls --example check_recipe -- RECIPE.toml url=https://acme.example \
//!     email=ada@example.com password=env:ACME_PASSWORD
//! ```
//!
//! It prints no secret, and nothing of what the server sent but statuses, types and lengths.
//! Without arguments it starts a server of its own.

#![allow(clippy::print_stdout, reason = "it prints the results")]

use std::env::args;

use auth_core::{Credential, Credentials, LoginError, ResponseView, Verdict};
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
    let credential = match credentials.get().await {
        Ok(credential) => credential,
        Err(error) => {
            println!("login: failed");
            return Err(error.into());
        }
    };
    println!("login: succeeded; requests carry, and the session keeps:\n  {credential:?}");
    let session = credentials.session();
    let life = session.map(|session| session.lifetime());
    println!("life: {life:?}");

    let probed = probe(&login, &transport, &credential).await?;
    match &probed {
        None => println!("probe: the recipe has none, so a session can't be told from a guest"),
        Some(seen) if seen.live => println!("probe: live ({})", seen.shown),
        Some(seen) => println!(
            "probe: NOT live, though it is ({}); correct `ok`",
            seen.shown
        ),
    }
    match credentials.close().await {
        Ok(()) => println!("logout: confirmed, or the recipe has none"),
        Err(error) => println!("logout: NOT confirmed: {:#}", anyhow::Error::from(error)),
    }
    // What a dead session gets, or, without a logout, what it still gets.
    if let Some(seen) = probe(&login, &transport, &credential).await? {
        let shown = &seen.shown;
        match (seen.live, seen.verdict) {
            (true, _) => {
                println!("after it: the session is live ({shown}); the logout ends nothing")
            }
            (false, Verdict::Rejected) => println!("after it: dead, and recognised ({shown})"),
            (false, verdict) => println!(
                "after it: dead, and NOT recognised: {verdict:?} ({shown}); add a verdict, or an \
                 expired session is never logged in again"
            ),
        }
    }
    Ok(())
}

/// What the answer to a probe says.
struct Seen {
    live: bool,
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
    let answer = transport.carry(request).await?;
    let view = ResponseView::new(answer.status(), answer.headers()).with_body(answer.body());
    let kind = view.media_type().unwrap_or("no type");
    Ok(Some(Seen {
        live: login.is_live(&answer),
        verdict: login.judge().judge(&view),
        shown: format!(
            "status {}, {kind}, {} bytes",
            answer.status().as_u16(),
            answer.body().len()
        ),
    }))
}
