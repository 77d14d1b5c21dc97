//! Whatever clients do: slow, silent, huge, odd. Nobody else notices.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::helpers::{Setup, TestApp, mount_openai};

/// Sends `bytes` on a connection of its own and reads until the server closes or 10 s have passed.
async fn raw(app: &TestApp, bytes: &[u8]) -> String {
    let mut stream = connect(app).await;
    // The server may close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn connect(app: &TestApp) -> TcpStream {
    TcpStream::connect(app.base.trim_start_matches("http://"))
        .await
        .expect("a connection")
}

fn status(answer: &str) -> u16 {
    let status = answer
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    status
        .unwrap_or_else(|| panic!("no answer: {answer}"))
        .parse()
        .expect("a status")
}

#[tokio::test]
async fn slow_and_silent_clients_are_cut_off() {
    let mut setup = Setup::happy().await;
    setup.client_timeout = Duration::from_secs(1);
    let app = setup.start_ready().await;

    let silent = async {
        let mut stream = connect(&app).await;
        let mut buffer = Vec::new();
        // Closed without a word or with a 408: either ends it.
        stream.read_to_end(&mut buffer).await.map_or(true, |_| true)
    };
    let dripping = async {
        let mut stream = connect(&app).await;
        for byte in b"GET /v1/models HTTP/1.1\r\nhost: a\r\nx-slow: "
            .iter()
            .chain(std::iter::repeat(&b'x'))
        {
            if stream.write_all(&[*byte]).await.is_err() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    };
    let idle = async {
        let mut stream = connect(&app).await;
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .expect("sent");
        let mut buffer = Vec::new();
        stream
            .read_to_end(&mut buffer)
            .await
            .expect("closed in order");
        buffer.starts_with(b"HTTP/1.1 200")
    };
    let began = Instant::now();
    let ended = tokio::time::timeout(Duration::from_secs(10), async {
        tokio::join!(silent, dripping, idle)
    })
    .await;
    assert_eq!(ended.expect("all are cut off"), (true, true, true));
    assert!(
        began.elapsed() >= Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(app.models().await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let mut setup = Setup::happy().await;
    setup.client_timeout = Duration::from_secs(1);
    setup.openai.reset().await;
    let ids: Vec<String> = (0..5_000)
        .map(|number| format!("a-rather-long-name-of-a-model-{number}"))
        .collect();
    mount_openai(&setup.openai, &ids).await;
    let app = setup.start_ready().await;
    let length = app.models().await.body.len();
    const REQUESTS: usize = 60;
    assert!(length * REQUESTS > 20_000_000, "more than sockets hold");

    let mut stream = connect(&app).await;
    stream
        .write_all(&b"GET /v1/models HTTP/1.1\r\nhost: a\r\n\r\n".repeat(REQUESTS))
        .await
        .expect("sent");
    // Reading nothing for longer than the limit is the point here, not a wait for a condition.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let mut read = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut read)).await;
    assert!(ended.is_ok(), "the connection is still open");
    assert!(
        read.len() < length * REQUESTS,
        "{} of {} bytes",
        read.len(),
        length * REQUESTS
    );
    app.stop().await;
}

#[tokio::test]
async fn large_heads_and_paths_are_refused_and_nothing_breaks() {
    let app = Setup::happy().await.start_ready().await;
    for (what, head) in [
        (
            "a path of 64 kB",
            format!(
                "GET /v1/models/{} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
                "x".repeat(65_536)
            ),
        ),
        (
            "a header of 200 kB",
            format!(
                "GET /v1/models HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
                "x".repeat(200_000)
            ),
        ),
        (
            "1,000 headers",
            format!(
                "GET /v1/models HTTP/1.1\r\n{}\r\n",
                "x: y\r\n".repeat(1_000)
            ),
        ),
        ("no HTTP", "hello\r\n\r\n".to_owned()),
    ] {
        let status = status(&raw(&app, head.as_bytes()).await);
        assert!((400..500).contains(&status), "{what}: {status}");
    }
    let path = format!("/v1/models/{}", "x".repeat(30_000));
    let answer = app.get(&path).await;
    assert_eq!(answer.status, 404);
    assert!(answer.body.len() < 1_000, "an error does not repeat it all");

    let body = vec![b'x'; 5_000_000];
    let answer = app
        .http
        .post(app.url("/catalog/refresh?source=openai"))
        .body(body)
        .send()
        .await;
    // The answer may come before the body has been read; the connection may then be closed.
    if let Ok(answer) = answer {
        assert!(answer.status().as_u16() < 500);
    }
    assert_eq!(app.models().await.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn odd_ids_and_headers_are_answered_in_order() {
    let app = Setup::happy().await.start_ready().await;
    for target in [
        "/v1/models/%",
        "/v1/models/%zz",
        "/v1/models/%00",
        "/v1/models/%ff%fe",
        "/v1/models/..%2f..%2fetc%2fpasswd",
        "/v1/models/../models",
        "/v1/models/openai:%67pt-z",
        "/v1/models//",
        "/v1/models/%F0%9F%A6%80",
        "/v1/models/a?b=c%",
        "/v1/models/openai%3A",
        "/v1/models/;x=y",
    ] {
        let answer = raw(
            &app,
            format!("GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").as_bytes(),
        )
        .await;
        assert_eq!(status(&answer), 404, "{target}");
        assert!(answer.contains(r#""code":"#), "{target}: {answer}");
    }
    // Partly encoded is found too.
    let answer = raw(
        &app,
        b"GET /v1/models/openai:%67pt-a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert_eq!(status(&answer), 200);

    let plain = app.models().await;
    for (header, value) in [
        ("range", "bytes=0-10"),
        ("if-none-match", "\"unterminated"),
        ("if-none-match", ",,,"),
        ("accept", "text/html"),
        ("accept-encoding", "nonsense;q=x"),
        ("if-modified-since", "yesterday"),
        ("expect", "200-maybe"),
        ("content-length", "0"),
    ] {
        let answer = app
            .send(app.http.get(app.url("/v1/models")).header(header, value))
            .await;
        assert_eq!(
            (answer.status, answer.body),
            (200, plain.body.clone()),
            "{header}: {value}"
        );
    }
    app.stop().await;
}

/// The open-file limit bounds the connections: more wait to be accepted, and are when others end.
#[cfg(unix)]
#[tokio::test]
async fn connections_over_the_limit_wait_for_others_to_end() {
    use std::process::Command;

    use crate::running::{Running, command};

    const SLOTS: usize = 600 - 256;
    let setup = Setup::new().await;
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "ulimit -n 600; exec \"$0\" --listen 127.0.0.1:0"])
        .arg(command(&setup).get_program())
        .env_clear()
        .env("MODEL_CATALOG_LOG_FORMAT", "human")
        .env("MODEL_CATALOG_DISCOVER", "false")
        .current_dir(setup.directory.path());
    let running = Running::start(shell).await;
    let address = running.base.trim_start_matches("http://").to_owned();
    let (answered, mut answers) = tokio::sync::mpsc::unbounded_channel();
    let mut clients = Vec::new();
    for _ in 0..SLOTS + 50 {
        let (address, answered) = (address.clone(), answered.clone());
        clients.push(tokio::spawn(async move {
            let mut stream = TcpStream::connect(&address).await.expect("a connection");
            stream
                .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
                .await
                .expect("sent");
            let mut start = [0; 12];
            stream.read_exact(&mut start).await.expect("an answer");
            assert_eq!(&start, b"HTTP/1.1 200");
            answered.send(()).expect("somebody counts");
            std::future::pending::<()>().await;
            drop(stream);
        }));
    }
    for _ in 0..SLOTS {
        answers.recv().await.expect("an answer");
    }
    let more = tokio::time::timeout(Duration::from_secs(1), answers.recv()).await;
    assert!(more.is_err(), "more than {SLOTS} at a time");
    // Whoever has been answered goes; the others come in.
    let mut others = 0;
    for client in &clients {
        client.abort();
        if tokio::time::timeout(Duration::from_millis(200), answers.recv())
            .await
            .is_ok_and(|answer| answer.is_some())
        {
            others += 1;
        }
        if others == 25 {
            break;
        }
    }
    assert_eq!(others, 25);
}
