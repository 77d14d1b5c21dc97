//! Errors name their cause and what to do about it, and blame nothing else.

use model_catalog::ClientKey;
use rstest::rstest;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::{
    helpers::{Setup, mount_template},
    running::{Running, command, command_with_providers, run, sqlx_exec},
};

/// The one line with which `command` refuses to start.
fn refusal(mut command: std::process::Command) -> String {
    command.env("RUST_LOG", "error").env("RUST_BACKTRACE", "1");
    let (code, text) = run(command);
    assert_eq!(code, Some(2), "{text}");
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    text
}

#[rstest]
#[case::other_json(
    "UPDATE cloud_models SET attributes = json_set(attributes, '$.capabilities', 7) WHERE model_id = 'gpt-a'",
    "cloud_models openai:gpt-a"
)]
#[case::no_time(
    "UPDATE sources SET fetched_at = 'yesterday' WHERE name = 'google'",
    "sources google"
)]
#[case::no_rules(
    "UPDATE sources SET skipped = '{' WHERE name = 'google'",
    "sources google"
)]
#[tokio::test]
async fn a_bad_row_is_not_blamed_on_the_folder(#[case] sql: &str, #[case] expected: &str) {
    let setup = Setup::happy().await;
    let mut running = Running::start(command_with_providers(&setup)).await;
    assert_eq!(running.ids().await.len(), 6);
    running.stop("-TERM");
    sqlx_exec(&setup, sql).await;
    let mut check = command(&setup);
    check.args(["lock", "openai:gpt-a"]);
    for command in [command_with_providers(&setup), check] {
        let text = refusal(command);
        for part in ["catalog.db", expected, "correct the row"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("folder"), "{text}");
    }
}

#[tokio::test]
async fn a_lock_file_that_is_a_directory_is_named() {
    let setup = Setup::happy().await;
    let lock = setup.directory.path().join("catalog.db.lock");
    std::fs::create_dir(lock).expect("made");
    let text = refusal(command_with_providers(&setup));
    assert!(
        text.contains("catalog.db.lock") && text.contains("remove it"),
        "{text}"
    );
    assert!(!text.contains("cannot open the database"), "{text}");
}

#[rstest]
#[case("nonsense", "host:port")]
#[case("8484", "host:port")]
#[case("127.0.0.1:99999", "host:port")]
#[case("no-such-host.invalid:8484", "host:port")]
#[case("203.0.113.7:8484", "an address of this machine")]
#[tokio::test]
async fn a_mistyped_address_is_not_a_taken_one(#[case] address: &str, #[case] expected: &str) {
    let setup = Setup::happy().await;
    let mut demo = command(&setup);
    demo.arg("demo");
    for mut command in [command_with_providers(&setup), demo] {
        command.env("MODEL_CATALOG_LISTEN", address);
        let text = refusal(command);
        for part in [address, expected, "MODEL_CATALOG_LISTEN"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("stop the program"), "{text}");
    }
}

#[tokio::test]
async fn what_is_odd_about_a_key_is_said_at_the_start_and_when_it_is_refused() {
    let setup = Setup::happy().await;
    for (server, at, answer) in [
        (&setup.openai, "/v1/models", ResponseTemplate::new(401)),
        (
            &setup.google,
            "/v1beta/models",
            ResponseTemplate::new(400)
                .set_body_json(json!({"error": {"details": [{"reason": "API_KEY_INVALID"}]}})),
        ),
        (&setup.anthropic, "/v1/models", ResponseTemplate::new(403)),
    ] {
        server.reset().await;
        mount_template(server, at, answer).await;
    }
    let mut command = command_with_providers(&setup);
    command
        .env("OPENAI_API_KEY", "\"sk-s3cret-0123456789\"")
        .env("GEMINI_API_KEY", "Bearer s3cret-0123456789")
        .env("ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY=s3cret-0123456789");
    let running = Running::start(command).await;
    let oddities = [
        ("openai", "is in quotation marks: remove them"),
        ("google", "begins with `Bearer`"),
        ("anthropic", "begins with the name of a variable"),
    ];
    for (name, oddity) in oddities {
        let warning = format!("the key of `{name}` {oddity}");
        running.until_logged(&warning).await;
        let refused = format!("{name} could not be listed");
        running.until_logged(&refused).await;
    }
    let text = running.get("/catalog/sources").await;
    let sources: Value = serde_json::from_str(&text).expect("JSON");
    for (name, oddity) in oddities {
        let sources = sources["sources"].as_array().expect("a list");
        let source = sources.iter().find(|source| source["name"] == name);
        let message = source.expect("listed")["error"]["message"].to_string();
        assert!(message.contains(&format!("the key {oddity}")), "{message}");
    }
    for text in [text, running.log()] {
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[tokio::test]
async fn a_command_says_what_is_odd_about_its_key() {
    let mut setup = Setup::happy().await;
    setup.keys = vec![ClientKey::new("all", "s3cret-0123456789").expect("usable")];
    let app = setup.start().await;
    let mut lock = command(&setup);
    lock.args(["lock", "openai:gpt-a", "--url", &app.base])
        .env("MODEL_CATALOG_KEY", "'s3cret-0123456789'");
    let text = tokio::task::spawn_blocking(|| refusal(lock)).await;
    let text = text.expect("no panic");
    assert!(text.contains("the key is in quotation marks"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
    app.stop().await;
}

#[rstest]
#[case("OPENAI_API_KEY", "sk-s3cret\nsk-s3cret", "the key of `openai`")]
#[case("MODEL_CATALOG_ADMIN_KEY", "s3cret\ns3cret", "the admin key")]
#[case("MODEL_CATALOG_ADMIN_KEY", "s3cret-é", "the admin key")]
#[case("HTTPS_PROXY", "http//user:s3cret@proxy:3128", "HTTPS_PROXY")]
#[case("ALL_PROXY", "socks5://user:s3cret@proxy:1080", "SOCKS")]
#[tokio::test]
async fn what_can_carry_nothing_is_refused(
    #[case] variable: &str,
    #[case] value: &str,
    #[case] expected: &str,
) {
    let setup = Setup::happy().await;
    let mut command = command_with_providers(&setup);
    command.env(variable, value);
    let text = refusal(command);
    assert!(text.contains(expected), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
}

#[tokio::test]
async fn a_hangup_ends_nothing() {
    let setup = Setup::happy().await;
    let mut demo = command(&setup);
    demo.args(["demo", "--listen", "127.0.0.1:0"]);
    for command in [command_with_providers(&setup), demo] {
        let mut running = Running::start(command).await;
        for _ in 0..2 {
            let logged = running.log().len();
            running.signal("-HUP");
            running.until_logged_after(logged, "again").await;
        }
        assert!(running.ids().await.len() >= 6);
        assert_eq!(running.stop("-TERM").0, Some(0));
    }
}
