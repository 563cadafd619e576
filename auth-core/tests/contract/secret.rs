//! Where a password comes from.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::clock::ManualClock;
use auth_core::testing::Scripted;
use auth_core::{LoginError, LoginErrorKind, ReadSecret, Secret, SecretError, SecretSource};
use futures_util::FutureExt as _;
use futures_util::future::join_all;

use crate::support::{SECOND, on, settle, tokens};

struct Fixed;
#[async_trait]
impl ReadSecret for Fixed {
    async fn read(&self) -> Result<Secret, SecretError> {
        Ok("v".into())
    }
}

#[tokio::test]
async fn a_file_is_read_at_each_login_and_its_last_line_break_dropped() {
    let path = std::env::temp_dir().join(format!("auth-core-secret-{}", std::process::id()));
    std::fs::write(&path, "one\r\n").unwrap();
    let source = SecretSource::file(&path);
    assert_eq!(source.read().await.unwrap().expose(), "one");
    std::fs::write(&path, " two \n").unwrap();
    assert_eq!(source.read().await.unwrap().expose(), " two ", "no spaces");
    std::fs::write(&path, "\n").unwrap();
    assert!(
        source
            .read()
            .await
            .unwrap_err()
            .to_string()
            .contains("is empty")
    );
    std::fs::remove_file(&path).unwrap();
    let error = source.read().await.unwrap_err();
    assert!(error.to_string().contains("can't be read"));
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test]
async fn a_missing_variable_and_an_empty_value_say_so() {
    let missing = SecretSource::variable("AUTH_CORE_TEST_NOT_SET")
        .read()
        .await;
    assert!(
        missing
            .unwrap_err()
            .to_string()
            .contains("AUTH_CORE_TEST_NOT_SET is not set")
    );
    let empty = SecretSource::value("").read().await;
    assert!(empty.unwrap_err().to_string().contains("is empty"));
}

#[test]
fn rule_17_a_secret_does_not_print() {
    let source = SecretSource::value("canary-4711");
    let printed = format!("{source:?} {:?}", source.fixed());
    assert!(!printed.contains("4711"), "{printed}");
}

#[test]
fn the_same_place_is_the_same_source() {
    assert!(SecretSource::value("a").is_same(&"a".into()));
    assert!(!SecretSource::value("a").is_same(&"b".into()));
    assert!(SecretSource::variable("A").is_same(&SecretSource::variable("A")));
    assert!(!SecretSource::variable("A").is_same(&SecretSource::variable("B")));
    assert!(SecretSource::file("a").is_same(&SecretSource::file("a")));
    assert!(!SecretSource::file("a").is_same(&SecretSource::file("b")));
    assert!(!SecretSource::file("A").is_same(&SecretSource::variable("A")));
    let vault = SecretSource::custom(Fixed);
    assert!(vault.is_same(&vault.clone()));
    assert!(!vault.is_same(&SecretSource::custom(Fixed)));
    let keychain = || SecretSource::blocking(|| Ok("v".into()));
    let one = keychain();
    assert!(one.is_same(&one.clone()));
    assert!(!one.is_same(&keychain()));
}

/// A source of each kind whose text is `text`. The file is for the caller to remove.
fn sources_of(text: &str) -> (Vec<SecretSource>, PathBuf) {
    static FILES: AtomicU32 = AtomicU32::new(0);
    let number = FILES.fetch_add(1, SeqCst);
    let name = format!("auth-core-typed-{}-{number}", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, text).unwrap();
    let code = text.to_owned();
    let sources = vec![
        SecretSource::value(text),
        text.into(),
        SecretSource::file(&path),
        SecretSource::blocking(move || Ok(code.as_str().into())),
        SecretSource::custom(Text::new(text)),
    ];
    (sources, path)
}

/// A text that can be changed.
#[derive(Clone)]
struct Text(Arc<Mutex<String>>);

impl Text {
    fn new(text: &str) -> Self {
        Self(Arc::new(Mutex::new(text.into())))
    }
}

#[async_trait]
impl ReadSecret for Text {
    async fn read(&self) -> Result<Secret, SecretError> {
        Ok(self.0.lock().unwrap().as_str().into())
    }
}

#[tokio::test]
async fn rule_12_a_secret_is_taken_as_typed_from_every_source() {
    for text in ["pw", "pw\n", "pw\r\n", "\u{feff}pw\n"] {
        let (sources, path) = sources_of(text);
        for source in sources {
            let secret = source.read().await.unwrap();
            assert_eq!(secret.expose(), "pw", "{source:?} {text:?}");
            if let Some(fixed) = source.fixed() {
                assert_eq!(fixed.expose(), "pw");
                assert!(source.is_same(&"pw".into()));
            }
        }
        std::fs::remove_file(path).unwrap();
    }
}

#[tokio::test]
async fn rule_12_a_secret_that_cant_be_typed_costs_no_attempt() {
    for text in [
        "canary\n\n",
        "can\nary",
        "can\tary",
        "canary\0",
        "can\u{feff}ary",
    ] {
        let (sources, path) = sources_of(text);
        for source in sources {
            let name = format!("{source:?}");
            let provider = tokens().with_secret(source);
            let logins = provider.logins();
            let credentials = on(&ManualClock::new(), provider).build();
            let error = credentials.get().await.unwrap_err();
            let login = error.login_error().unwrap();
            assert_eq!(
                login.kind(),
                LoginErrorKind::Misconfigured,
                "{name} {text:?}"
            );
            let printed = format!("{login:?}");
            assert!(printed.contains("can't be typed"), "{printed}");
            assert!(!printed.contains("canary"), "{printed}");
            assert_eq!(logins.count(), 0);
        }
        std::fs::remove_file(path).unwrap();
    }
}

/// Runs the test of this name again in a process with `value` in the variable `TYPED`.
fn with_variable(test: &str, value: OsString) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    let child = child.args([test, "--exact"]).env("TYPED", value);
    let output = child.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("1 passed"), "{printed}");
}

#[tokio::test]
async fn rule_12_a_variable_is_taken_as_typed() {
    let Some(_) = std::env::var_os("TYPED") else {
        for text in ["pw", "pw\n", "pw\r\n", "\u{feff}pw"] {
            with_variable("secret::rule_12_a_variable_is_taken_as_typed", text.into());
        }
        return;
    };
    let secret = SecretSource::variable("TYPED").read().await.unwrap();
    assert_eq!(secret.expose(), "pw");
}

#[cfg(unix)]
#[tokio::test]
async fn rule_12_a_variable_that_cant_be_typed_costs_no_attempt() {
    use std::os::unix::ffi::OsStringExt as _;

    let Some(_) = std::env::var_os("TYPED") else {
        for bytes in [&b"pw\n\n"[..], b"p\tw", b"pw\xE9", b"\xFF\xFEp\xFF"] {
            let test = "secret::rule_12_a_variable_that_cant_be_typed_costs_no_attempt";
            with_variable(test, OsString::from_vec(bytes.to_vec()));
        }
        return;
    };
    let provider = tokens().with_secret(SecretSource::variable("TYPED"));
    let logins = provider.logins();
    let credentials = on(&ManualClock::new(), provider).build();
    let error = credentials.get().await.unwrap_err();
    let kind = error.login_error().unwrap().kind();
    assert_eq!(kind, LoginErrorKind::Misconfigured);
    assert_eq!(logins.count(), 0);
}

#[tokio::test]
async fn rule_12_a_line_break_makes_no_other_secret() {
    let clock = ManualClock::new();
    let text = Text::new("wrong");
    let provider = Scripted::new(|_| Err(LoginError::refused("status 401")))
        .with_secret(SecretSource::custom(text.clone()));
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    for same in ["wrong", "wrong\n", "wrong\r\n", "\u{feff}wrong"] {
        same.clone_into(&mut text.0.lock().unwrap());
        credentials.get().await.unwrap_err();
        clock.advance(SECOND);
    }
    assert_eq!(logins.count(), 1);
    "wrong ".clone_into(&mut text.0.lock().unwrap());
    credentials.get().await.unwrap_err();
    assert_eq!(logins.count(), 2, "a space may be meant");
}

/// A pipe that hangs until it has a writer.
#[cfg(unix)]
struct Pipe(PathBuf);

#[cfg(unix)]
impl Pipe {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("auth-core-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        assert!(
            Command::new("mkfifo")
                .arg(&path)
                .status()
                .unwrap()
                .success()
        );
        Self(path)
    }
}

#[cfg(unix)]
impl Drop for Pipe {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(target_os = "linux")]
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[cfg(not(target_os = "linux"))]
fn threads() -> usize {
    0
}

#[cfg(unix)]
#[tokio::test]
async fn rule_3_a_file_that_hangs_is_read_once_for_all_that_wait_for_it() {
    let pipe = Pipe::new("hangs-once");
    let before = threads();
    // Callers that give up.
    for _ in 0..200 {
        let source = SecretSource::file(&pipe.0);
        assert!(source.read().now_or_never().is_none());
    }
    let source = SecretSource::file(&pipe.0);
    let looks = tokio::spawn({
        let source = source.clone();
        async move { join_all((0..20).map(|_| source.read())).await }
    });
    settle().await;
    assert!(!looks.is_finished());
    // Other tests of this process may have started some.
    assert!(threads() < before + 100, "{} threads", threads());

    // The pipe ends with its only writer, so a second reader would hang, or read nothing.
    let path = pipe.0.clone();
    std::thread::spawn(move || std::fs::write(path, "pw\n").unwrap());
    for secret in looks.await.unwrap() {
        assert_eq!(secret.unwrap().expose(), "pw");
    }
    // The reading has ended, and the next one reads the next text.
    let path = pipe.0.clone();
    std::thread::spawn(move || std::fs::write(path, "pw-2\n").unwrap());
    assert_eq!(source.read().await.unwrap().expose(), "pw-2");
}

#[cfg(unix)]
#[test]
fn rule_3_a_runtime_ends_while_a_file_hangs() {
    let pipe = Pipe::new("hangs-runtime");
    let source = SecretSource::file(&pipe.0);
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap();
        runtime.block_on(async {
            assert!(source.read().now_or_never().is_none());
        });
        drop(runtime);
        ended.send(()).unwrap();
    });
    let ended = end.recv_timeout(Duration::from_secs(30));
    ended.expect("the runtime waits for no reading");
}

#[cfg(unix)]
#[tokio::test]
async fn rule_3_a_login_waits_for_a_file_that_hangs_within_its_time_out_and_no_longer() {
    let pipe = Pipe::new("hangs-login");
    let clock = ManualClock::new();
    let provider = tokens().with_secret(SecretSource::file(&pipe.0));
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    let call = || {
        let credentials = credentials.clone();
        tokio::spawn(async move { credentials.get().await })
    };
    for _ in 0..3 {
        let caller = call();
        settle().await;
        clock.advance(30 * SECOND);
        let error = caller.await.unwrap().unwrap_err();
        let kind = error.login_error().unwrap().kind();
        assert_eq!(kind, LoginErrorKind::Misconfigured);
        clock.advance(SECOND);
    }
    assert_eq!(logins.count(), 0);
    let caller = call();
    settle().await;
    std::fs::write(&pipe.0, "pw\n").unwrap();
    caller.await.unwrap().unwrap();
    assert_eq!(logins.count(), 1);
}

#[tokio::test]
async fn rule_3_code_that_blocks_is_called_once_for_all_that_wait_for_it() {
    let (release, released) = mpsc::channel::<&str>();
    let (calls, released) = (Arc::new(AtomicU32::new(0)), Mutex::new(released));
    let source = SecretSource::blocking({
        let calls = Arc::clone(&calls);
        move || {
            calls.fetch_add(1, SeqCst);
            let text = released.lock().unwrap().recv();
            text.map(Secret::from)
                .map_err(|error| SecretError::new("no secret").with_source(error))
        }
    });
    for _ in 0..200 {
        assert!(source.read().now_or_never().is_none());
    }
    let looks = tokio::spawn({
        let source = source.clone();
        async move { join_all((0..20).map(|_| source.read())).await }
    });
    settle().await;
    release.send("pw").unwrap();
    for secret in looks.await.unwrap() {
        assert_eq!(secret.unwrap().expose(), "pw");
    }
    assert_eq!(calls.load(SeqCst), 1);
    release.send("pw-2").unwrap();
    assert_eq!(source.read().await.unwrap().expose(), "pw-2");
    drop(release);
    let error = source.read().await.unwrap_err();
    assert!(std::error::Error::source(&error).is_some());
    assert_eq!(calls.load(SeqCst), 3);
}

#[tokio::test]
async fn rule_3_a_reading_that_panics_releases_its_callers_and_is_begun_again() {
    let calls = AtomicU32::new(0);
    let source = SecretSource::blocking(move || match calls.fetch_add(1, SeqCst) {
        0 => panic!("a bug"),
        _ => Ok("pw".into()),
    });
    let error = source.read().await.unwrap_err();
    assert!(error.to_string().contains("panicked"), "{error}");
    assert_eq!(source.read().await.unwrap().expose(), "pw");
}

#[tokio::test]
async fn a_file_of_64_kibibytes_is_read_and_a_longer_one_is_refused() {
    let path = std::env::temp_dir().join(format!("auth-core-long-{}", std::process::id()));
    let source = SecretSource::file(&path);
    for (length, is_read) in [(65_536, true), (65_537, false), (200_000, false)] {
        std::fs::write(&path, "a".repeat(length)).unwrap();
        let read = source.read().await.map(|secret| secret.expose().len());
        assert_eq!(read.ok(), is_read.then_some(length), "{length} bytes");
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn rule_17_a_source_prints_its_place_and_no_secret() {
    let printed = |source: SecretSource| format!("{source:?}");
    assert_eq!(printed("canary".into()), "the password given");
    assert_eq!(printed(SecretSource::file("/run/a")), "file /run/a");
    assert_eq!(
        printed(SecretSource::variable("A_B")),
        "environment variable A_B"
    );
    assert_eq!(
        printed(SecretSource::custom(Fixed)),
        "the password of a custom source"
    );
    assert_eq!(format!("{:?}", Secret::from("canary")), "Secret(…)");
}
