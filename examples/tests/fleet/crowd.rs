//! Eight processes, and what reaches the login server of them.

use std::time::Duration;

use super::child::Setup;
use super::place::Place;
use super::process::{ACCOUNT, ask_all, sum};
use super::site::{Mood, Site};

const PROCESSES: usize = 8;

on_both! {
    eight_processes_of_250_tasks_make_one_login_and_one_more_after_a_revocation
    eight_processes_with_a_wrong_password_make_one_attempt
    thirteen_runs_with_a_wrong_password_make_one_attempt
    thirteen_runs_make_one_login
    a_server_that_is_down_gets_no_more_attempts_than_the_quota_of_all_processes
    a_server_that_stalls_gets_no_more_attempts_than_the_quota_of_all_processes
    #[ignore = "takes more than two minutes"]
    a_server_that_is_down_gets_ten_attempts_a_minute_of_all_processes
    #[ignore = "takes more than two minutes"]
    a_server_that_stalls_gets_ten_attempts_a_minute_of_all_processes
    eight_processes_send_no_refresh_token_twice_in_a_hundred_expiries
    #[ignore = "takes minutes"]
    eight_processes_send_no_refresh_token_twice_in_a_thousand_expiries
}

async fn eight_processes_of_250_tasks_make_one_login_and_one_more_after_a_revocation(
    place: &Place,
) {
    let site = Site::start().await;
    site.takes(Duration::from_millis(50));
    let mut processes = Setup::new(&site, place).start(PROCESSES);
    let cold = ask_all(&mut processes, "tasks 250");
    assert_eq!(site.attempts(), 1, "{cold:?}");
    assert_eq!(
        (sum(&cold, "ok"), sum(&cold, "failed")),
        (2_000, 0),
        "{cold:?}"
    );
    assert_eq!(site.served(), 2_000);

    site.revoke_all();
    let revoked = ask_all(&mut processes, "tasks 250");
    assert_eq!(site.attempts(), 2, "{revoked:?}");
    assert_eq!(
        (sum(&revoked, "ok"), sum(&revoked, "failed")),
        (2_000, 0),
        "{revoked:?}"
    );
    assert_eq!(site.served(), 4_000);
}

async fn eight_processes_with_a_wrong_password_make_one_attempt(place: &Place) {
    let site = Site::start().await;
    let mut setup = Setup::new(&site, place);
    setup.password = String::from("wrong");
    let answers = ask_all(&mut setup.start(PROCESSES), "get 30000");
    let refused = |answer: &serde_json::Value| answer["refused"] == true;
    assert!(answers.iter().all(refused), "{answers:?}");
    assert_eq!((site.attempts(), site.refused()), (1, 1));
}

async fn thirteen_runs_with_a_wrong_password_make_one_attempt(place: &Place) {
    let site = Site::start().await;
    let mut setup = Setup::new(&site, place);
    setup.password = String::from("wrong");
    for _ in 0..13 {
        let mut run = setup.start_one();
        let answer = run.ask("get 30000");
        assert_eq!(answer["refused"], true, "{answer}");
        assert_eq!(run.ask("close"), true);
        run.end();
    }
    assert_eq!((site.attempts(), site.refused()), (1, 1));
    // The right one is no secret that was refused.
    let answer = Setup::new(&site, place).start_one().ask("get 30000");
    assert_eq!(answer["session"], "1", "{answer}");
}

async fn thirteen_runs_make_one_login(place: &Place) {
    let site = Site::start().await;
    for _ in 0..13 {
        let mut run = Setup::new(&site, place).start_one();
        assert_eq!(run.ask("tasks 10")["failed"], 0);
        assert_eq!(run.ask("close"), true);
        run.end();
    }
    assert_eq!(site.attempts(), 1);
    let mut run = Setup::new(&site, place).start_one();
    assert_eq!(run.ask("get 1000")["session"], "1");
    assert_eq!(run.ask("log_out"), true);
    let answer = Setup::new(&site, place).start_one().ask("get 30000");
    assert_eq!(answer["session"], "2", "it was logged out: {answer}");
}

async fn a_server_that_is_down_gets_no_more_attempts_than_the_quota_of_all_processes(
    place: &Place,
) {
    bounded(place, Mood::IsDown, 3, Duration::from_secs(1), 10).await;
}

async fn a_server_that_stalls_gets_no_more_attempts_than_the_quota_of_all_processes(place: &Place) {
    bounded(place, Mood::Stalls, 3, Duration::from_secs(1), 10).await;
}

async fn a_server_that_is_down_gets_ten_attempts_a_minute_of_all_processes(place: &Place) {
    bounded(place, Mood::IsDown, 10, Duration::from_secs(60), 21).await;
}

async fn a_server_that_stalls_gets_ten_attempts_a_minute_of_all_processes(place: &Place) {
    bounded(place, Mood::Stalls, 10, Duration::from_secs(60), 21).await;
}

/// All processes go on trying until the server has counted so many attempts.
async fn bounded(place: &Place, mood: Mood, logins: u32, window: Duration, attempts: usize) {
    let site = Site::start().await;
    site.set_mood(mood);
    let mut setup = Setup::new(&site, place);
    setup.logins = logins;
    setup.window = window;
    setup.backoff = Duration::from_millis(100);
    setup.login_timeout = Duration::from_millis(300);
    let mut processes = setup.start(PROCESSES);
    for process in &mut processes {
        process.tell("keep_trying");
    }
    while site.attempts() < attempts {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let most = site.most_in_any(window);
    assert_eq!(most, logins as usize, "the quota, and all of it");

    // It recovers, and one login is enough for all.
    site.set_mood(Mood::Answers);
    let sessions: Vec<_> = processes
        .iter_mut()
        .map(|process| process.hear()["session"].clone())
        .collect();
    assert!(
        sessions.iter().all(|session| session == "1"),
        "{sessions:?}"
    );
    assert_eq!(site.logins(ACCOUNT), 1);
    assert!(site.most_in_any(window) <= logins as usize);
}

async fn eight_processes_send_no_refresh_token_twice_in_a_hundred_expiries(place: &Place) {
    refreshing(place, 100).await;
}

async fn eight_processes_send_no_refresh_token_twice_in_a_thousand_expiries(place: &Place) {
    refreshing(place, 1_000).await;
}

async fn refreshing(place: &Place, expiries: u64) {
    let site = Site::start().await;
    site.says_life(Duration::from_millis(200));
    let mut processes = Setup::new(&site, place).start(PROCESSES);
    let answers = ask_all(&mut processes, &format!("until {expiries}"));
    assert_eq!(site.reused(), Vec::<String>::new());
    assert_eq!(sum(&answers, "failed"), 0, "{answers:?}");
    let (refreshes, logins) = (site.refreshes(), site.attempts());
    let status = ask_all(&mut processes, "status");
    super::say(&format!(
        "{refreshes} refreshes, {logins} logins, {} requests, steps that failed {}, rejections {}, \
         failed refreshes {}",
        site.served(),
        sum(&status, "store_failed"),
        sum(&status, "rejected"),
        sum(&status, "refresh_failed"),
    ));
    assert_eq!(logins, 1, "the password is used once");
    assert!(refreshes >= expiries - 1);
}
