//! The commands that read a catalog: on its database and on the running catalog they say the same.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use chrono::TimeDelta;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::{
    helpers::{Setup, TestApp, mount, mount_template, mount_vllm, openai_body},
    running::command,
};

pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

pub fn run(setup: &Setup, arguments: &[&str]) -> Ended {
    run_command(command(setup), arguments)
}

pub fn run_command(mut command: Command, arguments: &[&str]) -> Ended {
    let output = command
        .args(arguments)
        .stdout(std::process::Stdio::piped())
        .output()
        .expect("the binary starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ended {
        code: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// A catalog whose provider has changed its list once, with an escape sequence in a name.
async fn running() -> (Setup, TestApp) {
    let mut setup = Setup::new().await;
    setup.providers = vec!["openai"];
    let mut body = openai_body(&["a", "b"]);
    body["data"][0]["context_window"] = json!(1000);
    body["data"][1]["display_name"] = json!("evil \u{1b}[2J \u{202e}name");
    mount(&setup.openai, "/v1/models", body).await;
    mount_vllm(setup.add_endpoint("box").await, &["m:7b"]).await;
    let app = setup.start_ready().await;
    setup.advance(TimeDelta::seconds(31));
    setup.openai.reset().await;
    let mut body = openai_body(&["a", "c"]);
    body["data"][0]["context_window"] = json!(2000);
    mount(&setup.openai, "/v1/models", body).await;
    assert_eq!(app.refresh("openai").await["outcome"], "changed");
    (setup, app)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_says_the_same_of_a_database_and_of_a_running_catalog() {
    let (setup, app) = running().await;
    let url = app.url("");
    let before = "2020-01-01";
    for (arguments, code, expected) in [
        (vec!["list", "--ids"], 0, "m:7b\nopenai:a\nopenai:c\n"),
        (
            vec!["list", "--ids", "--provider", "openai", "-q", "C"],
            0,
            "openai:c\n",
        ),
        (vec!["list", "--ids", "--revision", "1"], 0, ""),
        (vec!["list", "--ids", "--at", before], 0, ""),
        (vec!["list", "-q", "nothing"], 0, "no models: "),
        (
            vec!["list"],
            0,
            "MODEL     NAME  CONTEXT  OUTPUT  LIFECYCLE  RETIRES\n",
        ),
        (
            vec!["show", "openai:a"],
            0,
            "openai:a: listed, because openai lists it\n",
        ),
        (
            vec!["show", "openai:b"],
            1,
            "openai:b: not listed, because openai listed it until ",
        ),
        (
            vec!["show", "m:8b"],
            1,
            "m:8b: not listed, because no source has ever listed it\nsimilar ids: m:7b\n",
        ),
        (vec!["sources"], 0, "SOURCE  ROLE      KIND    STATE"),
        (
            vec!["changes", "--since", "0", "--event", "removed"],
            0,
            "WHEN  ",
        ),
        (
            vec!["changes", "--since", before, "--source", "nobody"],
            0,
            "nothing changed\n",
        ),
        (vec!["diff", before], 1, "+ m:7b\n+ openai:a\n+ openai:c\n"),
        (vec!["diff", before, "2020-01-02"], 0, "no difference\n"),
    ] {
        let of_database = run(&setup, &arguments);
        let mut remote = arguments.clone();
        remote.extend(["--url", &url]);
        let of_running = run(&setup, &remote);
        for ended in [&of_database, &of_running] {
            assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.err);
            let fits = match arguments.contains(&"--ids") || arguments[0] == "diff" {
                true => ended.out == expected || arguments.contains(&"1"),
                false => ended.out.starts_with(expected),
            };
            assert!(fits, "{arguments:?}: {}", ended.out);
        }
        assert_eq!(of_database.out, of_running.out, "{arguments:?}");
    }
    let changes = run(&setup, &["changes", "--since", "7d"]);
    assert!(
        changes.out.contains("context_window 1000 → 2000"),
        "{}",
        changes.out
    );
    let lines = run(&setup, &["changes", "--since", "0", "--json"]);
    let events = lines.out.lines().map(|line| {
        let event: Value = serde_json::from_str(line).expect("JSON");
        event["event"].as_str().expect("a kind").to_owned()
    });
    assert_eq!(events.count(), 6);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_source_says_never_reaches_the_terminal_as_a_command() {
    let (setup, app) = running().await;
    for arguments in [
        vec!["list", "--revision", "2"],
        vec!["show", "openai:b"],
        vec!["show", "openai:\u{1b}[2J"],
        vec!["changes", "--since", "0"],
        vec!["list", "--capability", "\u{1b}[2J"],
    ] {
        let ended = run(&setup, &arguments);
        for text in [&ended.out, &ended.err] {
            let obeyed = text.chars().find(|character| {
                (character.is_control() && *character != '\n') || *character == '\u{202e}'
            });
            assert_eq!(obeyed, None, "{arguments:?}: {text:?}");
        }
    }
    let old = run(&setup, &["list", "--revision", "2"]);
    assert!(
        old.out.contains(r"evil \u{1b}[2J \u{202e}name"),
        "{}",
        old.out
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_source_is_a_line_as_soon_as_it_has_answered() {
    let (setup, app) = running().await;
    setup.advance(TimeDelta::seconds(31));
    setup.openai.reset().await;
    let slow = ResponseTemplate::new(200)
        .set_body_json(openai_body(&["a", "c"]))
        .set_delay(Duration::from_secs(3));
    mount_template(&setup.openai, "/v1/models", slow).await;
    let mut refresh = command(&setup);
    refresh.args(["refresh", "--url", &app.url("")]);
    let mut child = refresh
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut lines = output.lines().map(|line| line.expect("text"));
    // It may have been due, too.
    let first = lines.next().unwrap_or_default();
    assert!(first.starts_with("box: "), "{first}");
    assert!(
        child.try_wait().expect("it ran").is_none(),
        "openai is asked"
    );
    let last = lines.next().unwrap_or_default();
    assert!(last.starts_with("openai: "), "{last}");
    assert_eq!(lines.next(), None);
    assert!(child.wait().expect("it ends").success());
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_catalog_is_refreshed_and_says_whether_it_is_well() {
    let (setup, app) = running().await;
    let url = app.url("");
    setup.advance(TimeDelta::seconds(31));
    let one = run(&setup, &["refresh", "openai", "--url", &url]);
    assert_eq!(one.out, "openai: unchanged\n", "{}", one.err);
    assert_eq!(one.code, Some(0));
    let all = run(&setup, &["refresh", "--url", &url]);
    assert_eq!(all.out.lines().count(), 2, "{}", all.out);
    let again = run(&setup, &["refresh", "openai", "--url", &url]);
    assert!(
        again.out.starts_with("openai: not asked: "),
        "{}",
        again.out
    );
    setup.advance(TimeDelta::seconds(31));
    setup.openai.reset().await;
    let failed = run(&setup, &["refresh", "openai", "--url", &url]);
    assert!(failed.out.starts_with("openai: failed: "), "{}", failed.out);
    assert_eq!(failed.code, Some(1));
    let unknown = run(&setup, &["refresh", "nobody", "--url", &url]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.err.contains("no configured source has that name"));

    let well = run(&setup, &["health", "--url", &url]);
    assert_eq!((well.code, well.out.as_str()), (Some(0), "ok\n"));
    app.stop().await;
    let gone = run(&setup, &["health", "--url", &url]);
    assert_eq!(gone.code, Some(2));
    assert!(
        gone.err.contains("cannot reach the catalog"),
        "{}",
        gone.err
    );
    // The database is still there.
    assert_eq!(run(&setup, &["list", "--ids"]).code, Some(0));
    let missing = run(&setup, &["list", "--database-url", "sqlite://none.db"]);
    assert_eq!(missing.code, Some(2));
    assert!(missing.err.contains("there is no database none.db"));
    for arguments in [
        vec!["list", "--at", "yesterday"],
        vec!["changes", "--since", "yesterday"],
        vec!["list", "--revision", "999"],
        vec!["list", "--provider", "No Source"],
    ] {
        let ended = run(&setup, &arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}");
        assert!(
            !ended.err.is_empty() && ended.out.is_empty(),
            "{arguments:?}"
        );
    }
}

#[tokio::test]
async fn a_package_gets_completions_and_manual_pages() {
    let setup = Setup::new().await;
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&setup, &["completions", shell]);
        assert_eq!(script.code, Some(0));
        assert!(script.out.contains("changes"), "{shell}");
    }
    for (arguments, expected) in [
        (vec!["man"], ".TH model-catalog 1"),
        (vec!["man", "list"], ".TH model-catalog-list 1"),
    ] {
        let page = run(&setup, &arguments);
        assert_eq!(page.code, Some(0));
        assert!(page.out.contains(expected), "{}", page.out);
    }
    assert_eq!(run(&setup, &["man", "none"]).code, Some(2));
}

#[tokio::test]
async fn tables_have_colours_where_they_are_seen() {
    let (setup, app) = running().await;
    app.stop().await;
    let sources = |variables: &[&str]| {
        let mut sources = command(&setup);
        for name in variables {
            sources.env(name, "1");
        }
        run_command(sources, &["sources"]).out
    };
    let plain = sources(&[]);
    assert!(
        plain.contains("fresh") && !plain.contains('\u{1b}'),
        "{plain}"
    );
    let coloured = sources(&["CLICOLOR_FORCE"]);
    assert!(
        coloured.contains("\u{1b}[32mfresh\u{1b}[0m"),
        "{coloured:?}"
    );
    assert_eq!(sources(&["CLICOLOR_FORCE", "NO_COLOR"]), plain);
}
