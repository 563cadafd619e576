//! The integrations: a whole call through each, beside what a program without them uses.
//!
//! Requests are made before the clock runs, and dropped at the end of the stack, where a client
//! would send them. The reqwest chain ends in a middleware that responds at once: the time of a
//! network hides what is measured, as `reqwest_loopback` shows.

use std::sync::LazyLock;

use auth_benches::ours::{self, Credentials};
use auth_benches::{
    CloneOnce, Inserting, Logins, Responding, Terminal, header_of, is_quick, longest, quickly,
    request, reqwest_request, token, two_workers,
};
use auth_middleware::AuthMiddleware;
use divan::{AllocProfiler, Bencher};
use futures_util::FutureExt;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

static OURS: LazyLock<Credentials> = LazyLock::new(|| ours::logged_in(&two_workers()));

/// The middleware of a client that follows no redirect by itself.
fn middleware(credentials: Credentials) -> AuthMiddleware {
    let builder = reqwest::Client::builder().no_proxy();
    let built = AuthMiddleware::with_client(builder, credentials);
    built.expect("a client").1
}

fn main() {
    divan::Divan::default()
        // The requests of one sample fit into the cache.
        .sample_size(quickly(32, 8))
        .sample_count(quickly(1_000, 20))
        .max_time(longest(is_quick()))
        .config_with_args()
        .main();
}

/// A tower stack over a service that responds at once.
mod tower_stack {
    use auth_middleware::AuthLayer;
    use bytes::Bytes;
    use http::header::AUTHORIZATION;
    use http::{HeaderValue, Request};
    use http_body_util::Full;
    use tower::retry::RetryLayer;
    use tower::{Layer, Service};
    use tower_http::set_header::SetRequestHeaderLayer;

    use super::{
        Bencher, CloneOnce, FutureExt, LazyLock, OURS, Responding, header_of, request, token,
    };

    fn bench<S>(bencher: Bencher<'_, '_>, mut service: S)
    where
        S: Service<Request<Full<Bytes>>>,
    {
        bencher.with_inputs(request).bench_local_values(|request| {
            let response = service.call(request).now_or_never();
            assert!(matches!(response, Some(Ok(_))));
        });
    }

    fn constant() -> SetRequestHeaderLayer<HeaderValue> {
        SetRequestHeaderLayer::overriding(AUTHORIZATION, header_of(&token()))
    }

    #[divan::bench]
    fn replay_off_constant_header(bencher: Bencher<'_, '_>) {
        bench(bencher, constant().layer(Responding::default()));
    }

    #[divan::bench]
    fn replay_off_ours(bencher: Bencher<'_, '_>) {
        let layer = AuthLayer::new(LazyLock::force(&OURS).clone()).without_replay();
        bench(bencher, layer.layer(Responding::default()));
    }

    #[divan::bench]
    fn replay_on_retry_over_constant_header(bencher: Bencher<'_, '_>) {
        let service = constant().layer(Responding::default());
        bench(
            bencher,
            RetryLayer::new(CloneOnce::default()).layer(service),
        );
    }

    #[divan::bench]
    fn replay_on_ours(bencher: Bencher<'_, '_>) {
        let layer = AuthLayer::new(LazyLock::force(&OURS).clone());
        bench(bencher, layer.layer(Responding::default()));
    }
}

/// A chain of reqwest-middleware that ends in one that responds at once.
mod reqwest_chain {
    use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
    use reqwest_retry::RetryTransientMiddleware;
    use reqwest_retry::policies::ExponentialBackoff;

    use super::{
        Bencher, FutureExt, Inserting, LazyLock, OURS, Terminal, header_of, middleware,
        reqwest_request, token,
    };

    fn chain() -> ClientBuilder {
        ClientBuilder::new(reqwest::Client::new())
    }

    fn bench(bencher: Bencher<'_, '_>, chain: ClientBuilder) {
        let client: ClientWithMiddleware = chain.with(Terminal::default()).build();
        bencher
            .with_inputs(reqwest_request)
            .bench_local_values(|request| {
                let response = client.execute(request).now_or_never();
                assert!(matches!(response, Some(Ok(_))));
            });
    }

    #[divan::bench]
    fn nothing(bencher: Bencher<'_, '_>) {
        bench(bencher, chain());
    }

    #[divan::bench]
    fn ours_replay_off(bencher: Bencher<'_, '_>) {
        let ours = middleware(LazyLock::force(&OURS).clone());
        bench(bencher, chain().with(ours.without_replay()));
    }

    #[divan::bench]
    fn ours_replay_on(bencher: Bencher<'_, '_>) {
        let ours = middleware(LazyLock::force(&OURS).clone());
        bench(bencher, chain().with(ours));
    }

    #[divan::bench]
    fn retry_over_inserting(bencher: Bencher<'_, '_>) {
        let policy = ExponentialBackoff::builder().build_with_max_retries(1);
        let retry = RetryTransientMiddleware::new_with_policy(policy);
        let inserting = Inserting::new(header_of(&token()));
        bench(bencher, chain().with(retry).with(inserting));
    }
}

/// reqwest itself, to a server on loopback that responds to each request with 200 and no body.
mod reqwest_loopback {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{TcpListener, TcpStream};

    use reqwest_middleware::ClientBuilder;
    use tokio::runtime::Runtime;

    use super::{
        Bencher, Inserting, LazyLock, Logins, header_of, middleware, ours, reqwest_request, token,
        two_workers,
    };

    static RUNTIME: LazyLock<Runtime> = LazyLock::new(two_workers);
    static ORIGIN: LazyLock<String> = LazyLock::new(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || serve(&stream));
            }
        });
        format!("http://{address}")
    });

    /// Serves one connection until the client closes it.
    fn serve(stream: &TcpStream) -> Option<()> {
        let (mut output, mut lines) = (stream, BufReader::new(stream).lines());
        loop {
            while !lines.next()?.ok()?.is_empty() {}
            let response = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            output.write_all(response).ok()?;
        }
    }

    fn bench(bencher: Bencher<'_, '_>, with: impl FnOnce(ClientBuilder) -> ClientBuilder) {
        let client = reqwest::Client::builder().no_proxy().build();
        let client = with(ClientBuilder::new(client.expect("a client"))).build();
        let url: reqwest::Url = ORIGIN.parse().expect("a URL");
        let request = || {
            let mut request = reqwest_request();
            *request.url_mut() = url.clone();
            *request.body_mut() = None;
            request
        };
        bencher.with_inputs(request).bench_local_values(|request| {
            let response = RUNTIME.block_on(client.execute(request));
            assert!(response.is_ok_and(|response| response.status() == 200));
        });
    }

    #[divan::bench]
    fn inserting(bencher: Bencher<'_, '_>) {
        bench(bencher, |chain| {
            chain.with(Inserting::new(header_of(&token())))
        });
    }

    #[divan::bench]
    fn ours_replay_on(bencher: Bencher<'_, '_>) {
        let logins = Logins::at_once();
        let credentials = ours::scoped(&logins, &ORIGIN);
        ours::log_in(&RUNTIME, &credentials);
        let ours = middleware(credentials);
        bench(bencher, |chain| chain.with(ours));
        assert_eq!(logins.count(), 1);
    }
}
