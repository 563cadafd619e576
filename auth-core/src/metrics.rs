//! Counts and durations, by the [`metrics`](https://docs.rs/metrics) crate. With the feature
//! `metrics`, every cache records them; without a recorder that does nothing.
//!
//! The names follow OpenTelemetry's [conventions](https://opentelemetry.io/docs/specs/semconv/).
//! An exporter for Prometheus writes `_` in place of each dot.
//!
//! | name | kind | unit | counts or measures | labels besides the common ones |
//! |---|---|---|---|---|
//! | `auth.client.logins` | counter | `{login}` | logins that have ended | `auth.cause`, `auth.outcome`, `error.type` |
//! | `auth.client.login.duration` | histogram | `s` | a login that has succeeded, from its sending on | `auth.cause` |
//! | `auth.client.login.wait` | histogram | `s` | a wait for the quota, as expected when it began | |
//! | `auth.client.refreshes` | counter | `{refresh}` | refreshes that have ended | `auth.cause`, `auth.outcome`, `error.type` |
//! | `auth.client.refresh.duration` | histogram | `s` | a refresh that has succeeded, from its sending on | `auth.cause` |
//! | `auth.client.repair.failures` | counter | `{repair}` | repairs that have failed | `error.type` |
//! | `auth.client.rejections` | counter | `{rejection}` | rejections of a current session | `auth.outcome` |
//! | `auth.client.replays` | counter | `{request}` | requests that were sent once more | |
//! | `auth.client.callers.turned_away` | counter | `{caller}` | callers that got an error in place of a credential | `error.type` |
//! | `auth.client.sessions.ended` | counter | `{session}` | sessions that the server ended by deleting their cookies, or another process | |
//! | `auth.client.sessions.loaded` | counter | `{session}` | sessions found in a store | |
//! | `auth.client.store.failures` | counter | `{failure}` | failures of a store | |
//! | `auth.client.logouts` | counter | `{logout}` | logouts that have ended | `auth.outcome` |
//!
//! | label | value |
//! |---|---|
//! | `auth.provider` | the [provider's name](crate::Identity::provider), on each |
//! | `server.address`, `server.port` | the host and the port of the login, on each |
//! | `auth.cause` | the [name](crate::Cause::name) of the cause |
//! | `auth.outcome` | `success` or `failure`; of a rejection `believed` or `doubted`; of a logout `confirmed` or `unconfirmed` |
//! | `error.type` | the [name](crate::LoginErrorKind::name) of the failure's kind if there was one, and that of the [error](crate::Error::name) for a caller |
//!
//! No label has the account, the path of the login or a secret, so there are as many time series
//! for an origin however many accounts log in there.
//!
//! Call [`describe`] once the recorder is installed, and set the buckets of the histograms there: a
//! login takes from 50 ms to 30 s, and a wait for the quota up to minutes, or up to an hour where
//! the server's `Retry-After` says so.

use metrics::{Label, Unit, counter, describe_counter, describe_histogram, histogram};

use crate::event::Event;
use crate::identity::Identity;

const LOGINS: &str = "auth.client.logins";
const LOGIN_DURATION: &str = "auth.client.login.duration";
const LOGIN_WAIT: &str = "auth.client.login.wait";
const REFRESHES: &str = "auth.client.refreshes";
const REFRESH_DURATION: &str = "auth.client.refresh.duration";
const REPAIR_FAILURES: &str = "auth.client.repair.failures";
const REJECTIONS: &str = "auth.client.rejections";
const REPLAYS: &str = "auth.client.replays";
const TURNED_AWAY: &str = "auth.client.callers.turned_away";
const ENDED: &str = "auth.client.sessions.ended";
const LOADED: &str = "auth.client.sessions.loaded";
const STORE_FAILURES: &str = "auth.client.store.failures";
const LOGOUTS: &str = "auth.client.logouts";

const CAUSE: &str = "auth.cause";
const OUTCOME: &str = "auth.outcome";
const ERROR: &str = "error.type";

/// Tells the recorder of this program what each metric counts or measures, and its unit. A recorder
/// that was not told shows the bare names.
///
/// ```
/// // Once the program's recorder is installed:
/// auth_core::metrics::describe();
/// ```
pub fn describe() {
    for (name, what) in [
        (LOGINS, "Logins that have ended."),
        (REFRESHES, "Refreshes that have ended."),
        (REPAIR_FAILURES, "Repairs that have failed."),
        (REJECTIONS, "Rejections of a current session."),
        (REPLAYS, "Requests that were sent once more."),
        (
            TURNED_AWAY,
            "Callers that got an error in place of a credential.",
        ),
        (
            ENDED,
            "Sessions that the server or another process has ended.",
        ),
        (LOADED, "Sessions found in a store."),
        (STORE_FAILURES, "Failures of a store."),
        (LOGOUTS, "Logouts that have ended."),
    ] {
        describe_counter!(name, Unit::Count, what);
    }
    for (name, what) in [
        (LOGIN_DURATION, "How long a login took that has succeeded."),
        (LOGIN_WAIT, "How long a login waits for the quota."),
        (
            REFRESH_DURATION,
            "How long a refresh took that has succeeded.",
        ),
    ] {
        describe_histogram!(name, Unit::Seconds, what);
    }
}

/// Records the event. An event that no metric is made of costs nothing.
pub(crate) fn record(identity: &Identity, event: &Event) {
    let count = |name, more: &[(&'static str, &'static str)]| {
        counter!(name, labels(identity, more)).increment(1);
    };
    match event {
        Event::LoggedIn { cause, took, .. } => {
            let cause = (CAUSE, cause.name());
            count(LOGINS, &[cause, (OUTCOME, "success")]);
            histogram!(LOGIN_DURATION, labels(identity, &[cause])).record(*took);
        }
        Event::LoginFailed { cause, kind, .. } => {
            let cause = (CAUSE, cause.name());
            count(LOGINS, &[cause, (OUTCOME, "failure"), (ERROR, kind.name())]);
        }
        Event::Refreshed { cause, took, .. } => {
            let cause = (CAUSE, cause.name());
            count(REFRESHES, &[cause, (OUTCOME, "success")]);
            histogram!(REFRESH_DURATION, labels(identity, &[cause])).record(*took);
        }
        Event::RefreshFailed { cause, kind, .. } => {
            let cause = (CAUSE, cause.name());
            count(
                REFRESHES,
                &[cause, (OUTCOME, "failure"), (ERROR, kind.name())],
            );
        }
        Event::LoginHeld { wait } => histogram!(LOGIN_WAIT, labels(identity, &[])).record(*wait),
        Event::RepairFailed { kind, .. } => count(REPAIR_FAILURES, &[(ERROR, kind.name())]),
        Event::Rejected { .. } => count(REJECTIONS, &[(OUTCOME, "believed")]),
        Event::RejectionDoubted { .. } => count(REJECTIONS, &[(OUTCOME, "doubted")]),
        Event::Replayed { .. } => count(REPLAYS, &[]),
        Event::TurnedAway { error, .. } => count(TURNED_AWAY, &[(ERROR, error)]),
        Event::Ended { .. } => count(ENDED, &[]),
        Event::Loaded { .. } => count(LOADED, &[]),
        Event::StoreFailed { .. } => count(STORE_FAILURES, &[]),
        Event::LoggedOut { confirmed: true } => count(LOGOUTS, &[(OUTCOME, "confirmed")]),
        Event::LoggedOut { confirmed: false } => count(LOGOUTS, &[(OUTCOME, "unconfirmed")]),
        Event::LoginSent { .. }
        | Event::RefreshSent { .. }
        | Event::StoredUnreadable { .. }
        | Event::LoginSuperseded
        | Event::Rolled { .. }
        | Event::CookieUnheard { .. }
        | Event::LeftScope { .. }
        | Event::OutOfScope { .. }
        | Event::Closed => {}
    }
}

/// The common labels, and these. The account is none of them.
fn labels(identity: &Identity, more: &[(&'static str, &'static str)]) -> Vec<Label> {
    let origin = identity.origin();
    let mut labels = vec![
        Label::new("auth.provider", identity.provider().to_owned()),
        Label::new("server.address", origin.host().to_owned()),
        Label::new("server.port", origin.port().to_string()),
    ];
    let own = |(name, value): &(&'static str, &'static str)| Label::from_static_parts(name, value);
    labels.extend(more.iter().map(own));
    labels
}
