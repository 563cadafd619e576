//! Where a redirect leads, and which values of a query it may take along, through both
//! integrations.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;
#[path = "common/follow.rs"]
mod follow;

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use auth_core::testing::Scripted;
use auth_core::{Credentials, Origin, Session};
use auth_middleware::{AuthLayer, AuthMiddleware, RedirectError, Redirects, redirect_error};
use bytes::Bytes;
use common::{Api, Kind, Script, response};
use follow::{BOTH, get, moved, redirecting, send};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use reqwest::Client;
use reqwest_middleware::ClientBuilder;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

/// Redirects `/away` to these bytes, and answers other paths with 200.
fn redirecting_to(location: &[u8]) -> Api {
    let location = HeaderValue::from_bytes(location).unwrap();
    Api::new(move |seen| match seen.uri.path() {
        "/away" => moved(302, location.clone()),
        _ => response(200, "here"),
    })
}

/// As in a browser: each byte that is not ASCII is percent-encoded.
#[tokio::test]
async fn a_location_that_is_not_encoded_is_encoded_and_followed() {
    for via in BOTH {
        for (location, reached) in [
            (&b"/caf\xe9"[..], "/caf%E9"),
            (b"/x?name=caf\xe9", "/x?name=caf%E9"),
            (b"/\xe2\x98\xba?a=\xe2\x98\xba", "/%E2%98%BA?a=%E2%98%BA"),
            (b"/a b?c d", "/a%20b?c%20d"),
            (b"/a\tb?c\td", "/ab?cd"),
            (b"/a|b\\c?[d]|{e}", "/a|b/c?[d]|{e}"),
            (b"/%e9?%zz", "/%e9?%zz"),
            (b"/here#\xe9", "/here"),
        ] {
            let api = redirecting_to(location);
            let origin = api.serve().await;
            let (credentials, _) = Script::at(&origin).build();
            let request = get(&format!("{origin}/away"));
            let got = send(via, &credentials, Redirects::new(), request).await;
            assert_eq!(got.unwrap().status, 200, "{via:?} {location:?}");
            assert_eq!(api.seen()[1].uri, reached, "{via:?}");
            assert_eq!(api.seen()[1].bearer(), Some("token-1"));
        }
    }
}

/// What a server may write in other words, and what leads elsewhere.
#[tokio::test]
async fn a_location_is_resolved_as_in_a_browser_and_its_host_and_port_decide_on_the_scope() {
    let foreign = Api::new(|_| response(200, "elsewhere"));
    let elsewhere = foreign.serve().await;
    let foreign_host = elsewhere.strip_prefix("http:").unwrap().to_owned();
    for via in BOTH {
        for (location, reached, is_in_scope) in [
            // A scheme in upper case, and a path without a slash.
            ("HTTP:ORIGIN/here", "/here", true),
            ("here?a", "/here?a", true),
            ("../../here", "/here", true),
            ("ORIGIN?a=1", "/?a=1", true),
            ("\\\\HOST/here", "/here", true),
            // A host comes after all of the slashes.
            ("///HOST/here", "/here", true),
            ("//\\/HOST/here", "/here", true),
            // Another port, and another host in the same way.
            ("HTTP:FOREIGN/there", "/there", false),
            ("FOREIGN/there", "/there", false),
            ("/\\FOREIGNHOST/there", "/there", false),
            ("////FOREIGNHOST/there", "/there", false),
        ] {
            let slot = Arc::new(Mutex::new(HeaderValue::from_static("/")));
            let to = Arc::clone(&slot);
            let api = Api::new(move |seen| match seen.uri.path() {
                "/away" => moved(302, to.lock().unwrap().clone()),
                _ => response(200, "here"),
            });
            let origin = api.serve().await;
            let host = origin.strip_prefix("http:").unwrap();
            let written = location
                .replace("FOREIGNHOST", foreign_host.trim_start_matches('/'))
                .replace("FOREIGN", &foreign_host)
                .replace("ORIGIN", host)
                .replace("HOST", host.trim_start_matches('/'));
            *slot.lock().unwrap() = written.parse().unwrap();
            let (credentials, _) = Script::at(&origin).build();
            let request = get(&format!("{origin}/away"));
            let got = send(via, &credentials, Redirects::new(), request).await;
            assert_eq!(got.unwrap().status, 200, "{via:?} {written}");
            let last = if is_in_scope { &api } else { &foreign };
            let last = last.seen().pop().unwrap();
            assert_eq!(last.uri, reached, "{via:?} {written}");
            assert_eq!(last.bearer().is_some(), is_in_scope, "{via:?} {written}");
        }
    }
}

/// Only a page in a browser follows `Refresh`. A fragment alone is the same request.
#[tokio::test]
async fn a_refresh_is_not_followed_and_a_fragment_alone_is_a_circle() {
    for via in BOTH {
        let api = Api::new(|seen| {
            let mut response = response(if seen.uri.path() == "/away" { 302 } else { 200 }, "");
            let refresh = HeaderValue::from_static("0; url=/there");
            response.headers_mut().insert("refresh", refresh);
            response
        });
        let origin = api.serve().await;
        let (credentials, _) = Script::at(&origin).build();
        for (path, status) in [("/away", 302), ("/here", 200)] {
            let request = get(&format!("{origin}{path}"));
            let got = send(via, &credentials, Redirects::new(), request).await;
            assert_eq!(got.unwrap().status, status);
        }
        assert_eq!(api.count(), 2);

        let api = redirecting(302, "#part");
        let origin = api.serve().await;
        let (credentials, _) = Script::at(&origin).build();
        let request = get(&format!("{origin}/away?a=1"));
        let failed = send(via, &credentials, Redirects::new(), request).await;
        let failed = failed.unwrap_err().to_string();
        assert!(failed.contains("circle"), "{failed}");
        assert_eq!(api.count(), 1);
    }
}

/// Equal ones count as one, as in Fetch. So do hosts that are written in Unicode.
#[tokio::test]
async fn a_location_that_comes_twice_counts_once_and_a_host_in_unicode_is_another_host() {
    let script = Scripted::new(|_| Ok(Session::new().with_bearer("token")?));
    let origin = Origin::parse("https://xn--bcher-kva.example").unwrap();
    let credentials = Credentials::new(script.with_origin(origin));
    for (locations, reached) in [
        (
            &["/here", "/here"][..],
            "https://xn--bcher-kva.example/here token",
        ),
        (
            &["https://bücher.example/here"],
            "https://xn--bcher-kva.example/here token",
        ),
        (
            &["https://BÜCHER.example:443/here"],
            "https://xn--bcher-kva.example/here token",
        ),
        (
            &["https://bucher.example/here"],
            "https://bucher.example/here -",
        ),
        (
            &["/here", "/there"],
            "https://xn--bcher-kva.example/away token",
        ),
    ] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        let api = service_fn(move |request: Request<Full<Bytes>>| {
            let token = match request.headers().get("authorization") {
                Some(_) => "token",
                None => "-",
            };
            noted
                .lock()
                .unwrap()
                .push(format!("{} {token}", request.uri()));
            let mut response = Response::new(Full::<Bytes>::default());
            if request.uri().path() == "/away" {
                *response.status_mut() = StatusCode::FOUND;
                for location in locations {
                    let location = HeaderValue::from_bytes(location.as_bytes()).unwrap();
                    response.headers_mut().append("location", location);
                }
            }
            std::future::ready(Ok::<_, Infallible>(response))
        });
        let layer = AuthLayer::new(credentials.clone()).follow_redirects(Redirects::new());
        let request = Request::get("https://xn--bcher-kva.example/away");
        let request = request.body(Full::<Bytes>::default()).unwrap();
        layer.layer(api).oneshot(request).await.unwrap();
        assert_eq!(
            seen.lock().unwrap().last().unwrap(),
            reached,
            "{locations:?}"
        );
    }
}

#[tokio::test]
async fn rule_16_a_redirect_takes_no_query_value_away_that_an_earlier_credential_had() {
    for via in BOTH {
        let foreign = Api::new(|_| response(200, "stolen"));
        let elsewhere = foreign.serve().await;
        let first = Mutex::new(None);
        let api = Api::new(move |seen| {
            let query = seen.uri.query().unwrap_or_default().to_owned();
            let mut first = first.lock().unwrap();
            match &*first {
                None => {
                    *first = Some(query);
                    response(401, "revoked")
                }
                // It has what the rejected request carried in a log, say.
                Some(first) => moved(302, format!("{elsewhere}/?{first}").parse().unwrap()),
            }
        });
        let origin = api.serve().await;
        let (credentials, control) = Script::at(&origin).kind(Kind::Query).build();
        let request = get(&format!("{origin}/away"));
        let got = send(via, &credentials, Redirects::new(), request).await;
        assert_eq!((got.unwrap().status, foreign.count()), (302, 0), "{via:?}");
        assert_eq!((api.count(), control.logins()), (2, 2));
    }
}

/// An API that redirects `/away` to this URL, with the query of the request, after another request
/// has renewed the session. At the other host, `/a` and `/b` redirect to each other.
#[derive(Clone)]
struct Renewing {
    credentials: Credentials,
    location: &'static str,
    sent: Arc<AtomicUsize>,
}

impl Renewing {
    fn to(location: &'static str, credentials: &Credentials) -> Self {
        Self {
            credentials: credentials.clone(),
            location,
            sent: Arc::default(),
        }
    }

    /// Where the response to this request redirects.
    async fn location(self, uri: &str) -> Option<String> {
        self.sent.fetch_add(1, SeqCst);
        match uri.strip_prefix("https://elsewhere.example") {
            Some("/a") => Some("/b".to_owned()),
            Some("/b") => Some("/a".to_owned()),
            Some(_) => None,
            None => {
                self.credentials.renew().await.unwrap();
                let query = uri.split_once('?').map_or("", |(_, query)| query);
                Some(self.location.replace("QUERY", query))
            }
        }
    }

    /// Sends a request through both integrations. Returns what its callers get, and how often each
    /// was sent.
    async fn called(self) -> [(Result<u16, RedirectError>, usize); 2] {
        let url = format!("{}/away", common::ORIGIN);
        let credentials = self.credentials.clone();
        let sent = Arc::clone(&self.sent);
        let this = self.clone();
        let api = service_fn(move |request: Request<Full<Bytes>>| {
            let this = this.clone();
            async move {
                let mut response = Response::new(Full::<Bytes>::default());
                if let Some(location) = this.location(&request.uri().to_string()).await {
                    response = moved(302, location.parse().unwrap());
                }
                Ok::<_, Infallible>(response)
            }
        });
        let layer = AuthLayer::new(credentials.clone()).follow_redirects(Redirects::new());
        let request = Request::get(&url).body(Full::<Bytes>::default()).unwrap();
        let by_tower = layer.layer(api).oneshot(request).await;
        let by_tower = by_tower
            .map(|response| response.status().as_u16())
            .map_err(|error| error.downcast_ref::<RedirectError>().unwrap().clone());
        let at_tower = sent.swap(0, SeqCst);

        let auth = AuthMiddleware::assuming_no_redirects(credentials);
        let client = ClientBuilder::new(Client::new()).with(auth).with(self);
        let by_reqwest = client.build().get(&url).send().await;
        let by_reqwest = by_reqwest
            .map(|response| response.status().as_u16())
            .map_err(|error| redirect_error(&error).unwrap().clone());
        [(by_tower, at_tower), (by_reqwest, sent.load(SeqCst))]
    }
}

#[async_trait::async_trait]
impl reqwest_middleware::Middleware for Renewing {
    async fn handle(
        &self,
        request: reqwest::Request,
        _: &mut http::Extensions,
        _: reqwest_middleware::Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        use reqwest::ResponseBuilderExt as _;
        let url = request.url().clone();
        let mut response = http::Response::builder();
        if let Some(location) = self.clone().location(url.as_str()).await {
            response = response.status(302).header("location", location);
        }
        Ok(response.url(url).body("").unwrap().into())
    }
}

#[tokio::test]
async fn rule_16_a_redirect_takes_no_query_value_away_that_was_renewed_meanwhile() {
    let (credentials, control) = Script::at(common::ORIGIN).kind(Kind::Query).build();
    let api = Renewing::to("https://elsewhere.example/?QUERY", &credentials);
    assert_eq!(api.called().await, [(Ok(302), 1), (Ok(302), 1)]);
    assert_eq!(control.logins(), 3);
}

/// Its requests carry no credential.
#[tokio::test]
async fn a_circle_elsewhere_is_one_though_the_credential_has_changed() {
    let (credentials, _) = Script::at(common::ORIGIN).build();
    let api = Renewing::to("https://elsewhere.example/a", &credentials);
    let origin = "https://elsewhere.example".to_owned();
    let circle = Err(RedirectError::Loop { origin });
    assert_eq!(api.called().await, [(circle.clone(), 3), (circle, 3)]);
}

/// A credential that another layer attaches is none of the layer's that follows.
#[tokio::test]
async fn a_circle_is_one_though_a_layer_below_has_attached_a_credential() {
    let (outer, _) = Script::at(common::ORIGIN).build();
    let (inner, _) = Script::at("https://elsewhere.example").build();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let api = service_fn(move |request: Request<Full<Bytes>>| {
        let has_any = request.headers().contains_key("authorization");
        noted.lock().unwrap().push(has_any);
        let location = match request.uri().path() {
            "/a" => "/b",
            _ => "/a",
        };
        std::future::ready(Ok::<_, Infallible>(moved(302, location.parse().unwrap())))
    });
    let service = ServiceBuilder::new()
        .layer(AuthLayer::new(outer).follow_redirects(Redirects::new()))
        .layer(AuthLayer::new(inner))
        .service(api);
    let request = Request::get("https://elsewhere.example/a").body(Full::<Bytes>::default());
    let failed = service.oneshot(request.unwrap()).await.unwrap_err();
    let failed = failed.downcast_ref::<RedirectError>().unwrap();
    assert!(matches!(failed, RedirectError::Loop { .. }), "{failed}");
    assert_eq!(*seen.lock().unwrap(), [true, false]);
}

fn with_query(origin: &str, value: &'static str) -> Credentials {
    let script = Scripted::new(move |_| Ok(Session::new().with_query("v", value)?));
    Credentials::new(script.with_origin(Origin::parse(origin).unwrap()))
}

/// A value such as `v=2` is met in most URLs.
#[tokio::test]
async fn rule_16_a_short_query_value_is_found_where_it_stands_alone_and_a_long_one_anywhere() {
    let foreign = Api::new(|_| response(200, "elsewhere"));
    let elsewhere = foreign.serve().await;
    for via in BOTH {
        for (value, path, taken) in [
            ("2", "/v2/file-2.pdf?page=12&size=20#a2", true),
            ("2", "/x?next=%2Fb%32b", true),
            ("2", "/x?v=2", false),
            ("2", "/2/x", false),
            ("2", "/x?next=%2Fme%3Fv%3D2", false),
            ("2", "/x?next=%252Fme%253Fv%253D%2532", false),
            ("2", "/#2", false),
            ("2f", "/x?next=%2f/", true),
            ("seven77", "/x?v=xseven77", true),
            ("seven77", "/x?v=Seven77", false),
            ("eight888", "/x?v=xEight888x", false),
            // A value is decoded by the server, and by its framework once more.
            ("eyJpdiI6%3D%3D", "/x?t=eyJpdiI6==", false),
            ("s%253Aabc%252Fdef", "/x?t=s%3Aabc/def", false),
            ("seven%3D7", "/x?t=Seven=7", false),
            ("seven%3D7", "/x?t=xseven=7", true),
        ] {
            let api = redirecting(302, &format!("{elsewhere}{path}"));
            let origin = api.serve().await;
            let credentials = with_query(&origin, value);
            let request = get(&format!("{origin}/away"));
            let got = send(via, &credentials, Redirects::new(), request).await;
            let expected = if taken { 200 } else { 302 };
            assert_eq!(got.unwrap().status, expected, "{via:?} {value} {path}");
        }
    }
}

/// hyper sends no userinfo, and the server's redirects have none.
#[tokio::test]
async fn a_url_of_the_caller_that_names_a_user_is_redirected_as_any_other() {
    let foreign = Api::new(|_| response(200, "elsewhere"));
    let elsewhere = foreign.serve().await;
    let api = Api::new(move |seen| match seen.uri.path() {
        "/away" => moved(302, HeaderValue::from_static("/here")),
        "/here" => moved(302, "there?x=1".parse().unwrap()),
        "/there" => moved(302, elsewhere.parse().unwrap()),
        _ => response(200, "here"),
    });
    let origin = api.serve().await;
    let with_user = origin.replace("http://", "http://canary-user:canary-password@");
    for via in BOTH {
        let (credentials, _) = Script::at(&origin).build();
        let before = api.count();
        let request = get(&format!("{with_user}/away"));
        let got = send(via, &credentials, Redirects::new(), request).await;
        assert_eq!((got.unwrap().status, api.count() - before), (200, 3));
        let last = foreign.seen().pop().unwrap();
        assert!(!format!("{last:?}").contains("canary"), "{last:?}");
    }
}

/// A service below may read the userinfo. It belongs to its origin, as `Authorization` does.
#[tokio::test]
async fn the_userinfo_of_a_url_stays_at_its_origin_and_is_in_no_error() {
    let (credentials, _) = Script::at(common::ORIGIN).build();
    let with_user = common::ORIGIN.replace("https://", "https://canary-user:canary-password@");
    for (end, reached) in [
        ("https://elsewhere.example/", 5),
        ("/last", 5),
        ("/away", 3),
    ] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        let api = service_fn(move |request: Request<Full<Bytes>>| {
            noted.lock().unwrap().push(request.uri().to_string());
            let location = match request.uri().path() {
                "/away" => Some("/here"),
                "/here" => Some("https://api.example.com/there"),
                "/there" => Some(end),
                "/last" => Some("https://elsewhere.example/"),
                _ if request.uri().query().is_none() => Some("https://api.example.com/back?end"),
                _ => None,
            };
            let mut response = Response::new(Full::<Bytes>::default());
            if let Some(location) = location {
                *response.status_mut() = StatusCode::FOUND;
                response
                    .headers_mut()
                    .insert("location", location.parse().unwrap());
            }
            std::future::ready(Ok::<_, Infallible>(response))
        });
        let layer = AuthLayer::new(credentials.clone()).follow_redirects(Redirects::new());
        let request = Request::get(format!("{with_user}/away"));
        let request = request.body(Full::<Bytes>::default()).unwrap();
        let answered = layer.layer(api).oneshot(request).await;
        if let Err(error) = answered {
            let printed = format!("{error} {error:?}");
            assert!(!printed.contains("canary"), "{printed}");
        }
        let seen = seen.lock().unwrap();
        assert!(seen.len() >= reached, "{seen:?}");
        let left = seen.iter().position(|uri| uri.contains("elsewhere"));
        let (at_home, since) = seen.split_at(left.unwrap_or(seen.len()));
        assert!(
            at_home
                .iter()
                .all(|uri| uri.contains("canary-user:canary-password@"))
        );
        assert!(!since.iter().any(|uri| uri.contains("canary")), "{seen:?}");
    }
}
