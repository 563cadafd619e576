//! The clients by hand: reqwest with its cookie jar, and a login when a request gets a 401.

use http::StatusCode;
use reqwest::{Client, Response, Result};
use tokio::sync::Mutex;

use super::server::PASSWORD;

fn client() -> Client {
    Client::builder()
        .cookie_store(true)
        .no_proxy()
        .build()
        .expect("a client")
}

/// The jar keeps the session.
async fn log_in(client: &Client, api: &str) -> Result<()> {
    let login = client.post(format!("{api}/login")).body(PASSWORD);
    login.send().await?.error_for_status().map(drop)
}

/// Each task that gets a 401 logs in.
pub struct Simple {
    client: Client,
    api: String,
}

impl Simple {
    pub fn new(api: &str) -> Self {
        Self {
            client: client(),
            api: api.to_owned(),
        }
    }

    pub async fn get(&self, path: &str) -> Result<Response> {
        let url = format!("{}{path}", self.api);
        let response = self.client.get(&url).send().await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        log_in(&self.client, &self.api).await?;
        self.client.get(&url).send().await
    }
}

/// A task that gets a 401 takes the lock, and logs in unless another task has done so since the
/// request was sent.
pub struct Locked {
    client: Client,
    api: String,
    logins: Mutex<u64>,
}

impl Locked {
    pub fn new(api: &str) -> Self {
        Self {
            client: client(),
            api: api.to_owned(),
            logins: Mutex::new(0),
        }
    }

    pub async fn get(&self, path: &str) -> Result<Response> {
        let url = format!("{}{path}", self.api);
        let before = *self.logins.lock().await;
        let response = self.client.get(&url).send().await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let mut logins = self.logins.lock().await;
        if *logins == before {
            log_in(&self.client, &self.api).await?;
            *logins += 1;
        }
        drop(logins);
        self.client.get(&url).send().await
    }
}
