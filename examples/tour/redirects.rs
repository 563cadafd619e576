//! Two accounts at two APIs through one client, and redirects: within the API, away, there and
//! back, and away to a download.

use std::sync::{Arc, Mutex};

use auth_core::{Credential, Credentials, Target};
use auth_middleware::AuthContext;
use auth_providers::demo::{Api, DemoServer, EMAIL, PASSWORD};
use auth_providers::{CloudIo, Login, Quinn, ReqwestTransport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::integration::{Integration, Kind};

/// Runs the act. Returns the promises that were broken.
pub(crate) async fn run(kind: Kind) -> anyhow::Result<Vec<String>> {
    let (first, second) = (
        DemoServer::start(Api::Quinn).await?,
        DemoServer::start(Api::CloudIo).await?,
    );
    let quinn = Quinn::new(first.base_url(), EMAIL, PASSWORD)?;
    let cloud = CloudIo::new(second.base_url(), EMAIL, PASSWORD)?;
    let one = Credentials::new(quinn.via(ReqwestTransport::new()?));
    let other = Credentials::new(cloud.via(ReqwestTransport::new()?));
    let probe = |server: &DemoServer| server.url(server.api().probe_path());
    let foreign = Foreign::start(probe(&second)).await?;

    let below = |server: &DemoServer, name: &str| format!("{}/{name}", server.api().probe_path());
    first.set_redirect(below(&first, "moved"), first.api().probe_path());
    first.set_redirect(below(&first, "away"), foreign.url("/page"));
    second.set_redirect(below(&second, "there"), foreign.url("/back"));
    second.set_redirect(below(&second, "file"), foreign.url("/file?signature=abc"));

    // A request that names no account uses the first one.
    let client = Integration::new(kind, one.clone(), 16)?;
    let mine = AuthContext::new;
    let theirs = || AuthContext::new().identity(other.clone());
    let requests = [
        ("within the API", mine(), first.url(&below(&first, "moved"))),
        ("away", mine(), first.url(&below(&first, "away"))),
        (
            "there and back",
            theirs(),
            second.url(&below(&second, "there")),
        ),
        (
            "to a download",
            theirs(),
            second.url(&below(&second, "file")),
        ),
    ];
    let mut broken = Vec::new();
    for (what, context, url) in requests {
        let response = client.get_as(context, &url).await?;
        println!(
            "{:<8} redirected {what:<15} {}",
            kind.name(),
            response.status
        );
        if response.status != 200 {
            broken.push(format!("a request that is redirected {what} gets 200"));
        }
    }
    let secrets = [secrets(&*one.get().await?), secrets(&*other.get().await?)].concat();
    for request in foreign.received() {
        println!(
            "{:<8} the foreign server got: {}",
            kind.name(),
            request.join(" | ")
        );
        let text = request.join("\n");
        if secrets.iter().any(|secret| text.contains(secret)) {
            broken.push("off the scope goes nothing of a credential".into());
        }
    }
    if foreign.received().len() != 3 {
        broken.push("three redirects lead to the foreign server".into());
    }
    println!();
    first.shutdown().await;
    second.shutdown().await;
    Ok(broken)
}

/// Everything that a request with this credential carries.
fn secrets(credential: &Credential) -> Vec<String> {
    let mut headers = http::HeaderMap::new();
    let target = Target::new("http", "127.0.0.1", "/").with_method(&http::Method::POST);
    credential.attach_headers(target, &mut headers);
    let values = headers.values().filter_map(|value| value.to_str().ok());
    let words = values.flat_map(|value| value.split([' ', ';', '=']));
    words
        .chain(credential.query_secrets())
        .map(str::to_owned)
        .filter(|word| word.len() > 8)
        .collect()
}

/// A server that is out of every scope. It redirects `/back`, and serves everything else.
struct Foreign {
    origin: String,
    received: Arc<Mutex<Vec<Vec<String>>>>,
    task: JoinHandle<()>,
}

impl Foreign {
    async fn start(back: String) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let origin = format!("http://{}", listener.local_addr()?);
        let received = Arc::<Mutex<Vec<Vec<String>>>>::default();
        let record = Arc::clone(&received);
        #[allow(clippy::disallowed_methods, reason = "ended when it is dropped")]
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // One request for each connection.
                let _ = answer(stream, &back, &record).await;
            }
        });
        Ok(Self {
            origin,
            received,
            task,
        })
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// The lines of each request.
    fn received(&self) -> Vec<Vec<String>> {
        self.received
            .lock()
            .map(|received| received.clone())
            .unwrap_or_default()
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Records the lines of one request, and answers it.
async fn answer(
    mut stream: TcpStream,
    back: &str,
    record: &Mutex<Vec<Vec<String>>>,
) -> anyhow::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            break;
        }
    }
    let text = String::from_utf8_lossy(&request);
    let lines = text.lines().filter(|line| !line.is_empty());
    let lines = lines.map(str::to_owned).collect();
    // Before the client can have the answer.
    if let Ok(mut record) = record.lock() {
        record.push(lines);
    }
    let head = if text.starts_with("GET /back ") {
        format!("302 Found\r\nlocation: {back}")
    } else {
        "200 OK".to_owned()
    };
    let response = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(response.as_bytes()).await?;
    Ok(())
}
