//! The API of `acme.toml`, on loopback: each session is a token, until it is logged out.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use auth_providers::recipe::Values;
use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode};

use crate::small_server::{SmallServer, answer, serve};

pub(crate) const RECIPE: &str = include_str!("acme.toml");

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// Starts the server. Returns it, and the values of an account there.
pub(crate) async fn start() -> anyhow::Result<(SmallServer, Values)> {
    let sessions = Arc::new(Mutex::new(Sessions::default()));
    let server = serve(move |request| {
        let mut sessions = sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.answer(&request)
    });
    let server = server.await?;
    let values = Values::new()
        .with("url", server.base_url.clone())
        .with("email", "ada@example.com")
        .with("password", "correct horse");
    Ok((server, values))
}

#[derive(Default)]
struct Sessions {
    begun: u32,
    live: BTreeSet<String>,
}

impl Sessions {
    fn answer(&mut self, request: &Request<String>) -> Response<String> {
        let carried = request.headers().get(AUTHORIZATION);
        let carried = carried
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let token = carried.strip_prefix("Bearer ").unwrap_or_default();
        let is_live = self.live.contains(token);
        match request.uri().path() {
            "/v1/login" if request.body().contains("\"correct horse\"") => {
                self.begun += 1;
                let token = format!("token-{}", self.begun);
                let body = format!(r#"{{"token": "{token}", "expires_in": 3600}}"#);
                self.live.insert(token);
                answer(StatusCode::OK, &JSON, body)
            }
            "/v1/logout" if is_live => {
                self.live.remove(token);
                answer(StatusCode::NO_CONTENT, &[], "")
            }
            "/v1/me" if is_live => answer(StatusCode::OK, &JSON, r#"{"email": "ada@example.com"}"#),
            _ => answer(
                StatusCode::UNAUTHORIZED,
                &JSON,
                r#"{"error": "log in first"}"#,
            ),
        }
    }
}
