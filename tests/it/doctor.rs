//! `doctor`: each thing that a catalog depends on is looked at once, and what is wrong is said with its fix.

use std::{fs, process::Command};

use serde_json::Value;
use wiremock::ResponseTemplate;

use crate::{
    commands::{Ended, run_command},
    helpers::{Setup, mount_template, openai_body},
    running::{command, command_with_providers},
};

/// `doctor` with the providers of `setup`.
fn doctor(setup: &Setup) -> Command {
    let mut command = command_with_providers(setup);
    command.arg("doctor");
    command
}

fn line<'a>(ended: &'a Ended, check: &str) -> &'a str {
    ended
        .out
        .lines()
        .rfind(|line| line.split_whitespace().nth(1) == Some(check))
        .unwrap_or_else(|| panic!("no line of {check}: {}{}", ended.out, ended.err))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_well_is_said_and_a_database_that_is_not_there_yet_is_not_made() {
    let setup = Setup::happy().await;
    let ended = run_command(doctor(&setup), &[]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    for (check, expected) in [
        ("settings", "3 sources"),
        ("database", "catalog.db does not exist yet"),
        ("disk", "free"),
        ("clock", "agrees"),
        ("certificates", "found"),
        ("openai", "models"),
        ("google", "models"),
        ("anthropic", "models"),
    ] {
        assert!(
            line(&ended, check).starts_with("ok "),
            "{check}: {}",
            ended.out
        );
        assert!(
            line(&ended, check).contains(expected),
            "{check}: {}",
            ended.out
        );
    }
    assert!(!setup.database_path().exists());
    assert_eq!(setup.all_calls().await, 3 + extra_pages(&setup).await);

    let app = setup.start_ready().await;
    let revision = app
        .models()
        .await
        .header("catalog-revision")
        .map(str::to_owned);
    let ended = run_command(doctor(&setup), &["--json"]);
    let answer: Value = serde_json::from_str(&ended.out).expect("JSON");
    let checks = answer["checks"].as_array().expect("checks");
    let database = checks.iter().find(|check| check["check"] == "database");
    let message = database.expect("the database")["message"].as_str();
    let expected = format!("revision {} of ", revision.expect("a revision"));
    assert!(message.expect("text").contains(&expected), "{message:?}");
}

/// The requests that a whole list took beyond the first page of each provider.
async fn extra_pages(setup: &Setup) -> usize {
    let of_google = Setup::calls(&setup.google).await - 1;
    let of_anthropic = Setup::calls(&setup.anthropic).await - 1;
    of_google + of_anthropic
}

#[tokio::test(flavor = "multi_thread")]
async fn every_trouble_is_a_line_with_its_fix_and_no_secret() {
    let setup = Setup::new().await;
    let body = openai_body(&["a"]);
    let old = ResponseTemplate::new(200)
        .insert_header("date", "Sun, 22 Nov 2026 08:00:00 GMT")
        .set_body_json(body);
    mount_template(&setup.openai, "/v1/models", old).await;
    mount_template(&setup.google, "/v1beta/models", ResponseTemplate::new(503)).await;
    mount_template(&setup.anthropic, "/v1/models", ResponseTemplate::new(401)).await;
    fs::write(setup.database_path(), "no database").expect("written");
    let mut command = doctor(&setup);
    command
        .env("ANTHROPIC_API_KEY", "Bearer sk-ant-secret-value")
        .env("HTTPS_PROXY", "http://user:pass-word@proxy.example:3128")
        .env("SSL_CERT_FILE", "/nonexistent/ca.pem")
        .env("SSL_CERT_DIR", "/nonexistent");
    let ended = run_command(command, &[]);
    assert_eq!(ended.code, Some(1), "{}{}", ended.out, ended.err);
    for (check, expected) in [
        ("database", "catalog.db"),
        ("clock", "set the clock"),
        ("certificates", "ca-certificates"),
        ("google", "tries again by itself"),
        ("anthropic", "(401)"),
    ] {
        let line = line(&ended, check);
        assert!(line.starts_with("problem "), "{check}: {}", ended.out);
        assert!(line.contains(expected), "{check}: {line}");
    }
    let proxy = line(&ended, "proxy");
    assert!(proxy.contains("HTTPS_PROXY: proxy.example:3128"), "{proxy}");
    for secret in ["pass-word", "sk-ant-secret-value"] {
        assert!(!ended.out.contains(secret) && !ended.err.contains(secret));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_cannot_be_used_and_no_source_at_all_are_said() {
    let setup = Setup::new().await;
    let mut without = command(&setup);
    without.env("MODEL_CATALOG_DISCOVER", "false").arg("doctor");
    let ended = run_command(without, &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    let settings = line(&ended, "settings");
    assert!(settings.starts_with("problem "), "{settings}");
    assert!(settings.contains("OPENAI_API_KEY"), "{settings}");
    let mut bad = doctor(&setup);
    bad.env("MODEL_CATALOG_ENDPOINTS", "nonsense");
    let ended = run_command(bad, &[]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.err.contains("MODEL_CATALOG_ENDPOINTS"),
        "{}",
        ended.err
    );
}
