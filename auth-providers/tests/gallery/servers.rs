//! The servers by themselves: that they are as strict as their documents. A recipe that forgets
//! something fails because of what is shown here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::oauth::{CLIENT, CLIENT_SECRET};
use crate::world::{Mood, NAME, PASSWORD, Server};
use crate::{
    clay, cloudio, home_assistant, jenkins, metabase, oauth, odoo, pi_hole, pocketbase, proxmox,
    quinn, redfish, sap, superset, synology, ubus, unifi, v1_login, vcenter, zabbix,
};

impl Server {
    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        let client = Client::builder().no_proxy().build().unwrap();
        client.request(method, format!("{}{path}", self.url))
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.ask(Method::GET, path)
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.ask(Method::POST, path)
    }
}

trait Send {
    /// The body of JSON, as the workspace's reqwest has no `json`.
    fn body_of(self, body: &Value) -> Self;
    async fn status(self) -> u16;
    async fn read(self) -> Value;
    async fn answer(self) -> Response;
}

impl Send for RequestBuilder {
    fn body_of(self, body: &Value) -> Self {
        self.header("content-type", "application/json")
            .body(body.to_string())
    }

    async fn status(self) -> u16 {
        self.answer().await.status().as_u16()
    }

    async fn read(self) -> Value {
        serde_json::from_slice(&self.answer().await.bytes().await.unwrap()).unwrap()
    }

    async fn answer(self) -> Response {
        self.send().await.unwrap()
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    let uri = reqwest::Url::parse_with_params("http://h/", fields).unwrap();
    uri.query().unwrap().to_owned()
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A header of an answer.
fn of<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers()[name].to_str().unwrap()
}

/// The pair of a cookie that an answer sets.
fn pair(answer: &Response) -> &str {
    of(answer, "set-cookie").split(';').next().unwrap()
}

#[tokio::test]
async fn unifi_wants_the_csrf_value_of_the_session_for_a_write() {
    let server = Server::start(unifi::routes).await;
    let login = |password| {
        let body = json!({"username": NAME, "password": password});
        server.post("/api/auth/login").body_of(&body)
    };
    assert_eq!(login("wrong").status().await, 403);
    let answer = login(PASSWORD).answer().await;
    let write = || {
        let write = server.post("/proxy/network/api/s/default/cmd/stamgr");
        write.header("cookie", pair(&answer)).body_of(&json!({}))
    };
    assert_eq!(write().status().await, 403);
    let csrf = of(&answer, "x-csrf-token");
    assert_eq!(write().header("x-csrf-token", csrf).status().await, 200);
    let other = login(PASSWORD).answer().await;
    let foreign = write().header("x-csrf-token", of(&other, "x-csrf-token"));
    assert_eq!(foreign.status().await, 403);
    server.world.revoke_all();
    assert_eq!(write().header("x-csrf-token", csrf).status().await, 401);
    assert_eq!(server.world.counts().stale, 2);
}

#[tokio::test]
async fn synology_tells_its_errors_in_a_200() {
    let server = Server::start(synology::routes).await;
    let call = |fields: &[(&str, &str)]| server.get(&format!("/webapi/entry.cgi?{}", form(fields)));
    let auth = [
        ("api", "SYNO.API.Auth"),
        ("version", "7"),
        ("method", "login"),
    ];
    let login = |password| {
        let own = [("account", NAME), ("passwd", password), ("format", "sid")];
        call(&[&auth[..], &own, &[("enable_syno_token", "yes")]].concat())
    };
    assert_eq!(call(&auth).read().await["error"]["code"], 101);
    assert_eq!(login("wrong").read().await["error"]["code"], 400);
    let login = login(PASSWORD).read().await;
    let (sid, token) = (&login["data"]["sid"], &login["data"]["synotoken"]);
    let (sid, token) = (sid.as_str().unwrap(), token.as_str().unwrap());
    let read = |api| {
        let fields = [
            ("api", api),
            ("version", "2"),
            ("method", "get"),
            ("_sid", sid),
        ];
        call(&fields)
    };
    let info = read("SYNO.FileStation.Info");
    assert_eq!(
        info.read().await["error"]["code"],
        119,
        "it lacks the token"
    );
    let info = read("SYNO.FileStation.Info").header("x-syno-token", token);
    let answer = info.answer().await;
    assert_eq!(answer.content_length(), None, "the server states no length");
    let system = read("SYNO.Core.System").header("x-syno-token", token);
    assert_eq!(system.read().await["error"]["code"], 105);
    server.world.revoke_all();
    let info = read("SYNO.FileStation.Info").header("x-syno-token", token);
    assert_eq!(info.read().await["error"]["code"], 106);
}

#[tokio::test]
async fn pi_hole_wants_a_csrf_value_beside_the_cookie_alone() {
    let server = Server::start(pi_hole::routes).await;
    let login = |password| {
        let body = json!({"password": password});
        server.post("/api/auth").body_of(&body)
    };
    assert_eq!(login("wrong").status().await, 401);
    let session = login(PASSWORD).read().await["session"].take();
    let sid = session["sid"].as_str().unwrap();
    let read = || server.get("/api/stats/summary");
    assert_eq!(read().header("x-ftl-sid", sid).status().await, 200);
    let by_cookie = || read().header("cookie", format!("sid={sid}"));
    assert_eq!(by_cookie().status().await, 401);
    let csrf = session["csrf"].as_str().unwrap();
    assert_eq!(by_cookie().header("x-ftl-csrf", csrf).status().await, 200);
    let logout = || server.ask(Method::DELETE, "/api/auth");
    assert_eq!(logout().status().await, 401);
    assert_eq!(logout().header("x-ftl-sid", sid).status().await, 204);
    assert_eq!(server.world.live(), 0);
}

#[tokio::test]
async fn proxmox_takes_the_ticket_for_the_password_and_wants_a_realm() {
    let server = Server::start(proxmox::routes).await;
    let login = |name, password| {
        let fields = form(&[("username", name), ("password", password)]);
        let login = server.post("/api2/json/access/ticket").body(fields);
        login.header(FORM.0, FORM.1)
    };
    assert_eq!(login("ada", PASSWORD).status().await, 401);
    assert_eq!(login("ada@pam", "wrong").status().await, 401);
    let first = login("ada@pam", PASSWORD).read().await["data"].take();
    let ticket = first["ticket"].as_str().unwrap();
    let second = login("ada@pam", ticket).read().await["data"].take();
    let cookie = format!("PVEAuthCookie={}", second["ticket"].as_str().unwrap());
    let nodes = |method| {
        server
            .ask(method, "/api2/json/nodes")
            .header("cookie", &cookie)
    };
    assert_eq!(nodes(Method::GET).status().await, 200);
    assert_eq!(nodes(Method::POST).status().await, 401);
    let csrf = second["CSRFPreventionToken"].as_str().unwrap();
    let write = nodes(Method::POST).header("CSRFPreventionToken", csrf);
    assert_eq!(write.status().await, 200);
    assert_eq!(server.world.counts().logins, 2);
}

#[tokio::test]
async fn redfish_ends_the_session_that_the_url_names() {
    let server = Server::start(redfish::routes).await;
    let login = |password| {
        let body = json!({"UserName": NAME, "Password": password});
        server
            .post("/redfish/v1/SessionService/Sessions")
            .body_of(&body)
    };
    assert_eq!(login("wrong").status().await, 401);
    let (first, second) = (
        login(PASSWORD).answer().await,
        login(PASSWORD).answer().await,
    );
    assert_eq!(first.status(), 201);
    let logout = |place: &Response| {
        let logout = server.ask(Method::DELETE, of(place, "location"));
        logout.header("x-auth-token", of(&first, "x-auth-token"))
    };
    assert_eq!(logout(&second).status().await, 403);
    assert_eq!(logout(&first).status().await, 204);
    assert_eq!(logout(&first).status().await, 401);
}

#[tokio::test]
async fn zabbix_tells_a_dead_session_from_a_bad_parameter_by_the_text_alone() {
    let server = Server::start(zabbix::routes).await;
    let call = |method, params: Value| {
        let body = json!({"jsonrpc": "2.0", "method": method, "params": params, "id": 1});
        server.post("/api_jsonrpc.php").body_of(&body)
    };
    let login = |password| {
        call(
            "user.login",
            json!({"username": NAME, "password": password}),
        )
    };
    assert_eq!(login("wrong").read().await["error"]["code"], -32500);
    let old = call("user.login", json!({"user": NAME, "password": PASSWORD}));
    assert_eq!(old.read().await["error"]["code"], -32602);
    let session = login(PASSWORD).read().await["result"].take();
    let session = session.as_str().unwrap();
    let again = login(PASSWORD).bearer_auth(session).read().await;
    assert_eq!(again["error"]["code"], -32602);
    let hosts = |params| call("host.get", params).bearer_auth(session);
    assert_eq!(hosts(json!({})).read().await["error"]["code"], -32602);
    let good = || hosts(json!({"output": []}));
    assert_eq!(good().read().await["result"][0]["hostid"], "10084");
    server.world.revoke_all();
    assert_eq!(good().read().await["error"]["code"], -32602);
    assert_eq!(
        server.post("/api_jsonrpc.php").body("{}").status().await,
        412
    );
}

#[tokio::test]
async fn ubus_takes_the_session_in_the_body() {
    let server = Server::start(ubus::routes).await;
    let call = |sid: &str, object, function, arguments| {
        let params = json!([sid, object, function, arguments]);
        let body = json!({"jsonrpc": "2.0", "id": 7, "method": "call", "params": params});
        server.post("/ubus").body_of(&body)
    };
    let nobody = "0".repeat(32);
    let login = |password| {
        let account = json!({"username": NAME, "password": password});
        call(&nobody, "session", "login", account)
    };
    assert_eq!(login("wrong").read().await["result"], json!([6]));
    let login = login(PASSWORD).read().await;
    let sid = login["result"][1]["ubus_rpc_session"].as_str().unwrap();
    let board = |sid: &str| call(sid, "system", "board", json!({}));
    assert_eq!(board(sid).read().await["result"][0], 0);
    assert_eq!(board(&nobody).read().await["error"]["code"], -32002);
}

#[tokio::test]
async fn vcenter_answers_a_bare_text() {
    let server = Server::start(vcenter::routes).await;
    let login = |password| server.post("/api/session").basic_auth(NAME, Some(password));
    assert_eq!(server.post("/api/session").status().await, 401);
    assert_eq!(login("wrong").status().await, 401);
    let session = login(PASSWORD).read().await;
    let header = ("vmware-api-session-id", session.as_str().unwrap());
    let read = || server.get("/api/vcenter/vm").header(header.0, header.1);
    assert_eq!(read().status().await, 200);
    let logout = server.ask(Method::DELETE, "/api/session");
    assert_eq!(logout.header(header.0, header.1).status().await, 204);
    assert_eq!(read().status().await, 401);
}

#[tokio::test]
async fn sap_gives_a_csrf_value_for_its_cookie_with_an_error_too() {
    let server = Server::start(sap::routes).await;
    let ask = |method, password| {
        let ask = server.ask(method, "/sap/opu/odata/sap/API_PARTNER/A_Partner");
        ask.basic_auth(NAME, Some(password))
    };
    assert_eq!(ask(Method::GET, "wrong").status().await, 401);
    let fetch = ask(Method::HEAD, PASSWORD).header("x-csrf-token", "Fetch");
    let fetched = fetch.answer().await;
    assert_eq!(fetched.status(), 405);
    let cookies = fetched.headers().get_all("set-cookie").iter();
    let cookies: Vec<_> = cookies.map(|line| line.to_str().unwrap()).collect();
    let session = cookies[1].split(';').next().unwrap();
    let write = || ask(Method::POST, PASSWORD).header("cookie", session);
    let refused = write().answer().await;
    assert_eq!(
        (refused.status().as_u16(), of(&refused, "x-csrf-token")),
        (403, "Required")
    );
    let csrf = of(&fetched, "x-csrf-token");
    assert_eq!(write().header("x-csrf-token", csrf).status().await, 201);
    server.world.revoke_all();
    assert_eq!(write().header("x-csrf-token", csrf).status().await, 403);
    assert_eq!(server.world.counts().reopened, 1);
}

#[tokio::test]
async fn jenkins_binds_the_crumb_to_its_cookie() {
    let server = Server::start(jenkins::routes).await;
    let crumb = |password| {
        let crumb = server.get("/crumbIssuer/api/json");
        crumb.basic_auth(NAME, Some(password))
    };
    assert_eq!(crumb("wrong").status().await, 401);
    let answer = crumb(PASSWORD).answer().await;
    let cookie = pair(&answer).to_owned();
    let issued: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    let build = || {
        let build = server.post("/job/demo/build");
        let crumb = issued["crumb"].as_str().unwrap();
        build
            .basic_auth(NAME, Some(PASSWORD))
            .header("Jenkins-Crumb", crumb)
    };
    assert_eq!(build().status().await, 403);
    assert_eq!(build().header("cookie", cookie).status().await, 201);
}

#[tokio::test]
async fn metabase_tells_how_long_to_wait_with_the_status_of_a_wrong_password() {
    let server = Server::start(metabase::routes).await;
    let login = |password| {
        let body = json!({"username": NAME, "password": password});
        server.post("/api/session").body_of(&body)
    };
    assert_eq!(login("wrong").status().await, 401);
    let session = login(PASSWORD).read().await["id"].take();
    let session = ("x-metabase-session", session.as_str().unwrap());
    let read = || server.get("/api/user/current").header(session.0, session.1);
    assert_eq!(read().status().await, 200);
    server.world.revoke_all();
    assert_eq!(read().status().await, 401);
    server.world.answer_logins_as(Mood::Limited);
    assert_eq!(login(PASSWORD).status().await, 401);
}

#[tokio::test]
async fn superset_wants_four_things_for_a_write() {
    let server = Server::start(superset::routes).await;
    let login = |password| {
        let account = json!({
            "username": NAME, "password": password, "provider": "db", "refresh": true
        });
        server.post("/api/v1/security/login").body_of(&account)
    };
    assert_eq!(login("wrong").status().await, 401);
    let tokens = login(PASSWORD).read().await;
    let token = tokens["access_token"].as_str().unwrap();
    let fetch = server
        .get("/api/v1/security/csrf_token/")
        .bearer_auth(token);
    let fetched = fetch.answer().await;
    let cookie = pair(&fetched).to_owned();
    let csrf: Value = serde_json::from_slice(&fetched.bytes().await.unwrap()).unwrap();
    let parts = [
        ("authorization", format!("Bearer {token}")),
        ("cookie", cookie),
        ("x-csrftoken", csrf["result"].as_str().unwrap().to_owned()),
        ("referer", format!("{}/", server.url)),
    ];
    for left_out in 0..=parts.len() {
        let write = server.post("/api/v1/chart/").body_of(&json!({}));
        let sent = parts.iter().enumerate().filter(|(at, _)| *at != left_out);
        let write = sent.fold(write, |write, (_, (name, value))| {
            write.header(*name, value)
        });
        let expected = [401, 400, 400, 400, 201][left_out];
        assert_eq!(write.status().await, expected, "without part {left_out}");
    }
    let refresh = server.post("/api/v1/security/refresh");
    let refreshed = refresh.bearer_auth(tokens["refresh_token"].as_str().unwrap());
    let refreshed = refreshed.read().await;
    assert!(refreshed.get("refresh_token").is_none());
    assert_ne!(refreshed["access_token"], tokens["access_token"]);
}

#[tokio::test]
async fn home_assistant_says_no_with_a_200_and_yes_with_a_code_that_is_good_once() {
    let server = Server::start(home_assistant::routes).await;
    let client = format!("{}/", server.url);
    let begin = json!({
        "client_id": client, "handler": ["homeassistant", null], "redirect_uri": client
    });
    let flow = server.post("/auth/login_flow").body_of(&begin).read().await;
    let path = format!("/auth/login_flow/{}", flow["flow_id"].as_str().unwrap());
    let login = |password| {
        let body = json!({"client_id": client, "username": NAME, "password": password});
        server.post(&path).body_of(&body)
    };
    assert_eq!(
        login("wrong").read().await["errors"]["base"],
        "invalid_auth"
    );
    let code = login(PASSWORD).read().await["result"].take();
    let exchange = || {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str().unwrap()),
            ("client_id", &client),
        ];
        let exchange = server.post("/auth/token").header(FORM.0, FORM.1);
        exchange.body(form(&fields))
    };
    let tokens = exchange().read().await;
    assert_eq!(exchange().status().await, 400);
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(server.get("/api/").bearer_auth(access).status().await, 200);
    server.world.expire_access();
    assert_eq!(server.get("/api/").bearer_auth(access).status().await, 401);
}

#[tokio::test]
async fn pocketbase_takes_a_dead_token_for_a_guest() {
    let server = Server::start(pocketbase::routes).await;
    let login = |password| {
        let body = json!({"identity": NAME, "password": password});
        server
            .post("/api/collections/users/auth-with-password")
            .body_of(&body)
    };
    assert_eq!(login("wrong").status().await, 400);
    let token = login(PASSWORD).read().await["token"].take();
    let token = token.as_str().unwrap();
    let list = || {
        let list = server.get("/api/collections/posts/records");
        list.header("authorization", token)
    };
    assert_eq!(list().read().await["items"][0]["id"], "r1");
    server.world.revoke_all();
    assert_eq!(list().read().await["items"], json!([]));
    let refresh = server.post("/api/collections/users/auth-refresh");
    assert_eq!(refresh.header("authorization", token).status().await, 401);
}

#[tokio::test]
async fn odoo_rotates_the_session_and_tells_its_end_in_a_200() {
    let server = Server::start(odoo::routes).await;
    let login = |password| {
        let params = json!({"db": "acme", "login": NAME, "password": password});
        let body = json!({"jsonrpc": "2.0", "method": "call", "params": params});
        server.post("/web/session/authenticate").body_of(&body)
    };
    assert_eq!(login("wrong").read().await["error"]["code"], 200);
    let answer = login(PASSWORD).answer().await;
    let call = |cookie: &str, method| {
        let body = json!({"jsonrpc": "2.0", "params": {"method": method}});
        let call = server.post("/web/dataset/call_kw");
        call.header("cookie", cookie).body_of(&body)
    };
    let rolled = call(pair(&answer), "write").answer().await;
    assert_eq!(
        call(pair(&rolled), "read").read().await["result"][0]["id"],
        1
    );
    let old = call(pair(&answer), "read").read().await;
    assert_eq!(old["error"]["code"], 100);
}

#[tokio::test]
async fn oauth_decodes_the_name_and_the_secret_of_a_client() {
    let server = Server::start(oauth::client_credentials).await;
    let token = |name: &str, password: &str| {
        let token = server.post("/oauth2/token").header(FORM.0, FORM.1);
        let token = token.body("grant_type=client_credentials");
        token.basic_auth(name, Some(password))
    };
    assert_eq!(token(NAME, PASSWORD).status().await, 401);
    let encoded = form(&[("", PASSWORD)]);
    let good = token(NAME, encoded.trim_start_matches('=')).read().await;
    let access = good["access_token"].as_str().unwrap();
    assert_eq!(server.get("/me").bearer_auth(access).status().await, 200);
}

#[tokio::test]
async fn oauth_ends_a_session_whose_refresh_token_comes_twice() {
    let grant = |server: &Server, fields: &[(&str, &str)]| {
        let token = server.post("/oauth2/token").header(FORM.0, FORM.1);
        token.body(form(fields))
    };
    let by_password = [
        ("grant_type", "password"),
        ("username", NAME),
        ("password", PASSWORD),
    ];
    let by_token = |token| [("grant_type", "refresh_token"), ("refresh_token", token)];

    let server = Server::start(oauth::rotating).await;
    let client = [("client_id", CLIENT)];
    assert_eq!(grant(&server, &by_password).status().await, 401);
    let tokens = grant(&server, &[&client[..], &by_password].concat())
        .read()
        .await;
    let first = [
        &client[..],
        &by_token(tokens["refresh_token"].as_str().unwrap()),
    ]
    .concat();
    let second = grant(&server, &first).read().await;
    assert_ne!(second["refresh_token"], tokens["refresh_token"]);
    assert_eq!(grant(&server, &first).status().await, 400);
    assert_eq!((server.world.live(), server.world.counts().reused), (0, 1));

    let server = Server::start(oauth::lasting).await;
    let pair = form(&[(CLIENT, CLIENT_SECRET)]);
    let (id, secret) = pair.split_once('=').unwrap();
    let grant = |fields: &[(&str, &str)]| grant(&server, fields).basic_auth(id, Some(secret));
    let tokens = grant(&by_password).read().await;
    let refresh = by_token(tokens["refresh_token"].as_str().unwrap());
    for _ in 0..2 {
        let refreshed = grant(&refresh).read().await;
        assert!(refreshed.get("refresh_token").is_none());
    }
}

#[tokio::test]
async fn clay_quinn_and_v1_want_what_their_login_has_given() {
    let servers = [
        (Server::start(clay::routes).await, "/v3/auth/login", 401),
        (Server::start(quinn::routes).await, "/api/auth/login", 401),
        (Server::start(v1_login::routes).await, "/v1/login", 400),
    ];
    for ((server, path, refused), read) in
        (servers.iter()).zip(["/v3/my-workspaces", "/api/auth/me", "/v1/keys"])
    {
        let login = |password| {
            let body = json!({"email": NAME, "password": password, "source": null});
            server.post(path).body_of(&body)
        };
        assert_eq!(login("wrong").status().await, *refused, "{path}");
        let answer = login(PASSWORD).answer().await;
        let carried = if answer.headers().contains_key("set-cookie") {
            ("cookie", pair(&answer).to_owned())
        } else {
            let body = answer.bytes().await.unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            let token = body["data"]["token"].as_str().unwrap();
            ("authorization", format!("Bearer {token}"))
        };
        assert_eq!(server.get(read).status().await, 401, "{read}");
        let live = || server.get(read).header(carried.0, &carried.1);
        assert_eq!(live().status().await, 200, "{read}");
        server.world.revoke_all();
        assert_eq!(live().status().await, 401, "{read}");
    }
    let without_source = json!({"email": NAME, "password": PASSWORD});
    let login = servers[0].0.post("/v3/auth/login").body_of(&without_source);
    assert_eq!(login.status().await, 400);
}

#[tokio::test]
async fn cloudio_wants_the_csrf_value_of_the_same_session() {
    let server = Server::start(cloudio::routes).await;
    let login = |password: &str| {
        let pair = STANDARD.encode(format!("{NAME}:{password}"));
        let login = server.post("/v1/auth").body_of(&json!({}));
        login.header("authorization", format!("Token {pair}"))
    };
    assert_eq!(login("wrong").status().await, 403);
    let (one, other) = (login(PASSWORD).read().await, login(PASSWORD).read().await);
    let read = |csrf: &Value| {
        let query = form(&[("csrf", csrf.as_str().unwrap())]);
        let read = server.get(&format!("/v1/x?{query}"));
        read.bearer_auth(one["jwt"].as_str().unwrap())
    };
    assert_eq!(read(&one["csrf"]).status().await, 200);
    assert_eq!(read(&other["csrf"]).status().await, 401);
}

#[tokio::test]
async fn a_mood_is_how_the_next_logins_are_answered() {
    let server = Server::start(unifi::routes).await;
    let body = json!({"username": NAME, "password": PASSWORD});
    for (mood, status) in [
        (Mood::Locked, 499),
        (Mood::Limited, 429),
        (Mood::Starting, 200),
        (Mood::Open, 200),
    ] {
        server.world.answer_logins_as(mood);
        let login = server.post("/api/auth/login").body_of(&body);
        assert_eq!(login.status().await, status);
    }
    assert_eq!((server.world.counts().logins, server.world.live()), (4, 1));

    let server = Server::start(redfish::routes).await;
    server.world.answer_logins_as(Mood::Full);
    let body = json!({"UserName": NAME, "Password": PASSWORD});
    let login = server.post("/redfish/v1/SessionService/Sessions");
    assert_eq!(login.body_of(&body).status().await, 503);
}

#[tokio::test]
async fn a_csrf_value_ends_before_its_session() {
    let server = Server::start(superset::routes).await;
    let account = json!({
        "username": NAME, "password": PASSWORD, "provider": "db", "refresh": true
    });
    let tokens = server.post("/api/v1/security/login").body_of(&account);
    let token = tokens.read().await["access_token"].take();
    let csrf = || {
        let csrf = server.get("/api/v1/security/csrf_token/");
        csrf.bearer_auth(token.as_str().unwrap()).read()
    };
    let first = csrf().await;
    assert_eq!(first, csrf().await);
    server.world.expire_csrf();
    assert_ne!(first, csrf().await);
    assert_eq!(server.world.counts().repairs, 3);
}

#[tokio::test]
async fn a_login_that_carries_an_old_session_is_noticed() {
    let server = Server::start(vcenter::routes).await;
    let login = || server.post("/api/session").basic_auth(NAME, Some(PASSWORD));
    let session = login().read().await;
    let cookie = format!("id={}", session.as_str().unwrap());
    assert_eq!(login().header("cookie", cookie).status().await, 400);
    assert_eq!(server.world.counts().polluted, 1);
}
