//! A login whose session keeps a value, carries a csrf value on writes, and follows the new ones.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::sync::Arc;

use async_trait::async_trait;
use auth_core::{
    Attempt, Credential, Credentials, LoginError, Part, ResponseView, Secret, Session, Update, When,
};
use auth_providers::{Account, Answers, Login, Step, Transport, request};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use parking_lot::Mutex;

const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");
static NEW_CSRF: [HeaderName; 1] = [HeaderName::from_static("x-updated-csrf-token")];

struct Console(Account);

impl Login for Console {
    fn account(&self) -> &Account {
        &self.0
    }

    fn account_mut(&mut self) -> &mut Account {
        &mut self.0
    }

    fn request(&self, password: &Secret) -> Result<Request<Bytes>, LoginError> {
        request::post_json(&self.url("/login"), password.expose())
    }

    fn read(&self, _: &Answers<'_>) -> Result<Step, LoginError> {
        let csrf = Part::header(CSRF.as_str(), "c1").when(When::unsafe_methods());
        Ok(Session::new()
            .with_bearer("t")?
            .with_part(csrf)?
            .with_kept("session", "/sessions/7")?
            .into())
    }

    fn updates(&self) -> bool {
        true
    }

    fn update(&self, response: &ResponseView<'_>, credential: &Credential) -> Update {
        assert_eq!(credential.kept("session"), Some("/sessions/7"));
        match response.headers.get(&NEW_CSRF[0]) {
            Some(csrf) => Update::new().with_header(CSRF, csrf.clone()),
            None => Update::new(),
        }
    }

    fn secret_headers(&self) -> &[HeaderName] {
        &NEW_CSRF
    }

    fn logout_request(
        &self,
        credential: &Credential,
    ) -> Result<Option<Request<Bytes>>, LoginError> {
        let url = self.url(credential.kept("session").unwrap());
        let mut request = Request::delete(url).body(Bytes::new()).unwrap();
        credential.attach(&mut request)?;
        Ok(Some(request))
    }
}

/// Answers everything with 200, and notes what it was sent.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl Transport for Server {
    async fn carry(&self, request: Request<Bytes>) -> Result<Response<Bytes>, LoginError> {
        let csrf = request.headers().get(CSRF);
        let csrf = csrf.map_or("-", |csrf| csrf.to_str().unwrap());
        let line = format!("{} {} {csrf}", request.method(), request.uri().path());
        self.0.lock().push(line);
        Ok(Response::new(Bytes::new()))
    }
}

#[tokio::test]
async fn rule_7_a_login_as_a_value_follows_new_values_and_logs_out_with_what_was_kept() {
    let account = Account::new("console", "https://nas.example", "ada", "correct horse").unwrap();
    let server = Server::default();
    let credentials = Credentials::new(Console(account).via(server.clone()));
    let credential = credentials.get().await.unwrap();
    let mut read = Request::new(());
    *read.method_mut() = Method::GET;
    credential.attach(&mut read).unwrap();
    assert!(!read.headers().contains_key(CSRF));

    let mut headers = HeaderMap::new();
    headers.insert(&NEW_CSRF[0], HeaderValue::from_static("c2"));
    let mut attempt = Attempt::new(&credentials, &credential);
    attempt.redact(&mut headers);
    assert!(headers[&NEW_CSRF[0]].is_sensitive(), "rule 17");
    attempt.conclude(&ResponseView::new(StatusCode::OK, &headers));
    credentials.close().await.unwrap();
    assert_eq!(*server.0.lock(), ["POST /login -", "DELETE /sessions/7 c2"]);
}
