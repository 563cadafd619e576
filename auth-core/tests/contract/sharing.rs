//! Rules 19 to 25: one session for several caches, with a store in memory. What files and Redis add
//! is tested beside them.

mod accounts;
mod ends;
mod failures;
mod faulty;
mod fleet;
mod followed;
mod last_handle;
mod leases;
mod permits;
mod rejections;
mod revisions;
mod sealed;
mod server;
mod trouble;
mod turns;
mod unsaved;
mod unsent;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::clock::ManualClock;
use auth_core::store::{
    Change, Entry, Kept, LeaseAnswer, LeaseAsk, MemoryStore, NotesChange, PermitAnswer, PermitAsk,
    Saved, Seal, SessionChange, Store, StoreError, Stored, Unreadable,
};
use auth_core::{
    Attempt, Credentials, Error, Event, Identity, Lifetime, LoginError, LoginErrorKind, Origin,
    Provider, Quota, Refresh, Secret, SecretSource, Session,
};
use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use self::faulty::Faulty;
use self::fleet::Fleet;
use self::server::{Program, Server, ServerState};
use crate::support::{HOUR, SECOND, session, settle, token};

/// Rejects the credential of a cache as a response does, and gets what its request is sent again
/// with.
async fn reject(credentials: &Credentials) -> Result<String, Error> {
    let current = credentials.get().await?;
    let attempt = Attempt::new(credentials, &current);
    attempt.rejected();
    let next = credentials.get().await?;
    Ok(token(&next))
}

fn is_loaded(event: &Event) -> bool {
    matches!(event, Event::Loaded { .. })
}

fn refused(error: &Error) -> bool {
    error.login_error().map(LoginError::kind) == Some(LoginErrorKind::Refused)
}

/// The stored session is rejected, so that the next process has to log in.
async fn reject_stored(fleet: &mut Fleet, server: &Server) {
    let process = fleet.start(server.program("right"));
    process.log_out().await.unwrap();
}

fn rotating(server: &Server) -> Program {
    Program {
        refresh: Some(Refresh::with_kept("refresh_token").single_use()),
        ..server.program("right")
    }
}

fn rolling(server: &Server, lifetime: Lifetime) {
    server.answers(move |number| {
        let session = Session::new().with_cookie("sid", &format!("s-{number}"))?;
        Ok(session.with_lifetime(lifetime))
    });
}

/// A response of the server to a request with the current session sets the cookie.
fn roll(process: &Credentials, line: &'static str) {
    let current = process.peek().unwrap();
    let rolled = crate::support::set_cookie(line);
    Attempt::new(process, &current).cookies_set(&rolled);
}
