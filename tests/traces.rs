//! Traces for OpenTelemetry, from the real binary to a collector: needs the feature `otlp`.

#[path = "it/helpers.rs"]
#[expect(dead_code, reason = "the harness of the integration tests")]
mod helpers;
#[path = "it/running.rs"]
#[expect(dead_code, reason = "the harness of the integration tests")]
mod running;

use std::time::{Duration, Instant};

use helpers::{OPENAI_KEY, Setup};
use running::{Running, command_with_providers};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// What the collector was sent so far.
async fn sent(collector: &MockServer) -> Vec<u8> {
    let requests = collector.received_requests().await.expect("recorded");
    requests
        .into_iter()
        .flat_map(|request| request.body)
        .collect()
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn requests_and_fetches_are_spans_of_the_callers_trace() {
    let setup = Setup::happy().await;
    let collector = MockServer::start().await;
    let taken = ResponseTemplate::new(200);
    Mock::given(path("/v1/traces"))
        .respond_with(taken)
        .mount(&collector)
        .await;
    let mut command = command_with_providers(&setup);
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.uri())
        .env("OTEL_BSP_SCHEDULE_DELAY", "100");
    let running = Running::start(command).await;
    let request = running.http.get(format!("{}/v1/models", running.base));
    let traceparent = format!("00-{TRACE_ID}-00f067aa0ba902b7-01");
    let answer = request.header("traceparent", traceparent).send().await;
    assert_eq!(answer.expect("an answer").status(), 200);
    let trace_id: Vec<u8> = (0..16)
        .map(|byte| u8::from_str_radix(&TRACE_ID[2 * byte..2 * byte + 2], 16).expect("hex"))
        .collect();
    let wanted: [&[u8]; 6] = [
        b"GET /v1/models",
        b"fetch",
        b"openai",
        b"model-catalog",
        b"http.response.status_code",
        &trace_id,
    ];
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let sent = sent(&collector).await;
        let missing: Vec<_> = wanted.iter().filter(|part| !has(&sent, part)).collect();
        if missing.is_empty() {
            assert!(!has(&sent, OPENAI_KEY.as_bytes()), "no secret");
            break;
        }
        assert!(Instant::now() < deadline, "not sent: {missing:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // At info, the log has no line more for it.
    assert!(
        !running.log().contains("GET /v1/models\""),
        "{}",
        running.log()
    );
}

#[tokio::test]
async fn a_collector_that_is_away_hinders_nothing() {
    let setup = Setup::happy().await;
    let mut command = command_with_providers(&setup);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    let mut running = Running::start(command).await;
    let list = running.get("/v1/models").await;
    assert!(list.contains("openai:gpt-a"), "{list}");
    let (code, took) = running.stop("-TERM");
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(6), "{took:?}");
}
