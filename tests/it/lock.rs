//! `model-catalog lock` and `model-catalog check`: the real binary on a database that a real catalog
//! has made, and on a running one.

use std::{fs, path::Path, process::Command, time::SystemTime};

use rstest::rstest;
use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

use crate::helpers::{Setup, TestApp, anthropic_model, mount, mount_template, mount_vllm};
use crate::running::{command, sqlx_exec};

const IDS: [&str; 4] = [
    "openai:gpt-a",
    "openai:gpt-b",
    "anthropic:claude-a",
    "anthropic:claude-b",
];

/// What a command did.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(setup: &Setup, arguments: &[&str]) -> Ended {
    run_command(command(setup), arguments)
}

fn run_command(mut command: Command, arguments: &[&str]) -> Ended {
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

impl Ended {
    fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// Its one line on stderr.
    fn line(&self) -> &str {
        assert_eq!(self.err.trim_end().lines().count(), 1, "{self:?}");
        assert!(self.out.is_empty(), "{self:?}");
        &self.err
    }
}

fn file(setup: &Setup, name: &str) -> std::path::PathBuf {
    setup.directory.path().join(name)
}

fn lock_text(setup: &Setup) -> String {
    fs::read_to_string(file(setup, "models.lock")).expect("a lock file")
}

/// A catalog that has run on three providers and a local server, and has ended.
async fn ended() -> Setup {
    let setup = running().await;
    setup.1.stop().await;
    setup.0
}

/// One that runs; tests that ask it need threads for it beside their own.
async fn running() -> (Setup, TestApp) {
    let mut setup = Setup::happy().await;
    mount_vllm(setup.add_endpoint("box").await, &["m:7b"]).await;
    let app = setup.start_ready().await;
    (setup, app)
}

/// Every file of the folder with its content and time.
fn traces(folder: &Path) -> Vec<(String, Vec<u8>, SystemTime)> {
    let mut traces: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| {
            let entry = entry.expect("an entry");
            let modified = entry.metadata().expect("metadata").modified();
            (
                entry.file_name().to_string_lossy().into_owned(),
                fs::read(entry.path()).expect("read"),
                modified.expect("a time"),
            )
        })
        .collect();
    traces.sort();
    traces
}

#[tokio::test]
async fn what_is_locked_is_ok() {
    let setup = ended().await;
    let locked = run(
        &setup,
        &["lock", "openai:gpt-a", "m:7b", "anthropic:claude-a"],
    )
    .with_code(0);
    assert_eq!(locked.out, "models.lock: 3 models\n");
    let sources = setup
        .sql("SELECT name, fetched_at FROM sources ORDER BY name")
        .await;
    let seen = |name: &str| {
        let row = sources.iter().find(|row| row[0] == name).expect("a source");
        row[1].as_str().expect("a time").to_owned()
    };
    assert_eq!(
        lock_text(&setup),
        format!(
            r#"# The models that are relied on here, as they were listed when this was written.
# `model-catalog lock` writes it; `model-catalog check` says what has changed since.
version = 1

[[model]]
id = "anthropic:claude-a"
owned_by = "anthropic"
context_window = 200000
max_output_tokens = 64000
last_seen_at = "{}"

[[model]]
id = "m:7b"
owned_by = "lb"
context_window = 65536
last_seen_at = "{}"

[[model]]
id = "openai:gpt-a"
owned_by = "openai"
last_seen_at = "{}"
"#,
            seen("anthropic"),
            seen("box"),
            seen("openai")
        )
    );
    let checked = run(&setup, &["check"]).with_code(0);
    assert_eq!(
        checked.out,
        "MODEL               VERDICT  WHAT\n\
         anthropic:claude-a  ok\n\
         m:7b                ok\n\
         openai:gpt-a        ok\n\n\
         all 3 models are ok\n"
    );

    // Again, with other models: exactly those are in it.
    run(&setup, &["lock", "google:gemini-a"]).with_code(0);
    let checked = run(&setup, &["check", "models.lock"]).with_code(0);
    assert!(checked.out.contains("google:gemini-a") && !checked.out.contains("openai"));
    assert!(
        checked.out.ends_with("the model is ok\n"),
        "{}",
        checked.out
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_and_a_running_catalog_say_the_same() {
    let (setup, app) = running().await;
    let mut arguments = vec!["lock"];
    arguments.extend(IDS);
    run(&setup, &arguments).with_code(0);
    let from_database = lock_text(&setup);
    for suffix in ["", "/", "/v1", "/v1/"] {
        let url = format!("{}{suffix}", app.base);
        run(
            &setup,
            &[
                "lock",
                "openai:gpt-a",
                "--output",
                "other.lock",
                "--url",
                &url,
            ],
        )
        .with_code(0);
        let checked = run(&setup, &["check", "other.lock", "--url", &url]).with_code(0);
        assert!(checked.out.contains("openai:gpt-a"), "{}", checked.out);
    }
    fs::remove_file(file(&setup, "models.lock")).expect("removed");
    arguments.extend(["--url", &app.base]);
    run(&setup, &arguments).with_code(0);
    assert_eq!(lock_text(&setup), from_database);
}

#[rstest]
#[case::from_the_database(false)]
#[case::from_a_running_catalog(true)]
#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_told(#[case] by_url: bool) {
    let (setup, app) = running().await;
    let ids = "openai:gpt-a openai:gpt-b google:gemini-a google:gemini-b anthropic:claude-a anthropic:claude-b m:7b";
    let arguments: Vec<&str> = std::iter::once("lock").chain(ids.split(' ')).collect();
    run(&setup, &arguments).with_code(0);
    let seen = app.source("openai").await["fetched_at"]
        .as_str()
        .expect("a time")[..10]
        .to_owned();
    let now = chrono::Utc::now();
    let date = |days| (now + chrono::TimeDelta::days(days)).format("%Y-%m-%dT%H:%M:%SZ");

    // gpt-a is written with capitals, gpt-b goes; one claude shrinks and is about to retire, the
    // other's retirement is far off; one Gemini is retired, the other deprecated.
    for server in [&setup.openai, &setup.google, &setup.anthropic] {
        server.reset().await;
    }
    mount(
        &setup.openai,
        "/v1/models",
        json!({"object": "list", "data": [{"id": "GPT-A"}, {"id": "gpt-c"}]}),
    )
    .await;
    let mut smaller = anthropic_model("claude-a");
    smaller["max_input_tokens"] = json!(100_000);
    smaller["max_tokens"] = json!(32_000);
    smaller["lifecycle"] = json!("deprecated");
    smaller["retires_at"] = json!(date(10).to_string());
    let mut later = anthropic_model("claude-b");
    later["lifecycle"] = json!("deprecated");
    later["retires_at"] = json!(date(40).to_string());
    mount(
        &setup.anthropic,
        "/v1/models",
        json!({"data": [smaller, later], "has_more": false}),
    )
    .await;
    setup.advance(chrono::TimeDelta::minutes(1));
    for source in ["openai", "anthropic"] {
        assert_eq!(app.refresh(source).await["outcome"], "changed", "{source}");
    }
    sqlx_exec(
        &setup,
        "UPDATE cloud_models SET attributes = json_set(
             attributes, '$.lifecycle', CASE model_id WHEN 'gemini-a' THEN 'retired' ELSE 'deprecated' END
         )
         WHERE provider = 'google'",
    )
    .await;
    // Written by hand, which is no revision: it is served from the next start on.
    app.stop().await;
    let app = setup.start_ready().await;
    let url = app.base.clone();
    assert!(String::from_utf8_lossy(&app.models().await.body).contains("retired"));

    let check = |extra: &[&str]| {
        let mut arguments = vec!["check"];
        arguments.extend(extra);
        if by_url {
            arguments.extend(["--url", &url]);
        }
        run(&setup, &arguments)
    };
    let retirement = date(10).to_string()[..10].to_owned();
    let expected = [
        (
            "anthropic:claude-a",
            "retiring",
            format!("retires on {retirement}, in 10 days"),
        ),
        (
            "anthropic:claude-a",
            "smaller_context",
            "context window 200000 → 100000".to_owned(),
        ),
        (
            "anthropic:claude-a",
            "smaller_output",
            "output limit 64000 → 32000".to_owned(),
        ),
        ("anthropic:claude-b", "ok", String::new()),
        (
            "google:gemini-a",
            "retired",
            "its source says that it is retired".to_owned(),
        ),
        (
            "google:gemini-b",
            "warning",
            "deprecated, without a date of its retirement".to_owned(),
        ),
        ("m:7b", "ok", String::new()),
        (
            "openai:gpt-a",
            "recased",
            "now listed as openai:GPT-A".to_owned(),
        ),
        (
            "openai:gpt-b",
            "missing",
            format!("not listed; it was on {seen}"),
        ),
    ];

    let table = check(&[]).with_code(1);
    let mut rows: Vec<String> = expected
        .iter()
        .map(|(id, kind, message)| {
            format!("{id:<18}  {kind:<15}  {message}")
                .trim_end()
                .to_owned()
        })
        .collect();
    rows.insert(0, "MODEL               VERDICT          WHAT".to_owned());
    rows.extend(["".to_owned(), "4 of 7 models not ok".to_owned()]);
    assert_eq!(table.out.lines().collect::<Vec<_>>(), rows);
    assert_eq!(table.err, "");

    let answer = check(&["--format", "json"]).with_code(1);
    let answer: Value = serde_json::from_str(&answer.out).expect("JSON");
    assert_eq!(answer["ok"], false);
    assert_eq!(answer["checked_at"].as_str().expect("a time").len(), 24);
    let models = answer["models"].as_array().expect("models");
    assert_eq!(models.len(), 7);
    for model in models {
        let of_model = expected.iter().filter(|(id, ..)| model["id"] == *id);
        let problems: Vec<Value> = of_model
            .clone()
            .filter(|(_, kind, _)| !["ok", "warning"].contains(kind))
            .map(|(_, kind, message)| json!({"kind": kind, "message": message}))
            .collect();
        let warnings: Vec<&String> = of_model
            .filter(|(_, kind, _)| *kind == "warning")
            .map(|(.., message)| message)
            .collect();
        assert_eq!(model["ok"], problems.is_empty());
        assert_eq!(model["problems"], json!(problems));
        assert_eq!(model["warnings"], json!(warnings));
    }

    let junit = check(&["--format", "junit"]).with_code(1).out;
    for expected in [
        r#"<testsuite name="model-catalog check" tests="7" skipped="0" errors="0" failures="4">"#,
        r#"<testcase name="anthropic:claude-b" classname="model-catalog check"/>"#,
        r#"<failure message="now listed as openai:GPT-A" type="recased">recased: now listed as openai:GPT-A</failure>"#,
        r#"type="retiring, smaller_context, smaller_output">"#,
        "<system-out>deprecated, without a date of its retirement</system-out>",
    ] {
        assert!(junit.contains(expected), "{expected}\n{junit}");
    }
    assert_eq!(junit.matches("<testcase ").count(), 7);

    // The limit of what is near is the caller's.
    let far = check(&["--within", "60d"]).with_code(1);
    assert!(far.out.contains("claude-b  retiring"), "{}", far.out);
    for near in ["1h 30m", "5400"] {
        let near = check(&["--within", near]).with_code(1);
        assert!(!near.out.contains("retiring"), "{}", near.out);
    }
    app.stop().await;
}

#[tokio::test]
async fn nothing_is_touched_while_nothing_runs() {
    let setup = ended().await;
    run(&setup, &["lock", "openai:gpt-a"]).with_code(0);
    let before = traces(setup.directory.path());
    for format in ["table", "json", "junit"] {
        run(&setup, &["check", "--format", format]).with_code(0);
    }
    run(&setup, &["lock", "nope"]).with_code(1);
    assert_eq!(traces(setup.directory.path()), before);
}

#[tokio::test]
async fn what_a_crash_left_in_the_log_is_read() {
    let (setup, app) = running().await;
    // The copy of a database in use, as a crash would leave it.
    let copy = tempfile::tempdir().expect("a folder");
    for name in ["catalog.db", "catalog.db-wal"] {
        fs::copy(file(&setup, name), copy.path().join(name)).expect("copied");
    }
    app.stop().await;
    let url = format!("sqlite://{}/catalog.db", copy.path().display());
    let locked = run(&setup, &["lock", "openai:gpt-a", "--database-url", &url]);
    locked.with_code(0);
}

#[tokio::test]
async fn what_is_not_listed_is_not_locked() {
    let setup = ended().await;
    run(&setup, &["lock", "openai:gpt-a"]).with_code(0);
    let before = lock_text(&setup);
    let refused = run(
        &setup,
        &[
            "lock",
            "openai:gpt-b",
            "openai:GPT-A",
            "claude-a",
            "zzz\u{1b}[1m",
        ],
    )
    .with_code(1);
    assert_eq!(refused.out, "");
    let lines: Vec<&str> = refused.err.lines().collect();
    assert_eq!(
        lines,
        [
            "model-catalog: claude-a is not listed; similar ids: anthropic:claude-a, anthropic:claude-b",
            "model-catalog: openai:GPT-A is not listed; similar ids: openai:gpt-a, openai:gpt-b",
            "model-catalog: zzz\\u{1b}[1m is not listed; GET /v1/models lists the ids",
            "model-catalog: models.lock was not written",
        ]
    );
    assert_eq!(lock_text(&setup), before);
    // Nor is one made.
    run(&setup, &["lock", "--output", "new.lock", "nope"]).with_code(1);
    assert!(!file(&setup, "new.lock").exists());
}

#[tokio::test]
async fn without_ids_the_files_own_are_locked_again() {
    let setup = ended().await;
    let text = "version = 1\n[[model]]\nid = 'anthropic:claude-a'\ncontext_window = 300000\n";
    fs::write(file(&setup, "models.lock"), text).expect("written");
    run(&setup, &["check"]).with_code(1);
    run(&setup, &["lock"]).with_code(0);
    assert!(lock_text(&setup).contains("context_window = 200000"));
    run(&setup, &["check"]).with_code(0);

    let none = run(&setup, &["lock", "--output", "none.lock"]).with_code(2);
    assert!(none.line().contains("name models"), "{none:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_lock_file_is_as_readable_as_any_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let setup = ended().await;
    run(&setup, &["lock", "openai:gpt-a"]).with_code(0);
    fs::write(file(&setup, "other"), "").expect("written");
    let mode = |name| {
        let metadata = fs::metadata(file(&setup, name)).expect("metadata");
        metadata.permissions().mode()
    };
    assert_eq!(mode("models.lock"), mode("other"));
}

#[tokio::test]
async fn what_cannot_be_checked_is_one_line_and_exit_code_2() {
    let setup = ended().await;
    run(&setup, &["lock", "openai:gpt-a"]).with_code(0);
    let write = |name: &str, text: &str| fs::write(file(&setup, name), text).expect("written");
    write("bad.lock", "version = 1\n[[model]]\nid = 7\n");
    write(
        "twice.lock",
        "version = 1\n[[model]]\nid = 'x'\n[[model]]\nid = 'x'\n",
    );
    write("next.lock", "version = 2\n");
    write("notes.db", &"precious notes ".repeat(500));
    write("empty.db", "");
    for (name, sql) in [
        ("foreign.db", "CREATE TABLE notes (text TEXT)"),
        (
            "newer.db",
            "INSERT INTO _sqlx_migrations VALUES (99999999999999, 'x', 0, TRUE, X'00', 0)",
        ),
        (
            "older.db",
            "DELETE FROM _sqlx_migrations WHERE version = (SELECT MAX(version) FROM _sqlx_migrations)",
        ),
    ] {
        if name != "foreign.db" {
            fs::copy(setup.database_path(), file(&setup, name)).expect("copied");
        }
        execute(&file(&setup, name), sql).await;
    }
    let list = MockServer::start().await;
    mount(&list, "/v1/models", json!({"object": "list", "data": []})).await;
    let odd = MockServer::start().await;
    mount(&odd, "/catalog/sources", json!({"sources": []})).await;
    let data = json!([{"id": "x\u{1b}[1m", "created": 0, "owned_by": "x"}]);
    mount(&odd, "/v1/models", json!({"object": "list", "data": data})).await;
    let ill = MockServer::start().await;
    mount_template(&ill, "/catalog/sources", ResponseTemplate::new(503)).await;
    let closed = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        format!("http://{}", free.local_addr().expect("an address"))
    };
    let before = traces(setup.directory.path());
    let database = |name| ["--database-url".to_owned(), format!("sqlite://{name}")];
    let url = |url: &str| ["--url".to_owned(), url.to_owned()];
    let (list, odd, ill) = (list.uri(), odd.uri(), ill.uri());
    for (arguments, expected) in [
        (database("none.db"), "there is no database none.db"),
        (
            database("/nonexistent/none.db"),
            "there is no database /nonexistent/none.db",
        ),
        (
            database("notes.db"),
            "notes.db is not a usable SQLite database",
        ),
        (database("empty.db"), "empty.db lacks migration"),
        (
            database("foreign.db"),
            "foreign.db is the database of another application",
        ),
        (
            database("newer.db"),
            "newer.db was written by a newer model-catalog",
        ),
        (database("older.db"), "older.db lacks migration 2026"),
        (
            ["--database-url".to_owned(), "postgres://x".to_owned()],
            "DATABASE_URL",
        ),
        (url(&closed), "cannot reach the catalog at"),
        (url(&list), "is not a model-catalog"),
        (url(&odd), "is not a model-catalog"),
        (url(&ill), "answered 503"),
        (url("nonsense"), "--url is not a URL"),
        (url("file:///etc/passwd"), "--url is not an http"),
    ] {
        for subcommand in [["check", "models.lock"], ["lock", "openai:gpt-a"]] {
            let [first, second] = &arguments;
            let ended = run(&setup, &[subcommand[0], subcommand[1], first, second]).with_code(2);
            assert!(ended.line().contains(expected), "{expected}: {ended:?}");
        }
    }
    for (name, expected) in [
        ("none.lock", "there is no none.lock"),
        ("bad.lock", "bad.lock cannot be used: line 3: "),
        ("twice.lock", "`id` x stands there twice"),
        ("next.lock", "`version` is 2"),
        (".", "cannot read ."),
    ] {
        let ended = run(&setup, &["check", name]).with_code(2);
        assert!(ended.line().contains(expected), "{expected}: {ended:?}");
    }
    let unwritable = run(
        &setup,
        &["lock", "openai:gpt-a", "--output", "nowhere/models.lock"],
    );
    let unwritable = unwritable.with_code(2);
    assert!(
        unwritable
            .line()
            .contains("cannot write nowhere/models.lock")
    );
    for arguments in [
        ["check", "--within=soon"],
        ["check", "--format=xml"],
        ["check", "--unknown"],
    ] {
        run(&setup, &arguments).with_code(2);
    }
    assert_eq!(
        traces(setup.directory.path()),
        before,
        "and nothing is made or changed"
    );
}

#[tokio::test]
async fn the_database_is_named_by_flag_or_environment() {
    let setup = ended().await;
    fs::create_dir(file(&setup, "data")).expect("made");
    fs::rename(setup.database_path(), file(&setup, "data/other.db")).expect("moved");
    run(&setup, &["lock", "openai:gpt-a"]).with_code(2);
    let with = |url: &str, arguments: &[&str]| {
        let mut command = command(&setup);
        command.env("DATABASE_URL", url);
        run_command(command, arguments)
    };
    with("sqlite://data/other.db", &["lock", "openai:gpt-a"]).with_code(0);
    let flag = ["check", "--database-url", "sqlite://data/other.db"];
    with("sqlite://nope.db", &flag).with_code(0);
    with("sqlite://nope.db", &["check"]).with_code(2);
}

async fn execute(database: &Path, sql: &str) {
    use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
    let options = SqliteConnectOptions::new()
        .filename(database)
        .create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options)
        .await
        .expect("it opens");
    sqlx::query(sqlx::AssertSqlSafe(sql.to_owned()))
        .execute(&mut connection)
        .await
        .expect("executed");
    connection.close().await.expect("closed");
}
