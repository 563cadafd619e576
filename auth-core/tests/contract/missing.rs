//! Parts of a session that are fetched before the first request that carries them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::clock::ManualClock;
use auth_core::testing::{Gate, Scripted};
use auth_core::{
    Ask, Attempt, Conclusion, Credential, Credentials, Error, Event, Identity, Lifetime,
    LoginError, Part, Provider, ResponseView, Secret, SecretSource, Session, SessionParts, Target,
    Update, When,
};
use futures_util::FutureExt;
use futures_util::future::join_all;
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use crate::support::{HERE, HOUR, SECOND, session, set_cookie, settle, token};

const CSRF: HeaderName = HeaderName::from_static("x-csrf");
const READ: Target<'_> = HERE.with_method(&Method::GET);
const WRITE: Target<'_> = HERE.with_method(&Method::POST);

type Script = Box<dyn Fn(u64, &Credential) -> Result<Update, LoginError> + Send + Sync>;

/// Counts its fetches, which wait at the gate.
struct Api {
    inner: Scripted,
    fetch: Script,
    repairs: Arc<AtomicBool>,
    gate: Arc<Semaphore>,
    fetches: Arc<AtomicU64>,
}

#[async_trait]
impl Provider for Api {
    fn identity(&self) -> &Identity {
        self.inner.identity()
    }

    fn secret(&self) -> &SecretSource {
        self.inner.secret()
    }

    fn repairs(&self) -> bool {
        self.repairs.load(SeqCst)
    }

    async fn repair(&self, current: &Credential) -> Result<Update, LoginError> {
        let number = self.fetches.fetch_add(1, SeqCst) + 1;
        self.gate.acquire().await.unwrap().forget();
        (self.fetch)(number, current)
    }

    async fn login(&self, secret: &Secret) -> Result<Session, LoginError> {
        self.inner.login(secret).await
    }
}

struct Handle {
    credentials: Credentials,
    clock: ManualClock,
    gate: Arc<Semaphore>,
    repairs: Arc<AtomicBool>,
    fetches: Arc<AtomicU64>,
    logins: auth_core::testing::Counter,
    events: Arc<Mutex<Vec<Event>>>,
}

fn csrf(number: u64) -> Update {
    Update::new().with_header(CSRF, format!("csrf-{number}").parse().unwrap())
}

fn fetched() -> Part {
    Part::fetched_header(CSRF.as_str()).when(When::unsafe_methods())
}

impl Handle {
    /// Each session has a token and a missing part, and each fetch succeeds.
    fn new() -> Self {
        Self::fetching(|number, _| Ok(csrf(number)))
    }

    fn fetching(
        fetch: impl Fn(u64, &Credential) -> Result<Update, LoginError> + Send + Sync + 'static,
    ) -> Self {
        let login = |number| Ok(session(number, Lifetime::of(HOUR))?.with_part(fetched())?);
        Self::of(login, fetch)
    }

    fn of(
        login: impl Fn(u64) -> Result<Session, LoginError> + Send + Sync + 'static,
        fetch: impl Fn(u64, &Credential) -> Result<Update, LoginError> + Send + Sync + 'static,
    ) -> Self {
        Self::on(Scripted::new(login), fetch)
    }

    fn on(
        inner: Scripted,
        fetch: impl Fn(u64, &Credential) -> Result<Update, LoginError> + Send + Sync + 'static,
    ) -> Self {
        let (gate, fetches) = (Arc::new(Semaphore::new(1_000)), Arc::default());
        let clock = ManualClock::new();
        let (logins, repairs) = (inner.logins(), Arc::new(AtomicBool::new(true)));
        let events = Arc::<Mutex<Vec<Event>>>::default();
        let api = Api {
            inner,
            fetch: Box::new(fetch),
            repairs: Arc::clone(&repairs),
            gate: Arc::clone(&gate),
            fetches: Arc::clone(&fetches),
        };
        let observed = Arc::clone(&events);
        let credentials = Credentials::builder(api)
            .clock(clock.clock())
            .observer(move |_: &Identity, event: &Event| observed.lock().push(event.clone()))
            .build();
        Self {
            credentials,
            clock,
            gate,
            repairs,
            fetches,
            logins,
            events,
        }
    }

    /// The same, whose fetches wait until `gate` lets them through.
    fn shut(self) -> Self {
        self.gate.forget_permits(1_000);
        self
    }

    fn write(&self) -> impl Future<Output = Result<Arc<Credential>, Error>> {
        self.credentials.get_for(WRITE, Ask::new())
    }

    /// What so many writes get at once.
    async fn writes(&self, how_many: usize) -> Vec<Result<Arc<Credential>, Error>> {
        join_all((0..how_many).map(|_| self.write())).await
    }

    /// Logins and fetches.
    fn counts(&self) -> (u64, u64) {
        (self.logins.count(), self.fetches.load(SeqCst))
    }
}

fn value(credential: &Credential) -> Option<&str> {
    Some(credential.header(&CSRF)?.to_str().unwrap())
}

fn respond(attempt: &Attempt, status: StatusCode, headers: &HeaderMap) -> Conclusion {
    attempt.conclude(&ResponseView::new(status, headers))
}

#[tokio::test]
async fn rule_8_a_thousand_callers_that_would_carry_a_missing_part_fetch_it_once() {
    let handle = Handle::new();
    for credential in handle.writes(1_000).await {
        let credential = credential.unwrap();
        assert_eq!(value(&credential), Some("csrf-1"));
        let stamp = credential.stamp();
        assert_eq!((stamp.generation(), stamp.revision()), (1, 1));
        let mut request = http::Request::post("https://api.example.com/v3/me");
        let mut request = std::mem::take(&mut request).body(()).unwrap();
        credential.attach(&mut request).unwrap();
        assert_eq!(request.headers()[CSRF], "csrf-1");
        assert!(request.headers()[CSRF].is_sensitive());
    }
    assert_eq!(handle.counts(), (1, 1));
    assert!(
        handle
            .events
            .lock()
            .iter()
            .any(|event| matches!(event, Event::Rolled { .. }))
    );
    handle.writes(10).await;
    assert_eq!(handle.counts(), (1, 1), "it is there");
}

#[tokio::test]
async fn rule_8_a_request_that_would_not_carry_a_missing_part_neither_waits_nor_fetches() {
    let login = |number| {
        let below = When::unsafe_methods().below("/api");
        let part = Part::fetched_query("csrf").when(below);
        Ok(session(number, Lifetime::of(HOUR))?.with_part(part)?)
    };
    let handle = Handle::of(login, |_, _| Ok(Update::new().with_query("csrf", "c")?)).shut();
    let credential = handle.credentials.get().await.unwrap();
    let write = Target::new("https", "api.example.com", "/api/x").with_method(&Method::PUT);
    let mut waits = Box::pin(handle.credentials.get_for(write, Ask::new()));
    assert!(futures_util::poll!(&mut waits).is_pending());
    settle().await;
    assert_eq!(handle.counts(), (1, 1));
    let read = Target::new("https", "api.example.com", "/api/x").with_method(&Method::GET);
    for target in [
        READ,
        WRITE,
        read,
        Target::new("https", "api.example.com", "/api/x"),
    ] {
        let got = handle
            .credentials
            .get_for(target, Ask::new())
            .now_or_never();
        assert_eq!(got.unwrap().unwrap().stamp().revision(), 0);
        assert!(!credential.lacks(target));
    }
    assert!(credential.lacks(write) && !credential.is_complete());
    assert!(!credential.has_query());
    let lent = |target| {
        let attach = |credential: &Arc<Credential>| (!credential.lacks(target)).then_some(());
        Attempt::fresh(&handle.credentials, None, attach).is_some()
    };
    assert!(lent(read) && !lent(write));
    handle.gate.add_permits(1);
    let complete = waits.await.unwrap();
    assert_eq!(complete.attach_query(write, None).unwrap(), "csrf=c");
    assert!(!complete.lacks(write) && complete.is_complete() && lent(write));
    assert_eq!(handle.counts(), (1, 1));
}

#[tokio::test]
async fn rule_8_a_fetch_that_fails_is_told_to_all_that_wait_and_in_its_cooldown() {
    let handle = Handle::fetching(|number, _| match number {
        3 => Ok(csrf(number)),
        _ => Err(LoginError::unavailable("status 503")),
    });
    for (fetches, cooldown) in [(1, 5), (2, 10)] {
        for wait in [cooldown, cooldown - 1] {
            for result in handle.writes(1_000).await {
                let error = result.unwrap_err();
                assert!(
                    error.is_unavailable() && !error.is_login_refused(),
                    "{error}"
                );
                assert_eq!(error.retry_after(), Some(wait * SECOND));
            }
            assert_eq!(handle.counts(), (1, fetches));
            handle.clock.advance(SECOND);
        }
        // Nothing else is held back.
        assert!(handle.credentials.get_for(READ, Ask::new()).await.is_ok());
        assert_eq!(handle.credentials.status().failure, None, "it is no login");
        handle.clock.advance((cooldown - 2) * SECOND);
    }
    assert!(handle.writes(10).await.iter().all(Result::is_ok));
    assert_eq!(handle.counts(), (1, 3));
    // The next cooldown begins with five seconds again.
    let attempt = Attempt::new(&handle.credentials, &handle.write().await.unwrap());
    attempt.rejected();
    let error = handle.write().await.unwrap_err();
    assert_eq!(error.retry_after(), Some(5 * SECOND));
    assert_eq!(handle.counts(), (2, 4));
}

#[tokio::test]
async fn rule_8_a_fetch_that_brings_nothing_of_what_is_missing_has_failed() {
    for update in [
        Update::new(),
        Update::new().with_query("other", "o").unwrap(),
    ] {
        let handle = Handle::fetching(move |_, _| Ok(update.clone()));
        for result in handle.writes(100).await {
            let error = result.unwrap_err();
            assert!(error.to_string().contains("malformed"), "{error}");
        }
        handle.writes(100).await;
        assert_eq!(handle.counts(), (1, 1));
    }
}

#[tokio::test]
async fn rule_8_of_several_missing_parts_one_that_comes_lets_its_requests_go() {
    const OTHER: HeaderName = HeaderName::from_static("x-other");
    let login = |number| {
        let other = Part::fetched_header(OTHER.as_str()).when(When::any_method().below("/b"));
        let session = session(number, Lifetime::of(HOUR))?.with_part(fetched())?;
        Ok(session.with_part(other)?)
    };
    // One after the other.
    let handle = Handle::of(login, |number, current| {
        Ok(match current.header(&CSRF) {
            None => csrf(number),
            Some(_) => Update::new().with_header(OTHER, "o".parse().unwrap()),
        })
    });
    assert!(handle.write().await.is_ok());
    assert_eq!(handle.counts(), (1, 1));
    let b = Target::new("https", "api.example.com", "/b");
    assert!(
        handle
            .credentials
            .get_for(b, Ask::new())
            .await
            .unwrap()
            .is_complete()
    );
    assert_eq!(handle.counts(), (1, 2));
    // Both for one request.
    let first = handle.credentials.get().await.unwrap();
    Attempt::new(&handle.credentials, &first).rejected();
    let both = b.with_method(&Method::POST);
    assert!(
        handle
            .credentials
            .get_for(both, Ask::new())
            .await
            .unwrap()
            .is_complete()
    );
    assert_eq!(handle.counts(), (2, 4));
}

#[tokio::test]
async fn rule_8_a_caller_waits_for_three_fetches_at_most() {
    let name = |number: u64| HeaderName::try_from(format!("x-{number}")).unwrap();
    let login = move |number| {
        (1..=4).try_fold(session(number, Lifetime::of(HOUR))?, |session, part| {
            let part = Part::fetched_header(name(part).as_str());
            Ok(session.with_part(part.when(When::any_method().below("/4")))?)
        })
    };
    let fetch = move |number, _: &Credential| {
        Ok(Update::new().with_header(name(number), "v".parse().unwrap()))
    };
    let handle = Handle::of(login, fetch);
    let four = Target::new("https", "api.example.com", "/4");
    let error = handle.credentials.get_for(four, Ask::new()).await;
    let error = error.unwrap_err();
    assert!(error.login_error().is_some(), "{error}");
    assert_eq!(handle.counts(), (1, 3));
    assert!(handle.credentials.get_for(four, Ask::new()).await.is_ok());
    assert_eq!(handle.counts(), (1, 4));
}

#[tokio::test]
async fn rule_8_the_next_session_lacks_its_part_again_unless_its_login_brings_it() {
    let login = |number| {
        let part = match number {
            3 => Part::header(CSRF.as_str(), "of the login").when(When::unsafe_methods()),
            _ => fetched(),
        };
        Ok(session(number, Lifetime::of(HOUR))?.with_part(part)?)
    };
    let handle = Handle::of(login, |number, _| Ok(csrf(number)));
    for (generation, fetches, expected) in [
        (1, 1, "csrf-1"),
        (2, 2, "csrf-2"),
        (3, 2, "of the login"),
        (4, 3, "csrf-3"),
    ] {
        let credential = handle.write().await.unwrap();
        assert_eq!(value(&credential), Some(expected));
        assert_eq!(handle.counts(), (generation, fetches));
        handle.clock.advance(2 * HOUR);
        let read = handle.credentials.get_for(READ, Ask::new()).await.unwrap();
        assert_eq!(read.stamp().generation(), generation + 1);
        assert_eq!(handle.counts().1, fetches, "a read fetches nothing");
    }
}

#[tokio::test]
async fn rule_8_a_missing_part_of_a_provider_that_fetches_none_is_a_failed_login() {
    let handle = Handle::new();
    handle.repairs.store(false, SeqCst);
    for result in [handle.credentials.get().await, handle.write().await] {
        let error = result.unwrap_err();
        assert!(error.is_misconfigured(), "{error}");
        let reason = error.login_error().unwrap().to_string();
        assert!(reason.contains("Provider::repairs"), "{reason}");
    }
    assert_eq!(handle.counts(), (1, 0));
    handle.repairs.store(true, SeqCst);
    handle.clock.advance(SECOND);
    assert!(handle.write().await.is_ok());
}

#[tokio::test]
async fn rule_8_a_fetch_outlives_its_caller_and_serves_the_others() {
    let handle = Handle::new().shut();
    handle.credentials.get().await.unwrap();
    let [mut first, mut second] = [(); 2].map(|()| Box::pin(handle.write()));
    assert!(futures_util::poll!(&mut first).is_pending());
    assert!(futures_util::poll!(&mut second).is_pending());
    drop(first);
    settle().await;
    handle.gate.add_permits(1);
    assert_eq!(value(&second.await.unwrap()), Some("csrf-1"));
    assert_eq!(handle.counts(), (1, 1));
}

#[tokio::test]
async fn rule_3_a_fetch_is_waited_for_until_the_callers_deadline_which_began_with_its_login() {
    let handle = Handle::new().shut();
    let gate = Gate::shut();
    let inner =
        Scripted::new(|number| Ok(session(number, Lifetime::of(HOUR))?.with_part(fetched())?));
    let api = Api {
        inner: inner.gated(&gate),
        fetch: Box::new(|number, _| Ok(csrf(number))),
        repairs: Arc::clone(&handle.repairs),
        gate: Arc::clone(&handle.gate),
        fetches: Arc::clone(&handle.fetches),
    };
    let credentials = Credentials::builder(api)
        .clock(handle.clock.clock())
        .build();
    let ask = Ask::new().within(10 * SECOND);
    let mut hasty = Box::pin(credentials.get_for(WRITE, ask));
    let mut patient = Box::pin(credentials.get_for(WRITE, Ask::new()));
    assert!(futures_util::poll!(&mut hasty).is_pending());
    assert!(futures_util::poll!(&mut patient).is_pending());
    handle.clock.advance(6 * SECOND);
    gate.let_through(1);
    settle().await;
    assert!(futures_util::poll!(&mut hasty).is_pending());
    assert!(futures_util::poll!(&mut patient).is_pending());
    settle().await;
    handle.clock.advance(4 * SECOND);
    let error = hasty
        .now_or_never()
        .expect("ten seconds are over")
        .unwrap_err();
    assert!(
        matches!(error, Error::DeadlinePassed { waited } if waited == 10 * SECOND),
        "{error}"
    );
    // The fetch itself has a time-out.
    assert!(futures_util::poll!(&mut patient).is_pending());
    handle.clock.advance(30 * SECOND);
    settle().await;
    assert!(patient.await.unwrap_err().is_unavailable());
    assert_eq!(handle.fetches.load(SeqCst), 1);
}

#[tokio::test]
async fn rule_8_a_refused_fetch_rejects_the_session_and_is_repeated_with_the_next_one() {
    let handle = Handle::fetching(|number, _| match number {
        1 => Err(LoginError::refused("status 401")),
        _ => Ok(csrf(number)),
    });
    for credential in handle.writes(1_000).await {
        let credential = credential.unwrap();
        assert_eq!(
            (&*token(&credential), value(&credential)),
            ("token-2", Some("csrf-2"))
        );
    }
    assert_eq!(handle.counts(), (2, 2));
    let events = handle.events.lock().clone();
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Rejected { .. }))
    );
    // The second fetch was the accepted replay, so the next rejection is believed at once.
    let second = handle.write().await.unwrap();
    let attempt = Attempt::new(&handle.credentials, &second);
    assert_eq!(attempt.rejected(), Conclusion::Replay);
}

#[tokio::test]
async fn rule_8_a_login_that_follows_a_refused_fetch_is_waited_for_and_its_part_as_well() {
    let gate = Gate::shut();
    let login = |number| Ok(session(number, Lifetime::of(HOUR))?.with_part(fetched())?);
    let handle = Handle::on(
        Scripted::new(login).gated(&gate),
        |number, _| match number {
            1 => Err(LoginError::refused("status 401")),
            _ => Ok(csrf(number)),
        },
    );
    gate.let_through(1);
    let mut write = Box::pin(handle.write());
    for _ in 0..3 {
        assert!(futures_util::poll!(&mut write).is_pending());
        settle().await;
    }
    assert_eq!(handle.counts(), (2, 1));
    gate.let_through(1);
    assert_eq!(value(&write.await.unwrap()), Some("csrf-2"));
    assert_eq!(handle.counts(), (2, 2));
}

#[tokio::test]
async fn rule_8_a_fetch_ends_the_probation_only_if_one_with_the_last_session_was_refused() {
    let handle = Handle::fetching(|number, _| match number {
        3 => Err(LoginError::refused("status 401")),
        _ => Ok(csrf(number)),
    });
    let reject = || async {
        let current = handle.credentials.get().await.unwrap();
        Attempt::new(&handle.credentials, &current).rejected()
    };
    // A request was rejected, and its replay was not accepted yet.
    handle.write().await.unwrap();
    assert_eq!(reject().await, Conclusion::Replay);
    let second = handle.write().await.unwrap();
    assert_eq!(reject().await, Conclusion::Rejected);
    // A repair was refused, and the session that followed was rejected before it fetched any.
    handle.clock.advance(60 * SECOND);
    let attempt = Attempt::new(&handle.credentials, &second);
    let third = attempt.repaired(READ, Ask::new()).await.unwrap();
    assert_eq!(
        (third.stamp().generation(), third.stamp().revision()),
        (3, 0)
    );
    handle.clock.advance(120 * SECOND);
    assert_eq!(reject().await, Conclusion::Replay);
    assert_eq!(value(&handle.write().await.unwrap()), Some("csrf-4"));
    assert_eq!(reject().await, Conclusion::Rejected);
}

#[tokio::test]
async fn rule_8_a_fetch_that_any_session_is_refused_costs_one_login_and_is_no_refused_password() {
    let handle = Handle::fetching(|_, _| Err(LoginError::refused("status 401")));
    for _ in 0..3 {
        for result in handle.writes(1_000).await {
            let error = result.unwrap_err();
            assert!(
                !error.is_login_refused() && error.is_unavailable(),
                "{error}"
            );
        }
        assert_eq!(handle.counts(), (2, 2));
    }
    let read = handle.credentials.get_for(READ, Ask::new()).await;
    assert_eq!(read.unwrap().stamp().generation(), 2, "the session is kept");
    assert_eq!(handle.credentials.status().failure, None);
    let doubted = |event: &Event| matches!(event, Event::RejectionDoubted { .. });
    assert_eq!(
        handle
            .events
            .lock()
            .iter()
            .filter(|event| doubted(event))
            .count(),
        1
    );
    // A replay of another request was not accepted, so the probation goes on.
    let second = handle.credentials.get().await.unwrap();
    let attempt = Attempt::new(&handle.credentials, &second);
    assert_eq!(attempt.rejected(), Conclusion::Rejected);
}

#[tokio::test]
async fn rule_8_a_repair_that_a_response_asked_for_has_failed_if_it_brings_no_other_value() {
    let handle = Handle::fetching(|number, _| Ok(csrf(number.min(2))));
    let mut carried = handle.write().await.unwrap();
    for fails in [false, true] {
        let attempt = Attempt::new(&handle.credentials, &carried);
        let repaired = attempt.repaired(WRITE, Ask::new()).await;
        assert_eq!(repaired.is_err(), fails);
        let told = |event: &Event| matches!(event, Event::RepairFailed { .. });
        assert_eq!(handle.events.lock().iter().any(told), fails);
        carried = repaired.unwrap_or(carried);
    }
    assert_eq!(handle.counts(), (1, 3));
}

#[tokio::test]
async fn rule_8_a_repair_that_a_response_asked_for_and_is_refused_rejects_the_session_too() {
    let handle = Handle::fetching(|number, _| match number {
        2 => Err(LoginError::refused("status 401")),
        _ => Ok(csrf(number)),
    });
    let first = handle.write().await.unwrap();
    let attempt = Attempt::new(&handle.credentials, &first);
    let repaired = attempt.repaired(WRITE, Ask::new()).await.unwrap();
    assert_eq!(
        (&*token(&repaired), value(&repaired)),
        ("token-2", Some("csrf-3"))
    );
    assert_eq!(handle.counts(), (2, 3));
}

#[tokio::test]
async fn rule_8_what_comes_without_the_missing_part_serves_those_that_asked_for_another() {
    let other = Update::new().with_query("other", "o").unwrap();
    let handle = Handle::fetching(move |_, _| Ok(other.clone())).shut();
    let first = handle.credentials.get().await.unwrap();
    let mut write = Box::pin(handle.write());
    assert!(futures_util::poll!(&mut write).is_pending());
    let attempt = Attempt::new(&handle.credentials, &first);
    let mut repaired = Box::pin(attempt.repaired(READ, Ask::new()));
    assert!(futures_util::poll!(&mut repaired).is_pending());
    handle.gate.add_permits(1);
    assert!(write.await.is_err());
    assert_eq!(repaired.await.unwrap().stamp().revision(), 1);
    assert_eq!(handle.counts(), (1, 1));
}

/// The part, and a cookie that responses roll.
fn rolling() -> Handle {
    let login = |number| {
        let session = session(number, Lifetime::of(HOUR))?.with_part(fetched())?;
        Ok(session.with_cookie("sid", "s0")?)
    };
    Handle::of(login, |number, _| Ok(csrf(number))).shut()
}

#[tokio::test]
async fn rule_8_what_a_fetch_brings_is_added_to_the_revision_that_the_session_has_by_then() {
    let handle = rolling();
    let first = handle.credentials.get().await.unwrap();
    let mut write = Box::pin(handle.write());
    assert!(futures_util::poll!(&mut write).is_pending());
    settle().await;
    let read = Attempt::new(&handle.credentials, &first);
    respond(&read, StatusCode::OK, &set_cookie("sid=s1; Path=/"));
    handle.gate.add_permits(1);
    let complete = write.await.unwrap();
    assert_eq!(
        (value(&complete), complete.cookie("sid")),
        (Some("csrf-1"), Some("s1"))
    );
    assert_eq!(complete.stamp().revision(), 2);
    assert_eq!(handle.counts(), (1, 1));
}

#[tokio::test]
async fn rule_15_the_cookies_of_a_repairs_response_are_heard_as_those_of_any() {
    let login = |number| Ok(session(number, Lifetime::of(HOUR))?.with_cookie("sid", "s0")?);
    let handle = Handle::of(login, |_, _| {
        Ok(Update::new().with_cookies(&set_cookie("sid=s1; Path=/"), HERE))
    });
    let first = handle.credentials.get().await.unwrap();
    let attempt = Attempt::new(&handle.credentials, &first);
    let second = attempt.repaired(READ, Ask::new()).await.unwrap();
    assert_eq!(second.cookie("sid"), Some("s1"));
}

#[tokio::test]
async fn rule_8_what_a_repair_brings_does_not_undo_a_newer_revision() {
    let login = |number| {
        let session = session(number, Lifetime::of(HOUR))?.with_part(fetched())?;
        Ok(session.with_cookie("sid", "s0")?)
    };
    let old = || set_cookie("sid=s0; Path=/");
    let handle = Handle::of(login, move |number, _| {
        Ok(csrf(number).with_cookies(&old(), HERE))
    });
    let handle = handle.shut();
    handle.gate.add_permits(1);
    let complete = handle.write().await.unwrap();
    let attempt = Attempt::new(&handle.credentials, &complete);
    let mut repaired = Box::pin(attempt.repaired(WRITE, Ask::new()));
    assert!(futures_util::poll!(&mut repaired).is_pending());
    settle().await;
    respond(&attempt, StatusCode::OK, &set_cookie("sid=s1; Path=/"));
    handle.gate.add_permits(1);
    let repaired = repaired.await.unwrap();
    assert_eq!(
        (value(&repaired), repaired.cookie("sid")),
        (Some("csrf-2"), Some("s1"))
    );
    assert_eq!(handle.counts(), (1, 2));
}

/// As Laravel does: each response has another form of its cookie, that to a stale value as well.
#[tokio::test]
async fn rule_8_a_cookie_that_rolls_with_each_response_is_not_the_part_that_was_asked_for() {
    let handle = rolling();
    handle.gate.add_permits(2);
    let complete = handle.write().await.unwrap();
    let all: Vec<Attempt> = (0..50)
        .map(|_| Attempt::new(&handle.credentials, &complete))
        .collect();
    for (number, attempt) in all.iter().enumerate() {
        let cookie = if number == 0 { "sid=s1" } else { "sid=s2" };
        respond(attempt, StatusCode::CONFLICT, &set_cookie(cookie));
    }
    for attempt in all {
        let repaired = attempt.repaired(WRITE, Ask::new()).await.unwrap();
        assert_eq!(value(&repaired), Some("csrf-2"));
        assert_eq!(repaired.cookie("sid"), Some("s1"), "the first of them");
    }
    assert_eq!(handle.counts(), (1, 2));

    // The csrf value is a cookie's, and no cookie of the same answer that is older now.
    let login = |number| {
        let session = session(number, Lifetime::of(HOUR))?.with_cookie("sid", "s0")?;
        let part = Part::header_from_cookie("x-csrf", "csrf");
        Ok(session.with_cookie("csrf", "c0")?.with_part(part)?)
    };
    let handle = Handle::of(login, |_, _| {
        let mut answer = set_cookie("sid=s9");
        answer.append("set-cookie", HeaderValue::from_static("csrf=c1"));
        Ok(Update::new().with_cookies(&answer, HERE))
    });
    let first = handle.credentials.get().await.unwrap();
    let attempt = Attempt::new(&handle.credentials, &first);
    let mut repaired = Box::pin(attempt.repaired(WRITE, Ask::new()));
    assert!(futures_util::poll!(&mut repaired).is_pending());
    respond(&attempt, StatusCode::CONFLICT, &set_cookie("sid=s1"));
    let repaired = repaired.await.unwrap();
    let cookies = ["sid", "csrf"].map(|name| repaired.cookie(name));
    assert_eq!(cookies, [Some("s1"), Some("c1")]);
}

#[tokio::test]
async fn rule_8_where_cookies_are_all_that_is_carried_one_that_rolls_is_what_was_asked_for() {
    type Carried = fn(Session) -> Result<Session, LoginError>;
    let beside: [(Carried, u64); 5] = [
        (Ok, 0),
        (|session| Ok(session.with_bearer("t")?), 1),
        (|session| Ok(session.with_query("t", "t")?), 1),
        (
            |session| Ok(session.with_part(Part::form_field("t", "t"))?),
            1,
        ),
        (
            |session| Ok(session.with_part(Part::header("x-t", "t").when(When::unsafe_methods()))?),
            1,
        ),
    ];
    for (number, (carried, fetches)) in beside.into_iter().enumerate() {
        let login = move |_| carried(Session::new().with_cookie("sid", "s0")?);
        let handle = Handle::of(login, sets("sid=s2"));
        let first = handle.credentials.get().await.unwrap();
        let attempt = Attempt::new(&handle.credentials, &first);
        respond(&attempt, StatusCode::CONFLICT, &set_cookie("sid=s1"));
        let _ = attempt.repaired(WRITE, Ask::new()).await;
        assert_eq!(handle.counts(), (1, fetches), "{number}");
    }
}

/// A session whose csrf value is a cookie, from which no part is derived, beside its token.
fn with_cookies(
    fetch: impl Fn(u64, &Credential) -> Result<Update, LoginError> + Send + Sync + 'static,
) -> Handle {
    let login = |number| {
        let session = session(number, Lifetime::of(HOUR))?;
        Ok(session
            .with_cookie("csrf", "c0")?
            .with_cookie("sid", "s0")?)
    };
    Handle::of(login, fetch)
}

fn sets(cookie: &'static str) -> impl Fn(u64, &Credential) -> Result<Update, LoginError> {
    move |_, _| Ok(Update::new().with_cookies(&set_cookie(cookie), HERE))
}

#[tokio::test]
async fn rule_8_a_repair_that_sets_the_cookie_which_a_response_has_set_has_brought_it() {
    let handle = with_cookies(sets("csrf=c1"));
    let first = handle.credentials.get().await.unwrap();
    let all = [(); 9].map(|()| Attempt::new(&handle.credentials, &first));
    for attempt in &all {
        respond(attempt, StatusCode::CONFLICT, &set_cookie("csrf=c1"));
    }
    for attempt in &all {
        let repaired = attempt.repaired(WRITE, Ask::new()).await.unwrap();
        assert_eq!(repaired.cookie("csrf"), Some("c1"));
    }
    assert_eq!(handle.counts(), (1, 1));
    let events = handle.events.lock().clone();
    let failed = |event: &Event| matches!(event, Event::RepairFailed { .. });
    assert!(!events.iter().any(failed), "{events:?}");

    // The requests of before have carried that value.
    let second = handle.credentials.get().await.unwrap();
    let attempt = Attempt::new(&handle.credentials, &second);
    respond(&attempt, StatusCode::CONFLICT, &HeaderMap::new());
    attempt.repaired(WRITE, Ask::new()).await.unwrap_err();
    assert_eq!(handle.counts(), (1, 2));
}

#[tokio::test]
async fn rule_8_a_repair_brings_the_cookies_that_have_not_changed_meanwhile() {
    let handle = with_cookies(|_, _| {
        let mut answer = set_cookie("sid=s9");
        answer.append("set-cookie", HeaderValue::from_static("csrf=c1"));
        Ok(Update::new().with_cookies(&answer, HERE))
    });
    let first = handle.credentials.get().await.unwrap();
    let attempt = Attempt::new(&handle.credentials, &first);
    let mut repaired = Box::pin(attempt.repaired(WRITE, Ask::new()));
    assert!(futures_util::poll!(&mut repaired).is_pending());
    respond(&attempt, StatusCode::OK, &set_cookie("sid=s1"));
    let repaired = repaired.await.unwrap();
    let cookies = ["sid", "csrf"].map(|name| repaired.cookie(name));
    assert_eq!(cookies, [Some("s1"), Some("c1")]);
}

/// Another value makes it another part. Another form of the same value does not.
#[tokio::test]
async fn rule_8_a_repair_brings_the_cookie_of_a_derived_part_though_its_form_has_changed() {
    for part in [
        Part::header_from_cookie("x-csrf", "csrf"),
        Part::query_from_cookie("csrf", "csrf"),
        Part::form_field_from_cookie("csrf", "csrf"),
    ] {
        let login = move |number| {
            let session = session(number, Lifetime::of(HOUR))?.with_cookie("csrf", "c%2B0")?;
            Ok(session.with_part(part.clone().percent_decoded())?)
        };
        let handle = Handle::of(login, sets("csrf=c1"));
        let first = handle.credentials.get().await.unwrap();
        let attempt = Attempt::new(&handle.credentials, &first);
        let mut repaired = Box::pin(attempt.repaired(WRITE, Ask::new()));
        assert!(futures_util::poll!(&mut repaired).is_pending());
        respond(&attempt, StatusCode::OK, &set_cookie("csrf=c+0"));
        let current = handle.credentials.get().await.unwrap();
        assert_eq!(current.cookie("csrf"), Some("c+0"));
        assert_eq!(repaired.await.unwrap().cookie("csrf"), Some("c1"));
    }
}

#[tokio::test]
async fn rule_8_an_answer_that_sets_a_cookie_to_its_value_is_not_the_part_that_was_asked_for() {
    let handle = with_cookies(sets("csrf=c2"));
    let first = handle.credentials.get().await.unwrap();
    let asks = Attempt::new(&handle.credentials, &first);
    respond(&asks, StatusCode::CONFLICT, &set_cookie("sid=s1"));
    let second = handle.credentials.get().await.unwrap();
    assert_eq!(second.cookie("sid"), Some("s1"));
    let attempt = Attempt::new(&handle.credentials, &second);
    respond(&attempt, StatusCode::OK, &set_cookie("sid=s1"));
    let repaired = asks.repaired(WRITE, Ask::new()).await.unwrap();
    assert_eq!(repaired.cookie("csrf"), Some("c2"));
    assert_eq!(handle.counts(), (1, 1));
}

#[tokio::test]
async fn rule_8_a_newer_session_neither_waits_for_the_fetch_of_an_older_one_nor_gets_its_failure() {
    for fails in [false, true] {
        let handle = Handle::fetching(move |number, _| match number {
            1 if fails => Err(LoginError::unavailable("status 503")),
            _ => Ok(csrf(number)),
        })
        .shut();
        let first = handle.credentials.get().await.unwrap();
        let mut old = Box::pin(handle.write());
        assert!(futures_util::poll!(&mut old).is_pending());
        settle().await;
        Attempt::new(&handle.credentials, &first).rejected();
        settle().await;
        let mut new = Box::pin(handle.write());
        assert!(futures_util::poll!(&mut new).is_pending());
        settle().await;
        assert_eq!(handle.counts(), (2, 2));
        // The first permit is the old fetch's. The session that it is for is gone.
        handle.gate.add_permits(1);
        settle().await;
        assert!(
            futures_util::poll!(&mut old).is_pending(),
            "it joins the second fetch"
        );
        assert!(futures_util::poll!(&mut new).is_pending());
        handle.gate.add_permits(1);
        for credential in [old.await.unwrap(), new.await.unwrap()] {
            assert_eq!(
                (&*token(&credential), value(&credential)),
                ("token-2", Some("csrf-2"))
            );
        }
        assert_eq!(handle.counts(), (2, 2));
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Begins a fetch on this runtime, and drives it no further.
fn begin_on(runtime: &Runtime, handle: &Handle) {
    runtime.block_on(async {
        handle.credentials.get().await.unwrap();
        let mut write = Box::pin(handle.write());
        assert!(futures_util::poll!(&mut write).is_pending());
    });
}

#[test]
fn rule_3_a_fetch_on_a_runtime_that_is_not_driven_is_begun_anew_after_its_time_out() {
    let handle = Handle::new();
    let (stopped, driven) = (runtime(), runtime());
    begin_on(&stopped, &handle);
    driven.block_on(async {
        let mut write = Box::pin(handle.write());
        assert!(futures_util::poll!(&mut write).is_pending());
        handle.clock.advance(30 * SECOND);
        settle().await;
        assert!(
            futures_util::poll!(&mut write).is_pending(),
            "it may still end"
        );
        handle.clock.advance(SECOND);
        let credential = write.await.unwrap();
        assert_eq!(
            value(&credential),
            Some("csrf-1"),
            "the first one was not sent"
        );
        let late = handle.credentials.get_for(WRITE, Ask::new()).await.unwrap();
        assert!(Arc::ptr_eq(&credential, &late));
    });
    stopped.block_on(settle());
    assert_eq!(handle.credentials.peek().unwrap().stamp().revision(), 1);
}

#[test]
fn rule_3_fetches_whose_runtimes_are_shut_down_are_begun_anew() {
    let handle = Handle::new().shut();
    let first = runtime();
    begin_on(&first, &handle);
    first.block_on(settle());
    drop(first);
    handle.gate.add_permits(1);
    let credential = runtime().block_on(handle.write()).unwrap();
    assert_eq!(value(&credential), Some("csrf-2"));
}

#[test]
fn rule_3_where_fetches_do_not_live_it_is_a_typed_error() {
    let handle = Handle::new();
    let first = runtime();
    first.block_on(handle.credentials.get()).unwrap();
    let dead = first.handle().clone();
    drop(first);
    let _entered = dead.enter();
    let write = handle.write().now_or_never().expect("no fetch is driven");
    assert!(matches!(write, Err(Error::Abandoned)), "{write:?}");
}

#[tokio::test]
async fn rule_19_a_caller_that_waits_for_a_fetch_gets_closed_at_once() {
    let handle = Handle::new().shut();
    handle.credentials.get().await.unwrap();
    let mut write = Box::pin(handle.write());
    assert!(futures_util::poll!(&mut write).is_pending());
    settle().await;
    handle.credentials.close().await.unwrap();
    settle().await;
    let result = write.now_or_never().expect("no time has passed");
    assert!(result.unwrap_err().is_closed());
}

#[test]
fn rule_3_outside_any_runtime_a_missing_part_is_a_typed_error() {
    let login = |number| {
        let session = session(number, Lifetime::of(HOUR))?.with_part(fetched())?;
        let part = Part::header_from_cookie("x-sid", "sid");
        Ok(session.with_cookie("sid", "s0")?.with_part(part)?)
    };
    let handle = Handle::of(login, |number, _| Ok(csrf(number)));
    let first = handle.credentials.blocking_get().unwrap();
    let attempt = Attempt::new(&handle.credentials, &first);
    respond(&attempt, StatusCode::OK, &set_cookie("sid=s1; Path=/"));
    let newer = attempt.repaired(READ, Ask::new()).now_or_never();
    assert_eq!(
        newer.unwrap().unwrap().cookie("sid"),
        Some("s1"),
        "it is there"
    );
    let write = handle.write().now_or_never().expect("ready at once");
    assert!(matches!(write, Err(Error::NoRuntime)));
    assert!(
        handle
            .credentials
            .get_for(READ, Ask::new())
            .now_or_never()
            .unwrap()
            .is_ok()
    );
}

/// Asks for the part in the middle of fetching it.
struct Loop {
    inner: Scripted,
    own: Arc<Mutex<Option<Credentials>>>,
}

#[async_trait]
impl Provider for Loop {
    fn identity(&self) -> &Identity {
        self.inner.identity()
    }

    fn secret(&self) -> &SecretSource {
        self.inner.secret()
    }

    fn repairs(&self) -> bool {
        true
    }

    async fn repair(&self, _: &Credential) -> Result<Update, LoginError> {
        let own = self.own.lock().clone().unwrap();
        let error = own.get_for(WRITE, Ask::new()).await.unwrap_err();
        assert!(matches!(error, Error::LoginLoop));
        assert!(own.get_for(READ, Ask::new()).await.is_ok());
        Ok(csrf(1))
    }

    async fn login(&self, secret: &Secret) -> Result<Session, LoginError> {
        self.inner.login(secret).await
    }
}

#[tokio::test]
async fn rule_18_a_fetch_that_waits_for_itself_is_a_typed_error() {
    let login = |number| Ok(session(number, Lifetime::of(HOUR))?.with_part(fetched())?);
    let (inner, own) = (Scripted::new(login), Arc::default());
    let api = Loop {
        inner,
        own: Arc::clone(&own),
    };
    let clock = ManualClock::new();
    let credentials = Credentials::builder(api).clock(clock.clock()).build();
    *own.lock() = Some(credentials.clone());
    assert!(credentials.get_for(WRITE, Ask::new()).await.is_ok());
    own.lock().take();
}

#[tokio::test]
async fn rule_8_the_newest_credential_is_passed_over_if_the_request_lacks_a_part_of_it() {
    let handle = Handle::new();
    let obtained = handle.write().await.unwrap();
    handle.credentials.renew().await.unwrap();
    let newest = |target, again| {
        let newest = Attempt::newest(&handle.credentials, &obtained, target, again);
        newest.map(|newest| newest.stamp().generation())
    };
    assert_eq!(newest(READ, false), Some(2));
    assert_eq!(newest(WRITE, false), None);
    assert_eq!(
        newest(WRITE, true),
        Some(1),
        "it has the part, and was not rejected"
    );
    handle.write().await.unwrap();
    assert_eq!(newest(WRITE, false), Some(2));
}

#[test]
fn rule_8_a_request_lacks_a_part_only_if_it_would_carry_that_and_no_other_of_the_name() {
    let api = || When::any_method().below("/api");
    let lacks = |parts: &[Part], method: Method, path: &str| {
        let parts = parts.to_vec();
        let login = move |number| {
            let session = session(number, Lifetime::of(HOUR))?.with_cookie("c", "c")?;
            let session = parts.iter().cloned().try_fold(session, Session::with_part);
            Ok(session?)
        };
        let handle = Handle::of(login, |_, _| Ok(Update::new()));
        let credential = handle.credentials.blocking_get().unwrap();
        credential.lacks(Target::new("https", "api.example.com", path).with_method(&method))
    };
    let stated = |when| Part::header(CSRF.as_str(), "v").when(when);
    for (parts, method, path, expected) in [
        (vec![fetched()], Method::POST, "/", true),
        (vec![fetched()], Method::GET, "/", false),
        (vec![Part::fetched_header("x-csrf")], Method::GET, "/", true),
        (
            vec![fetched(), stated(When::any_method())],
            Method::POST,
            "/",
            true,
        ),
        (
            vec![fetched(), stated(When::unsafe_methods())],
            Method::POST,
            "/",
            false,
        ),
        (
            vec![stated(When::unsafe_methods()), fetched()],
            Method::POST,
            "/",
            true,
        ),
        (vec![fetched(), stated(api())], Method::POST, "/api", false),
        (vec![fetched(), stated(api())], Method::POST, "/", true),
        (vec![stated(api()), fetched()], Method::POST, "/api", true),
        (
            vec![Part::fetched_header("x-csrf"), stated(When::any_method())],
            Method::GET,
            "/",
            false,
        ),
        (
            vec![Part::fetched_header("x-csrf"), Part::query("x-csrf", "q")],
            Method::GET,
            "/",
            true,
        ),
        (
            vec![fetched(), Part::header("x-other", "v").when(api())],
            Method::POST,
            "/api",
            true,
        ),
        (
            vec![Part::header_from_cookie("x-csrf", "none")],
            Method::GET,
            "/",
            false,
        ),
    ] {
        assert_eq!(lacks(&parts, method, path), expected, "{parts:?} {path}");
    }
}

#[test]
fn rule_17_a_missing_part_prints_its_name_and_a_fetched_one_no_value() {
    let part = format!("{:?}", fetched());
    assert!(
        part.contains("x-csrf") && part.contains("fetched"),
        "{part}"
    );
    let handle =
        Handle::fetching(|_, _| Ok(Update::new().with_header(CSRF, "canary".parse().unwrap())));
    runtime().block_on(async {
        let credential = handle.write().await.unwrap();
        let printed = format!("{credential:?} {:?}", handle.credentials.session());
        assert!(
            printed.contains("x-csrf") && !printed.contains("canary"),
            "{printed}"
        );
        let missing = handle.credentials.peek().unwrap();
        assert!(missing.owns_header(&CSRF));
    });
}

#[test]
fn a_missing_part_and_a_fetched_one_are_the_same_after_they_were_plain_parts() {
    let handle = Handle::new();
    let session = |text: &str| SessionParts::from(text).to_session().unwrap();
    let resumed = |text: &str| {
        let session = session(text);
        Handle::of(move |_| Ok(session.clone()), |number, _| Ok(csrf(number)))
    };
    runtime().block_on(async {
        handle.credentials.get().await.unwrap();
        let missing = handle.credentials.session().unwrap().to_parts();
        assert!(
            missing
                .expose()
                .contains("\nheader name=x-csrf fetched unsafe\n")
        );
        assert_eq!(
            session(missing.expose()).to_parts().expose(),
            missing.expose()
        );
        let again = resumed(missing.expose());
        assert_eq!(value(&again.write().await.unwrap()), Some("csrf-1"));
        let there = again.credentials.session().unwrap().to_parts();
        assert!(
            there
                .expose()
                .contains("\nheader name=x-csrf value=csrf-1 unsafe\n")
        );
        let third = resumed(there.expose());
        let credential = third.write().await.unwrap();
        assert_eq!(value(&credential), Some("csrf-1"));
        assert!(!third.credentials.get().await.unwrap().lacks(WRITE));
        assert_eq!(third.counts(), (1, 0));
        let mut headers = HeaderMap::new();
        credential.attach_headers(READ, &mut headers);
        assert!(!headers.contains_key(CSRF), "under its condition still");
    });
    let query = Part::fetched_query("csrf").when(When::any_method().below("/a"));
    let text = Session::new().with_bearer("t").unwrap().with_part(query);
    let text = text.unwrap().to_parts();
    assert!(
        text.expose()
            .contains("\nquery name=csrf fetched below=%2Fa\n")
    );
}

#[test]
fn a_fetched_part_is_checked_when_it_is_added() {
    let session = Session::new().with_bearer("t").unwrap();
    for part in [
        Part::fetched_header("a b"),
        Part::fetched_query(""),
        Part::fetched_header("a").when(When::any_method().below("api")),
    ] {
        assert!(session.clone().with_part(part).is_err());
    }
    let alone = Session::new().with_part(fetched()).unwrap();
    assert!(alone.is_empty(), "it carries nothing yet");
}

#[tokio::test]
async fn rule_8_a_fetch_keeps_to_the_servers_retry_after() {
    let handle = Handle::fetching(|_, _| {
        Err(LoginError::limited(Some(Duration::from_secs(60))).with_detail("status 429"))
    });
    let error = handle.write().await.unwrap_err();
    assert_eq!(error.retry_after(), Some(60 * SECOND));
    handle.clock.advance(59 * SECOND);
    handle.write().await.unwrap_err();
    assert_eq!(handle.counts(), (1, 1));
    handle.clock.advance(SECOND);
    handle.write().await.unwrap_err();
    assert_eq!(handle.counts(), (1, 2));
}

#[tokio::test]
async fn rule_8_callers_of_refused_fetches_beside_a_rolling_cookie_keep_to_a_cooldown() {
    let login = |number| {
        let session = session(number, Lifetime::of(HOUR))?.with_cookie("sid", "s0")?;
        Ok(session.with_part(fetched())?)
    };
    let handle = Handle::of(login, |_, _| Err(LoginError::refused("status 401"))).shut();
    handle.credentials.get().await.unwrap();
    for round in 0..5 {
        let credentials = handle.credentials.clone();
        let write = tokio::spawn(async move { credentials.get_for(WRITE, Ask::new()).await });
        for roll in ["a", "b", "c"] {
            settle().await;
            if write.is_finished() {
                break;
            }
            let credential = Attempt::current(&handle.credentials).unwrap();
            let attempt = Attempt::new(&handle.credentials, &credential).sent_to(|| READ);
            let rolled =
                HeaderMap::from_iter([(SET_COOKIE, format!("sid={round}{roll}").parse().unwrap())]);
            respond(&attempt, StatusCode::OK, &rolled);
            handle.gate.add_permits(1);
        }
        let told = write.await.unwrap().unwrap_err();
        assert_eq!(told.retry_after(), Some(5 * SECOND), "{told:?}");
    }
    assert_eq!(handle.counts().1, 2);
}

#[tokio::test]
async fn rule_19_a_fetch_ends_with_the_last_handle() {
    let handle = Handle::new().shut();
    handle.credentials.get().await.unwrap();
    let mut write = Box::pin(handle.write());
    assert!(futures_util::poll!(&mut write).is_pending());
    settle().await;
    drop(write);
    let gate = Arc::clone(&handle.gate);
    drop(handle);
    settle().await;
    assert_eq!(Arc::strong_count(&gate), 1, "its task holds the provider");
}

#[tokio::test]
async fn rule_8_a_newer_session_is_repaired_in_the_cooldown_of_an_older_ones_failure() {
    // The server answers the fetch of a dead session as that of any without permission.
    let handle = Handle::fetching(|number, current| match &*token(current) {
        "token-1" => Err(LoginError::malformed("status 403")),
        _ => Ok(csrf(number)),
    });
    for cooldown in [5, 10, 20, 40, 80, 160, 300] {
        assert!(handle.write().await.is_err());
        handle.clock.advance(cooldown * SECOND);
    }
    let first = handle.credentials.get().await.unwrap();
    assert!(handle.write().await.is_err(), "300 s of cooldown");
    // A read is answered 401, and its replay is accepted.
    let attempt = Attempt::new(&handle.credentials, &first);
    let concluded = respond(&attempt, StatusCode::UNAUTHORIZED, &HeaderMap::new());
    assert_eq!(concluded, Conclusion::Replay);
    let second = handle.credentials.get().await.unwrap();
    assert_eq!(token(&second), "token-2");
    let replay = attempt.replay(&second);
    respond(&replay, StatusCode::OK, &HeaderMap::new());
    let written = handle.write().await;
    assert!(written.is_ok(), "{written:?} {:?}", handle.counts());
}

#[tokio::test]
async fn rule_15_a_session_that_the_cookies_of_a_repair_end_is_an_event() {
    let login = |number: u64| {
        let session = Session::new().with_cookie("sid", &format!("s{number}"))?;
        Ok(session.with_part(fetched())?)
    };
    let handle = Handle::of(login, |number, _| {
        let deletes = set_cookie("sid=; Max-Age=0; Path=/");
        Ok(match number {
            1 => csrf(number).with_cookies(&deletes, HERE),
            _ => csrf(number),
        })
    });
    let written = handle.write().await.unwrap();
    assert_eq!(written.cookie("sid"), Some("s2"));
    let events = handle.events.lock().clone();
    let ended = |event: &&Event| matches!(event, Event::Ended { .. });
    assert_eq!(events.iter().filter(ended).count(), 1, "{events:?}");
}
