//! Processes that share a session, and the login server's count.
//!
//! ```text
//! cargo run --example fleet                                    4 processes of 250 tasks, on files
//! cargo run --example fleet -- file 16 1000
//! cargo run --example fleet -- redis://127.0.0.1:6379 16 1000
//! ```
//!
//! It starts itself once for each process, twice: cold, and then with the session that is stored.

#![allow(clippy::print_stdout, reason = "it prints the results")]
#![allow(
    clippy::disallowed_methods,
    reason = "the times are the machine's, and are only printed"
)]

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use auth_core::Credentials;
use auth_core::store::{FileStore, Keys, RedisStore};
use auth_middleware::AuthMiddleware;
use auth_providers::demo::{Api, DemoServer, EMAIL, PASSWORD, Settings};
use auth_providers::{Login, Quinn, ReqwestTransport};
use tokio::task::JoinSet;

/// Set for a process of the fleet: the server's URL.
const SERVER: &str = "FLEET_SERVER";

/// The folder, or the key for Redis, which all processes have.
const SHARED: &str = "FLEET_SHARED";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let store = words.first().map_or("file", String::as_str);
    let number = |index: usize, unless: usize| match words.get(index) {
        Some(word) => word
            .parse()
            .context("the arguments are: store processes tasks"),
        None => Ok(unless),
    };
    let (processes, tasks) = (number(1, 4)?, number(2, 250)?);
    match env::var(SERVER) {
        Ok(server) => work(&server, store, tasks).await,
        Err(_) => run(store, processes, tasks).await,
    }
}

/// One process of the fleet: each task sends a request.
async fn work(server: &str, store: &str, tasks: usize) -> anyhow::Result<()> {
    let quinn = Quinn::new(server, EMAIL, PASSWORD)?;
    let me = quinn.url("/api/auth/me");
    let credentials = Credentials::builder(quinn.via(ReqwestTransport::new()?));
    let shared = env::var(SHARED)?;
    let credentials = if store == "file" {
        credentials.store(FileStore::open(shared)?)
    } else {
        // Each run has a prefix of its own, so that it begins without a session.
        let (prefix, key) = shared.split_once(' ').context("a prefix and a key")?;
        let redis = RedisStore::connect(store, Keys::parse(key)?)?;
        credentials.store(redis.prefix(prefix))
    };
    let builder = reqwest::Client::builder().no_proxy();
    let client = AuthMiddleware::build_client(builder, credentials.build())?;
    // All processes begin at the same time: when the parent says so.
    println!("ready");
    std::io::stdin().read_line(&mut String::new())?;

    let mut requests = JoinSet::new();
    for _ in 0..tasks {
        requests.spawn(client.get(&me).send());
    }
    let (mut answers, mut failed) = (0, 0);
    while let Some(response) = requests.join_next().await {
        let is_ok = response?.is_ok_and(|response| response.status() == 200);
        answers += 1;
        failed += usize::from(!is_ok);
        if answers == 1 {
            println!("first");
        }
    }
    println!("last {failed}");
    Ok(())
}

/// The parent has the server, so it counts what all processes have sent.
async fn run(store: &str, processes: usize, tasks: usize) -> anyhow::Result<()> {
    let settings = Settings::new().login_latency(Duration::from_millis(100));
    let server = DemoServer::start_with(Api::Quinn, settings).await?;
    let name = format!("auth-example-fleet-{}", std::process::id());
    let folder = env::temp_dir().join(&name);
    let shared = if store == "file" {
        folder.display().to_string()
    } else {
        // In a real fleet it is in a secret of the deployment: see `Keys::from_env`.
        format!("{name} {}", "42".repeat(32))
    };
    println!("{processes} processes of {tasks} tasks, {store}, a login takes 100 ms");
    for what in ["cold", "with a stored session"] {
        let (server, store, shared) = (server.base_url(), store.to_owned(), shared.clone());
        let ran = tokio::task::spawn_blocking(move || {
            together(&server, &store, &shared, processes, tasks)
        });
        let Ran {
            first,
            last,
            failed,
        } = ran.await??;
        println!(
            "{what}: first answer of all {first:.1?}, last answer {last:.1?}, {failed} failed"
        );
        anyhow::ensure!(failed == 0, "no request fails");
    }
    let counts = server.counts();
    println!(
        "{} requests, {} login",
        counts.calls.ok,
        counts.logins.total()
    );
    anyhow::ensure!(counts.logins.total() == 1, "one login for all processes");
    anyhow::ensure!(
        counts.calls.ok == 2 * (processes * tasks) as u64,
        "each request is served"
    );
    if store == "file" {
        std::fs::remove_dir_all(folder)?;
    } else {
        RedisStore::connect(store, Keys::parse(&"42".repeat(32))?)?
            .prefix(&name)
            .purge_all()
            .await?;
    }
    server.shutdown().await;
    Ok(())
}

struct Ran {
    /// When the last process had its first answer.
    first: Duration,
    last: Duration,
    failed: usize,
}

/// Starts all processes, lets them begin, and waits for their last answers.
fn together(
    server: &str,
    store: &str,
    shared: &str,
    processes: usize,
    tasks: usize,
) -> anyhow::Result<Ran> {
    let start = || {
        Command::new(env::current_exe()?)
            .args([store, "1", &tasks.to_string()])
            .env(SERVER, server)
            .env(SHARED, shared)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
    };
    let mut children = (0..processes)
        .map(|_| start())
        .collect::<Result<Vec<Child>, _>>()?;
    let mut answers = Vec::new();
    for child in &mut children {
        let mut lines = BufReader::new(child.stdout.take().context("its output")?).lines();
        lines.next().context("it is ready")??;
        answers.push(lines);
    }
    let began = Instant::now();
    for child in &mut children {
        writeln!(child.stdin.take().context("its input")?)?;
    }
    let heard: Vec<_> = answers
        .into_iter()
        .map(|mut lines| {
            std::thread::spawn(move || -> anyhow::Result<_> {
                lines.next().context("a first answer")??;
                let first = began.elapsed();
                let last = lines.next().context("a last answer")??;
                let failed = last.strip_prefix("last ").context("a number")?.parse()?;
                Ok((first, began.elapsed(), failed))
            })
        })
        .collect();
    let mut ran = Ran {
        first: Duration::ZERO,
        last: Duration::ZERO,
        failed: 0,
    };
    for thread in heard {
        let (first, last, failed): (_, _, usize) = thread.join().expect("no panic")?;
        ran.first = ran.first.max(first);
        ran.last = ran.last.max(last);
        ran.failed += failed;
    }
    for mut child in children {
        anyhow::ensure!(child.wait()?.success(), "each process succeeds");
    }
    Ok(ran)
}
