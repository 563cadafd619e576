//! How a thread without a runtime waits for a login.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};

use super::ask::Ask;
use super::credentials::Credentials;
use crate::credential::Credential;
use crate::decide::Decision;
use crate::error::Error;
use crate::login_mark::LoginMark;

/// How often a thread looks whether what began on it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Credentials {
    /// [`get`](Self::get) for code that is not async, inside a runtime or outside any.
    ///
    /// If a login has to begin or to be waited for, it starts a thread with a small tokio runtime of its own. What begins
    /// there goes on there, so a login outlives its caller here as well, and the thread ends with it. Called from a
    /// runtime's worker thread it blocks that worker: prefer `get` there.
    ///
    /// # Errors
    /// As [`get`](Self::get), and [`Error::NoRuntime`] if the thread can't be started.
    pub fn blocking_get(&self) -> Result<Arc<Credential>, Error> {
        self.blocking_get_with(Ask::new())
    }

    /// As [`blocking_get`](Self::blocking_get), with a deadline or a demand of the caller's own.
    ///
    /// # Errors
    /// As [`blocking_get`](Self::blocking_get).
    pub fn blocking_get_with(&self, ask: Ask) -> Result<Arc<Credential>, Error> {
        let shared = self.shared();
        if let Some(credential) = shared.fresh_for(&ask) {
            return Ok(credential);
        }
        LoginMark::refuse_loop(LoginMark::current(), shared.engine.id)?;
        match shared.read(|state| state.decide(shared.engine.clock.now(), ask.renewed)) {
            Decision::Serve(credential) => return Ok(credential),
            Decision::Fail(error) => return shared.or_stale(&ask, error),
            Decision::ServeAndBegin(..) | Decision::Begin(_) | Decision::Join => {}
        }
        self.on_a_thread(move |credentials| async move { credentials.get_with(ask).await })
    }

    /// [`close`](Self::close) for code that is not async.
    ///
    /// # Errors
    /// As [`close`](Self::close), and [`Error::NoRuntime`] if the thread can't be started: then the handle is still open.
    pub fn blocking_close(&self) -> Result<(), Error> {
        self.on_a_thread(|credentials| async move { credentials.close().await })
    }

    fn on_a_thread<T, W>(&self, work: impl FnOnce(Self) -> W + Send + 'static) -> Result<T, Error>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, Error>>,
    {
        let (sender, receiver) = mpsc::sync_channel(1);
        let credentials = self.clone();
        let run = move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else {
                let _ = sender.send(Err(Error::NoRuntime));
                return;
            };
            runtime.block_on(async move {
                // The caller may have gone. Its handle goes before the result, lest it keep the cache alive from here.
                let result = work(credentials).await;
                let _ = sender.send(result);
                while Handle::current().metrics().num_alive_tasks() > 0 {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            });
        };
        let thread = std::thread::Builder::new().name("login".to_owned());
        thread.spawn(run).map_err(|_| Error::NoRuntime)?;
        receiver.recv().unwrap_or(Err(Error::Abandoned))
    }
}
