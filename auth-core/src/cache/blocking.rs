//! How a thread without a runtime waits for a login.

use std::sync::mpsc;

use super::ask::Ask;
use super::handle::Credentials;
use crate::credential::Credential;
use crate::error::Error;

impl Credentials {
    /// [`get`](Self::get) for code that is not async, inside a runtime or outside any.
    ///
    /// If there is nothing at hand, it starts a thread with a small tokio runtime of its own, on which the login runs; the
    /// thread lives until that login has ended, so that it outlives its caller here as well. Called from a runtime's worker
    /// thread it blocks that worker: prefer `get` there.
    ///
    /// # Errors
    /// As [`get`](Self::get), and [`Error::NoRuntime`] if the thread can't be started.
    pub fn blocking_get(&self) -> Result<Credential, Error> {
        self.blocking_get_with(Ask::new())
    }

    /// As [`blocking_get`](Self::blocking_get), with a deadline or a demand of the caller's own.
    ///
    /// # Errors
    /// As [`blocking_get`](Self::blocking_get).
    pub fn blocking_get_with(&self, ask: Ask) -> Result<Credential, Error> {
        if !ask.renewed
            && let Some(credential) = self.fresh()
        {
            return Ok(credential);
        }
        let (sender, receiver) = mpsc::sync_channel(1);
        let credentials = self.clone();
        std::thread::Builder::new()
            .name("login".to_owned())
            .spawn(move || {
                let result = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|_| Error::NoRuntime)
                    .map(|runtime| {
                        runtime.block_on(async {
                            // The caller may have gone; the login goes on for the others.
                            let _ = sender.send(credentials.get_with(ask).await);
                            credentials.inner().under_way().await;
                        });
                    });
                if let Err(error) = result {
                    let _ = sender.send(Err(error));
                }
            })
            .map_err(|_| Error::NoRuntime)?;
        receiver.recv().unwrap_or(Err(Error::Abandoned))
    }
}
