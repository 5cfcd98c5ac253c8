//! Servers that do not behave, over real connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use teloxide::requests::{HasPayload, Requester};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::telegram::bot_api::call::{self, ANSWER_BYTES};
use crate::telegram::bot_api::{BotApi, POLL_AT_MOST};

/// A bot that calls the server at this address.
fn bot_at(scheme: &str, listener: &TcpListener) -> BotApi {
    let url = format!("{scheme}://{}", listener.local_addr().unwrap());
    let token = Secret::new("123456:s3cret".to_owned());
    let bot = build(&token, &url.parse().unwrap()).unwrap();
    BotApi { bot, id: 7, username: String::new() }
}

/// Reads one request; none when the connection ended.
async fn request(stream: &mut TcpStream) -> Option<()> {
    let mut read = [0; 4096];
    (stream.read(&mut read).await.ok()? > 0).then_some(())
}

async fn reply(stream: &mut TcpStream, body: &str) {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
}

/// Answers all requests, and counts the connections.
fn serve(listener: TcpListener) -> Arc<AtomicUsize> {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                while request(&mut stream).await.is_some() {
                    reply(&mut stream, r#"{"ok":true,"result":[]}"#).await;
                }
            });
        }
    });
    connections
}

/// A long poll gives up on a connection that does not come about long before its own time is over.
async fn gives_up(bot: &BotApi) {
    let polled = tokio::time::timeout(POLL_AT_MOST / 2, bot.updates(0, POLL_AT_MOST)).await;
    let polled = polled.expect("it waits as long as for updates");
    assert!(matches!(polled, Err(BotError::Transient(_))), "{polled:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_server_that_accepts_no_connection_is_given_up_and_called_again() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // The system completes this many connections by itself, and then no more.
    let mut full = Vec::new();
    while let Ok(made) =
        tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
    {
        full.push(made.unwrap());
        assert!(full.len() < 100, "the queue of connections is never full");
    }
    let bot = bot_at("http", &listener);
    gives_up(&bot).await;
    serve(listener);
    assert_eq!(bot.updates(0, Duration::ZERO).await.unwrap(), b"[]");
}

#[tokio::test]
async fn a_server_that_does_not_begin_to_speak_tls_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bot = bot_at("https", &silent);
    tokio::select! {
        () = gives_up(&bot) => {}
        _never = async {
            let mut open = Vec::new();
            loop {
                open.push(silent.accept().await.unwrap());
            }
        } => {}
    }
}

#[tokio::test]
async fn a_connection_that_was_idle_for_too_long_is_not_used_again() {
    let idle = Duration::from_millis(50);
    for (idle_at_most, expected) in [(idle * 1_000, 1), (Duration::from_millis(1), 2)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut bot = bot_at("http", &listener);
        bot.bot = Bot::with_client("123456:s3cret", http(idle_at_most).unwrap())
            .set_api_url(bot.bot.api_url());
        let connections = serve(listener);
        for _ in 0..2 {
            bot.updates(0, Duration::ZERO).await.unwrap();
            tokio::time::sleep(idle).await;
        }
        assert_eq!(connections.load(Ordering::SeqCst), expected, "{idle_at_most:?}");
    }
}

/// Sends an answer of four times the length that is read, in a body without a declared length.
async fn answer_without_end(listener: TcpListener, status: &str) {
    let (mut stream, _) = listener.accept().await.unwrap();
    request(&mut stream).await.unwrap();
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n{{\"ok\":true,\"result\":[");
    stream.write_all(head.as_bytes()).await.unwrap();
    let spaces = vec![b' '; 1 << 20];
    for _ in 0..(4 * ANSWER_BYTES / spaces.len()) {
        if stream.write_all(&spaces).await.is_err() {
            return;
        }
    }
    let _ = stream.write_all(b"]}").await; // Whoever has read so far has no limit.
}

#[tokio::test]
async fn an_answer_that_does_not_end_costs_its_call_and_not_the_memory() {
    for (status, expected) in [
        ("200 OK", "the Bot API's answer to getUpdates cannot be used: it is longer than 32 MiB"),
        ("502 Bad Gateway", "the Bot API does not answer: status 502 with too long an answer"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bot = bot_at("http", &listener);
        tokio::spawn(answer_without_end(listener, status));
        let error = bot.updates(0, Duration::ZERO).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn a_method_is_named_as_the_bot_api_spells_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bot = bot_at("http", &listener);
    tokio::spawn(answer_without_end(listener, "200 OK"));
    let error = call::call(&bot.bot, bot.bot.get_me().payload_ref()).await.unwrap_err();
    assert!(error.to_string().contains("answer to getMe "), "{error}");
}
