//! The real binary, end to end: settings, signals, exit codes, what reaches the log.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::helpers::{
    ANTHROPIC_KEY, GOOGLE_KEY, OPENAI_KEY, Setup, mount, mount_template, mount_vllm,
};
use crate::running::{Running, command, command_with_providers, run, sqlx_exec};

#[tokio::test]
async fn serves_what_the_environment_names_and_stops_at_a_signal() {
    let mut setup = Setup::happy().await;
    mount_vllm(setup.add_endpoint("box").await, &["m"]).await;
    for signal in ["-TERM", "-INT"] {
        let mut command = command_with_providers(&setup);
        command.env(
            "MODEL_CATALOG_ENDPOINTS",
            format!("box={}", setup.endpoints["box"].uri()),
        );
        let mut running = Running::start(command).await;
        assert_eq!(running.ids().await.len(), 7, "{}", running.log());
        let (code, took) = running.stop(signal);
        assert_eq!(code, Some(0), "{signal}: {}", running.log());
        assert!(took < Duration::from_secs(5), "{signal}: {took:?}");
    }
    assert_eq!(
        Setup::calls(&setup.openai).await,
        1,
        "the second start found fresh rows"
    );
    assert!(
        setup.database_path().exists(),
        "catalog.db in the working directory"
    );
}

#[tokio::test]
async fn stops_in_time_with_a_request_and_a_provider_hanging() {
    let setup = Setup::happy().await;
    setup.openai.reset().await;
    mount_template(
        &setup.openai,
        "/v1/models",
        ResponseTemplate::new(200).set_delay(Duration::from_secs(60)),
    )
    .await;
    let mut running = Running::start(command_with_providers(&setup)).await;
    let url = format!("{}/v1/models", running.base);
    let mut request = tokio::spawn(running.http.get(url).send());
    let early = tokio::time::timeout(Duration::from_millis(300), &mut request).await;
    assert!(early.is_err(), "it waits for openai's first answer");
    assert_eq!(Setup::calls(&setup.openai).await, 1);
    let (code, took) = running.stop("-TERM");
    assert_eq!(code, Some(0), "{}", running.log());
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(
        request
            .await
            .expect("no panic")
            .expect("an answer")
            .status(),
        200,
        "it was let end"
    );
}

#[tokio::test]
async fn killed_in_the_middle_of_a_refresh_it_serves_the_last_commit_and_calls_nobody() {
    let setup = Setup::happy().await;
    let running = Running::start(command_with_providers(&setup)).await;
    let before = running.get("/v1/models").await;
    setup.openai.reset().await;
    mount_template(
        &setup.openai,
        "/v1/models",
        ResponseTemplate::new(200).set_delay(Duration::from_secs(60)),
    )
    .await;
    // The refresh hangs; it is asked for 10 s after the first one at the earliest, by the database.
    sqlx_exec(&setup, "UPDATE sources SET attempted_at = '2020-01-01T00:00:00.000Z', next_attempt_at = '2020-01-01T00:00:00.000Z' WHERE name = 'openai'").await;
    let refresh = tokio::spawn(
        running
            .http
            .post(format!("{}/catalog/refresh?source=openai", running.base))
            .send(),
    );
    let deadline = Instant::now() + Duration::from_secs(20);
    while Setup::calls(&setup.openai).await == 0 {
        assert!(Instant::now() < deadline, "openai was not asked");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(running);
    assert!(refresh.await.expect("no panic").is_err(), "killed");

    for _ in 0..5 {
        let running = Running::start(command_with_providers(&setup)).await;
        assert_eq!(running.get("/v1/models").await, before);
    }
    assert_eq!(
        Setup::calls(&setup.openai).await,
        1,
        "the claim outlives the crash: nobody is hammered"
    );
    assert_eq!(setup.sql("PRAGMA integrity_check").await, [["ok"]]);
}

const ADMIN_KEY: &str = "adm1n-key-of-a-test-0123456789";
const CLIENT_KEYS: [&str; 2] = [
    "cl1ent-key-in-a-variable-9876543210",
    "cl1ent-key-in-a-file-abcdefghijkl",
];

#[tokio::test]
async fn no_key_reaches_the_database_the_log_or_an_answer() {
    let setup = Setup::happy().await;
    // Providers that repeat the key: one in a 401, one in a 400 (encoded), one in a header.
    for (server, at, template) in [
        (&setup.openai, "/v1/models", ResponseTemplate::new(401).set_body_json(json!({"error": {"message": format!("Incorrect API key provided: {OPENAI_KEY}")}}))),
        (&setup.google, "/v1beta/models", ResponseTemplate::new(400).set_body_json(json!({"error": {"message": format!("bad key={}", GOOGLE_KEY.replace('/', "%2F").replace('+', "%2b"))}}))),
        (&setup.anthropic, "/v1/models", ResponseTemplate::new(404).insert_header("x-echo", ANTHROPIC_KEY).set_body_json(json!({"error": {"message": ANTHROPIC_KEY}}))),
    ] {
        server.reset().await;
        mount_template(server, at, template).await;
    }
    let mut command = command_with_providers(&setup);
    command
        .env("RUST_LOG", "trace")
        .env("MODEL_CATALOG_ADMIN_KEY", ADMIN_KEY);
    // Beside the database's directory, which is looked through.
    let settings = tempfile::tempdir().expect("a directory");
    let (key_file, config) = (
        settings.path().join("key"),
        settings.path().join("catalog.toml"),
    );
    std::fs::write(&key_file, CLIENT_KEYS[1]).expect("written");
    let toml = format!(
        "[[keys]]\nname = \"all\"\nkey_env = \"CLIENT_KEY\"\n[[keys]]\nname = \"some\"\nkey_file = \"{}\"\nsources = [\"openai\"]\nmodels = [\"openai:*\"]\n",
        key_file.display()
    );
    std::fs::write(&config, toml).expect("written");
    command
        .env("CLIENT_KEY", CLIENT_KEYS[0])
        .env("MODEL_CATALOG_CONFIG", &config);
    let mut running = Running::start(command).await;
    let mut seen = String::new();
    for path in [
        "/v1/models",
        "/v1/models?revision=0",
        "/v1/models/openai:x",
        "/catalog/sources",
        "/catalog/changes",
        "/catalog/changes.atom",
        "/catalog/models/openai:x/history",
        "/catalog/retirements",
        "/catalog/providers",
        "/catalog.sqlite",
        "/metrics",
        "/healthz",
        "/readyz",
        "/nope",
    ] {
        seen.push_str(&running.get(path).await);
        for key in [CLIENT_KEYS[0], CLIENT_KEYS[1], ADMIN_KEY] {
            let (path, query) = path.split_once('?').unwrap_or((path, ""));
            seen.push_str(&running.get(&format!("{path}?key={key}&{query}")).await);
            for header in ["authorization", "x-api-key", "x-goog-api-key", "api-key"] {
                let scheme = match header {
                    "authorization" => "Bearer ",
                    _ => "",
                };
                // A wrong key that is nearly the right one is not repeated either.
                for wrong in ["", "0"] {
                    let answer = running
                        .http
                        .get(format!("{}{path}?{query}", running.base))
                        .header(header, format!("{scheme}{key}{wrong}"))
                        .send()
                        .await
                        .expect("an answer");
                    seen.push_str(&format!("{:?}", answer.headers()));
                    let body = answer.bytes().await.expect("a body");
                    seen.push_str(&String::from_utf8_lossy(&body));
                }
            }
        }
    }
    for key in ["wrong", ADMIN_KEY] {
        let refresh = running
            .http
            .post(format!("{}/catalog/refresh", running.base))
            .bearer_auth(key)
            .send()
            .await
            .expect("an answer");
        seen.push_str(&refresh.text().await.expect("a body"));
    }
    assert!(
        seen.contains("[key]") && seen.contains("unauthorized"),
        "{seen}"
    );
    running.stop("-TERM");
    seen.push_str(&running.log());
    assert!(running.log().contains("TRACE"), "the log is at its loudest");
    for entry in std::fs::read_dir(setup.directory.path()).expect("the directory") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("read");
        seen.push_str(&String::from_utf8_lossy(&bytes));
    }
    for key in [
        OPENAI_KEY,
        GOOGLE_KEY,
        ANTHROPIC_KEY,
        ADMIN_KEY,
        CLIENT_KEYS[0],
        CLIENT_KEYS[1],
    ] {
        // The middle of the key is the same in every encoding.
        let middle = &key[key.len() - 10..];
        for line in seen.lines() {
            assert!(!line.contains(middle), "{line}");
        }
    }
}

#[tokio::test]
async fn entries_that_cannot_be_used_are_logged_once_per_change() {
    let setup = Setup::happy().await;
    let running = Running::start(command_with_providers(&setup)).await;
    running.until_logged("openai gave its first list").await;
    // Each list differs; the first two have the same unusable entry.
    for (unusable, new, logged) in [
        (json!([{"id": 7}]), "one", "openai changed its list"),
        (json!([{"id": 7}]), "two", "openai changed its list"),
        (json!([{"id": 7}, {"id": ""}]), "two", "skipped 2 of"),
    ] {
        let mut list = vec![json!({"id": "a"}), json!({"id": "b"}), json!({"id": new})];
        list.extend(unusable.as_array().cloned().unwrap_or_default());
        let log_before = running.log().len();
        setup.openai.reset().await;
        mount(&setup.openai, "/v1/models", json!({"data": list})).await;
        sqlx_exec(
            &setup,
            "UPDATE sources SET next_attempt_at = '2020-01-01T00:00:00.000Z' WHERE name = 'openai'",
        )
        .await;
        running.until_logged_after(log_before, logged).await;
    }
    let log = running.log();
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("as unusable"))
        .collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(
        lines[0].contains("WARN")
            && lines[0].contains("skipped 1 of openai's entries as unusable: ")
            && lines[0].contains("no text in `id`; it has `id`"),
        "{log}"
    );
}

#[tokio::test]
async fn without_certificates_it_serves_what_is_stored_and_says_so() {
    let setup = Setup::happy().await;
    drop_after_listing(&setup).await;
    let mut command = command_with_providers(&setup);
    command
        .env("SSL_CERT_FILE", "/nonexistent/ca.pem")
        .env("SSL_CERT_DIR", "/nonexistent");
    command.env("ANTHROPIC_BASE_URL", "https://127.0.0.1:9");
    let running = Running::start(command).await;
    assert_eq!(running.ids().await.len(), 6);
    assert!(
        running.log().contains("no CA certificates"),
        "{}",
        running.log()
    );
}

async fn drop_after_listing(setup: &Setup) {
    let mut running = Running::start(command_with_providers(setup)).await;
    assert_eq!(running.ids().await.len(), 6);
    running.stop("-TERM");
}

#[tokio::test]
async fn with_no_source_it_says_what_to_set() {
    let setup = Setup::new().await;
    let mut command = command(&setup);
    command
        .env("MODEL_CATALOG_DISCOVER", "false")
        .args(["serve", "--listen", "127.0.0.1:0"]);
    let running = Running::start(command).await;
    assert_eq!(
        running.get("/v1/models").await,
        r#"{"object":"list","data":[]}"#
    );
    let sources: Value =
        serde_json::from_str(&running.get("/catalog/sources").await).expect("JSON");
    let hints: Vec<&str> = sources["sources"]
        .as_array()
        .expect("sources")
        .iter()
        .filter_map(|source| source["hint"].as_str())
        .collect();
    assert_eq!(
        hints,
        [
            "set OPENAI_API_KEY to list its models",
            "set GOOGLE_API_KEY or GEMINI_API_KEY to list its models",
            "set ANTHROPIC_API_KEY to list its models",
        ]
    );
    assert!(
        running.log().contains("no source is configured"),
        "{}",
        running.log()
    );
}

#[tokio::test]
async fn what_is_on_this_machine_is_not_asked_through_a_proxy() {
    let setup = Setup::happy().await;
    let proxy = wiremock::MockServer::start().await;
    let mut demo = command(&setup);
    demo.args(["demo", "--listen", "127.0.0.1:0"]);
    for mut command in [command_with_providers(&setup), demo] {
        for variable in [
            "HTTP_PROXY",
            "http_proxy",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "all_proxy",
        ] {
            command.env(variable, proxy.uri());
        }
        let running = Running::start(command).await;
        assert!(running.ids().await.len() >= 6, "{}", running.log());
    }
    assert_eq!(Setup::calls(&proxy).await, 0);
}

#[tokio::test]
async fn the_demo_needs_nothing_and_looks_at_nothing() {
    let setup = Setup::happy().await;
    let mut command = command_with_providers(&setup);
    command
        .env("DATABASE_URL", "sqlite:///nonexistent/x.db")
        .env("MODEL_CATALOG_CONFIG", "/nonexistent.toml");
    command.args(["demo", "--listen", "127.0.0.1:0"]);
    let mut running = Running::start(command).await;
    let ids = running.ids().await;
    assert!(ids.len() > 100, "{}", ids.len());
    for prefix in ["openai:", "google:", "anthropic:"] {
        assert!(
            ids.iter().filter(|id| id.starts_with(prefix)).count() > 30,
            "{prefix}"
        );
    }
    assert_eq!(running.stop("-INT").0, Some(0));
    assert_eq!(setup.all_calls().await, 0);
    let left: Vec<_> = std::fs::read_dir(setup.directory.path())
        .expect("the directory")
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn what_cannot_start_is_one_clear_line_and_exit_code_2() {
    let setup = Setup::happy().await;
    let mut stored = command_with_providers(&setup);
    stored.env("DATABASE_URL", "sqlite://stored.db");
    Running::start(stored).await.stop("-TERM");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("an address").to_string();
    std::fs::write(
        setup.directory.path().join("notes.db"),
        "precious notes ".repeat(500),
    )
    .expect("written");
    std::fs::write(
        setup.directory.path().join("bad.toml"),
        "[providers.acme]\nbase_ulr = \"https://x\"\napi_key = \"sk-secret\"\n",
    )
    .expect("written");
    // A port that is free, and that the settings then name as a source's.
    let own = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        free.local_addr().expect("an address").to_string()
    };
    let own_url = format!("http://{own}/v1");
    let cases: [(&[(&str, &str)], &str); 11] = [
        (
            &[
                ("MODEL_CATALOG_LISTEN", &own),
                ("OPENAI_BASE_URL", &own_url),
            ],
            "`openai` is this catalog itself",
        ),
        (&[("MODEL_CATALOG_LISTEN", &taken)], "cannot listen on"),
        (&[("MODEL_CATALOG_LISTEN", "nonsense")], "cannot listen on"),
        (
            &[("DATABASE_URL", "postgres://localhost/x")],
            "DATABASE_URL",
        ),
        (&[("DATABASE_URL", "sqlite::memory:")], "DATABASE_URL"),
        (
            &[("DATABASE_URL", "sqlite:///nonexistent/folder/x.db")],
            "/nonexistent/folder/x.db",
        ),
        (&[("DATABASE_URL", "sqlite://notes.db")], "notes.db"),
        (
            &[("DATABASE_URL", "sqlite://stored.db?mode=ro")],
            "stored.db",
        ),
        (&[("MODEL_CATALOG_CONFIG", "bad.toml")], "base_ulr"),
        (
            &[("MODEL_CATALOG_DISCOVER", "maybe")],
            "MODEL_CATALOG_DISCOVER",
        ),
        (
            &[
                ("OPENAI_API_KEY_FILE", "/nonexistent/key"),
                ("OPENAI_API_KEY", ""),
            ],
            "OPENAI_API_KEY_FILE",
        ),
    ];
    for (environment, expected) in cases {
        let mut command = command_with_providers(&setup);
        command
            .envs(environment.iter().copied())
            .env("RUST_LOG", "error")
            .env("RUST_BACKTRACE", "1");
        let (code, text) = run(command);
        assert_eq!(code, Some(2), "{environment:?}: {text}");
        assert_eq!(
            text.trim_end().lines().count(),
            1,
            "{environment:?}: {text}"
        );
        assert!(
            text.contains(expected) && !text.contains("sk-secret"),
            "{environment:?}: {text}"
        );
    }
}

#[tokio::test]
async fn a_signal_stops_a_start_that_waits() {
    let setup = Setup::happy().await;
    let lock =
        std::fs::File::create(setup.directory.path().join("catalog.db.lock")).expect("created");
    lock.lock().expect("locked");
    let mut running = Running::spawn(command_with_providers(&setup));
    running.until_logged("waiting for another process").await;
    let (code, took) = running.stop("-TERM");
    assert_eq!(code, Some(0), "{}", running.log());
    assert!(took < Duration::from_secs(2), "{took:?}");

    // With the lock gone it starts.
    lock.unlock().expect("unlocked");
    let running = Running::start(command_with_providers(&setup)).await;
    assert_eq!(running.ids().await.len(), 6);
}

/// Whoever runs the tests: a user who may not write.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_database_that_may_not_be_written_is_one_clear_line() {
    use std::os::unix::{fs::PermissionsExt, process::CommandExt};
    let setup = Setup::happy().await;
    let mut started = Running::start(command_with_providers(&setup)).await;
    assert_eq!(started.ids().await.len(), 6);
    started.stop("-TERM");
    let set = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
    };
    let before = std::fs::read(setup.database_path()).expect("read");
    let mut command = command_with_providers(&setup);
    command.env("RUST_LOG", "error");
    if std::fs::metadata("/proc/self")
        .is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
    {
        // The superuser may write everywhere: nobody may not. The binary is read where nobody can.
        let binary = setup.directory.path().join("model-catalog");
        std::fs::copy(command.get_program(), &binary).expect("copied");
        let mut other = std::process::Command::new(binary);
        other
            .env_clear()
            .envs(
                command
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .current_dir(setup.directory.path())
            .stdin(std::process::Stdio::null())
            .uid(65_534);
        command = other;
    }
    for entry in std::fs::read_dir(setup.directory.path()).expect("a folder") {
        set(&entry.expect("an entry").path(), 0o555);
    }
    set(setup.directory.path(), 0o555);
    let (code, text) = run(command);
    set(setup.directory.path(), 0o755);
    assert_eq!(
        (code, text.trim_end().lines().count()),
        (Some(2), 1),
        "{text}"
    );
    assert!(text.contains("catalog.db"), "{text}");
    assert_eq!(std::fs::read(setup.database_path()).expect("read"), before);
}

/// `model-catalog providers` says what is on, from the same settings, and shows no key.
#[tokio::test]
async fn the_providers_and_which_are_on() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(
        file.path(),
        "[providers.vercel]\nenabled = true\n[providers.google]\nenabled = false",
    )
    .expect("written");
    let config = file.path().display().to_string();
    let setup = Setup::new().await;
    let of = |arguments: &[&str]| {
        let mut command = command(&setup);
        command
            .stdout(std::process::Stdio::piped())
            .arg("providers")
            .args(["--config", &config])
            .args(arguments)
            .env("NOVITA_API_KEY", "a secret")
            .env("AWS_BEARER_TOKEN_BEDROCK", "a secret");
        let output = command.output().expect("it runs");
        let text = String::from_utf8(output.stdout).expect("text");
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(!text.contains("a secret"), "{text}");
        text
    };
    let answer: Value = serde_json::from_str(&of(&["--json"])).expect("JSON");
    let providers = answer["providers"].as_array().expect("a list");
    let find = |name: &str| {
        let found = providers.iter().find(|provider| provider["name"] == name);
        found.unwrap_or_else(|| panic!("no {name}: {answer}"))
    };
    assert_eq!(
        *find("novita"),
        json!({"name": "novita", "kind": "openai", "state": "on", "key_variables": ["NOVITA_API_KEY"], "further_variables": [],
               "base_url_variable": "NOVITA_BASE_URL", "base_url": "https://api.novita.ai/openai/v1",
               "public_list": true, "hint": null})
    );
    assert_eq!(find("vercel")["state"], "on_without_key");
    assert_eq!(find("google")["state"], "off");
    assert_eq!(
        (&find("xai")["state"], &find("xai")["hint"]),
        (
            &json!("not_set"),
            &json!("set XAI_API_KEY to list its models")
        )
    );
    // A running catalog says the same. Its providers are on loopback, so that it fetches nothing elsewhere.
    let mut serving = command_with_providers(&setup);
    serving.args(["--config", &config]).envs([
        ("NOVITA_API_KEY", "a secret"),
        ("NOVITA_BASE_URL", "http://127.0.0.1:9"),
        ("VERCEL_BASE_URL", "http://127.0.0.1:9"),
    ]);
    let running = Running::start(serving).await;
    let text = running.get("/catalog/providers").await;
    assert!(!text.contains("a secret"), "{text}");
    let served: Value = serde_json::from_str(&text).expect("JSON");
    let served = served["providers"].as_array().expect("a list");
    assert_eq!(served.len(), providers.len());
    let state = |name: &str| {
        let found = served.iter().find(|provider| provider["name"] == name);
        found.map(|provider| provider["state"].clone())
    };
    for (name, expected) in [
        ("openai", "on"),
        ("novita", "on"),
        ("vercel", "on_without_key"),
        ("google", "off"),
        ("xai", "not_set"),
    ] {
        assert_eq!(state(name), Some(json!(expected)), "{name}");
    }
    drop(running);
    let table = of(&[]);
    let row = |name: &str| {
        let row = table.lines().find(|line| line.starts_with(name));
        let words: Vec<&str> = row.unwrap_or_default().split_whitespace().collect();
        words.join(" ")
    };
    assert_eq!(
        row("novita "),
        "novita on public NOVITA_API_KEY NOVITA_BASE_URL"
    );
    assert_eq!(
        row("google "),
        "google switched off GOOGLE_API_KEY or GEMINI_API_KEY GOOGLE_GEMINI_BASE_URL"
    );
    assert_eq!(row("xai "), "xai XAI_API_KEY XAI_BASE_URL");
    let bedrock = "bedrock incomplete AWS_BEARER_TOKEN_BEDROCK with AWS_REGION or AWS_DEFAULT_REGION AWS_ENDPOINT_URL_BEDROCK";
    assert_eq!(row("bedrock "), bedrock);
    assert_eq!(
        row("bedrock:"),
        "bedrock: set AWS_REGION or AWS_DEFAULT_REGION to list its models"
    );
    assert_eq!(
        row("azure "),
        "azure AZURE_OPENAI_API_KEY AZURE_OPENAI_ENDPOINT (needed)"
    );
    assert!(
        table.contains(&format!("2 of {} are on", providers.len())),
        "{table}"
    );
}
