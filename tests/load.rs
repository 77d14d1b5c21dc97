//! Many clients at once, against the real binary. A test binary of its own, so that the load does
//! not disturb the tests that measure time.

#[path = "it/helpers.rs"]
#[expect(dead_code, reason = "the harness of the integration tests")]
mod helpers;
#[path = "it/running.rs"]
#[expect(dead_code, reason = "the harness of the integration tests")]
mod running;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use helpers::{Setup, mount_openai, mount_template};
use running::{Running, command};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Mutex,
};
use wiremock::ResponseTemplate;

/// One at a time: each test needs the machine for itself.
static MACHINE: Mutex<()> = Mutex::const_new(());

const REQUEST: &[u8] = b"GET /v1/models HTTP/1.1\r\nhost: a\r\n\r\n";

/// Sends one request on `stream` and reads the answer: its status and body.
async fn ask(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<(u16, usize)> {
    stream.write_all(REQUEST).await?;
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let Some(end) = buffer
            .windows(4)
            .position(|end| end == b"\r\n\r\n")
            .map(|at| at + 4)
        else {
            continue;
        };
        let head = std::str::from_utf8(&buffer[..end]).expect("a readable head");
        let length = head
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next());
        let length: usize = length.expect("a length").parse().expect("a number");
        if buffer.len() - end >= length {
            return Ok((head[9..12].parse().expect("a status"), end));
        }
    }
}

/// A binary with three providers of as many models each that live for a second.
async fn start(setup: &Setup, models: usize) -> Running {
    let ids: Vec<String> = (0..models)
        .map(|number| format!("model-{number}"))
        .collect();
    mount_openai(&setup.openai, &ids).await;
    mount_openai(&setup.google, &ids).await;
    mount_openai(&setup.anthropic, &ids).await;
    let table = |name, server: &wiremock::MockServer| {
        format!(
            "[providers.{name}]\nbase_url = \"{}/v1\"\nkind = \"openai\"\nttl = \"1s\"\n",
            server.uri()
        )
    };
    let toml = table("openai", &setup.openai)
        + &table("google", &setup.google)
        + &table("anthropic", &setup.anthropic);
    std::fs::write(setup.directory.path().join("load.toml"), toml).expect("written");
    let mut command = command(setup);
    command
        .args(["--listen", "127.0.0.1:0", "--config", "load.toml"])
        .env("MODEL_CATALOG_DISCOVER", "false");
    let running = Running::start(command).await;
    assert_eq!(running.ids().await.len(), 3 * models);
    running
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_clients_for_30_seconds_while_all_providers_misbehave() {
    const CLIENTS: usize = 2_000;
    const TIME: Duration = Duration::from_secs(30);
    let _machine = MACHINE.lock().await;
    rlimit::increase_nofile_limit(12_000).expect("open files");
    let setup = Setup::new().await;
    let running = start(&setup, 200).await;
    for (server, misbehaviour) in [
        (
            &setup.openai,
            ResponseTemplate::new(200).set_delay(Duration::from_secs(60)),
        ),
        (&setup.google, ResponseTemplate::new(500)),
        (
            &setup.anthropic,
            ResponseTemplate::new(200).set_body_string("<html>"),
        ),
    ] {
        server.reset().await;
        mount_template(server, "/v1/models", misbehaviour).await;
    }
    let address = running.base.trim_start_matches("http://").to_owned();
    let expected = Arc::new(running.get("/v1/models").await.into_bytes());
    let asked = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (address, expected, asked) = (address.clone(), expected.clone(), asked.clone());
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.expect("a connection");
                let mut buffer = Vec::new();
                let mut slowest = Duration::ZERO;
                while began.elapsed() < TIME {
                    let sent = Instant::now();
                    let (status, head) = ask(&mut stream, &mut buffer).await.expect("an answer");
                    slowest = slowest.max(sent.elapsed());
                    assert_eq!(status, 200);
                    assert!(buffer[head..] == expected[..], "the list as it was");
                    asked.fetch_add(1, Ordering::Relaxed);
                }
                slowest
            })
        })
        .collect();
    let mut slowest = Duration::ZERO;
    for client in clients {
        slowest = slowest.max(client.await.expect("every answer is a 200"));
    }
    for server in [&setup.openai, &setup.google, &setup.anthropic] {
        assert!(
            Setup::calls(server).await > 0,
            "the providers were asked meanwhile"
        );
    }
    println!(
        "{CLIENTS} clients for {} s: {} answers, all 200, the slowest after {slowest:?}; peak memory {} KiB",
        TIME.as_secs(),
        asked.load(Ordering::Relaxed),
        running.peak_memory_kib()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections_are_no_matter() {
    let _machine = MACHINE.lock().await;
    let files = rlimit::increase_nofile_limit(12_000).expect("open files");
    let connections = usize::try_from(files.saturating_sub(1_000))
        .expect("a number")
        .min(10_000);
    let setup = Setup::new().await;
    let running = start(&setup, 200).await;
    let address = running.base.trim_start_matches("http://").to_owned();
    let mut left = Vec::new();
    let mut buffer = Vec::new();
    for _ in 0..connections {
        let mut stream = TcpStream::connect(&address).await.expect("a connection");
        let (status, _) = ask(&mut stream, &mut buffer).await.expect("an answer");
        assert_eq!(status, 200);
        left.push(stream);
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let began = Instant::now();
        assert_eq!(running.ids().await.len(), 600);
        slowest = slowest.max(began.elapsed());
    }
    assert!(
        slowest < Duration::from_millis(100),
        "a new client waited {slowest:?}"
    );
    println!(
        "{connections} idle connections: a new client is answered within {slowest:?}; peak memory {} KiB",
        running.peak_memory_kib()
    );
}

/// The bytes of answers that the system holds for the clients of a local port, per connection.
#[cfg(target_os = "linux")]
fn unsent_bytes(port: &str) -> Vec<u64> {
    let port = format!(":{:04X}", port.parse::<u16>().expect("a port"));
    let connections = std::fs::read_to_string("/proc/net/tcp").expect("readable");
    let columns = connections
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    columns
        .filter(|columns| columns[1].ends_with(&port) && columns[3] == "01")
        .map(|columns| u64::from_str_radix(&columns[4][..8], 16).expect("a number"))
        .collect()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_clients_that_do_not_read_cost_little() {
    const CLIENTS: usize = 2_000;
    let _machine = MACHINE.lock().await;
    rlimit::increase_nofile_limit(12_000).expect("open files");
    let setup = Setup::new().await;
    // A list of more than four megabytes, the most that the system would take by itself.
    let running = start(&setup, 13_000).await;
    assert!(running.get("/v1/models").await.len() > 4 << 20);
    let at_rest = running.peak_memory_kib();
    let address = running.base.trim_start_matches("http://").to_owned();
    let (_, port) = address.rsplit_once(':').expect("a port");
    let mut left = Vec::new();
    for _ in 0..CLIENTS {
        let mut stream = TcpStream::connect(&address).await.expect("a connection");
        stream.write_all(REQUEST).await.expect("sent");
        left.push(stream);
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    let unsent = loop {
        let unsent = unsent_bytes(port);
        if unsent.iter().filter(|unsent| **unsent > 0).count() >= CLIENTS {
            break unsent;
        }
        assert!(Instant::now() < deadline, "not all are being answered");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(running.ids().await.len(), 39_000, "others are served");
    let largest = unsent.iter().max().copied().unwrap_or_default();
    assert!(largest <= 256 << 10, "{largest} bytes for one client");
    let grown = running.peak_memory_kib() - at_rest;
    assert!(grown < 128 << 10, "{grown} KiB more");
    println!(
        "{CLIENTS} clients that do not read: {} KiB held by the system, {largest} bytes for one at most; {grown} KiB more memory",
        unsent.iter().sum::<u64>() >> 10
    );
}
