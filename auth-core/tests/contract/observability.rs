//! What is told of a cache: events that say why, and a span around each login.

use std::io;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use auth_core::clock::ManualClock;
use auth_core::testing::{Gate, Scripted};
use auth_core::{
    Ask, Attempt, Cause, Conclusion, Credentials, CredentialsBuilder, Error, Event, Identity,
    Lifetime, LoginError, LoginErrorKind, Observer, Origin, Quota, Refresh, ResponseView, Session,
};
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{HOUR, Renewing, SECOND, on, session, settle, tokens};

type Log = Arc<Mutex<Vec<Event>>>;

fn observed(builder: CredentialsBuilder) -> (Credentials, Log) {
    let log = Log::default();
    let events = Arc::clone(&log);
    let observer = move |_: &Identity, event: &Event| events.lock().push(event.clone());
    (builder.observer(observer).build(), log)
}

/// The causes of what has begun and ended, in order.
fn causes(log: &Log) -> Vec<(&'static str, Cause)> {
    let told = |event: &Event| match event {
        Event::LoginSent { cause } => Some(("login sent", *cause)),
        Event::LoggedIn { cause, .. } => Some(("logged in", *cause)),
        Event::LoginFailed { cause, .. } => Some(("login failed", *cause)),
        Event::RefreshSent { cause } => Some(("refresh sent", *cause)),
        Event::Refreshed { cause, .. } => Some(("refreshed", *cause)),
        Event::RefreshFailed { cause, .. } => Some(("refresh failed", *cause)),
        _ => None,
    };
    std::mem::take(&mut *log.lock())
        .iter()
        .filter_map(told)
        .collect()
}

/// The events of one login that succeeds.
const fn login(cause: Cause) -> [(&'static str, Cause); 2] {
    [("login sent", cause), ("logged in", cause)]
}

fn reject(credentials: &Credentials, credential: &auth_core::Credential) -> Conclusion {
    let headers = HeaderMap::new();
    Attempt::new(credentials, credential)
        .conclude(&ResponseView::new(StatusCode::UNAUTHORIZED, &headers))
}

#[tokio::test]
async fn events_say_why_a_login_began() {
    let clock = ManualClock::new();
    let (credentials, log) = observed(on(&clock, tokens()));
    credentials.get().await.unwrap();
    assert_eq!(causes(&log), login(Cause::First));

    credentials.renew().await.unwrap();
    assert_eq!(causes(&log), login(Cause::Asked));

    clock.advance(HOUR - SECOND);
    let due = credentials.get().await.unwrap();
    assert_eq!(due.stamp().generation(), 2, "it is served meanwhile");
    settle().await;
    assert_eq!(causes(&log), login(Cause::AheadOfExpiry));

    clock.advance(HOUR);
    let last = credentials.renew().await.unwrap();
    assert_eq!(causes(&log), login(Cause::AfterExpiry), "whatever is asked");

    assert_eq!(reject(&credentials, &last), Conclusion::Replay);
    credentials.get().await.unwrap();
    assert_eq!(causes(&log), login(Cause::Rejection));
}

#[tokio::test]
async fn events_say_that_a_timer_began_it() {
    let clock = ManualClock::new();
    let (credentials, log) = observed(on(&clock, tokens()).keep_fresh());
    credentials.get().await.unwrap();
    assert_eq!(causes(&log), login(Cause::First));
    settle().await;
    clock.advance(clock.next_wake().unwrap());
    settle().await;
    assert_eq!(causes(&log), login(Cause::Timer));
}

#[tokio::test]
async fn a_refresh_and_the_login_that_follows_it_have_one_cause() {
    let clock = ManualClock::new();
    let provider = Renewing::new(Scripted::new(|number| session(number, Lifetime::of(HOUR))))
        .refreshed(Refresh::with_session(), |number| match number {
            1 => session(number, Lifetime::of(HOUR)),
            _ => Err(LoginError::refused("the session is over")),
        });
    let builder = Credentials::builder(provider).clock(clock.clock());
    let (credentials, log) = observed(builder);
    credentials.get().await.unwrap();
    assert_eq!(causes(&log), login(Cause::First));

    credentials.renew().await.unwrap();
    let asked = Cause::Asked;
    assert_eq!(
        causes(&log),
        [("refresh sent", asked), ("refreshed", asked)]
    );

    clock.advance(HOUR - SECOND);
    credentials.get().await.unwrap();
    settle().await;
    let due = Cause::AheadOfExpiry;
    let [sent, logged_in] = login(due);
    let failed = [("refresh sent", due), ("refresh failed", due)];
    assert_eq!(causes(&log), [failed[0], failed[1], sent, logged_in]);
}

#[tokio::test]
async fn a_login_after_a_failed_one_has_the_cause_that_the_failed_one_had() {
    let clock = ManualClock::new();
    let provider = Scripted::new(|number| match number {
        1 => Err(LoginError::unavailable("connection reset")),
        _ => session(number, Lifetime::of(HOUR)),
    });
    let (credentials, log) = observed(on(&clock, provider));
    credentials.get().await.unwrap_err();
    let first = Cause::First;
    assert_eq!(
        causes(&log),
        [("login sent", first), ("login failed", first)]
    );
    clock.advance(60 * SECOND);
    credentials.get().await.unwrap();
    assert_eq!(causes(&log), login(first));
}

/// What callers were told in place of a credential.
fn turned_away(log: &Log) -> Vec<(&'static str, Option<Duration>)> {
    let told = |event: &Event| match event {
        Event::TurnedAway { error, retry_after } => Some((*error, *retry_after)),
        _ => None,
    };
    std::mem::take(&mut *log.lock())
        .iter()
        .filter_map(told)
        .collect()
}

#[tokio::test]
async fn each_caller_that_is_turned_away_is_one_event() {
    let clock = ManualClock::new();
    let gate = Gate::shut();
    let provider = Scripted::new(|_| Err::<Session, _>(LoginError::refused("wrong password")));
    let (credentials, log) = observed(on(&clock, provider.gated(&gate)));

    let late = Ask::new().within(SECOND);
    let caller = credentials.get_with(late);
    let (told, ()) = tokio::join!(caller, async {
        settle().await;
        clock.advance(SECOND);
    });
    assert!(
        matches!(told, Err(Error::DeadlinePassed { .. })),
        "{told:?}"
    );
    assert_eq!(turned_away(&log), [("deadline_passed", None)]);

    let mut herd = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let credentials = credentials.clone();
        herd.spawn(async move { credentials.get().await.unwrap_err() });
    }
    while credentials.status().waiters < 100 {
        tokio::task::yield_now().await;
    }
    gate.let_through(1);
    herd.join_all().await;
    let waited = turned_away(&log);
    assert_eq!(waited.len(), 100);
    assert!(waited.iter().all(|(error, _)| *error == "refused"));

    // The failure is remembered.
    let told = credentials.get().await.unwrap_err();
    assert_eq!(turned_away(&log), [("refused", told.retry_after())]);
    let told = credentials.blocking_get().unwrap_err();
    assert_eq!(turned_away(&log), [("refused", told.retry_after())]);

    credentials.close().await.unwrap();
    credentials.get().await.unwrap_err();
    assert_eq!(turned_away(&log), [("closed", None)]);
}

#[tokio::test]
async fn a_caller_that_the_quota_turns_away_is_an_event_with_the_wait() {
    let clock = ManualClock::new();
    let quota = Quota::new(NonZeroU32::MIN, 60 * SECOND);
    let (credentials, log) = observed(on(&clock, tokens()).quota(quota));
    credentials.get().await.unwrap();
    let told = credentials.get_with(Ask::new().renewed().fail_fast()).await;
    let wait = told.unwrap_err().retry_after();
    assert!(wait > Some(60 * SECOND), "{wait:?}");
    assert_eq!(turned_away(&log), [("quota_spent", wait)]);
}

#[tokio::test]
async fn a_request_that_is_sent_once_more_is_an_event_with_its_count() {
    let (credentials, log) = observed(on(&ManualClock::new(), tokens()));
    let credential = credentials.get().await.unwrap();
    let attempt = Attempt::new(&credentials, &credential);
    assert_eq!(attempt.resend_count(), 0);
    let attempt = attempt.replay(&credential);
    assert_eq!(attempt.resend_count(), 1);
    assert_eq!(attempt.after_repair(&credential).resend_count(), 2);
    let replayed = |event: &Event| match event {
        Event::Replayed { resend_count, .. } => Some(*resend_count),
        _ => None,
    };
    let counts: Vec<_> = log.lock().iter().filter_map(replayed).collect();
    assert_eq!(counts, [1, 2]);
}

/// Notes its name for each login. The first one panics then.
struct Named(&'static str, Arc<Mutex<Vec<&'static str>>>);

impl Observer for Named {
    fn observe(&self, _: &Identity, event: &Event) {
        if matches!(event, Event::LoggedIn { .. }) {
            self.1.lock().push(self.0);
            assert_ne!(self.0, "first", "a bug in the observer");
        }
    }
}

#[tokio::test]
async fn a_cache_has_several_observers_and_a_panic_in_one_keeps_nothing_from_the_others() {
    let builder = on(&ManualClock::new(), tokens());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let credentials = builder
        .observer(Named("first", Arc::clone(&seen)))
        .observer(Named("second", Arc::clone(&seen)))
        .build();
    credentials.get().await.unwrap();
    settle().await;
    assert_eq!(*seen.lock(), ["first", "second"]);
}

/// What a subscriber has written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Written {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Written {
    /// Everything that is written on this thread from now on, at this level.
    fn at(level: tracing::Level) -> (Self, tracing::subscriber::DefaultGuard) {
        let written = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(false)
            .without_time()
            .with_writer(written.clone())
            .finish();
        hear_every_thread();
        (written, tracing::subscriber::set_default(subscriber))
    }

    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().clone()).unwrap();
        text.lines().map(ToOwned::to_owned).collect()
    }
}

/// While a program has only one subscriber, a line that is met first on another thread is off for
/// all of them. Keeps a second one, which takes nothing.
fn hear_every_thread() {
    static OTHER: OnceLock<tracing::Dispatch> = OnceLock::new();
    OTHER.get_or_init(|| tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new()));
}

#[tokio::test]
async fn a_login_has_a_span_that_names_no_account_and_belongs_to_no_caller() {
    let (written, _guard) = Written::at(tracing::Level::DEBUG);
    let provider = Scripted::new(|number| {
        tracing::info!("a client sends the login");
        session(number, Lifetime::of(HOUR))
    });
    let credentials = on(&ManualClock::new(), provider).build();
    let request = tracing::info_span!("request");
    let get = tracing::Instrument::instrument(credentials.get(), request);
    get.await.unwrap();
    let lines = written.lines();
    let sent = lines.iter().find(|line| line.contains("a client")).unwrap();
    let span = " auth.login{provider=\"scripted\" login=https://api.example.com cause=\"first\"}:";
    assert!(sent.contains(span), "{sent}");
    assert!(!sent.contains("request"), "{sent}");
    let account = credentials.identity().account();
    assert!(!account.is_empty());
    assert!(
        lines.iter().all(|line| !line.contains(account)),
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_herd_that_is_turned_away_is_one_line_of_the_log() {
    let (written, _guard) = Written::at(tracing::Level::DEBUG);
    let provider = Scripted::new(|_| Err::<Session, _>(LoginError::refused("wrong password")));
    let (credentials, log) = observed(on(&ManualClock::new(), provider));
    let callers = (0..1_000).map(|_| credentials.get());
    futures_util::future::join_all(callers).await;
    settle().await;
    assert_eq!(turned_away(&log).len(), 1_000);
    let lines = written.lines();
    let of = |what: &str| lines.iter().filter(|line| line.contains(what)).count();
    assert_eq!((of("login sent"), of("login failed")), (1, 1), "{lines:?}");
    assert_eq!(lines.len(), 2, "{lines:?}");
}

#[tokio::test]
async fn a_login_takes_some_time_by_the_machines_clock_and_the_log_is_read_with_ease() {
    let (written, _guard) = Written::at(tracing::Level::INFO);
    let origin = Origin::parse("https://precise.example.com").unwrap();
    let (credentials, log) = observed(Credentials::builder(tokens().with_origin(origin)));
    credentials.get().await.unwrap();
    settle().await;
    let took = |event: &Event| match event {
        Event::LoggedIn { took, .. } => Some(*took),
        _ => None,
    };
    let took = log.lock().iter().find_map(took).unwrap();
    assert!(took > Duration::ZERO && took < SECOND, "{took:?}");
    let lines = written.lines();
    let line = lines
        .iter()
        .find(|line| line.contains("logged in"))
        .unwrap();
    let shown = line.split("took=").nth(1).unwrap();
    assert!(shown.ends_with("µs") || shown.contains("ms"), "{line}");
    let decimals = shown.split_once('.').map_or("", |(_, rest)| rest);
    assert!(decimals.len() <= 5, "{line}: at most microseconds");
}

#[test]
fn each_error_has_a_name() {
    let names = [
        Error::Closed,
        Error::NoRuntime,
        Error::LoginLoop,
        Error::Abandoned,
        Error::QuotaSpent {
            retry_after: SECOND,
            source: None,
        },
        Error::DeadlinePassed { waited: SECOND },
        Error::Login {
            source: Arc::new(LoginError::refused("no")),
            retry_after: None,
        },
    ]
    .map(|error| error.name());
    assert_eq!(names[6], LoginErrorKind::Refused.name());
    assert_eq!(names[..2], ["closed", "no_runtime"]);
    let distinct = names.iter().collect::<std::collections::HashSet<_>>();
    assert_eq!(distinct.len(), names.len());
}

#[tokio::test]
async fn a_login_for_which_nothing_was_sent_is_no_failed_one() {
    let clock = ManualClock::new();
    let provider = Scripted::new(|_| Err(LoginError::refused("status 401")));
    let source = auth_core::SecretSource::blocking(|| Ok("the same".into()));
    let (credentials, log) = observed(on(&clock, provider.with_secret(source)));
    credentials.get().await.unwrap_err();
    let first = Cause::First;
    let failed = [("login sent", first), ("login failed", first)];
    assert_eq!(causes(&log), failed);
    // The source is read again, and has not changed.
    clock.advance(60 * SECOND);
    credentials.get().await.unwrap_err();
    assert_eq!(causes(&log), []);
}
