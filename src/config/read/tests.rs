//! Settings as people write them, and what is answered to what cannot be used.

use std::fmt::Write;

use rstest::rstest;

use super::*;
use crate::{config::PresetState, model::source::Role};

/// The settings from `variables` and a file with `toml` in it.
fn read(variables: &[(&str, &str)], toml: Option<&str>) -> Result<Settings, ConfigError> {
    let file = toml.map(|toml| {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), toml).expect("written");
        file
    });
    let flags = Flags {
        config: file.as_ref().map(|file| file.path().display().to_string()),
        ..Flags::default()
    };
    let get = |name: &str| {
        let (_, value) = variables.iter().find(|(variable, _)| *variable == name)?;
        Some((*value).to_owned())
    };
    Settings::read(&flags, &Environment::new(get))
}

/// Each source on a line: name, role, kind, URL, key, TTL in seconds.
fn sources(settings: &Settings) -> String {
    let mut text = String::new();
    for source in &settings.config.sources {
        let key = source.key.as_ref().map_or("-", |key| key.expose_secret());
        let SourceConfig {
            name,
            role,
            kind,
            base_url,
            ttl,
            ..
        } = source;
        let _ = writeln!(
            text,
            "{name} {} {} {base_url} {key} {}",
            role.as_str(),
            kind.as_str(),
            ttl.num_seconds()
        );
    }
    text
}

#[test]
fn nothing_set_is_all_defaults() {
    let settings = read(&[("OPENAI_API_KEY", "  ")], None).expect("settings");
    assert_eq!(settings.listen, "127.0.0.1:8484");
    assert_eq!(settings.config.database_url, "sqlite://catalog.db");
    assert_eq!(settings.config.discovery_ports, DISCOVERY_PORTS);
    assert_eq!(sources(&settings), "", "a blank variable is unset");
    assert_eq!(settings.config.unconfigured.len(), 3);
}

#[test]
fn the_environment_alone_is_enough() {
    let settings = read(
        &[
            ("OPENAI_API_KEY", " sk-o\n"),
            ("GOOGLE_API_KEY", "g1"),
            ("GEMINI_API_KEY", "g2"),
            ("ANTHROPIC_API_KEY", "a"),
            ("ANTHROPIC_BASE_URL", "https://proxy.example/anthropic/"),
            (
                "MODEL_CATALOG_ENDPOINTS",
                "box=http://10.0.0.7:8000/v1, ollama=http://h:11434,",
            ),
            ("MODEL_CATALOG_DISCOVER", "false"),
            ("MODEL_CATALOG_LISTEN", "0.0.0.0:80"),
            ("DATABASE_URL", "sqlite:///var/lib/mc/catalog.db"),
        ],
        None,
    )
    .expect("settings");
    assert_eq!(
        sources(&settings),
        "openai provider openai https://api.openai.com/v1 sk-o 86400\n\
         google provider google https://generativelanguage.googleapis.com/ g1 86400\n\
         anthropic provider anthropic https://proxy.example/anthropic/ a 86400\n\
         box endpoint auto http://10.0.0.7:8000/v1 - 30\n\
         ollama endpoint auto http://h:11434/ - 30\n"
    );
    assert_eq!(settings.listen, "0.0.0.0:80");
    assert!(settings.config.discovery_ports.is_empty());
    assert!(settings.config.unconfigured.is_empty());
}

#[test]
fn the_file_adds_sources_and_the_environment_beats_it() {
    let key_file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(key_file.path(), "from-a-file\n").expect("written");
    let toml = format!(
        r#"
        listen = "127.0.0.1:1"
        database_url = "sqlite://file.db"
        discover = false
        [providers.openai]
        api_key = "in the file"
        ttl = "1h"
        [providers.google]
        api_key_env = "MY_GOOGLE"
        [providers.mistral]
        base_url = "https://api.mistral.ai/v1"
        api_key_file = "{}"
        [endpoints.box]
        base_url = "http://box:8000"
        kind = "openai"
        ttl = "90"
        "#,
        key_file.path().display()
    );
    let environment = [
        ("OPENAI_API_KEY", "in the environment"),
        ("MY_GOOGLE", "mine"),
        ("DATABASE_URL", "sqlite://env.db"),
    ];
    let settings = read(&environment, Some(&toml)).expect("settings");
    assert_eq!(
        sources(&settings),
        "openai provider openai https://api.openai.com/v1 in the environment 3600\n\
         google provider google https://generativelanguage.googleapis.com/ mine 86400\n\
         mistral provider openai https://api.mistral.ai/v1 from-a-file 86400\n\
         box endpoint openai http://box:8000/ - 90\n"
    );
    assert_eq!(settings.listen, "127.0.0.1:1");
    assert_eq!(settings.config.database_url, "sqlite://env.db");
    assert!(settings.config.discovery_ports.is_empty());
    assert!(
        settings
            .config
            .sources
            .iter()
            .any(|source| source.role == Role::Endpoint)
    );
}

#[cfg(unix)]
#[test]
fn a_key_file_that_others_may_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "k").expect("written");
    let path = file.path().display().to_string();
    for (mode, warnings) in [(0o600, 0), (0o644, 1)] {
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).expect("set");
        let settings = read(&[("OPENAI_API_KEY_FILE", &path)], None).expect("settings");
        assert_eq!(settings.warnings.len(), warnings, "{mode:o}");
        assert!(sources(&settings).contains(" k "));
    }
}

#[rstest]
#[case::no_url(&[], "[providers.x]\napi_key = 'secret'", "[providers.x] has no base_url")]
#[case::unknown_field(&[], "[providers.x]\nbase_ulr = 'secret'", "base_ulr")]
#[case::two_keys(&[], "[providers.openai]\napi_key = 'secret'\napi_key_env = 'X'", "several keys")]
#[case::unset_variable(&[], "[providers.openai]\napi_key_env = 'NOT_SET'", "NOT_SET")]
#[case::bad_ttl(&[], "[endpoints.x]\nbase_url = 'http://x'\nttl = '0s'", "ttl of `x`")]
#[case::bad_name(&[], "[endpoints.'x y']\nbase_url = 'http://x'", "`x y`")]
#[case::both_roles(&[], "[endpoints.x]\nbase_url='http://x'\n[providers.x]\nbase_url='http://x'", "both called `x`")]
#[case::not_toml(&[], "= secret", "is not usable")]
#[case::wrong_type(&[], "[providers.x]\napi_key = ['secret']", "is not usable")]
#[case::key_instead_of_a_table(&[], "[providers]\nopenai = 'secret'", "providers.openai")]
#[case::key_instead_of_all_tables(&[], "providers = 'secret'", "providers")]
#[case::key_as_kind(&[], "[providers.openai]\napi_key = 'k'\nkind = 'secret'", "kind")]
#[case::key_as_variable(&[], "[providers.openai]\napi_key_env = 'sk-secret'", "api_key_env")]
#[case::key_as_alphanumeric_variable(&[], "[providers.openai]\napi_key_env = 'AIzasecret1'", "api_key_env")]
#[case::key_as_file(&[], "[providers.openai]\napi_key_file = 'sk-secret'", "api_key_file")]
#[case::key_as_file_variable(&[("OPENAI_API_KEY_FILE", "sk-secret")], "", "OPENAI_API_KEY_FILE")]
#[case::key_as_switch(&[], "discover = 'secret'", "discover")]
#[case::webhook_without_url(&[], "[webhooks.x]\nsecret = 'whsec_c2VjcmV0c2VjcmV0c2VjcmV0'", "[webhooks.x] needs a url")]
#[case::webhook_weak(&[], "[webhooks.x]\nurl = 'http://x/secret'\nsecret = 'c2VjcmV0'", "webhook `x`: its secret")]
#[case::webhook_no_base64(&[], "[webhooks.x]\nurl = 'http://x/'\nsecret = 'whsec_secret!secret!secret!secret!'", "webhook `x`: its secret")]
#[case::webhook_url(&[], "[webhooks.x]\nurl = 'secret'\nsecret = 'whsec_c2VjcmV0c2VjcmV0c2VjcmV0'", "the url of webhook `x`")]
#[case::webhook_event(&[], "[webhooks.x]\nurl = 'http://x/'\nsecret = 'whsec_c2VjcmV0c2VjcmV0c2VjcmV0'\nevents = ['gone']", "events are added")]
#[case::webhook_glob(&[], "[webhooks.x]\nurl = 'http://x/'\nsecret = 'whsec_c2VjcmV0c2VjcmV0c2VjcmV0'\nmodels = ['[']", "webhook `x`: models")]
#[case::key_without_name(&[], "[[keys]]\nkey = 'secret'", "a key's name")]
#[case::key_as_name(&[], "[[keys]]\nname = 'sk-Secret-secret'", "a key's name")]
#[case::key_without_value(&[], "[[keys]]\nname = 'x'\nsources = ['secret']", "key `x` of [[keys]] has no value")]
#[case::blank_key(&[], "[[keys]]\nname = 'x'\nkey = ' '", "key `x` of [[keys]] has no value")]
#[case::two_places(&[], "[[keys]]\nname = 'x'\nkey = 'secret'\nkey_env = 'X'", "several keys")]
#[case::two_line_client_key(&[], "[[keys]]\nname = 'x'\nkey = \"sec\\nret\"", "key `x` must consist of visible")]
#[case::unset_client_key(&[], "[[keys]]\nname = 'x'\nkey_env = 'sk-secret'", "key_env of `x`")]
#[case::same_key(&[], "[[keys]]\nname = 'x'\nkey = 'secret'\n[[keys]]\nname = 'y'\nkey = 'secret'", "`x` and `y` have the same value")]
#[case::same_name(&[], "[[keys]]\nname = 'x'\nkey = 'secret'\n[[keys]]\nname = 'x'\nkey = 'secret2'", "two keys are called `x`")]
#[case::the_admins_key(&[("MODEL_CATALOG_ADMIN_KEY", "secret")], "[[keys]]\nname = 'x'\nkey = 'secret'", "the admin key")]
#[case::key_of_nothing(&[], "[[keys]]\nname = 'x'\nkey = 'secret'\nsources = []", "sources of key `x` is empty")]
#[case::key_of_no_models(&[], "[[keys]]\nname = 'x'\nkey = 'secret'\nmodels = []", "models of key `x` is empty")]
#[case::key_glob(&[], "[[keys]]\nname = 'x'\nkey = 'secret'\nmodels = ['secret[']", "models of key `x` holds a glob")]
#[case::key_field(&[], "[[keys]]\nname = 'x'\nkey = 'secret'\nsource = 'secret'", "source")]
#[case::keys_no_table(&[], "keys = 'secret'", "keys")]
#[case::keys_of_texts(&[], "keys = ['secret']", "keys")]
#[case::key_wrong_type(&[], "[[keys]]\nname = 'x'\nkey = ['secret']", "is not usable")]
#[case::bad_glob(&[], "[endpoints.x]\nbase_url = 'http://x'\nexclude = ['secret[']", "exclude of `x` holds a glob")]
#[case::bad_alias(&[], "[endpoints.x]\nbase_url = 'http://x'\naliases = { '' = 'secret' }", "aliases of `x`")]
#[case::enrichment_without_url(&[], "[enrichment]\nttl = '1h'", "url of [enrichment] is not a URL")]
#[case::enrichment_url(&[], "[enrichment]\nurl = 'https://h/?key=secret'", "url of [enrichment] must not hold a query")]
#[case::bad_retention(&[], "keep_events = 'a while'", "keep_events")]
#[case::bad_kind(&[], "[providers.x]\nkind = 'bard'", "kind is openai, google, anthropic, azure, cohere, openrouter, ollama, bedrock or cloudflare")]
#[case::endpoint_twice(&[("MODEL_CATALOG_ENDPOINTS", "a=http://x,b=http://x,a=http://y")], "", "`a` twice")]
#[case::key_without_end(&[("OPENAI_API_KEY_FILE", "/dev/zero")], "", "OPENAI_API_KEY_FILE")]
#[case::memory(&[("DATABASE_URL", "sqlite://x.db?mode=memory")], "", "DATABASE_URL")]
#[case::url_with_a_key(&[("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "https://h/?key=secret")], "", "OPENAI_BASE_URL must not hold a query")]
#[case::url_with_a_password(&[("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "https://u:secret@h/")], "", "OPENAI_BASE_URL must not hold a user")]
#[case::region_that_is_a_host(&[("AWS_BEARER_TOKEN_BEDROCK", "k"), ("AWS_REGION", "secret.example/")], "", "AWS_REGION cannot be a part of a URL")]
#[case::account_that_is_a_path(&[("CLOUDFLARE_API_TOKEN", "k"), ("CLOUDFLARE_ACCOUNT_ID", "../secret")], "", "CLOUDFLARE_ACCOUNT_ID cannot be a part")]
#[case::public_lists(&[("MODEL_CATALOG_PUBLIC_LISTS", "secret")], "", "MODEL_CATALOG_PUBLIC_LISTS must be true or false")]
#[case::not_http(&[("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "ftp://secret/")], "", "OPENAI_BASE_URL is not an http")]
#[case::two_line_key(&[("OPENAI_API_KEY", "sec\nret")], "", "key of `openai`")]
#[case::endpoints(&[("MODEL_CATALOG_ENDPOINTS", "http://secret")], "", "MODEL_CATALOG_ENDPOINTS")]
fn refuses_with_one_line_that_names_the_setting(
    #[case] variables: &[(&str, &str)],
    #[case] toml: &str,
    #[case] expected: &str,
) {
    let message = read(variables, Some(toml))
        .expect_err("refused")
        .to_string();
    assert!(message.contains(expected), "{message}");
    // The name of a setting, not a value.
    let values = message
        .replace("secret_", "")
        .replace("its secret", "")
        .replace("a secret", "");
    assert!(
        !message.contains('\n') && !values.contains("secret") && !values.contains("c2VjcmV0"),
        "{message}"
    );
}

#[test]
fn a_base_url_in_the_file_is_whole_if_it_has_a_path() {
    let toml = "[providers.groq]\nbase_url = 'http://gw:4000/v1'\n[providers.cohere]\nbase_url = 'http://gw:4000/'";
    let settings = read(&[], Some(toml)).expect("settings");
    let told = sources(&settings);
    assert!(
        told.contains("http://gw:4000/v1 ") && !told.contains("openai/v1"),
        "{told}"
    );
    assert_eq!(told.matches("http://gw:4000/v1 ").count(), 2, "{told}");
}

#[test]
fn a_blank_admin_key_is_none_and_blanks_around_it_do_not_count() {
    for (toml, expected) in [("admin_key = ' '", None), ("admin_key = ' k '", Some("k"))] {
        let settings = read(&[], Some(toml)).expect("settings");
        let key = settings
            .config
            .admin_key
            .as_ref()
            .map(ExposeSecret::expose_secret);
        assert_eq!(key, expected, "{toml}");
    }
}

#[test]
fn rules_and_enrichment_come_from_the_file() {
    let toml = "[endpoints.x]\nbase_url = 'http://x'\ninclude = ['a*']\nexclude = ['ab']\naliases = { z = 'a' }
                [enrichment]\nurl = 'https://models.dev/api.json'\nttl = '6h'";
    let settings = read(&[], Some(toml)).expect("settings");
    let source = SourceConfig::endpoint("x", "http://x")
        .and_then(|source| source.include(&["a*"]))
        .and_then(|source| source.exclude(&["ab"]))
        .and_then(|source| source.alias("z", "a"))
        .expect("usable");
    assert_eq!(settings.config.sources[0].rules, source.rules);
    let enrichment = settings.config.enrichment.expect("it is set");
    assert_eq!(
        (enrichment.name.as_str(), enrichment.ttl.num_hours()),
        ("models.dev", 6)
    );
}

#[test]
fn an_api_key_env_may_come_from_a_file_too() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "k\n").expect("written");
    let path = file.path().display().to_string();
    let toml = "[providers.x]\nbase_url = 'http://x'\napi_key_env = 'X_KEY'";
    let settings = read(&[("X_KEY_FILE", &path)], Some(toml)).expect("settings");
    assert!(sources(&settings).contains(" k "), "{}", sources(&settings));
}

#[test]
fn a_base_url_without_a_key_is_told() {
    let settings = read(&[("OPENAI_BASE_URL", "http://x/v1")], None).expect("settings");
    assert!(settings.config.sources.is_empty());
    assert!(
        settings.warnings[0].contains("OPENAI_API_KEY"),
        "{:?}",
        settings.warnings
    );
}

#[test]
fn a_standard_key_variable_switches_a_preset_on() {
    let variables = [
        ("GROQ_API_KEY", "g"),
        ("GROQ_BASE_URL", "https://proxy.example/groq/"),
        ("COHERE_API_KEY", "c"),
        ("CO_API_URL", "https://api.cohere.com/v1"),
        ("HF_TOKEN", "h"),
        ("AZURE_OPENAI_API_KEY", "a"),
        ("AZURE_OPENAI_ENDPOINT", "https://res.openai.azure.com/"),
        ("NVIDIA_NIM_API_KEY", "n"),
    ];
    let toml = "[providers.mistral]\napi_key = 'm'\n[providers.nvidia]\nenabled = false\n\
                [providers.openrouter]\nenabled = true\n[providers.openai]\nenabled = false\n\
                [providers.off]\nenabled = false\n[endpoints.off]\nenabled = false";
    let settings = read(&variables, Some(toml)).expect("settings");
    assert_eq!(
        sources(&settings),
        "azure provider azure https://res.openai.azure.com/openai/v1 a 86400\n\
         cohere provider cohere https://api.cohere.com/v1 c 86400\n\
         groq provider openai https://proxy.example/groq/openai/v1 g 86400\n\
         huggingface provider openai https://router.huggingface.co/v1 h 86400\n\
         mistral provider openai https://api.mistral.ai/v1 m 86400\n\
         openrouter provider openrouter https://openrouter.ai/api/v1 - 86400\n"
    );
    let hints: Vec<(&str, &str)> = settings
        .config
        .unconfigured
        .iter()
        .map(|other| (other.name.as_str(), other.hint.as_str()))
        .collect();
    assert_eq!(
        hints,
        [
            (
                "openai",
                "switched off: [providers.openai] has enabled = false"
            ),
            (
                "google",
                "set GOOGLE_API_KEY or GEMINI_API_KEY to list its models"
            ),
            ("anthropic", "set ANTHROPIC_API_KEY to list its models"),
        ]
    );
    assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
}

#[test]
fn a_key_without_the_host_that_it_needs_is_told() {
    let settings = read(&[("AZURE_OPENAI_API_KEY", "secret")], None).expect("settings");
    assert!(settings.config.sources.is_empty());
    assert_eq!(settings.warnings.len(), 1);
    let hint = &settings.config.unconfigured[3].hint;
    for text in [&settings.warnings[0], hint] {
        assert!(
            text.contains("AZURE_OPENAI_ENDPOINT") && !text.contains("secret"),
            "{text}"
        );
    }
}

/// The states of the presets that are not merely unset.
fn states(settings: &Settings) -> Vec<(&str, PresetState)> {
    let presets = settings.config.presets.iter();
    presets
        .map(|preset| (preset.name, preset.state))
        .filter(|(_, state)| *state != PresetState::NotSet)
        .collect()
}

#[rstest]
#[case::the_region(&[("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "us-east-1")], Some("https://bedrock.eu-west-1.amazonaws.com/"))]
#[case::the_other_variable(&[("AWS_DEFAULT_REGION", "us-east-1")], Some("https://bedrock.us-east-1.amazonaws.com/"))]
#[case::a_whole_url(&[("AWS_ENDPOINT_URL_BEDROCK", "https://vpce.example")], Some("https://vpce.example/"))]
#[case::neither(&[], None)]
fn bedrock_has_a_host_per_region(
    #[case] variables: &[(&str, &str)],
    #[case] expected: Option<&str>,
) {
    let key = [("AWS_BEARER_TOKEN_BEDROCK", "secret")];
    let settings = read(&[&key, variables].concat(), None).expect("settings");
    match expected {
        Some(url) => assert_eq!(
            sources(&settings),
            format!("bedrock provider bedrock {url} secret 86400\n")
        ),
        None => {
            assert_eq!(sources(&settings), "");
            assert_eq!(states(&settings), [("bedrock", PresetState::Incomplete)]);
            let hint = settings.config.unconfigured.last().expect("a hint");
            for text in [&settings.warnings[0], &hint.hint] {
                assert!(
                    text.contains("AWS_REGION or AWS_DEFAULT_REGION") && !text.contains("secret"),
                    "{text}"
                );
            }
        }
    }
}

#[rstest]
#[case::its_own(&[("CLOUDFLARE_ACCOUNT_ID", "0a")], "", Some("https://api.cloudflare.com/client/v4/accounts/0a/ai"))]
#[case::as_the_sdk_has_it(&[("CLOUDFLARE_ACCOUNT_ID", "0a"), ("CLOUDFLARE_BASE_URL", "https://h/v4/")], "", Some("https://h/v4/accounts/0a/ai"))]
#[case::whole_in_the_file(&[], "base_url = 'https://h/v4/accounts/0b/ai'", Some("https://h/v4/accounts/0b/ai"))]
#[case::no_account(&[], "", None)]
fn cloudflare_has_the_account_in_its_path(
    #[case] variables: &[(&str, &str)],
    #[case] table: &str,
    #[case] expected: Option<&str>,
) {
    let key = [("CLOUDFLARE_API_TOKEN", "secret")];
    let toml = format!("[providers.cloudflare]\n{table}");
    let settings = read(&[&key, variables].concat(), Some(&toml)).expect("settings");
    match expected {
        Some(url) => assert_eq!(
            sources(&settings),
            format!("cloudflare provider cloudflare {url} secret 86400\n")
        ),
        None => assert!(
            settings.warnings[0].contains("CLOUDFLARE_ACCOUNT_ID"),
            "{:?}",
            settings.warnings
        ),
    }
}

#[test]
fn public_lists_are_asked_where_the_settings_say_so() {
    let off = read(&[], None).expect("settings");
    assert!(off.config.sources.is_empty() && states(&off).is_empty());
    let toml = "public_lists = true\n[providers.chutes]\nenabled = false";
    let variables = [("VERCEL_BASE_URL", "https://h/v1"), ("NOVITA_API_KEY", "n")];
    let on = read(&variables, Some(toml)).expect("settings");
    let listed = sources(&on);
    for line in [
        "vercel provider openai https://h/v1 - 86400",
        "novita provider openai https://api.novita.ai/openai/v1 n 86400",
        "openrouter provider openrouter https://openrouter.ai/api/v1 - 86400",
    ] {
        assert!(listed.contains(line), "{listed}");
    }
    for preset in &on.config.presets {
        let expected = match (preset.name, preset.public_list) {
            ("chutes", _) => PresetState::Off,
            ("novita", _) => PresetState::On,
            (_, true) => PresetState::OnWithoutKey,
            (_, false) => PresetState::NotSet,
        };
        assert_eq!(preset.state, expected, "{}", preset.name);
        let is_listed = listed.contains(&format!("{} provider", preset.name));
        assert_eq!(preset.hint.is_none(), is_listed, "{}", preset.name);
    }
    assert!(on.warnings.is_empty(), "{:?}", on.warnings);
    let variables = [("MODEL_CATALOG_PUBLIC_LISTS", "false")];
    let beaten = read(&variables, Some("public_lists = true")).expect("settings");
    assert_eq!(states(&beaten), []);
}

#[test]
fn a_preset_asks_with_its_own_parameters_unless_it_is_of_another_kind() {
    let query = |toml: &str| {
        let settings = read(&[("VENICE_API_KEY", "k")], Some(toml)).expect("settings");
        settings.config.sources[0].query
    };
    assert_eq!(query(""), [("type", "all")]);
    assert_eq!(query("[providers.venice]\nkind = 'anthropic'"), []);
}

#[test]
fn a_webhook_of_an_unknown_source_is_told() {
    let toml = "[webhooks.x]\nurl = 'http://x/'\nsecret = 'whsec_c2VjcmV0c2VjcmV0c2VjcmV0'\nsources = ['box', 'bxo']\n[endpoints.box]\nbase_url = 'http://y'";
    let settings = read(&[], Some(toml)).expect("settings");
    assert_eq!(settings.config.webhooks.len(), 1);
    assert_eq!(settings.warnings.len(), 1, "{:?}", settings.warnings);
    assert!(settings.warnings[0].contains("`bxo`"));
}

#[test]
fn a_key_of_an_unknown_source_is_told() {
    let toml = "[[keys]]\nname = 'x'\nkey_env = 'X'\nsources = ['box', 'bxo']\n[endpoints.box]\nbase_url = 'http://y'";
    let settings = read(&[("X", "k")], Some(toml)).expect("settings");
    assert_eq!(settings.config.keys.len(), 1);
    assert_eq!(settings.warnings.len(), 1, "{:?}", settings.warnings);
    assert!(settings.warnings[0].contains("`bxo`"));
}

#[test]
fn an_admin_key_comes_from_anywhere() {
    let of = |settings: Settings| {
        settings
            .config
            .admin_key
            .map(|key| key.expose_secret().to_owned())
    };
    let toml = Some("admin_key = 'file'");
    assert_eq!(
        of(read(&[], toml).expect("settings")).as_deref(),
        Some("file")
    );
    let variables = [("MODEL_CATALOG_ADMIN_KEY", "variable")];
    assert_eq!(
        of(read(&variables, toml).expect("settings")).as_deref(),
        Some("variable")
    );
    assert_eq!(of(read(&[], None).expect("settings")), None);
}

#[test]
fn flags_beat_the_environment() {
    let flags = Flags {
        listen: Some("127.0.0.1:2".to_owned()),
        database_url: Some("sqlite://flag.db".to_owned()),
        config: None,
        log_format: None,
    };
    let environment = Environment::new(|_| Some("sqlite://env.db".to_owned()));
    let error = Settings::read(&flags, &environment)
        .expect_err("a configuration file from the environment");
    assert!(error.to_string().contains("sqlite://env.db"), "{error}");
    let environment = Environment::new(|name| {
        matches!(name, "DATABASE_URL" | "MODEL_CATALOG_LISTEN")
            .then(|| "sqlite://env.db".to_owned())
    });
    let settings = Settings::read(&flags, &environment).expect("settings");
    assert_eq!(settings.listen, "127.0.0.1:2");
    assert_eq!(settings.config.database_url, "sqlite://flag.db");
}

#[test]
fn web_pages_are_those_of_the_environment_or_the_file() {
    let origins = |variables: &[(&str, &str)]| {
        let settings = read(variables, Some("cors_origins = [\"https://file.example\"]"));
        settings.expect("settings").config.cors_origins
    };
    let listed = |origin: &str| CorsOrigins::Listed(vec![origin.to_owned()]);
    assert_eq!(origins(&[]), listed("https://file.example"));
    let variable = "MODEL_CATALOG_CORS_ORIGINS";
    assert_eq!(
        origins(&[(variable, "https://env.example")]),
        listed("https://env.example")
    );
    assert_eq!(origins(&[(variable, "*")]), CorsOrigins::Any);
    let error = read(&[(variable, "*,https://x.example")], None).expect_err("refused");
    assert!(error.to_string().contains("cors_origins"), "{error}");
}

#[test]
fn allowed_hosts_are_those_of_the_environment_or_the_file() {
    let hosts = |variables: &[(&str, &str)]| {
        let settings = read(variables, Some("allowed_hosts = [\"file.example\"]"));
        settings.expect("settings").config.allowed_hosts
    };
    let listed = |name: &str| AllowedHosts::parse(&[name]).expect("usable");
    assert_eq!(hosts(&[]), listed("file.example"));
    let variable = "MODEL_CATALOG_ALLOWED_HOSTS";
    assert_eq!(hosts(&[(variable, "env.example")]), listed("env.example"));
    let error = read(&[(variable, "https://x.example")], None).expect_err("refused");
    assert!(error.to_string().contains("allowed_hosts"), "{error}");
}

#[test]
fn keys_with_something_around_them_are_warned_of() {
    let toml = "[[keys]]\nname = 'team'\nkey = '\"s3cret\"'\n[providers.x]\nbase_url = 'http://x'\napi_key = 'X_KEY=s3cret'";
    let variables = [
        ("MODEL_CATALOG_ADMIN_KEY", "'s3cret2'"),
        ("GROQ_API_KEY", "gsk-usual"),
    ];
    let settings = read(&variables, Some(toml)).expect("settings");
    let warnings = settings.warnings;
    assert_eq!(
        warnings,
        [
            "the admin key is in quotation marks: remove them",
            "the key of `x` begins with the name of a variable, which is no part of it: remove that",
            "key `team` of [[keys]] is in quotation marks: remove them",
        ]
    );
}

#[test]
fn a_key_that_no_header_can_carry_is_refused_in_code_too() {
    let error = SourceConfig::provider("x", Kind::OpenAi, "http://x", Some("s3cret\n2"));
    let error = error.expect_err("refused").to_string();
    assert!(
        error.contains("the key of x") && !error.contains("s3cret"),
        "{error}"
    );
}
