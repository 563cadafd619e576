//! Logs ureq in, a client that blocks and has no place for a middleware: each request is sent
//! through the credentials.

#![allow(clippy::print_stdout, reason = "it prints the results")]

use std::io;
use std::time::Duration;

use auth_core::{Credentials, SendError};
use auth_providers::demo::{Api, DemoServer, EMAIL, PASSWORD};
use auth_providers::{Clay, Login, ReqwestTransport};
use http::Request;
use ureq::Body;

fn main() -> anyhow::Result<()> {
    // The demo server runs on a runtime of its own. The program below has none.
    let runtime = tokio::runtime::Runtime::new()?;
    let server = runtime.block_on(DemoServer::start(Api::Clay))?;
    let clay = Clay::new(EMAIL, PASSWORD)?.base_url(server.base_url())?;
    let workspaces = clay.url("/v3/my-workspaces");
    let credentials = Credentials::new(clay.via(ReqwestTransport::new()?));

    // A 401 is a response to judge and no error, and no redirect leads the credential elsewhere.
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(Duration::from_secs(10)))
        .build()
        .into();

    // With the credential, and once more if it is rejected.
    let send = |request: Request<&'static str>| {
        credentials.blocking_send(request, |request| {
            agent
                .run(request)
                .map(|response| response.map(Body::into_reader))
        })
    };

    // A login begins with the first request. Threads share it.
    std::thread::scope(|scope| {
        let get = || anyhow::Ok(send(Request::get(&workspaces).body("")?)?.status());
        let threads: Vec<_> = (0..20).map(|_| scope.spawn(get)).collect();
        threads.into_iter().try_for_each(|thread| {
            let status = thread.join().expect("the thread did not panic")?;
            anyhow::ensure!(status == 200, "each request is served");
            Ok(())
        })
    })?;
    println!("20 threads, {} login", server.counts().logins.ok);
    anyhow::ensure!(server.counts().logins.ok == 1, "one login for all threads");

    // The server revokes its sessions. The caller does not notice.
    server.revoke_all();
    let response = send(Request::post(&workspaces).body("a body that goes out twice")?)?;
    let status = response.status();
    let echoed = io::read_to_string(response.into_body())?;
    println!("after a revocation: {status}, echoed: {echoed:?}");
    anyhow::ensure!(status == 200 && server.counts().logins.ok == 2, "one more");

    let wrong = Clay::new(EMAIL, "not the password")?.base_url(server.base_url())?;
    let wrong = Credentials::new(wrong.via(ReqwestTransport::new()?));
    let request = Request::get(&workspaces).body(())?;
    let refused = wrong.blocking_send(request, |request| {
        agent
            .run(request)
            .map(|response| response.map(Body::into_reader))
    });
    let Err(SendError::Auth(error)) = refused else {
        anyhow::bail!("a wrong password is an error of the login");
    };
    println!("a wrong password: {error}");
    anyhow::ensure!(error.is_login_refused());
    runtime.block_on(server.shutdown());
    Ok(())
}
