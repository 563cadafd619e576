//! Sessions of `auth_core::Credentials`, carried by requests to the demo servers.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![cfg(all(feature = "demo", feature = "reqwest", feature = "tower"))]

use std::sync::Arc;

use async_trait::async_trait;
use auth_core::{Attempt, Credential, Credentials, Error, LoginError, LoginMark};
use auth_providers::demo::{Api, DemoServer, EMAIL, PASSWORD};
use auth_providers::{Login, Quinn, ReqwestTransport, Transport, V1Login};
use bytes::Bytes;
use http::{Request, Response};
use parking_lot::Mutex;

mod common;

use common::{over_reqwest, start};

/// Records the mark of each request that it carries.
#[derive(Clone)]
struct Watched {
    inner: ReqwestTransport,
    marks: Arc<Mutex<Vec<Option<LoginMark>>>>,
}

#[async_trait]
impl Transport for Watched {
    async fn carry(&self, request: Request<Bytes>) -> Result<Response<Bytes>, LoginError> {
        self.marks.lock().push(request.extensions().get().copied());
        self.inner.carry(request).await
    }
}

async fn probe(server: &DemoServer, credential: &Credential) -> u16 {
    let mut request = Request::get(server.url(server.api().probe_path()))
        .body(Bytes::new())
        .unwrap();
    credential.attach(&mut request).unwrap();
    let response = over_reqwest().carry(request).await.unwrap();
    response.status().as_u16()
}

#[tokio::test]
async fn every_api_accepts_its_session_byte_for_byte() {
    for api in Api::ALL {
        let server = start(api).await;
        let (url, transport) = (server.base_url(), over_reqwest());
        let credentials = match api {
            Api::Clay => Credentials::new(
                auth_providers::Clay::new(EMAIL, PASSWORD)
                    .unwrap()
                    .base_url(&url)
                    .unwrap()
                    .via(transport),
            ),
            Api::Quinn => {
                Credentials::new(Quinn::new(&url, EMAIL, PASSWORD).unwrap().via(transport))
            }
            Api::CloudIo => Credentials::new(
                auth_providers::CloudIo::new(&url, EMAIL, PASSWORD)
                    .unwrap()
                    .via(transport),
            ),
            _ => Credentials::new(V1Login::new(&url, EMAIL, PASSWORD).unwrap().via(transport)),
        };
        let credential = credentials.get().await.unwrap();
        assert_eq!(probe(&server, &credential).await, 200, "{api:?}");
        assert_eq!(server.counts().logins.total(), 1);
    }
}

#[tokio::test]
async fn v1_accepts_its_cookie_instead_of_its_token() {
    let server = start(Api::V1Login).await;
    let login = V1Login::new(server.base_url(), EMAIL, PASSWORD).unwrap();
    let credentials = Credentials::new(login.with_cookie().via(over_reqwest()));
    let credential = credentials.get().await.unwrap();
    assert!(credential.header(&http::header::AUTHORIZATION).is_none());
    assert!(credential.cookie("token").is_some());
    assert_eq!(probe(&server, &credential).await, 200);
}

#[tokio::test]
async fn closing_logs_out_of_quinn() {
    let server = start(Api::Quinn).await;
    let quinn = Quinn::new(server.base_url(), EMAIL, PASSWORD).unwrap();
    let credentials = Credentials::new(quinn.via(over_reqwest()));
    let credential = credentials.get().await.unwrap();
    assert_eq!(probe(&server, &credential).await, 200);
    credentials.close().await.unwrap();
    assert_eq!(server.counts().logouts, 1);
    assert_eq!(probe(&server, &credential).await, 401);
}

#[tokio::test]
async fn logging_out_of_a_session_that_is_over_is_no_error() {
    let server = start(Api::Quinn).await;
    let quinn = Quinn::new(server.base_url(), EMAIL, PASSWORD).unwrap();
    let credentials = Credentials::new(quinn.via(over_reqwest()));
    credentials.get().await.unwrap();
    server.revoke_all();
    credentials.close().await.unwrap();
    assert_eq!(server.counts().logouts, 0);
}

#[tokio::test]
async fn rule_18_the_login_is_marked_so_that_its_own_integration_refuses_it() {
    let server = start(Api::Quinn).await;
    let marks = Arc::<Mutex<Vec<_>>>::default();
    let transport = Watched {
        inner: over_reqwest(),
        marks: Arc::clone(&marks),
    };
    let quinn = Quinn::new(server.base_url(), EMAIL, PASSWORD).unwrap();
    let credentials = Credentials::new(quinn.via(transport));
    credentials.get().await.unwrap();
    let marks = marks.lock().clone();
    assert_eq!(marks.len(), 1);
    let mut extensions = http::Extensions::new();
    extensions.insert(marks[0].expect("the login's request is marked"));
    let refused = Attempt::refuse_loop(&credentials, &extensions);
    assert!(matches!(refused, Err(Error::LoginLoop)));
}
