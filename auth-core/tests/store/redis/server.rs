//! A Redis of the test's own.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;
use std::{env, fs, thread};

use auth_core::store::{Keys, RedisStore};
use redis::aio::MultiplexedConnection;

/// A `redis-server` on a free port of the loopback interface. It ends with this value.
pub(crate) struct RedisServer {
    port: u16,
    folder: PathBuf,
    options: Vec<&'static str>,
    process: Option<Child>,
}

impl RedisServer {
    /// `None`, and a line that says so, if there is no `redis-server`. With `REQUIRE_REDIS=1` the
    /// test fails instead.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(options: &[&'static str]) -> Option<Self> {
        let mut server = Self::stopped(options)?;
        server.run();
        Some(server)
    }

    /// A server that has not been started.
    pub(crate) fn stopped(options: &[&'static str]) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let version = Command::new("redis-server").arg("--version").output();
        if version.is_err() {
            let required = env::var_os("REQUIRE_REDIS").is_some_and(|required| required == "1");
            assert!(!required, "redis-server is missing");
            // `eprintln!` would be captured, and no reader of the output would know.
            let _ = writeln!(io::stderr(), "not run: redis-server is missing");
            return None;
        }
        let number = NUMBER.fetch_add(1, Relaxed);
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("redis-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Some(Self {
            port: free.local_addr().unwrap().port(),
            folder,
            options: options.to_vec(),
            process: None,
        })
    }

    /// Starts the process, and waits until it answers.
    pub(crate) fn run(&mut self) {
        let process = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(&self.folder)
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(process);
        for _ in 0..500 {
            if self.answers() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("redis-server does not answer");
    }

    fn answers(&self) -> bool {
        let ping = || {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
            stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
            stream.write_all(b"PING\r\n").ok()?;
            let mut answer = [0; 4];
            stream.read_exact(&mut answer).ok()?;
            Some(answer)
        };
        matches!(ping(), Some([b'+', b'P', ..] | [b'-', b'N', b'O', b'A']))
    }

    /// Ends the process at once, as a crash does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// A crash, and a start with no data, unless it has saved some.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.run();
    }

    /// Stops the process without ending it. Its sockets stay open.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let process = self.process.as_ref().unwrap().id().to_string();
        let status = Command::new("kill").args([signal, &process]).status();
        assert!(status.unwrap().success());
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A store as a process of its own has it.
    pub(crate) fn store(&self) -> RedisStore {
        RedisStore::connect(&self.url(), Keys::from_bytes([7; 32])).unwrap()
    }

    /// A connection that is not the store's.
    pub(crate) async fn connection(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
