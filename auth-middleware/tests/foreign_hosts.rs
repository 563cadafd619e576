//! Rule 16: a `Host` header that names another site than the URL does.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;
#[path = "common/follow.rs"]
mod follow;

use auth_middleware::Redirects;
use common::{Api, Log, Script, response};
use follow::{BOTH, Via, get, moved, send};
use http::HeaderValue;

/// Sends a request with these `Host` headers, which is redirected to another origin in the scope.
/// Returns whether each of the two hops has carried the credential.
async fn carried(via: Via, hosts: &[&str], and: Option<&str>) -> ([bool; 2], u64) {
    let second = Api::new(|_| response(200, "here"));
    let to = format!("{}/there", second.serve().await);
    let location: HeaderValue = to.parse().unwrap();
    let first = Api::new(move |_| moved(302, location.clone()));
    let origin = first.serve().await;
    let authority = origin.strip_prefix("http://").unwrap();
    let mut script = Script::at(&origin).and(to.strip_suffix("/there").unwrap());
    if let Some(and) = and {
        script = script.and(and);
    }
    let (credentials, _) = script.build();
    let mut request = get(&format!("{origin}/away"));
    for host in hosts {
        let host = host.replace("HERE", authority).parse().unwrap();
        request.headers_mut().append("host", host);
    }
    let got = send(via, &credentials, Redirects::new(), request).await;
    assert_eq!(got.unwrap().status, 200);
    let has = |api: &Api| api.seen()[0].bearer().is_some();
    (
        [has(&first), has(&second)],
        credentials.status().out_of_scope,
    )
}

#[tokio::test]
async fn rule_16_a_request_whose_host_names_another_site_carries_nothing_on_any_hop() {
    for via in BOTH {
        for host in [
            "other.example",
            "127.0.0.1:1",
            "localhost",
            "127.0.0.1.other.example",
            "user@HERE",
            "HERE, other.example",
            "HERE/",
        ] {
            let (log, _guard) = Log::start();
            let (has, missed) = carried(via, &[host], None).await;
            assert_eq!(has, [false; 2], "{via:?} {host}");
            let [line] = log.lines().try_into().unwrap();
            assert!(missed > 0 && line.contains("another"), "{via:?} {line}");
        }
    }
}

#[tokio::test]
async fn rule_16_a_host_of_the_url_or_in_the_scope_changes_nothing() {
    for via in BOTH {
        for host in ["HERE", "127.0.0.1", "LOCALHOST:1"] {
            let (has, missed) = carried(via, &[host], Some("http://localhost:1")).await;
            assert_eq!((has, missed), ([true; 2], 0), "{via:?} {host}");
        }
    }
}
