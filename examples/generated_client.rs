//! Logs in a client that was generated from an API's document, takes a `reqwest::Client` and
//! nothing else, and calls hooks of the program around each request, as progenitor's clients do.
//!
//! | the generator has | what works |
//! |---|---|
//! | a hook that executes the request (progenitor: `exec`) | all: another client executes it |
//! | hooks before and after (`pre`, `post`) | the credential is attached, and a rejection heard |
//!
//! Hooks before and after can't send a request once more: its caller gets the 401, and the next
//! request has a new session. A hook that executes can, so use that one if there is one.

#![allow(clippy::print_stdout, reason = "it prints the results")]

use std::mem;
use std::sync::{Mutex, PoisonError};

use anyhow::ensure;
use auth_core::{Ask, Attempt, Credentials, ResponseView, Target};
use auth_middleware::AuthMiddleware;
use auth_providers::demo::{Api, DemoServer, EMAIL, PASSWORD};
use auth_providers::{Clay, Login, ReqwestTransport};
use http::StatusCode;
use reqwest::{Request, Response};
use reqwest_middleware::{ClientWithMiddleware, Error};

/// Generated. `inner` is the program's own value, which its hooks are given.
struct Client<I> {
    base_url: String,
    reqwest: reqwest::Client,
    inner: I,
}

/// Generated, with a default for each.
trait Hooks {
    async fn pre(&self, request: &mut Request) -> anyhow::Result<()>;

    async fn exec(&self, client: &reqwest::Client, request: Request) -> reqwest::Result<Response> {
        client.execute(request).await
    }

    async fn post(&self, _: &reqwest::Result<Response>) {}
}

impl<I: Hooks> Client<I> {
    /// Generated, for each operation.
    async fn my_workspaces(&self) -> anyhow::Result<StatusCode> {
        let url = format!("{}/v3/my-workspaces", self.base_url);
        let mut request = self.reqwest.get(url).build()?;
        self.inner.pre(&mut request).await?;
        let result = self.inner.exec(&self.reqwest, request).await;
        self.inner.post(&result).await;
        Ok(result?.status())
    }
}

/// The hook that executes: the client with the middleware does, in place of the generated one's.
struct Executed {
    credentials: Credentials,
    client: ClientWithMiddleware,
}

impl Hooks for Executed {
    /// A login that fails is an error here, because `exec` can return those of reqwest only.
    async fn pre(&self, _: &mut Request) -> anyhow::Result<()> {
        self.credentials.get().await?;
        Ok(())
    }

    async fn exec(&self, _: &reqwest::Client, request: Request) -> reqwest::Result<Response> {
        match self.client.execute(request).await {
            Ok(response) => Ok(response),
            Err(Error::Reqwest(error)) => Err(error),
            // The session has ended since `pre`, and there is no other. The next `pre` says why.
            Err(Error::Middleware(_)) => {
                let mut response = http::Response::new("");
                *response.status_mut() = StatusCode::UNAUTHORIZED;
                Ok(response.into())
            }
        }
    }
}

/// The hooks before and after. What was sent is kept from one to the other, so that the response
/// rejects no other session than its own: a client of these hooks sends one request at a time. It
/// costs little to make one for each task.
struct Around {
    credentials: Credentials,
    sent: Mutex<Option<Attempt>>,
}

impl Around {
    fn new(credentials: &Credentials) -> Self {
        let (credentials, sent) = (credentials.clone(), Mutex::default());
        Self { credentials, sent }
    }

    fn keep(&self, attempt: Option<Attempt>) -> Option<Attempt> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        mem::replace(&mut *sent, attempt)
    }
}

impl Hooks for Around {
    async fn pre(&self, request: &mut Request) -> anyhow::Result<()> {
        let (url, method) = (request.url().clone(), request.method().clone());
        let host = url.host_str().unwrap_or_default();
        self.keep(None);
        let credentials = &self.credentials;
        if !credentials.scope().contains(url.scheme(), host, url.port()) {
            // It goes without the credential, and not in silence.
            Attempt::out_of_scope(credentials, Some(url.scheme()), url.host_str(), url.port());
            return Ok(());
        }
        let target = Target::new(url.scheme(), host, url.path()).with_method(&method);
        let credential = credentials.get_for(target, Ask::new()).await?;
        // For a session in the query or in the body, see `attach_query` and `body_fields`.
        credential.attach_headers(target, request.headers_mut());
        self.keep(Some(Attempt::new(credentials, &credential)));
        Ok(())
    }

    /// The verdict is by the head, because the body belongs to the caller.
    async fn post(&self, result: &reqwest::Result<Response>) {
        if let (Some(attempt), Ok(response)) = (self.keep(None), result) {
            attempt.conclude(&ResponseView::new(response.status(), response.headers()));
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let server = DemoServer::start(Api::Clay).await?;
    let clay = Clay::new(EMAIL, PASSWORD)?.base_url(server.base_url())?;
    let credentials = Credentials::new(clay.via(ReqwestTransport::new()?));
    // No redirect leads a header of the session to another host.
    let redirects = reqwest::redirect::Policy::none();
    let plain = reqwest::Client::builder()
        .no_proxy()
        .redirect(redirects)
        .build()?;

    let builder = reqwest::Client::builder().no_proxy();
    let executed = Client {
        base_url: server.base_url().clone(),
        reqwest: plain.clone(),
        inner: Executed {
            client: AuthMiddleware::build_client(builder, credentials.clone())?,
            credentials: credentials.clone(),
        },
    };
    let first = executed.my_workspaces().await?;
    server.revoke_all();
    let second = executed.my_workspaces().await?;
    println!("a hook that executes: {first}, after a revocation: {second}");
    ensure!(first == 200 && second == 200 && server.counts().logins.ok == 2);

    let around = Client {
        base_url: server.base_url().clone(),
        reqwest: plain,
        inner: Around::new(&credentials),
    };
    let first = around.my_workspaces().await?;
    server.revoke_all();
    let second = around.my_workspaces().await?;
    let third = around.my_workspaces().await?;
    println!("hooks before and after: {first}, after a revocation: {second}, then {third}");
    ensure!(first == 200 && second == 401 && third == 200);
    println!("{} logins for two revocations", server.counts().logins.ok);
    ensure!(server.counts().logins.ok == 3, "one for each");

    let missing = Client {
        base_url: server.base_url().replace("127.0.0.1", "localhost"),
        ..around
    };
    let status = missing.my_workspaces().await?;
    let missed = credentials.status().out_of_scope;
    println!("by another name of the host: {status}, {missed} request out of the scope");
    ensure!(status == 401 && missed == 1);
    server.shutdown().await;
    Ok(())
}
