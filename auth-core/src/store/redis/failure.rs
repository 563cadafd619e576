//! Why Redis did not do what it was asked, in words for its user.

use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::store::error::StoreError;

/// How long an operation takes, with its connection and its second attempt: less than the two
/// seconds of the cache, so that the failure is told and not only given up.
pub(super) const LIMIT: Duration = Duration::from_millis(1500);

/// Says what failed and what to do.
///
/// The text of an error that the server sent is left out: one that does not know a command repeats
/// its arguments, and the password is among those of the first one.
pub(super) fn failure(error: &RedisError) -> StoreError {
    let what = match error.kind() {
        ErrorKind::Io if error.is_connection_refusal() => {
            "nothing listens where Redis is expected: start it, or correct the URL"
        }
        ErrorKind::Io if error.is_timeout() => return too_slow(),
        // One that has too many closes them, perhaps before it has said so.
        ErrorKind::Io => {
            "the connection to Redis failed: see whether it runs, can be reached, and takes more \
             connections (its `maxclients`)"
        }
        ErrorKind::AuthenticationFailed => {
            "Redis refuses the user or the password: correct the URL"
        }
        ErrorKind::RESP3NotSupported => TOO_OLD,
        _ if says(error, "max number of clients") => {
            "Redis takes no more connections: raise its `maxclients`"
        }
        _ if says(error, "DB index is out of range") || says(error, "SELECT is not allowed") => {
            "Redis has no database of the number in the URL: correct that number"
        }
        ErrorKind::Server(ServerErrorKind::NoPerm) => LACKS_PERMISSION,
        // What a script does has no code of its own everywhere.
        _ if says(error, "executing the script can't run") => LACKS_PERMISSION,
        ErrorKind::Server(ServerErrorKind::ReadOnly) => {
            "the URL leads to a replica, which can't be written to: name the primary"
        }
        ErrorKind::Server(
            ServerErrorKind::Moved
            | ServerErrorKind::Ask
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::CrossSlot
            | ServerErrorKind::TryAgain,
        ) => {
            "the URL leads to one node of a Redis cluster: name an endpoint that routes by itself, \
             or a Redis that is no cluster"
        }
        ErrorKind::Server(ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown) => {
            "Redis loads its data, or has lost its primary: wait until it has recovered"
        }
        _ => match error.code() {
            Some("WRONGPASS" | "NOAUTH") => {
                "Redis refuses the user or the password: correct the URL"
            }
            Some("OOM") => "the memory of Redis is full: give it more",
            Some("MISCONF") => "Redis can't save its data, and takes no more: see its log",
            Some("BUSY") => "Redis is busy with a script: see which one in its log",
            Some("WRONGTYPE") => {
                "a key of the store is another program's: give the store a prefix of its own"
            }
            Some("NOREPLICAS") => "Redis has too few replicas to write: see its log",
            _ => TOO_OLD,
        },
    };
    let cause = match error.kind() {
        // An address is in none of these texts, and much less a password.
        ErrorKind::Io => error.to_string(),
        _ => match error.code() {
            Some(code) => format!("it answered {code}"),
            None => error.category().to_owned(),
        },
    };
    StoreError::new(what).with_source(cause)
}

/// Whether the text of the server, which is not repeated, has these words.
fn says(error: &RedisError, words: &str) -> bool {
    error.detail().is_some_and(|detail| detail.contains(words))
}

/// Whether another connection may do what this one could not: it has ended, or leads to a server
/// that is the primary no more.
pub(super) fn ends_connection(error: &RedisError) -> bool {
    let is_demoted = matches!(
        error.kind(),
        ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
    );
    is_demoted || error.is_unrecoverable_error()
}

/// There was no answer in time.
pub(super) fn too_slow() -> StoreError {
    StoreError::new(format!(
        "Redis did not answer within {} ms: see whether it runs and can be reached",
        LIMIT.as_millis()
    ))
}

/// The store was used outside of a runtime.
pub(super) fn no_runtime() -> StoreError {
    StoreError::new("there is no Tokio runtime: use a `RedisStore` on one")
}

const LACKS_PERMISSION: &str =
    "the user of Redis lacks a permission: see the documentation of `RedisStore`";

const TOO_OLD: &str = "Redis does not understand what it is asked: use Redis 6.2 or later, or \
                       Valkey, with scripts enabled";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_not_repeated() {
        let canary = "canary-password";
        let said = format!("with args beginning with: `{canary}`");
        for kind in [
            ErrorKind::AuthenticationFailed,
            ErrorKind::RESP3NotSupported,
            ErrorKind::Client,
            ErrorKind::Extension,
            ErrorKind::UnexpectedReturnType,
        ] {
            let error = RedisError::from((kind, "canary-password", said.clone()));
            let failure = failure(&error);
            let printed = format!("{failure} {failure:?} {}", failure.reason());
            assert!(!printed.contains(canary), "{printed}");
        }
        for code in ["ERR", "WRONGPASS", "NOPERM", "OOM", "ANOTHER"] {
            let answer = format!("-{code} {said}\r\n");
            let answer = redis::parse_redis_value(answer.as_bytes()).unwrap();
            let error = answer.extract_error().unwrap_err();
            let failure = failure(&error);
            let printed = format!("{failure} {failure:?} {}", failure.reason());
            assert!(printed.contains(code), "{printed}");
            assert!(!printed.contains(canary), "{printed}");
        }
    }

    /// The error that this answer of a server is.
    fn answered(text: &str) -> RedisError {
        let answer = redis::parse_redis_value(format!("-{text}\r\n").as_bytes()).unwrap();
        answer.extract_error().unwrap_err()
    }

    #[test]
    fn each_failure_says_what_to_do() {
        for (answer, says) in [
            ("NOPERM x", "lacks a permission"),
            (
                "ERR The user executing the script can't run this command or subcommand script: x",
                "lacks a permission",
            ),
            ("READONLY x", "a replica"),
            ("MOVED 1 127.0.0.1:1", "one node of a Redis cluster"),
            ("CROSSSLOT x", "one node of a Redis cluster"),
            ("CLUSTERDOWN x", "one node of a Redis cluster"),
            ("LOADING x", "loads its data"),
            ("MASTERDOWN x", "has lost its primary"),
            ("WRONGPASS x", "refuses the user or the password"),
            ("NOAUTH x", "refuses the user or the password"),
            ("OOM x", "memory of Redis is full"),
            ("MISCONF x", "can't save its data"),
            ("BUSY x", "busy with a script"),
            ("NOREPLICAS x", "too few replicas"),
            ("WRONGTYPE x", "another program's"),
            ("ERR max number of clients reached", "`maxclients`"),
            ("ERR DB index is out of range", "correct that number"),
            (
                "ERR SELECT is not allowed in cluster mode",
                "correct that number",
            ),
            ("ERR x", "use Redis 6.2 or later"),
        ] {
            let told = failure(&answered(answer));
            assert!(told.to_string().contains(says), "{told}");
            let code = answer.split(' ').next().unwrap();
            let code = format!("it answered {code}");
            assert!(told.reason().ends_with(&code), "{}", told.reason());
        }
        for (kind, says) in [
            (ErrorKind::AuthenticationFailed, "refuses the user"),
            (ErrorKind::RESP3NotSupported, "use Redis 6.2 or later"),
        ] {
            let told = failure(&RedisError::from((kind, "x"))).to_string();
            assert!(told.contains(says), "{told}");
        }
        for (kind, says) in [
            (std::io::ErrorKind::ConnectionRefused, "nothing listens"),
            (std::io::ErrorKind::TimedOut, "did not answer within"),
            (
                std::io::ErrorKind::BrokenPipe,
                "the connection to Redis failed",
            ),
        ] {
            let told = failure(&RedisError::from(std::io::Error::from(kind)));
            assert!(told.to_string().contains(says), "{told}");
            let cause = std::error::Error::source(&told).map(ToString::to_string);
            let expected = (kind != std::io::ErrorKind::TimedOut)
                .then(|| std::io::Error::from(kind).to_string());
            assert_eq!(cause, expected);
        }
    }

    #[test]
    fn a_refused_command_ends_no_connection_and_a_demotion_does() {
        for (answer, ends) in [
            ("ERR x", false),
            ("OOM x", false),
            ("NOPERM x", false),
            ("READONLY x", true),
            ("MASTERDOWN x", true),
        ] {
            assert_eq!(ends_connection(&answered(answer)), ends, "{answer}");
        }
        let broken = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert!(ends_connection(&RedisError::from(broken)));
    }
}
