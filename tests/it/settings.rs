//! `config check` and `config example`: the settings before a catalog runs on them.

use std::fs;

use crate::{
    commands::run_command,
    helpers::Setup,
    running::{command, command_with_providers},
};

#[tokio::test]
async fn a_check_shows_what_is_in_force_and_no_secret() {
    let setup = Setup::new().await;
    let path = setup.directory.path().join("settings.toml");
    let settings = "[providers.acme]\nbase_url = 'https://acme.example/v1'\napi_key = 's3cret-of-acme'\nexclude = ['x', 'y']\n\
        [[keys]]\nname = 'team'\nkey = 's3cret-of-team'\n\
        [webhooks.ops]\nurl = 'https://ops.example/s3cret'\nsecret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'\n";
    fs::write(&path, settings).expect("written");
    let mut check = command_with_providers(&setup);
    check.args(["config", "check", "--config"]).arg(&path);
    let ended = run_command(check, &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let row = |name: &str| {
        let line = ended.out.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("no {name}: {}", ended.out));
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let acme = "acme provider openai https://acme.example/v1 set 1day 2 exclude file";
    assert_eq!(row("acme"), acme);
    assert_eq!(row("client keys:"), "client keys: team (file)");
    assert_eq!(row("webhooks:"), "webhooks: ops (file)");
    assert_eq!(row("database:"), "database: sqlite://catalog.db (default)");
    let openai = row("openai");
    assert!(
        openai.ends_with("set 1day OPENAI_API_KEY, OPENAI_BASE_URL"),
        "{openai}"
    );
    assert!(row("listen:").ends_with(" (MODEL_CATALOG_LISTEN)"));
    assert!(row("local servers:").ends_with(" (MODEL_CATALOG_DISCOVER)"));
    assert!(row("warning:").contains("chmod 600"));
    assert_eq!(row("  flags:"), "flags: --config");
    let variables = row("  environment:");
    assert!(
        variables.contains("OPENAI_API_KEY, OPENAI_BASE_URL"),
        "{variables}"
    );
    assert!(row("  file:").ends_with("settings.toml"));
    assert!(
        !ended.out.contains("s3cret") && !ended.out.contains("whsec"),
        "{}",
        ended.out
    );
    let mut check = command_with_providers(&setup);
    check
        .args(["config", "check", "--json", "--config"])
        .arg(&path);
    let ended = run_command(check, &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let checked: serde_json::Value = serde_json::from_str(&ended.out).expect("JSON");
    let sources = checked["sources"].as_array().expect("sources");
    let acme = sources.iter().find(|source| source["name"] == "acme");
    let acme = acme.expect("it is configured");
    assert_eq!(acme["base_url"], "https://acme.example/v1");
    assert_eq!(
        (&acme["key_is_set"], &acme["ttl_secs"]),
        (&true.into(), &86_400.into())
    );
    assert_eq!(acme["set_by"], "file");
    assert_eq!(checked["origins"]["client_keys"], "file");
    assert_eq!(checked["origins"]["database"], "default");
    assert_eq!(checked["client_keys"], serde_json::json!(["team"]));
    assert_eq!(checked["set_by"]["flags"], serde_json::json!(["--config"]));
    assert!(
        !ended.out.contains("s3cret") && !ended.out.contains("whsec"),
        "{}",
        ended.out
    );
    assert!(!setup.database_path().exists());

    fs::write(&path, settings.replace("exclude", "exclud")).expect("written");
    let mut check = command(&setup);
    check.args(["config", "check", "--config"]).arg(&path);
    let ended = run_command(check, &[]);
    assert_eq!(ended.code, Some(2));
    let expected = "settings.toml:4 is not usable: providers.acme: unknown field `exclud`, did you mean `exclude`?";
    assert!(ended.err.contains(expected), "{}", ended.err);
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
}

/// Every line that shows a setting in force; of two that exclude each other, the second is marked twice.
fn uncommented(example: &str, mark: &str) -> String {
    let is_setting =
        |line: &str| line.starts_with(|first: char| first == '[' || first.is_ascii_lowercase());
    let lines = example.lines().map(|line| match line.strip_prefix(mark) {
        Some(setting) if is_setting(setting) => setting,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn the_example_changes_nothing_and_can_be_used_line_by_line() {
    let setup = Setup::new().await;
    let path = setup.directory.path().join("settings.toml");
    let ended = run_command(command(&setup), &["config", "example"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let example = ended.out;
    let check = |text: &str| {
        fs::write(&path, text).expect("written");
        let mut check = command(&setup);
        for variable in ["ACME_KEY", "TEAM_A_KEY", "OPS_SECRET"] {
            check.env(variable, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        }
        check.args(["config", "check", "--config"]).arg(&path);
        run_command(check, &[])
    };
    let as_it_is = check(&example);
    assert_eq!(as_it_is.code, Some(0), "{}", as_it_is.err);
    assert_eq!(as_it_is.out, check("").out);
    // The one setting that names a file which is not there.
    let usable = example
        .replace(
            "#api_key_file = \"/run/secrets/openai\"\n",
            "#api_key = \"a-key\"\n",
        )
        .replace(
            "make one with: openssl rand -hex 32",
            "a-key-of-an-operator",
        );
    let used = check(&uncommented(&usable, "#"));
    assert_eq!(used.code, Some(0), "{}", used.err);
    for name in [
        "openai",
        "acme",
        "box",
        "client keys: team-a",
        "webhooks: ops",
    ] {
        assert!(used.out.contains(name), "{name}: {}", used.out);
    }
    // Settings that are no settings would be refused, so each that is shown exists.
    let all = uncommented(&uncommented(&usable, "##"), "#");
    let document: toml::Table = toml::from_str(&all).expect("TOML");
    let shown = |table: &toml::Value| -> Vec<String> {
        let table = table.as_table().expect("a table");
        table.keys().cloned().collect()
    };
    assert_eq!(document.len(), 15, "every setting: {document:?}");
    assert_eq!(shown(&document["keys"][0]).len(), 6);
    assert_eq!(shown(&document["providers"]["acme"]).len() + 2, 11);
    assert_eq!(shown(&document["webhooks"]["ops"]).len(), 9);
    assert_eq!(shown(&document["watch"]).len(), 3);
    assert_eq!(shown(&document["enrichment"]).len(), 2);
}

/// `config init` with these answers in the folder of `setup`.
fn init(setup: &Setup, answers: &str) -> crate::commands::Ended {
    let path = setup.directory.path().join("answers");
    fs::write(&path, answers).expect("written");
    let mut init = command(setup);
    init.stdin(fs::File::open(path).expect("it is there"));
    run_command(init, &["config", "init", "made.toml"])
}

#[tokio::test]
async fn init_asks_until_it_can_use_the_answers_and_writes_what_check_takes() {
    let setup = Setup::new().await;
    let path = setup.directory.path().join("made.toml");
    let ended = init(
        &setup,
        "opnai groq\nopenai GROQ\nnonsense\nhttp://10.0.0.5:11434\n8484\n0.0.0.0:8484\n",
    );
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    for said in [
        "there is no provider `opnai`: did you mean openai?",
        "`8484` is no address with a port",
        "export OPENAI_API_KEY=…",
        "export GROQ_API_KEY=…",
        "model-catalog serve --config made.toml",
    ] {
        assert!(ended.out.contains(said), "{said}: {}", ended.out);
    }
    let mut check = command(&setup);
    check
        .env("OPENAI_API_KEY", "k-0123456789")
        .env("GROQ_API_KEY", "k-0123456789")
        .env("MODEL_CATALOG_CLIENT_KEY", "c-0123456789");
    let checked = run_command(check, &["config", "check", "--config", "made.toml"]);
    assert_eq!(checked.code, Some(0), "{}", checked.err);
    for said in [
        "openai ",
        "groq ",
        "http://10.0.0.5:11434",
        "listen: 0.0.0.0:8484",
        "client keys: clients",
    ] {
        assert!(checked.out.contains(said), "{said}: {}", checked.out);
    }

    // What is there is left alone, and nobody there to answer is an error.
    let written = fs::read_to_string(&path).expect("it is there");
    let again = init(&setup, "\n\n\n");
    assert_eq!(again.code, Some(2));
    assert!(
        again.err.contains("made.toml exists and is left as it is"),
        "{}",
        again.err
    );
    assert_eq!(fs::read_to_string(&path).expect("it is there"), written);
    fs::remove_file(&path).expect("removed");
    let silent = init(&setup, "openai\n");
    assert_eq!(silent.code, Some(2));
    assert!(
        silent.err.contains("there was no answer to"),
        "{}",
        silent.err
    );
    assert!(!path.exists());

    // Nothing is needed.
    assert_eq!(init(&setup, "\n\n\n").code, Some(0));
    let checked = run_command(
        command(&setup),
        &["config", "check", "--config", "made.toml"],
    );
    assert_eq!(checked.code, Some(0), "{}", checked.err);
}
