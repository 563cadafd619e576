use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// The wait after `accept` has failed, most likely because no file descriptor is free. A connection
/// that ends frees one. Until then, a loop without a wait would use a whole core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// What answers requests.
pub(super) trait Respond: Send + Sync + 'static {
    /// The answer to a request of the client at `peer`.
    fn respond(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Response<Bytes>> + Send;
}

/// Serves until the sender of `stop` is dropped, then ends all connections. Dropping the future
/// ends them as well.
pub(super) async fn serve(
    site: Arc<impl Respond>,
    listener: TcpListener,
    mut stop: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stop => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection(Arc::clone(&site), stream, peer));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    connections.shutdown().await;
}

async fn connection(site: Arc<impl Respond>, stream: TcpStream, peer: SocketAddr) {
    // With Nagle's algorithm, small responses may wait for the acknowledgement of earlier ones.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(site.respond(request, peer).await.map(Full::new)) }
    });
    // The client sees what goes wrong on its connection.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
