//! A server on loopback that answers each request with a function, for the examples whose API no
//! demo server has.

use std::net::Ipv4Addr;

use bytes::Bytes;
use http::header::COOKIE;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// It stops when it is dropped.
pub(crate) struct SmallServer {
    pub(crate) base_url: String,
    _tasks: JoinSet<()>,
}

/// Starts a server. A request has its body as text.
pub(crate) async fn serve(
    answer: impl Fn(Request<String>) -> Response<String> + Clone + Send + Sync + 'static,
) -> anyhow::Result<SmallServer> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let base_url = format!("http://{}", listener.local_addr()?);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let answer = answer.clone();
                async move {
                    let (parts, body) = request.into_parts();
                    let body = body.collect().await?.to_bytes();
                    let body = String::from_utf8_lossy(&body).into_owned();
                    let response = answer(Request::from_parts(parts, body));
                    Ok::<_, hyper::Error>(response.map(|text| Full::new(Bytes::from(text))))
                }
            });
            connections.spawn(async move {
                // A client that has what it wants may close the connection.
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                let _ = connection.await;
            });
        }
    });
    Ok(SmallServer {
        base_url,
        _tasks: tasks,
    })
}

/// An answer with this status, headers and body.
pub(crate) fn answer(
    status: StatusCode,
    headers: &[(&'static str, &'static str)],
    body: impl Into<String>,
) -> Response<String> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    for (name, value) in headers {
        let value = http::HeaderValue::from_static(value);
        response.headers_mut().append(*name, value);
    }
    response
}

/// Whether a request carries this cookie.
#[allow(dead_code, reason = "not every example has cookies")]
pub(crate) fn has_cookie(request: &Request<String>, cookie: &str) -> bool {
    let cookies = request.headers().get(COOKIE);
    let text = cookies.and_then(|cookies| cookies.to_str().ok());
    text.is_some_and(|text| text.split("; ").any(|pair| pair == cookie))
}
