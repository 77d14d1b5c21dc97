//! Nothing that happens to stdout and stderr stops the service or makes a command panic: a full
//! disk, a reader that has gone, a reader that does not read.

use std::{
    fs::File,
    io::{BufRead, BufReader, PipeReader, Write, pipe},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rstest::rstest;

use crate::{
    helpers::{Setup, mount_openai},
    running::{Running, command, command_with_providers, sqlx_exec},
};

/// Where the log goes, and what must live as long as the service.
struct Sink {
    stderr: Stdio,
    _reader: Option<PipeReader>,
    _head: Option<Child>,
}

impl Sink {
    /// A device that is always full.
    fn full() -> Self {
        let full = File::options().write(true).open("/dev/full");
        Self {
            stderr: full.expect("Linux has it").into(),
            _reader: None,
            _head: None,
        }
    }

    /// A pipe whose reader has gone, as of `| tee` when that was killed.
    fn closed() -> Self {
        let (_, writer) = pipe().expect("a pipe");
        Self {
            stderr: writer.into(),
            _reader: None,
            _head: None,
        }
    }

    /// A pipe that is full because nobody reads it, as of a log shipper that was stopped.
    fn unread() -> Self {
        let (reader, mut writer) = pipe().expect("a pipe");
        // What a pipe holds is 64 KiB by default.
        writer.write_all(&[b'x'; 64 * 1024]).expect("written");
        Self {
            stderr: writer.into(),
            _reader: Some(reader),
            _head: None,
        }
    }

    /// `2>&1 | head -1`.
    fn head() -> Self {
        let (reader, writer) = pipe().expect("a pipe");
        let head = Command::new("head")
            .arg("-1")
            .stdin(reader)
            .stdout(Stdio::null())
            .spawn();
        Self {
            stderr: writer.into(),
            _reader: None,
            _head: Some(head.expect("head runs")),
        }
    }
}

async fn lines_lost(running: &Running) -> u64 {
    let metrics = running.get("/metrics").await;
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("model_catalog_log_lines_lost_total "));
    line.expect("the metric").parse().expect("a number")
}

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[rstest]
#[case::full(Sink::full())]
#[case::closed(Sink::closed())]
#[case::unread(Sink::unread())]
#[case::head(Sink::head())]
#[tokio::test]
async fn a_log_that_cannot_be_written_stops_nothing(#[case] sink: Sink) {
    let Sink {
        stderr,
        _reader,
        _head,
    } = sink;
    let setup = Setup::happy().await;
    let mut command = command_with_providers(&setup);
    command.env("RUST_LOG", "trace");
    let mut running = Running::start_unread(command, stderr).await;
    // A first fetch that still runs would put off the next one again.
    until("the first list", async || {
        running.ids().await.contains(&"openai:gpt-a".to_owned())
    })
    .await;
    for round in 0..3 {
        let new = format!("new-{round}");
        setup.openai.reset().await;
        mount_openai(&setup.openai, &["gpt-a", "gpt-b", &new]).await;
        sqlx_exec(
            &setup,
            "UPDATE sources SET next_attempt_at = '2020-01-01T00:00:00.000Z' WHERE name = 'openai'",
        )
        .await;
        let listed = format!("openai:{new}");
        until(&listed, async || running.ids().await.contains(&listed)).await;
    }
    until("lines are lost", async || {
        for _ in 0..100 {
            running.ids().await;
        }
        lines_lost(&running).await > 100
    })
    .await;
    assert!(running.peak_memory_kib() < 128 * 1024);
    let (code, took) = running.stop("-TERM");
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");
}

/// What was lost is said once the log can be written again.
#[tokio::test]
async fn lost_lines_are_counted_and_said() {
    let setup = Setup::happy().await;
    let (reader, writer) = pipe().expect("a pipe");
    let mut command = command_with_providers(&setup);
    command.env("RUST_LOG", "trace");
    let mut running = Running::start_unread(command, writer.into()).await;
    until("lines are lost", async || {
        for _ in 0..100 {
            running.ids().await;
        }
        lines_lost(&running).await > 0
    })
    .await;
    let said = std::thread::spawn(move || {
        BufReader::new(reader)
            .lines()
            .map_while(Result::ok)
            .filter(|line| line.contains("lines of the log could not be written"))
            .count()
    });
    until("nothing more is lost", async || {
        let before = lines_lost(&running).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        running.ids().await;
        lines_lost(&running).await == before
    })
    .await;
    assert_eq!(running.stop("-TERM").0, Some(0));
    let said = said.join().expect("no panic");
    assert!((1..5).contains(&said), "said {said} times");
}

#[rstest]
#[case::full(Sink::full())]
#[case::closed(Sink::closed())]
#[case::unread(Sink::unread())]
#[tokio::test]
async fn the_demo_too(#[case] sink: Sink) {
    let Sink {
        stderr, _reader, ..
    } = sink;
    let setup = Setup::new().await;
    let mut demo = command(&setup);
    demo.arg("demo").env("RUST_LOG", "trace");
    let mut running = Running::start_unread(demo, stderr).await;
    until("it lists", async || running.ids().await.len() > 100).await;
    let (code, took) = running.stop("-TERM");
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");
}

/// Every command with an error to tell: exit code 2 all the same, in time.
#[tokio::test]
async fn an_error_that_cannot_be_written_is_an_exit_code() {
    let setup = Setup::new().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("an address").to_string();
    for arguments in [
        &["serve", "--listen", &taken][..],
        &["demo", "--listen", &taken],
        &["lock"],
        &["lock", "openai:x"],
        &["check"],
        &["providers", "--config", "/nonexistent"],
    ] {
        for sink in [Sink::full(), Sink::closed(), Sink::unread()] {
            let mut command = command(&setup);
            let began = Instant::now();
            let status = command.args(arguments).stderr(sink.stderr).status();
            assert_eq!(status.expect("it runs").code(), Some(2), "{arguments:?}");
            let took = began.elapsed();
            assert!(took < Duration::from_secs(10), "{arguments:?}: {took:?}");
        }
    }
}

/// Output that nobody reads ends a command as SIGPIPE would; output that cannot be written is an
/// error.
#[tokio::test]
async fn output_that_cannot_be_written_is_no_panic() {
    let setup = Setup::happy().await;
    let mut running = Running::start(command_with_providers(&setup)).await;
    assert_eq!(running.ids().await.len(), 6);
    running.stop("-TERM");
    let lock = |stdout: Stdio| {
        let mut lock = command(&setup);
        lock.args(["lock", "openai:gpt-a"]).stdout(stdout);
        lock
    };
    assert!(lock(Stdio::null()).status().expect("it runs").success());
    for arguments in [
        &["providers"][..],
        &["providers", "--json"],
        &["check"],
        &["check", "--format", "json"],
        &["lock"],
        &["--help"],
        &["--version"],
    ] {
        for (sink, code, lines) in [(Sink::closed(), 141, 0), (Sink::full(), 2, 1)] {
            let mut command = command(&setup);
            command.args(arguments).stdout(sink.stderr);
            let output = command.stderr(Stdio::piped()).output().expect("it runs");
            let text = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
            assert_eq!(text.lines().count(), lines, "{arguments:?}: {text}");
        }
    }
}

#[tokio::test]
async fn elsewhere_than_on_a_terminal_each_line_is_json() {
    let setup = Setup::happy().await;
    mount_openai(&setup.openai, &["gpt-a", "gpt-b"]).await;
    let mut command = command_with_providers(&setup);
    command
        .env_remove("MODEL_CATALOG_LOG_FORMAT")
        .env("RUST_LOG", "debug");
    let running = Running::start_logging(command, "\"message\":\"serving: GET ").await;
    running.until_logged("gave its first list").await;
    let lines: Vec<serde_json::Value> = running
        .log()
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    let first = lines
        .iter()
        .find(|line| {
            let message = line["message"].as_str().unwrap_or_default();
            message.ends_with("gave its first list: 2 models")
        })
        .expect("the first list is a line");
    assert_eq!(first["level"], "INFO");
    assert_eq!(first["outcome"], "changed");
    assert_eq!(first["added"], 2);
    assert_eq!((&first["pages"], &first["models"]), (&1.into(), &2.into()));
    assert!(first["duration_ms"].is_number(), "{first}");
    assert!(
        first["timestamp"].is_string() && first["provider"].is_string(),
        "{first}"
    );
}

#[tokio::test]
async fn a_log_format_that_is_none_is_refused() {
    let setup = Setup::happy().await;
    for (flag, variable) in [(Some("xml"), None), (None, Some("logfmt"))] {
        let mut command = command_with_providers(&setup);
        command.args(flag.map(|format| format!("--log-format={format}")));
        if let Some(format) = variable {
            command.env("MODEL_CATALOG_LOG_FORMAT", format);
        }
        let (code, text) = crate::running::run(command);
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains("must be human or json"), "{text}");
    }
}

/// The lines of `log` for people, without time, level and place.
fn messages(log: &str) -> Vec<&str> {
    let message = |line: &'_ str| -> Option<usize> { line.find(": ").map(|at| at + 2) };
    log.lines()
        .filter_map(|line| line.get(message(line)?..))
        .collect()
}

#[tokio::test]
async fn a_first_list_a_failure_and_a_recovery_are_lines_that_say_everything_once() {
    let setup = Setup::happy().await;
    let running = Running::start(command_with_providers(&setup)).await;
    running
        .until_logged("openai gave its first list: 2 models")
        .await;
    let due =
        "UPDATE sources SET next_attempt_at = '2020-01-01T00:00:00.000Z' WHERE name = 'openai'";
    setup.openai.reset().await;
    let odd =
        serde_json::json!({"error": {"message": "odd\n2026 ERROR forged \u{1b}[31m\u{202e}"}});
    let refused = wiremock::ResponseTemplate::new(503).set_body_json(odd);
    crate::helpers::mount_template(&setup.openai, "/v1/models", refused).await;
    sqlx_exec(&setup, due).await;
    running.until_logged("openai could not be listed").await;
    setup.openai.reset().await;
    mount_openai(&setup.openai, &["gpt-a", "gpt-c"]).await;
    sqlx_exec(&setup, due).await;
    running
        .until_logged("openai answers again after 1 failure")
        .await;
    running.until_logged("openai changed its list").await;
    let log = running.log();
    let messages = messages(&log);
    let changed = "openai changed its list: 1 added, 0 changed, 1 removed, 0 returned";
    let line = messages.iter().find_map(|line| line.strip_prefix(changed));
    let line = line.unwrap_or_else(|| panic!("{log}"));
    assert!(
        line.contains(" duration_ms=") && !line.contains("added="),
        "{log}"
    );
    assert!(
        !log.contains('\u{1b}') && !log.contains('\u{202e}'),
        "{log}"
    );
    assert!(
        !log.lines()
            .any(|line| line.starts_with("2026 ERROR forged")),
        "{log}"
    );
}

#[tokio::test]
async fn the_id_of_a_request_is_repeated_and_logged() {
    let setup = Setup::happy().await;
    let mut command = command_with_providers(&setup);
    command.env("RUST_LOG", "debug");
    let running = Running::start(command).await;
    let send = async |id: &str| {
        let request = running.http.get(format!("{}/v1/models", running.base));
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let request = request
            .header("x-request-id", id)
            .header("traceparent", trace);
        let answer = request.send().await.expect("an answer");
        let repeated = answer.headers().get("x-request-id");
        repeated.map(|id| id.to_str().expect("text").to_owned())
    };
    assert_eq!(send("abc-123").await.as_deref(), Some("abc-123"));
    running.until_logged("request_id=abc-123").await;
    running
        .until_logged("trace_id=4bf92f3577b34da6a3ce929d0e0e4736")
        .await;
    let long = "x".repeat(129);
    for odd in ["a b", "", &long] {
        assert_eq!(send(odd).await, None, "{odd}");
    }
    // Also where nothing is found.
    let request = running.http.get(format!("{}/nothing", running.base));
    let answer = request.header("x-request-id", "n-1").send().await;
    assert_eq!(answer.expect("an answer").headers()["x-request-id"], "n-1");
}
