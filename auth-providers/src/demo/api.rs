use auth_core::Lifetime;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, SET_COOKIE};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::http_server::json_response;
use super::state::Issued;
use crate::apis::{clay, cloudio, quinn, v1_login};

/// The APIs that a [`DemoServer`](super::DemoServer) can play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Api {
    /// See [`Clay`](crate::Clay).
    Clay,
    /// See [`Quinn`](crate::Quinn).
    Quinn,
    /// See [`CloudIo`](crate::CloudIo).
    CloudIo,
    /// See [`V1Login`](crate::V1Login).
    V1Login,
}

impl Api {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Clay, Self::Quinn, Self::CloudIo, Self::V1Login];

    /// The path of a `GET` that any live session may send.
    pub const fn probe_path(self) -> &'static str {
        match self {
            Self::Clay => clay::PROBE_PATH,
            Self::Quinn => quinn::PROBE_PATH,
            Self::CloudIo | Self::V1Login => "/v1/me",
        }
    }

    pub(super) const fn login_path(self) -> &'static str {
        match self {
            Self::Clay => clay::LOGIN_PATH,
            Self::Quinn => quinn::LOGIN_PATH,
            Self::CloudIo => cloudio::LOGIN_PATH,
            Self::V1Login => v1_login::LOGIN_PATH,
        }
    }

    pub(super) fn is_logout(self, path: &str) -> bool {
        self == Self::Quinn && path == quinn::LOGOUT_PATH
    }

    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::Clay => "/v3/",
            Self::Quinn => "/api/",
            Self::CloudIo | Self::V1Login => "/v1/",
        }
    }

    pub(super) fn lifetime(self) -> Lifetime {
        match self {
            Self::Clay => Lifetime::of(clay::LIFE),
            Self::Quinn => Lifetime::unknown()
                .idle(quinn::IDLE)
                .absolute(quinn::ABSOLUTE),
            // Not documented; half an hour is usual.
            Self::CloudIo => Lifetime::unknown().idle(std::time::Duration::from_secs(30 * 60)),
            Self::V1Login => Lifetime::of(v1_login::LIFE),
        }
    }

    /// Account and password, or `None` where the request is not what the API documents.
    pub(super) fn read_login(self, parts: &Parts, body: &[u8]) -> Option<(String, String)> {
        let content_type = parts.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        if content_type.split(';').next()?.trim() != "application/json" {
            return None;
        }
        let body: Value = serde_json::from_slice(body).ok()?;
        if self == Self::CloudIo {
            if body != json!({}) {
                return None;
            }
            let header = parts.headers.get(AUTHORIZATION);
            let header = header.or_else(|| parts.headers.get(cloudio::AUTHENTICATION))?;
            let token = header.to_str().ok()?.strip_prefix(cloudio::SCHEME)?;
            let pair = String::from_utf8(STANDARD.decode(token).ok()?).ok()?;
            let (user, password) = pair.split_once(':')?;
            return Some((user.to_owned(), password.to_owned()));
        }
        if self == Self::Clay && body.get("source") != Some(&Value::Null) {
            return None;
        }
        let email = body.get("email")?.as_str()?;
        let password = body.get("password")?.as_str()?;
        if self == Self::Quinn && password.chars().count() < quinn::SHORTEST_PASSWORD {
            return None;
        }
        Some((email.to_owned(), password.to_owned()))
    }

    /// A session's token: opaque, percent-encoded and signed for the cookies, a JWT for the rest.
    pub(super) fn make_token(self, random: &str, at: u64, lifetime: &Lifetime) -> String {
        let claims = match self {
            Self::Clay | Self::Quinn => return format!("s%3A{random}.sig%2B{}", &random[..8]),
            Self::CloudIo => json!({ "session": random }),
            Self::V1Login => match lifetime.hard_expiry() {
                Some(life) => json!({ "id": random, "iat": at, "exp": at + whole_seconds(life) }),
                None => json!({ "id": random, "iat": at }),
            },
        };
        let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = encode(json!({ "alg": "HS256", "typ": "JWT" }));
        format!(
            "{header}.{}.{}",
            encode(claims),
            URL_SAFE_NO_PAD.encode(random)
        )
    }

    pub(super) fn welcome(
        self,
        account: &str,
        issued: &Issued,
        lifetime: &Lifetime,
    ) -> Response<Bytes> {
        let body = match self {
            Self::Clay => {
                json!({ "success": true, "redirect_to": "https://app.clay.com/workspaces/123456" })
            }
            Self::Quinn => json!({ "message": "Login successful", "user": quinn_user(account) }),
            Self::CloudIo => json!({
                "orgUid": "cloudio", "sessionId": "e5f5593b-3b19-4be0-921b-2c4fd3528425",
                "userName": account, "displayName": "Ada", "emailAddress": account,
                "csrf": issued.csrf, "jwt": issued.token, "status": "OK",
            }),
            Self::V1Login => json!({ "success": true, "data": {
                "name": "Ada Lovelace", "email": account, "id": "63d02e0bc8c116c1308d39fe",
                "createdAt": "2023-01-24T19:14:19.582Z", "updatedAt": "2023-01-24T19:14:19.582Z",
                "token": issued.token,
            } }),
        };
        let mut response = json_response(StatusCode::OK, &body);
        self.set_cookie(&mut response, &issued.token, lifetime);
        response
    }

    /// Sets the session's cookie, with the attributes that the API documents.
    pub(super) fn set_cookie(
        self,
        response: &mut Response<Bytes>,
        token: &str,
        lifetime: &Lifetime,
    ) {
        let cookie = match self {
            Self::Clay => format!(
                "{}={token}; Path=/; HttpOnly; Secure; SameSite=Lax",
                clay::COOKIE
            ),
            Self::Quinn => {
                let age = whole_seconds(lifetime.idle_timeout().unwrap_or(quinn::IDLE));
                format!(
                    "{}={token}; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age={age}",
                    quinn::COOKIE
                )
            }
            Self::CloudIo => return,
            Self::V1Login => format!("{V1_COOKIE}={token}; Path=/; HttpOnly; Secure"),
        };
        // The token is made of characters that can stand in a header.
        if let Ok(cookie) = cookie.try_into() {
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
    }

    /// Tells the client that its session is over.
    pub(super) fn delete_cookie(self, response: &mut Response<Bytes>) {
        if self == Self::Quinn {
            let gone = HeaderValue::from_static("sessionId=; Path=/; Max-Age=0");
            response.headers_mut().insert(SET_COOKIE, gone);
        }
    }

    /// The response to wrong credentials.
    pub(super) fn refusal(self) -> Response<Bytes> {
        match self {
            Self::Clay | Self::Quinn => {
                let body = json!({ "message": "Invalid credentials" });
                json_response(StatusCode::UNAUTHORIZED, &body)
            }
            Self::CloudIo => cloudio_error("Access Denied - Invalid username and/or password!"),
            Self::V1Login => {
                let body = json!({ "success": false, "message": "Invalid email or password" });
                json_response(StatusCode::BAD_REQUEST, &body)
            }
        }
    }

    /// The token that a request carries, and the csrf value where the API has one.
    pub(super) fn credential(self, parts: &Parts) -> Option<(String, Option<String>)> {
        let bearer = || {
            let header = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
            Some(header.strip_prefix("Bearer ")?.to_owned())
        };
        match self {
            Self::Clay => Some((cookie(parts, clay::COOKIE)?, None)),
            Self::Quinn => Some((cookie(parts, quinn::COOKIE)?, None)),
            Self::V1Login => Some((bearer().or_else(|| cookie(parts, V1_COOKIE))?, None)),
            Self::CloudIo => {
                let query = parts.uri.query()?;
                let csrf = query
                    .split('&')
                    .find_map(|pair| pair.strip_prefix("csrf="))?;
                Some((bearer()?, Some(csrf.to_owned())))
            }
        }
    }

    pub(super) fn probe(self, account: &str) -> Value {
        match self {
            Self::Clay => json!({ "results": [{ "id": 123_456, "name": "Ada's workspace" }] }),
            Self::Quinn => quinn_user(account),
            Self::CloudIo | Self::V1Login => json!({ "email": account }),
        }
    }
}

/// V1's documents name no cookie.
const V1_COOKIE: &str = "token";

fn quinn_user(account: &str) -> Value {
    json!({
        "id": "550e8400-e29b-41d4-a716-446655440000", "email": account,
        "organizationId": "660e8400-e29b-41d4-a716-446655440000", "role": "admin",
        "firstName": "Ada", "lastName": "Lovelace",
    })
}

/// The response to a request without a live session; `forbidden`, as CloudIO might say it.
pub(super) fn unauthorized(forbidden: bool) -> Response<Bytes> {
    if forbidden {
        return cloudio_error("Session expired or invalid");
    }
    json_response(
        StatusCode::UNAUTHORIZED,
        &json!({ "message": "Unauthorized" }),
    )
}

pub(super) fn cloudio_error(message: &str) -> Response<Bytes> {
    let body =
        json!({ "code": 403, "status": "ERROR", "title": "Access Denied", "message": message });
    json_response(StatusCode::FORBIDDEN, &body)
}

/// Names are compared and values taken as they are: a client that decodes and encodes again is found out.
/// At least one: less would say that it is over.
fn whole_seconds(life: std::time::Duration) -> u64 {
    life.as_secs() + u64::from(life.subsec_nanos() > 0)
}

fn cookie(parts: &Parts, name: &str) -> Option<String> {
    parts.headers.get_all(COOKIE).iter().find_map(|header| {
        let pairs = header.to_str().ok()?.split(';');
        pairs
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.to_owned())
    })
}
