//! Logs a tonic client in: a unary call that is replayed after a revocation, a stream, a revocation
//! while a stream runs, and a refused password. The login is a gRPC call as well.
//!
//! Messages and methods are written out here, so that no `protoc` is needed. With a generated
//! client, `ApiClient::new(service)` takes the same stack.

#![allow(clippy::print_stdout, reason = "it prints the results")]

use std::convert::Infallible;
use std::future::ready;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use auth_core::{
    Credentials, Identity, Judge, LoginError, Origin, Provider, Secret, SecretSource, Session,
};
use auth_middleware::{AuthLayer, BoxError, GrpcJudge, ReplayBody, grpc_code};
use futures_util::{StreamExt as _, stream};
use http::uri::PathAndQuery;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Response, Status, Streaming, server};
use tonic_prost::ProstCodec;
use tower::util::BoxCloneService;
use tower::{ServiceBuilder, ServiceExt as _, service_fn};

const EMAIL: &str = "me@example.com";
const PASSWORD: &str = "correct horse";

const LOGIN: PathAndQuery = PathAndQuery::from_static("/demo.Auth/Login");
const ECHO: PathAndQuery = PathAndQuery::from_static("/demo.Api/Echo");
const COUNT: PathAndQuery = PathAndQuery::from_static("/demo.Api/Count");
const WATCH: PathAndQuery = PathAndQuery::from_static("/demo.Api/Watch");

#[derive(Clone, PartialEq, prost::Message)]
struct Account {
    #[prost(string, tag = "1")]
    email: String,
    #[prost(string, tag = "2")]
    password: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Text {
    #[prost(string, tag = "1")]
    text: String,
}

fn text(text: impl Into<String>) -> Text {
    Text { text: text.into() }
}

/// The login: a call over the channel itself, and not through the layer that waits for it.
struct DemoLogin {
    identity: Identity,
    password: SecretSource,
    judge: GrpcJudge,
    channel: Channel,
}

#[async_trait]
impl Provider for DemoLogin {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn secret(&self) -> &SecretSource {
        &self.password
    }

    fn judge(&self) -> &dyn Judge {
        &self.judge
    }

    async fn login(&self, password: &Secret) -> Result<Session, LoginError> {
        let account = Account {
            email: self.identity.account().to_owned(),
            password: password.expose().to_owned(),
        };
        let plain = self
            .channel
            .clone()
            .map_err(|error| Status::from_error(error.into()));
        let mut client = Grpc::new(plain.boxed_clone());
        let token: Text =
            unary(&mut client, LOGIN, account)
                .await
                .map_err(|status| match status.code() {
                    Code::Unauthenticated => LoginError::refused("status 16"),
                    Code::ResourceExhausted => LoginError::limited(None),
                    code => LoginError::unavailable(format!("status {}", code as i32)),
                })?;
        Ok(Session::new().with_bearer(&token.text)?)
    }
}

/// A stack that a generated client takes as it takes a `Channel`. It is boxed only to have a name.
type Stack = BoxCloneService<http::Request<Body>, http::Response<Body>, Status>;

fn logged_in(channel: Channel, credentials: Credentials, origin: &Origin) -> Stack {
    let stack = ServiceBuilder::new()
        .map_err(to_status)
        // The requests of tonic are relative, and their bodies are not `Clone`.
        .layer(
            AuthLayer::new(credentials)
                .origin(origin)
                .buffered(64 * 1024),
        )
        .map_request(|request: http::Request<ReplayBody<Body>>| request.map(Body::new))
        .service(channel);
    stack
        .map_response(|response| response.map(Body::new))
        .boxed_clone()
}

/// The status of a call that was not sent, because there was no credential for it. Tonic knows the
/// other errors.
fn to_status(error: BoxError) -> Status {
    match grpc_code(&*error) {
        Some(code) => Status::new(code.into(), error.to_string()),
        None => Status::from_error(error),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let limit = Duration::from_secs(30);
    tokio::time::timeout(limit, run())
        .await
        .context("it ends within 30 s")?
}

async fn run() -> anyhow::Result<()> {
    let (demo, url, _server) = Demo::start().await?;
    let origin = Origin::parse(&url)?;
    let channel = Channel::from_shared(url)?.connect_lazy();
    let login = |password: &str| DemoLogin {
        identity: Identity::new("demo", origin.clone(), EMAIL),
        password: password.into(),
        judge: GrpcJudge::new(),
        channel: channel.clone(),
    };
    let credentials = Credentials::new(login(PASSWORD));
    let mut client = Grpc::new(logged_in(channel.clone(), credentials, &origin));

    let answer: Text = unary(&mut client, ECHO, text("hello")).await?;
    println!("unary: {:?}, logins: {}", answer.text, demo.counts().0);
    ensure!(demo.counts() == (1, 0), "one login, nothing rejected");

    // The answer to a call with a revoked token is trailers alone: it is sent once more.
    demo.revoke();
    let answer: Text = unary(&mut client, ECHO, text("hello again")).await?;
    println!(
        "after a revocation: {:?}, logins: {}",
        answer.text,
        demo.counts().0
    );
    ensure!(demo.counts() == (2, 1), "one more login, one call rejected");

    let mut numbers = server_streaming(&mut client, COUNT, text("3")).await?;
    let mut received = Vec::new();
    while let Some(number) = numbers.message().await? {
        received.push(number.text);
    }
    println!(
        "server streaming: {received:?}, logins: {}",
        demo.counts().0
    );
    ensure!(received == ["1", "2", "3"] && demo.counts() == (2, 1));

    // The caller of a stream that is revoked while it runs has some of it already. It is told so,
    // and the next call has the new session.
    let mut events = server_streaming(&mut client, WATCH, text("")).await?;
    ensure!(events.message().await?.is_some(), "the stream runs");
    demo.revoke();
    let ended = events.message().await.err().context("the stream ends")?;
    println!("revoked in mid-stream: {:?}", ended.code());
    ensure!(ended.code() == Code::Unauthenticated);
    let _: Text = unary(&mut client, ECHO, text("and on")).await?;
    println!("the next call: no rejection, logins: {}", demo.counts().0);
    ensure!(
        demo.counts() == (3, 1),
        "its login had begun with the trailers"
    );

    // Nothing was sent but the login.
    let refused = Credentials::new(login("not the password"));
    let mut client = Grpc::new(logged_in(channel.clone(), refused, &origin));
    let refused = unary::<_, Text>(&mut client, ECHO, text("hello")).await;
    let status = refused.err().context("a wrong password")?;
    println!(
        "a wrong password: {:?}, {:?}",
        status.code(),
        status.message()
    );
    ensure!(status.code() == Code::Unauthenticated);
    ensure!(demo.counts() == (4, 1), "one attempt");
    Ok(())
}

// What generated code does for a client.

async fn unary<M, N>(client: &mut Grpc<Stack>, path: PathAndQuery, message: M) -> Result<N, Status>
where
    M: prost::Message + 'static,
    N: prost::Message + Default + 'static,
{
    client.ready().await?;
    let codec = ProstCodec::<M, N>::default();
    let response = client.unary(Request::new(message), path, codec).await?;
    Ok(response.into_inner())
}

async fn server_streaming(
    client: &mut Grpc<Stack>,
    path: PathAndQuery,
    message: Text,
) -> Result<Streaming<Text>, Status> {
    client.ready().await?;
    let codec = ProstCodec::<Text, Text>::default();
    let request = Request::new(message);
    Ok(client
        .server_streaming(request, path, codec)
        .await?
        .into_inner())
}

/// The API. It has one valid token at a time.
#[derive(Default)]
struct Demo {
    state: Mutex<State>,
    revoked: Notify,
}

#[derive(Default)]
struct State {
    token: Option<String>,
    logins: usize,
    rejected: usize,
}

impl Demo {
    /// Serves on loopback until the set is dropped.
    async fn start() -> anyhow::Result<(Arc<Self>, String, JoinSet<()>)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let demo = Arc::new(Self::default());
        let served = Arc::clone(&demo);
        let service = service_fn(move |request| {
            let demo = Arc::clone(&served);
            async move { Ok::<_, Infallible>(demo.answer(request).await) }
        });
        let mut task = JoinSet::new();
        task.spawn(async move {
            let incoming = TcpIncoming::from(listener);
            let _ = Server::builder()
                .serve_with_incoming(service, incoming)
                .await;
        });
        Ok((demo, url, task))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn revoke(&self) {
        self.state().token = None;
        self.revoked.notify_waiters();
    }

    /// The logins, and the calls that were rejected before they were answered.
    fn counts(&self) -> (usize, usize) {
        let state = self.state();
        (state.logins, state.rejected)
    }

    async fn answer(self: Arc<Self>, request: http::Request<Body>) -> http::Response<Body> {
        if request.uri().path() == LOGIN.path() {
            let login = service_fn(|request| ready(self.log_in(&Request::into_inner(request))));
            return server::Grpc::new(ProstCodec::default())
                .unary(login, request)
                .await;
        }
        let carried = request.headers().get("authorization");
        let carried = carried.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let valid = carried.is_some() && carried == self.state().token.as_deref();
        if !valid {
            self.state().rejected += 1;
            return Status::unauthenticated("who are you?").into_http();
        }
        let mut grpc = server::Grpc::new(ProstCodec::<Text, Text>::default());
        if request.uri().path() == ECHO.path() {
            let echo = |request: Request<Text>| ready(Ok(Response::new(request.into_inner())));
            return grpc.unary(service_fn(echo), request).await;
        }
        let events = if request.uri().path() == COUNT.path() {
            stream::iter(["1", "2", "3"].map(|number| Ok(text(number)))).boxed()
        } else {
            // One event, and an end once the session ends.
            let demo = Arc::clone(&self);
            let ended = async move {
                while demo.state().token.is_some() {
                    demo.revoked.notified().await;
                }
                Err(Status::unauthenticated("the session was revoked"))
            };
            let begun = stream::once(ready(Ok(text("begun"))));
            begun.chain(stream::once(ended)).boxed()
        };
        let mut events = Some(events);
        let answer = service_fn(move |_: Request<Text>| {
            let events = events
                .take()
                .ok_or_else(|| Status::internal("called twice"));
            ready(events.map(Response::new))
        });
        grpc.server_streaming(answer, request).await
    }

    fn log_in(&self, account: &Account) -> Result<Response<Text>, Status> {
        let mut state = self.state();
        state.logins += 1;
        if account.email != EMAIL || account.password != PASSWORD {
            return Err(Status::unauthenticated("no such account and password"));
        }
        let token = format!("token-{}", state.logins);
        state.token = Some(token.clone());
        Ok(Response::new(text(token)))
    }
}
