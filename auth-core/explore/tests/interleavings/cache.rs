//! One cache.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use auth_core::clock::ManualClock;
use auth_core::{Ask, Attempt, Conclusion, Credentials, Error};
use shuttle::future::{block_on, spawn};

use crate::provider::{Counting, Script};
use crate::{HERE, HOUR, explore, no_task_left};

fn build(script: Script) -> (Counting, Credentials, ManualClock) {
    let provider = Counting::new(script);
    let clock = ManualClock::new();
    let credentials = Credentials::builder(provider.clone())
        .clock(clock.clock())
        .build();
    (provider, credentials, clock)
}

#[test]
fn rule_1_concurrent_gets_are_one_login() {
    explore(|| {
        let (provider, credentials, _clock) = build(Script::Succeeds);
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let credentials = credentials.clone();
                spawn(async move { credentials.get().await.unwrap().stamp().generation() })
            })
            .collect();
        block_on(async {
            for caller in callers {
                assert_eq!(caller.await.unwrap(), 1);
            }
        });
        assert_eq!(provider.logins(), 1);
    });
}

#[test]
fn rule_1_a_failing_login_is_one_login_for_all_its_waiters() {
    explore(|| {
        let (provider, credentials, _clock) = build(Script::Fails);
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let credentials = credentials.clone();
                spawn(async move { credentials.get().await.unwrap_err().is_unavailable() })
            })
            .collect();
        block_on(async {
            for caller in callers {
                assert!(caller.await.unwrap());
            }
        });
        assert_eq!(
            provider.logins(),
            1,
            "later callers get the remembered failure"
        );
    });
}

#[test]
fn rule_2_a_login_outlives_all_its_callers() {
    explore(|| {
        let (provider, credentials, _clock) = build(Script::Succeeds);
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let credentials = credentials.clone();
                spawn(async move { credentials.get().await })
            })
            .collect();
        for caller in &callers {
            caller.abort();
        }
        block_on(async {
            for caller in callers {
                let _ = caller.await;
            }
            assert_eq!(credentials.get().await.unwrap().stamp().generation(), 1);
        });
        assert_eq!(
            provider.logins(),
            1,
            "the login outlived the callers that were aborted"
        );
    });
}

#[test]
fn rule_12_a_login_that_several_callers_find_lost_counts_once() {
    explore(|| {
        let (provider, credentials, clock) = build(Script::SticksOnce);
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let credentials = credentials.clone();
                spawn(async move { credentials.get().await.map(drop) })
            })
            .collect();
        block_on(async {
            while provider.logins() == 0 {
                shuttle::future::yield_now().await;
            }
            // Longer than a login may take, and shorter than a caller waits.
            clock.advance(Duration::from_secs(60));
            for caller in callers {
                assert!(
                    caller.await.unwrap().is_ok(),
                    "the next login follows at once"
                );
            }
            provider.counts.released.store(true, SeqCst);
            no_task_left().await;
        });
        assert_eq!(provider.logins(), 2);
    });
}

#[test]
fn rule_3_a_panic_in_the_provider_releases_every_waiter() {
    // The code under test catches the panic, so its message is only noise.
    std::panic::set_hook(Box::new(|_| {}));
    explore(|| {
        let (provider, credentials, _clock) = build(Script::Panics);
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let credentials = credentials.clone();
                spawn(async move { credentials.get().await.unwrap_err().is_misconfigured() })
            })
            .collect();
        block_on(async {
            for caller in callers {
                assert!(caller.await.unwrap());
            }
        });
        assert_eq!(provider.logins(), 1);
        assert!(!credentials.status().login_under_way);
    });
    let _ = std::panic::take_hook();
}

#[test]
fn rule_3_a_login_that_hangs_releases_every_waiter_when_it_times_out() {
    explore(|| {
        let (provider, credentials, clock) = build(Script::HangsOnce);
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let credentials = credentials.clone();
                spawn(async move { credentials.get().await })
            })
            .collect();
        let time = spawn(async move {
            loop {
                shuttle::future::yield_now().await;
                clock.advance(Duration::from_secs(4));
            }
        });
        block_on(async {
            for caller in callers {
                // A caller that joined the first login gets its failure. A later one gets the next
                // login's session, or the remembered failure.
                match caller.await.unwrap() {
                    Ok(credential) => assert!(credential.stamp().generation() >= 1),
                    Err(error) => assert!(error.is_unavailable(), "{error:?}"),
                }
            }
            time.abort();
            // All the time may pass before the login task is polled for the first time.
            assert!(provider.logins() >= 1 || credentials.status().login_under_way);
            drop(credentials);
            no_task_left().await;
        });
    });
}

#[test]
fn rule_7_a_get_concurrent_with_a_rejection_never_serves_the_rejected_generation() {
    explore(|| {
        let (provider, credentials, _clock) = build(Script::Succeeds);
        block_on(async {
            let first = credentials.get().await.unwrap();
            let sent = Attempt::new(&credentials, &first);
            let rejecting: Vec<_> = (0..2)
                .map(|_| {
                    let (credentials, sent) = (credentials.clone(), sent.clone());
                    spawn(async move {
                        assert_eq!(sent.rejected(), Conclusion::Replay);
                        let next = credentials.get().await.unwrap();
                        assert_eq!(next.stamp().generation(), 2);
                        assert!(
                            credentials
                                .fresh()
                                .is_none_or(|fresh| fresh.stamp().generation() == 2)
                        );
                    })
                })
                .collect();
            let reading = spawn({
                let credentials = credentials.clone();
                async move {
                    let mut last = 0;
                    for _ in 0..4 {
                        let generation = credentials.get().await.unwrap().stamp().generation();
                        assert!(
                            generation >= last,
                            "an older generation is never served again"
                        );
                        last = generation;
                    }
                }
            });
            for task in rejecting {
                task.await.unwrap();
            }
            reading.await.unwrap();
        });
        assert_eq!(provider.logins(), 2);
        assert_eq!(provider.most_in_flight(), 1);
    });
}

#[test]
fn rule_7_a_rejection_concurrent_with_a_renewal_is_one_login_at_a_time() {
    explore(|| {
        let (provider, credentials, _clock) = build(Script::Succeeds);
        block_on(async {
            let first = credentials.get().await.unwrap();
            let sent = Attempt::new(&credentials, &first);
            let renewing = spawn({
                let credentials = credentials.clone();
                async move { credentials.renew().await.unwrap().stamp().generation() }
            });
            let rejecting = spawn({
                let credentials = credentials.clone();
                async move {
                    assert_eq!(sent.rejected(), Conclusion::Replay);
                    credentials.get().await.unwrap().stamp().generation()
                }
            });
            assert!(renewing.await.unwrap() > 1);
            assert!(rejecting.await.unwrap() > 1);
        });
        // A rejection that comes first starts a login, which the renewal joins or follows.
        assert!(provider.logins() <= 3);
        assert_eq!(provider.most_in_flight(), 1);
    });
}

#[test]
fn rule_6_a_failed_refresh_concurrent_with_a_rejection_is_followed_by_one_login() {
    explore(|| {
        let (provider, credentials, _clock) = build(Script::CantRefresh);
        block_on(async {
            let first = credentials.get().await.unwrap();
            let sent = Attempt::new(&credentials, &first);
            let renewing = spawn({
                let credentials = credentials.clone();
                // It gets the session of the login that follows, if the rejection came in between.
                async move { credentials.renew().await.is_ok() }
            });
            let rejecting = spawn({
                let credentials = credentials.clone();
                async move {
                    assert_eq!(sent.rejected(), Conclusion::Replay);
                    credentials.get().await.unwrap().stamp().generation()
                }
            });
            let _ = renewing.await.unwrap();
            assert_eq!(rejecting.await.unwrap(), 2);
        });
        assert_eq!(provider.logins(), 2);
        assert_eq!(provider.most_in_flight(), 1);
    });
}

#[test]
fn rule_6_a_token_that_can_be_used_once_is_sent_once() {
    explore(|| {
        let (provider, credentials, clock) = build(Script::Rotates);
        block_on(async {
            let first = credentials.get().await.unwrap();
            let renewing = spawn({
                let credentials = credentials.clone();
                async move {
                    let _ = credentials.renew().await;
                    let _ = credentials.renew().await;
                }
            });
            let rejecting = spawn({
                let credentials = credentials.clone();
                async move {
                    Attempt::new(&credentials, &first).rejected();
                    // Its deadline may pass meanwhile.
                    let _ = credentials.get().await;
                }
            });
            let leaving = spawn({
                let credentials = credentials.clone();
                async move {
                    clock.advance(HOUR);
                    let mut get = Box::pin(credentials.get());
                    let _ = futures_util::poll!(&mut get);
                }
            });
            for task in [renewing, rejecting, leaving] {
                task.await.unwrap();
            }
            credentials.get().await.unwrap();
        });
        assert_eq!(provider.sent_twice(), 0);
    });
}

#[test]
fn rule_8_all_that_ask_for_a_repair_get_the_one_that_is_under_way() {
    explore(|| {
        let (provider, credentials, _clock) = build(Script::Succeeds);
        block_on(async {
            let first = credentials.get().await.unwrap();
            let tasks: Vec<_> = (0..3)
                .map(|number| {
                    let attempt = Attempt::new(&credentials, &first);
                    spawn(async move {
                        let mut repaired = Box::pin(attempt.repaired(HERE, Ask::new()));
                        if number == 2 {
                            // This caller is gone before the repair ends, or joins it late.
                            let _ = futures_util::poll!(&mut repaired);
                            return;
                        }
                        let stamp = repaired.await.unwrap().stamp();
                        assert_eq!((stamp.generation(), stamp.revision()), (1, 1));
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        assert_eq!(provider.counts.repairs.load(SeqCst), 1);
        assert_eq!(provider.logins(), 1);
    });
}

#[test]
fn rule_8_a_repair_concurrent_with_a_rejection_ends_with_the_newer_session() {
    explore(|| {
        let (provider, credentials, _clock) = build(Script::Succeeds);
        block_on(async {
            let first = credentials.get().await.unwrap();
            let attempt = Attempt::new(&credentials, &first);
            let repairing = spawn({
                let attempt = attempt.clone();
                async move { attempt.repaired(HERE, Ask::new()).await.unwrap().stamp() }
            });
            let rejecting = spawn({
                let credentials = credentials.clone();
                async move {
                    // It is late if the repair came first, and starts nothing.
                    assert_eq!(attempt.rejected(), Conclusion::Replay);
                    credentials.get().await.unwrap().stamp()
                }
            });
            for stamp in [repairing.await.unwrap(), rejecting.await.unwrap()] {
                assert!(stamp > first.stamp());
            }
        });
        assert!(provider.logins() <= 2);
    });
}

#[test]
fn rule_8_a_missing_part_is_fetched_once_while_responses_roll_the_session() {
    explore(|| {
        let (provider, credentials, _clock) = build(Script::Lacks);
        block_on(async {
            let first = credentials.get().await.unwrap();
            let tasks: Vec<_> = (0..3)
                .map(|_| {
                    let credentials = credentials.clone();
                    spawn(async move {
                        let got = credentials.get_for(HERE, Ask::new()).await.unwrap();
                        assert!(got.has_query() && !got.lacks(HERE));
                    })
                })
                .collect();
            let sent = Attempt::new(&credentials, &first);
            let mut headers = http::HeaderMap::new();
            headers.insert("set-cookie", "session=rolled".parse().unwrap());
            spawn(async move { sent.cookies_set(&headers) });
            for task in tasks {
                task.await.unwrap();
            }
        });
        assert_eq!(provider.counts.repairs.load(SeqCst), 1);
        assert_eq!(provider.logins(), 1);
    });
}

#[test]
fn rule_19_close_during_a_fetch_releases_its_callers_and_leaves_no_task() {
    explore(|| {
        let (provider, credentials, _clock) = build(Script::Lacks);
        block_on(async {
            credentials.get().await.unwrap();
            let caller = spawn({
                let credentials = credentials.clone();
                async move { credentials.get_for(HERE, Ask::new()).await }
            });
            let closing = spawn({
                let credentials = credentials.clone();
                async move { credentials.close().await }
            });
            let got = caller.await.unwrap();
            assert!(matches!(got, Ok(_) | Err(Error::Closed)), "{got:?}");
            closing.await.unwrap().unwrap();
            drop(credentials);
            no_task_left().await;
        });
        assert_eq!(provider.logouts(), 1);
    });
}

#[test]
fn rule_19_close_during_a_failed_refresh_logs_out_the_login_that_follows_it() {
    explore(|| {
        let (provider, credentials, _clock) = build(Script::CantRefresh);
        block_on(async {
            let first = credentials.get().await.unwrap();
            let sent = Attempt::new(&credentials, &first);
            let renewing = spawn({
                let credentials = credentials.clone();
                async move { credentials.renew().await }
            });
            let rejecting = spawn(async move { sent.rejected() });
            let closing = spawn({
                let credentials = credentials.clone();
                async move { credentials.close().await }
            });
            let _ = renewing.await.unwrap();
            let rejected = rejecting.await.unwrap() == Conclusion::Replay;
            closing.await.unwrap().unwrap();
            drop(credentials);
            no_task_left().await;
            // A session that was rejected is logged out only by choice.
            let kept = u64::from(rejected);
            assert_eq!(provider.logouts(), provider.logins() - kept);
        });
    });
}

#[test]
fn rule_15_a_late_update_does_not_touch_a_newer_generation() {
    explore(|| {
        let (_provider, credentials, _clock) = build(Script::Succeeds);
        block_on(async {
            let first = credentials.get().await.unwrap();
            let sent = Attempt::new(&credentials, &first);
            let mut headers = http::HeaderMap::new();
            headers.insert("set-cookie", "session=rolled".parse().unwrap());
            let updating = spawn(async move { sent.cookies_set(&headers) });
            let renewing = spawn({
                let credentials = credentials.clone();
                async move { credentials.renew().await.unwrap() }
            });
            updating.await.unwrap();
            renewing.await.unwrap();
            let current = credentials.get().await.unwrap();
            assert_eq!(
                (current.stamp().generation(), current.cookie("session")),
                (2, Some("value-2"))
            );
        });
    });
}

#[test]
fn rule_19_close_during_a_login_logs_out_its_session() {
    explore(|| {
        let (provider, credentials, _clock) = build(Script::Succeeds);
        let caller = spawn({
            let credentials = credentials.clone();
            async move { credentials.get().await }
        });
        let closing = spawn({
            let credentials = credentials.clone();
            async move { credentials.close().await }
        });
        block_on(async {
            let got = caller.await.unwrap();
            assert!(matches!(got, Ok(_) | Err(Error::Closed)), "{got:?}");
            closing.await.unwrap().unwrap();
            assert!(credentials.fresh().is_none());
            assert!(credentials.get().await.unwrap_err().is_closed());
        });
        assert_eq!(
            provider.logouts(),
            provider.logins(),
            "each session that was issued is logged out"
        );
    });
}

#[test]
fn rule_19_dropping_the_last_handle_during_a_login_leaves_no_task() {
    explore(|| {
        let (provider, credentials, _clock) = build(Script::Succeeds);
        let caller = spawn({
            let credentials = credentials.clone();
            async move { credentials.get().await }
        });
        caller.abort();
        drop(credentials);
        block_on(async {
            let _ = caller.await;
            no_task_left().await;
        });
        assert_eq!(provider.logouts(), 0);
    });
}
