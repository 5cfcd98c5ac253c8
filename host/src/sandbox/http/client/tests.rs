use ops::trace::TraceContext;

use super::*;
use crate::plugin_config::PluginConfig;

fn client(grants: &[&str]) -> HttpClient {
    let origins = grants.iter().map(|text| Origin::parse_grant(text).unwrap()).collect();
    let limits = PluginConfig::nothing_granted().limits;
    HttpClient::new("search", NetGrants::new(origins), Vec::new(), limits).unwrap()
}

async fn get(client: &HttpClient, uri: &str) -> Result<http::Response<WasiBody>, HttpError> {
    ask(client, "GET", uri).await
}

async fn ask(
    client: &HttpClient,
    method: &str,
    uri: &str,
) -> Result<http::Response<WasiBody>, HttpError> {
    let empty = http_body_util::Empty::new().map_err(|never| match never {});
    let request = http::Request::builder().method(method).uri(uri);
    let request = request.body(BodyExt::boxed_unsync(empty)).unwrap();
    client.send(request, None, Breaches::default(), &LastRequest::default()).await
}

#[tokio::test]
async fn what_is_not_granted_is_refused_before_anything_is_resolved() {
    let client = client(&["https://forum.example"]);
    let refused = get(&client, "https://other.example/").await.unwrap_err();
    assert!(matches!(refused, HttpError::HttpRequestDenied), "{refused:?}");
}

#[tokio::test]
async fn a_granted_literal_address_is_reached_and_a_redirect_is_the_plugins_to_follow() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                use tokio::io::{AsyncReadExt, AsyncWriteExt};
                let mut request = [0; 1024];
                let _ = socket.read(&mut request).await;
                let _ = socket
                    .write_all(b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 2\r\n\r\nok")
                    .await;
            });
        }
    });
    let literal = format!("http://127.0.0.1:{port}");
    let response = get(&client(&[&literal]), &format!("{literal}/x")).await.unwrap();
    // Not followed: the plugin sees the redirect itself.
    assert_eq!(response.status(), 302);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "ok");
}

/// Sends a request with headers of the plugin's own, for a task in `trace`, and returns how it arrived.
async fn arrived(traced: bool, trace: TraceContext) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(socket.read_u8().await.unwrap());
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        socket.write_all(answer).await.unwrap();
        String::from_utf8(request).unwrap()
    });
    let origins = || vec![Origin::parse_grant(&peer).unwrap()];
    let told = if traced { origins() } else { Vec::new() };
    let grants = NetGrants::new(origins()).traced(told).unwrap();
    let limits = PluginConfig::nothing_granted().limits;
    let client = HttpClient::new("search", grants, Vec::new(), limits).unwrap();
    let empty = http_body_util::Empty::new().map_err(|never| match never {});
    let request = http::Request::get(&peer)
        .header("traceparent", "00-11111111111111111111111111111111-2222222222222222-01")
        .header("tracestate", "of=plugin")
        .header("baggage", "of=plugin")
        .header("x-own", "kept")
        .body(BodyExt::boxed_unsync(empty))
        .unwrap();
    let last = LastRequest::default();
    let sending = client.send(request, None, Breaches::default(), &last);
    trace::within(Some(trace::Current::new(trace)), sending).await.unwrap();
    serving.await.unwrap()
}

#[tokio::test]
async fn a_server_is_told_the_trace_only_where_the_grant_says_so_and_only_the_hosts_own() {
    let trace = TraceContext::unsampled_root();
    let told = arrived(true, trace).await;
    assert!(told.contains(&format!("traceparent: {}\r\n", trace.traceparent())), "{told}");
    let untold = arrived(false, trace).await;
    assert!(!untold.contains("traceparent") && !untold.contains(&trace.trace_id()), "{untold}");
    for arrived in [told, untold] {
        assert!(!arrived.contains("1111") && !arrived.contains("of=plugin"), "{arrived}");
        assert!(arrived.contains("x-own: kept\r\n"), "{arrived}");
    }
}

#[tokio::test]
async fn an_address_in_another_spelling_is_not_granted_with_a_name() {
    let client = client(&["http://forum.example"]);
    for uri in ["http://2130706433/", "http://0x7f.1/", "http://127.0.0.1./", "http://[::1]/"] {
        let refused = get(&client, uri).await.unwrap_err();
        assert!(matches!(refused, HttpError::HttpRequestDenied), "{uri}: {refused:?}");
    }
}

#[tokio::test]
async fn trace_and_connect_are_refused_in_any_spelling() {
    let client = client(&["http://127.0.0.1:1"]);
    for method in ["TRACE", "trace", "Trace", "CONNECT", "connect"] {
        let refused = ask(&client, method, "http://127.0.0.1:1/").await.unwrap_err();
        assert!(matches!(refused, HttpError::HttpRequestMethodInvalid), "{method}: {refused:?}");
    }
}

#[tokio::test]
async fn a_granted_name_for_a_private_address_is_not_reached() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let named = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    // Its resolver takes `localhost` for any name: the owner of a public name may point it here.
    let mut client = client(&["https://forum.example"]);
    client.grants = Arc::new(NetGrants::new(vec![Origin::parse_grant(&named).unwrap()]));
    let refused = get(&client, &named).await.unwrap_err();
    assert!(matches!(refused, HttpError::DestinationIpProhibited), "{refused:?}");
}

#[tokio::test]
async fn a_connection_that_was_idle_for_too_long_is_not_used_again() {
    let idle = Duration::from_millis(50);
    for (idle_timeout, expected) in [(idle * 1_000, 1), (Duration::from_millis(1), 2)] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let literal = format!("http://{}", listener.local_addr().unwrap());
        let grants = NetGrants::new(vec![Origin::parse_grant(&literal).unwrap()]);
        let limits = PluginConfig::nothing_granted().limits;
        let client =
            HttpClient::with_idle_timeout("search", grants, Vec::new(), limits, idle_timeout);
        let client = client.unwrap();
        let connections = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                tokio::spawn(async move {
                    use tokio::io::{AsyncReadExt, AsyncWriteExt};
                    let mut request = [0; 1024];
                    while socket.read(&mut request).await.is_ok_and(|bytes| bytes > 0) {
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                        socket.write_all(answer).await.unwrap();
                    }
                });
            }
        });
        for _ in 0..2 {
            let response = get(&client, &literal).await.unwrap();
            response.into_body().collect().await.unwrap();
            tokio::time::sleep(idle).await;
        }
        let connections = connections.load(std::sync::atomic::Ordering::SeqCst);
        assert_eq!(connections, expected, "{idle_timeout:?}");
    }
}
