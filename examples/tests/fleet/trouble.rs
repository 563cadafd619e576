//! A Redis that is gone, empty, slow, or behind a network that fails. Sessions go on, and who has
//! none logs in by itself (rule 24).

use std::time::Duration;

use super::child::Setup;
use super::place::Place;
use super::process::{Process, ask_all, sum};
use super::proxy::{Mood, Proxy};
use super::say;
use super::site::Site;

const PROCESSES: usize = 4;

/// Longer than all that a process waits for a store in trouble.
const LONG: &str = "get 60000";

struct Fleet {
    site: Site,
    setup: Setup,
    processes: Vec<Process>,
}

impl Fleet {
    /// Processes that have a session, at this address.
    async fn start(place: &Place, address: Option<String>) -> Self {
        let site = Site::start().await;
        let mut setup = Setup::new(&site, place);
        // After a loss of its permits, a store gives none for so long.
        setup.window = Duration::from_secs(2);
        if let Some(address) = address {
            setup.store = address;
        }
        let mut processes = setup.start(PROCESSES);
        ask_all(&mut processes, "tasks 50");
        assert_eq!(site.attempts(), 1);
        Self {
            site,
            setup,
            processes,
        }
    }

    /// Requests with a session, none of which may fail or cause a login.
    fn go_on(&mut self, what: &str) {
        let (before, logins) = (self.site.served(), self.site.attempts());
        let answers = ask_all(&mut self.processes, "tasks 250");
        let served = self.site.served() - before;
        assert_eq!(
            (served, sum(&answers, "failed")),
            (1_000, 0),
            "{what}: {answers:?}"
        );
        assert_eq!(self.site.attempts(), logins, "{what}");
        say(&format!(
            "{what}: {served} requests with a session were served, 0 failed"
        ));
    }

    /// A process that has no session gets one, with so many logins.
    fn cold(&self, what: &str, logins: usize) -> Process {
        let before = self.site.attempts();
        let mut process = self.setup.start_one();
        let answer = process.ask(LONG);
        assert!(answer["session"].is_string(), "{what}: {answer}");
        let sent = self.site.attempts() - before;
        say(&format!(
            "{what}: a cold process has its session after {} ms",
            answer["took"]
        ));
        assert_eq!(sent, logins, "{what}");
        process
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_gone_or_empty_fails_no_request() {
    let Some(mut place) = Place::redis() else {
        return;
    };
    let mut fleet = Fleet::start(&place, None).await;
    let Place::Redis(redis) = &mut place else {
        unreachable!()
    };
    redis.kill();
    fleet.go_on("a Redis that is gone");
    let mut alone = fleet.cold("a Redis that is gone", 1);
    assert_eq!(alone.status()["store_failed"], 1, "it is told once");

    // Of two sessions none was saved. Both are good.
    redis.run();
    fleet.go_on("a Redis that has started empty");
    assert_eq!(alone.ask("tasks 10")["failed"], 0);

    // The store is left alone for seconds after its failure. The one session that is not in what it
    // has lost is saved then, and the others take it over at their next look: a request is sent
    // again once, so none may meet the ends of both.
    let session = alone.ask(LONG)["session"].clone();
    for process in &mut fleet.processes {
        while process.ask(LONG)["session"] != session {}
    }
    // All sessions end. It has lost its permits, so it gives none for a window.
    fleet.site.revoke_all();
    let logins = fleet.site.attempts();
    let answers = ask_all(&mut fleet.processes, "tasks 50");
    assert_eq!(sum(&answers, "failed"), 0, "{answers:?}");
    assert_eq!(
        fleet.site.attempts(),
        logins + 1,
        "a login for all, in a new epoch"
    );
    say(&format!(
        "a Redis that has started empty: {} ms to the next login",
        answers[0]["took"]
    ));
    fleet.cold("a Redis that has started empty", 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_stopped_for_seconds_fails_no_request() {
    let Some(place) = Place::redis() else {
        return;
    };
    let mut fleet = Fleet::start(&place, None).await;
    let Place::Redis(redis) = &place else {
        unreachable!()
    };
    redis.pause();
    fleet.go_on("a Redis that is stopped");
    fleet.cold("a Redis that is stopped", 1);
    redis.resume();
    fleet.go_on("a Redis that goes on");
    fleet.cold("a Redis that goes on", 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_swallows_or_cuts_fails_no_request() {
    let Some(place) = Place::redis() else {
        return;
    };
    let Place::Redis(redis) = &place else {
        unreachable!()
    };
    let proxy = Proxy::to(redis.port()).await;
    let mut fleet = Fleet::start(&place, Some(proxy.url())).await;
    proxy.set(Mood::Swallow);
    fleet.go_on("a network that swallows");
    fleet.cold("a network that swallows", 1);
    proxy.set(Mood::Pass);
    fleet.go_on("a network that is back");
    fleet.cold("a network that is back", 0);
    // The step may have been done before the cut, and is done again.
    proxy.set(Mood::CutAtAnswer);
    fleet.cold("a connection that is cut in an answer", 0);
    fleet.site.revoke_all();
    let logins = fleet.site.attempts();
    proxy.set(Mood::CutAtAnswer);
    let answers = ask_all(&mut fleet.processes, "tasks 50");
    assert_eq!(sum(&answers, "failed"), 0, "{answers:?}");
    // One for all, or one for each whose second connection took too long.
    let more = fleet.site.attempts() - logins;
    assert!((1..=4).contains(&more), "{more}: {answers:?}");
}
