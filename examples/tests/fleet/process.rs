//! A process of a fleet, as its parent has it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde_json::Value;

use super::child::{ANSWER, SETUP, Setup};
use super::place::Place;
use super::site::{PASSWORD, Site};

/// The account that most tests log in with.
pub(crate) const ACCOUNT: &str = "ada.canary@example.com";

/// A process. It is killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    answers: BufReader<ChildStdout>,
    /// What it has printed beside its answers, if it was asked to log.
    logged: Option<thread::JoinHandle<Vec<u8>>>,
    printed: String,
}

impl Setup {
    /// A process that shares this place, with nothing special.
    pub(crate) fn new(site: &Site, place: &Place) -> Self {
        Self {
            base_url: site.base_url.clone(),
            store: place.address(),
            account: ACCOUNT.to_owned(),
            password: PASSWORD.to_owned(),
            login_timeout: Duration::from_secs(30),
            logins: 10,
            window: Duration::from_secs(60),
            backoff: Duration::from_secs(60),
            stops_in_save: false,
            logs: false,
        }
    }

    /// So many processes.
    pub(crate) fn start(&self, number: usize) -> Vec<Process> {
        let mut processes: Vec<Process> = (0..number).map(|_| Process::start(self)).collect();
        for process in &mut processes {
            assert_eq!(process.hear(), "ready");
        }
        processes
    }

    pub(crate) fn start_one(&self) -> Process {
        self.start(1).remove(0)
    }
}

impl Process {
    fn start(setup: &Setup) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child::child", "--ignored", "--nocapture"])
            .env(SETUP, serde_json::to_string(setup).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(if setup.logs {
                Stdio::piped()
            } else {
                Stdio::inherit()
            })
            .spawn()
            .unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let logged = child.stderr.take().map(|mut stderr| {
            thread::spawn(move || {
                let mut all = Vec::new();
                let _ = stderr.read_to_end(&mut all);
                all
            })
        });
        Self {
            child,
            answers,
            logged,
            printed: String::new(),
        }
    }

    /// Asks for something, without waiting for the answer.
    pub(crate) fn tell(&mut self, question: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        // It fails if the process was killed.
        let _ = writeln!(stdin, "{question}");
    }

    /// The next answer, or `null` if the process was killed.
    pub(crate) fn hear(&mut self) -> Value {
        loop {
            let mut line = String::new();
            if self.answers.read_line(&mut line).unwrap_or(0) == 0 {
                return Value::Null;
            }
            // A line without its end was cut off by a kill.
            let answer = line.strip_prefix(ANSWER).filter(|_| line.ends_with('\n'));
            if let Some(answer) = answer {
                return serde_json::from_str(answer).unwrap();
            }
            self.printed.push_str(&line);
        }
    }

    pub(crate) fn ask(&mut self, question: &str) -> Value {
        self.tell(question);
        self.hear()
    }

    /// What it has counted so far.
    pub(crate) fn status(&mut self) -> Value {
        self.ask("status")
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits until it has stopped itself.
    pub(crate) fn wait_until_stopped(&self) {
        let status = waitpid(Some(self.pid()), WaitOptions::UNTRACED).unwrap();
        let (_, status) = status.expect("it waits");
        assert!(status.stopped(), "it has ended");
    }

    pub(crate) fn resume(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    /// With SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it, and returns all that it has printed beside its answers.
    pub(crate) fn end(mut self) -> String {
        drop(self.child.stdin.take());
        assert_eq!(self.hear(), Value::Null, "it ends with its input");
        assert!(self.child.wait().unwrap().success());
        let logged = self.logged.take().map(|logged| logged.join().unwrap());
        let logged = String::from_utf8(logged.unwrap_or_default()).unwrap();
        format!("{}{logged}", self.printed)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks all at once, and returns their answers.
pub(crate) fn ask_all(processes: &mut [Process], question: &str) -> Vec<Value> {
    for process in &mut *processes {
        process.tell(question);
    }
    processes.iter_mut().map(Process::hear).collect()
}

/// The sum of a number in all answers.
pub(crate) fn sum(answers: &[Value], name: &str) -> u64 {
    let number = |answer: &Value| {
        answer[name]
            .as_u64()
            .unwrap_or_else(|| panic!("no {name} in {answer}"))
    };
    answers.iter().map(number).sum()
}
