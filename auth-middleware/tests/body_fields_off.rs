//! Without the feature `body-fields`, a session that is a field of the body is an error that names
//! the feature, and never left out.

#![cfg(not(feature = "body-fields"))]
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use auth_core::testing::Scripted;
use auth_core::{Credentials, Part, Session, When};
use auth_middleware::{AuthLayer, AuthMiddleware, BodyFieldError, body_field_error};
use common::{Api, ORIGIN, get, response};
use reqwest::Client;
use tower::{ServiceBuilder, ServiceExt, service_fn};

#[tokio::test]
async fn rule_16_without_the_feature_a_request_that_would_have_a_field_is_not_sent() {
    let api = Api::new(|_| response(200, "fine"));
    let credentials = Credentials::new(Scripted::new(|_| {
        let rpc = Part::json_field("/auth", "canary").when(When::any_method().below("/rpc"));
        Ok(Session::new().with_part(rpc)?)
    }));
    let auth = AuthMiddleware::build_client(Client::builder(), credentials.clone()).unwrap();
    let sent = auth.post(format!("{ORIGIN}/rpc")).body("{}").send().await;
    let error = sent.unwrap_err();
    assert_eq!(body_field_error(&error), Some(&BodyFieldError::FeatureOff));
    assert!(!format!("{error} {error:?}").contains("canary"));
    for path in ["/rpc", "/other"] {
        let handle = api.clone();
        let service = ServiceBuilder::new()
            .layer(AuthLayer::new(credentials.clone()).in_memory())
            .service(service_fn(move |request| handle.clone().handle(request)));
        let sent = service.oneshot(get(&format!("{ORIGIN}{path}"))).await;
        let error = sent.err();
        let error = error.as_ref().and_then(|error| error.downcast_ref());
        let expected = (path == "/rpc").then_some(&BodyFieldError::FeatureOff);
        assert_eq!(error, expected, "{path}");
    }
    assert_eq!(api.count(), 1);
}
