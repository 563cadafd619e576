//! The calls for threads that have no runtime.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};

use super::ask::Ask;
use super::credentials::Credentials;
use crate::credential::Credential;
use crate::decide::Decision;
use crate::error::Error;
use crate::login_mark::LoginMark;

/// How often the thread looks whether the tasks on its runtime have ended. The result is sent
/// before, so no caller waits for this; the thread only ends up to 20 ms late.
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Credentials {
    /// [`get`](Self::get) for code that is not async, inside or outside a runtime.
    ///
    /// Returns at once if the current credential is good and not due. Otherwise it starts a thread
    /// with a tokio runtime of its own. A login that begins there continues there, so it outlives
    /// its caller, and the thread ends with it; with a store, or kept fresh, it ends after the last
    /// handle.
    /// A renewal is only started there, and not waited for.
    ///
    /// The call blocks its thread: on a worker thread of a runtime, prefer [`get`](Self::get).
    ///
    /// ```
    /// use auth_core::Credentials;
    /// # use auth_core::{Lifetime, testing::Scripted};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let provider = Scripted::tokens(Lifetime::unknown());
    /// let credentials = Credentials::new(provider);
    /// let mut request = http::Request::get("https://api.example.com/v3/me").body(())?;
    /// credentials.blocking_get()?.attach(&mut request)?;
    /// credentials.blocking_close()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get). [`Error::NoRuntime`] if the thread or its runtime can't be started.
    pub fn blocking_get(&self) -> Result<Arc<Credential>, Error> {
        self.blocking_get_with(Ask::new())
    }

    /// As [`blocking_get`](Self::blocking_get), with the options of `ask`.
    ///
    /// ```
    /// use auth_core::Ask;
    /// # use auth_core::{Credentials, Lifetime, testing::Scripted};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let provider = Scripted::tokens(Lifetime::unknown());
    /// # let credentials = Credentials::new(provider);
    /// // A command that its user has typed: told at once if the quota is spent.
    /// let credential = credentials.blocking_get_with(Ask::new().fail_fast())?;
    /// # drop(credential);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`blocking_get`](Self::blocking_get).
    pub fn blocking_get_with(&self, ask: Ask) -> Result<Arc<Credential>, Error> {
        let shared = self.shared();
        if let Some(credential) = shared.fresh_for(&ask) {
            return Ok(credential);
        }
        shared.told(LoginMark::refuse_loop(
            LoginMark::current(),
            shared.engine.id,
        ))?;
        shared.drop_expired_cookies();
        match shared.read(|state| state.decide(shared.engine.clock.now(), ask.renewed)) {
            Decision::Serve(credential) => return Ok(credential),
            Decision::Fail(error) if !shared.looks_before(&error, &ask) => {
                return shared.told(shared.or_stale(&ask, error));
            }
            _ => {}
        }
        self.on_a_thread(move |credentials| async move { credentials.get_with(ask).await })
    }

    /// [`close`](Self::close) for code that is not async. It blocks its thread until the logouts
    /// have ended.
    ///
    /// # Errors
    /// As [`close`](Self::close). [`Error::NoRuntime`] if the thread or its runtime can't be
    /// started. The handle is then still open.
    pub fn blocking_close(&self) -> Result<(), Error> {
        self.on_a_thread(|credentials| async move { credentials.close().await })
    }

    pub(super) fn on_a_thread<T, W>(
        &self,
        work: impl FnOnce(Self) -> W + Send + 'static,
    ) -> Result<T, Error>
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
                // `work` drops the handle before the result is sent, so that this thread does not
                // keep the cache alive. The receiver may be gone.
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
