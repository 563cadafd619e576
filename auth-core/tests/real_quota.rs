//! Rule 10 on a real socket, by the machine's clock.
//!
//! Fifty cold accounts log in at a server that stalls for up to 25 s, before it counts a login or
//! after. `CONTRIBUTING.md` has the command.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test that can't go on fails, and it measures real time"
)]

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use auth_core::{
    Ask, Credentials, Identity, LoginError, Origin, Provider, Secret, SecretSource, Session,
};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const BOUND: Duration = Duration::from_secs(150);
const MINUTE: Duration = Duration::from_secs(60);

/// What the server has counted.
#[derive(Default)]
struct Counted {
    /// How long it stalls for each login, in the order of their connections.
    stalls: Vec<Duration>,
    arrived: Vec<Instant>,
    answered: usize,
}

fn at_most(longest: Duration) -> Duration {
    let drawn = RandomState::new().build_hasher().finish();
    longest * u32::try_from(drawn % 1_001).unwrap() / 1_000
}

async fn serve(listener: TcpListener, counted: Arc<Mutex<Counted>>) {
    loop {
        let (mut connection, _) = listener.accept().await.unwrap();
        let counted = Arc::clone(&counted);
        let stall = at_most(Duration::from_secs(25));
        counted.lock().stalls.push(stall);
        tokio::spawn(async move {
            let mut request = [0; 64];
            let _ = connection.read(&mut request).await.unwrap();
            let before = at_most(stall);
            sleep(before).await;
            counted.lock().arrived.push(Instant::now());
            sleep(stall.saturating_sub(before)).await;
            counted.lock().answered += 1;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            connection.write_all(answer).await.unwrap();
        });
    }
}

struct Account {
    identity: Identity,
    secret: SecretSource,
    server: SocketAddr,
}

impl Account {
    async fn exchange(&self) -> std::io::Result<()> {
        let mut connection = TcpStream::connect(self.server).await?;
        let request = b"POST /login HTTP/1.1\r\nhost: here\r\ncontent-length: 0\r\n\r\n";
        connection.write_all(request).await?;
        let mut answer = [0; 64];
        connection.read(&mut answer).await.map(|_| ())
    }
}

#[async_trait]
impl Provider for Account {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn secret(&self) -> &SecretSource {
        &self.secret
    }

    async fn login(&self, _secret: &Secret) -> Result<Session, LoginError> {
        let sent = self.exchange().await;
        sent.map_err(|error| LoginError::unavailable("no answer").with_source(error))?;
        Ok(Session::new().with_bearer("token")?)
    }
}

/// How many logins have ended after `time`, if each begins as soon as the quota allows it.
fn ended_after(time: Duration, stalls: &[Duration]) -> usize {
    let mut free = [Duration::ZERO; 10];
    let mut ended = 0;
    for stall in stalls {
        free.sort_unstable();
        let end = free[0] + *stall;
        free[0] = end + Duration::from_secs(62);
        ended += usize::from(end <= time);
    }
    ended
}

#[tokio::test]
#[ignore = "takes two and a half minutes"]
async fn rule_10_a_real_server_that_stalls_counts_at_most_ten_of_fifty_logins_in_a_minute() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    let counted = Arc::new(Mutex::new(Counted::default()));
    tokio::spawn(serve(listener, Arc::clone(&counted)));
    let origin = Origin::parse(&format!("http://{server}")).unwrap();
    let mut callers = JoinSet::new();
    for number in 0..50 {
        let credentials = Credentials::new(Account {
            identity: Identity::new("real", origin.clone(), format!("account-{number}")),
            secret: "secret".into(),
            server,
        });
        callers.spawn(async move { credentials.get_with(Ask::new().wait_for_quota()).await });
    }
    let mut got_in = 0;
    let all = async {
        while let Some(result) = callers.join_next().await {
            result.unwrap().unwrap();
            got_in += 1;
        }
    };
    // Five windows take longer, so the quota lets some twenty through.
    let _ = timeout(BOUND, all).await;

    let counted = counted.lock();
    let mut arrived = counted.arrived.clone();
    arrived.sort_unstable();
    let within = |(index, start): (usize, &Instant)| {
        arrived.partition_point(|at| *at < *start + MINUTE) - index
    };
    let most = arrived.iter().enumerate().map(within).max().unwrap();
    assert_eq!(most, 10, "all ten at once, and no eleventh");
    let stalls = &counted.stalls;
    let allowed = ended_after(BOUND.saturating_sub(Duration::from_secs(5)), stalls);
    assert!(allowed >= 20 && got_in >= allowed, "{got_in} of {allowed}");
    assert!(counted.answered >= got_in, "sessions are the server's");
}
