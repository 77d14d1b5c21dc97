//! The well-known providers as a table of names, variables and base URLs. Data only:
//! `read/sources.rs` reads it.
//!
//! Variables and base URLs follow the service's own SDK or documentation where it has one. Where an
//! SDK has no variable for the base URL, we use `<NAME>_BASE_URL`. The comment on each row names
//! the origin of its facts:
//!
//! - "SDK" and "docs": the service's own;
//! - "code": public code that reads the list, named in brackets: models.dev (its `provider.toml`
//!   and sync scripts), catwalk (Charm's), any-llm (Mozilla's), big-AGI, Roo Code;
//! - "seen": the list answered a third party, or a recorded answer is public;
//! - "unsure": undocumented. No rule depends on it.
//!
//! `public` marks a list that answers without a key, as observed or documented.

use crate::model::source::Kind;

/// A provider that only needs a key.
#[derive(Clone, Copy)]
pub(super) struct Preset {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// The first one that is set wins.
    pub(super) key_variables: &'static [&'static str],
    pub(super) base_url_variable: &'static str,
    /// None when every account has its own host: the base URL variable must then be set. `{A|B}`
    /// stands for the value of variable `A`, or of `B` when `A` is unset.
    pub(super) base_url: Option<&'static str>,
    /// Path between the base URL as the SDK takes it and the list. A base URL that already ends
    /// with it stays as it is. `{A}` works as in `base_url`.
    pub(super) version_path: &'static str,
    /// Query parameters of its list request, added to those of its kind.
    pub(super) query: &'static [(&'static str, &'static str)],
    /// Whether the list is readable without a key.
    pub(super) public_list: bool,
    /// Whether operators see a hint about it while it is not configured.
    pub(super) is_suggested: bool,
}

/// A provider with OpenAI's list at `base_url` plus `/models`.
const fn preset(name: &'static str, base_url: &'static str) -> Preset {
    Preset {
        name,
        kind: Kind::OpenAi,
        key_variables: &[],
        base_url_variable: "",
        base_url: Some(base_url),
        version_path: "",
        query: &[],
        public_list: false,
        is_suggested: false,
    }
}

impl Preset {
    const fn variables(
        self,
        key_variables: &'static [&'static str],
        base_url_variable: &'static str,
    ) -> Self {
        Self {
            key_variables,
            base_url_variable,
            ..self
        }
    }

    const fn kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    const fn version(self, version_path: &'static str) -> Self {
        Self {
            version_path,
            ..self
        }
    }

    const fn query(self, query: &'static [(&'static str, &'static str)]) -> Self {
        Self { query, ..self }
    }

    const fn public(self) -> Self {
        Self {
            public_list: true,
            ..self
        }
    }

    const fn suggested(self) -> Self {
        Self {
            is_suggested: true,
            ..self
        }
    }

    const fn own_host(self) -> Self {
        Self {
            base_url: None,
            ..self
        }
    }
}

/// Every preset: the three suggested ones, then the rest by name.
pub(super) const PRESETS: [Preset; 46] = [
    // SDK openai 3.54.0.
    preset("openai", "https://api.openai.com/v1")
        .variables(&["OPENAI_API_KEY"], "OPENAI_BASE_URL")
        .suggested(),
    // SDK google-genai 3.4.0; GOOGLE_API_KEY wins there too.
    preset("google", "https://generativelanguage.googleapis.com")
        .kind(Kind::Google)
        .variables(
            &["GOOGLE_API_KEY", "GEMINI_API_KEY"],
            "GOOGLE_GEMINI_BASE_URL",
        )
        .suggested(),
    // SDK anthropic 2.12.0.
    preset("anthropic", "https://api.anthropic.com")
        .kind(Kind::Anthropic)
        .variables(&["ANTHROPIC_API_KEY"], "ANTHROPIC_BASE_URL")
        .suggested(),
    // Code (models.dev, any-llm): base URL, variable; seen: 401. The list is not documented. China
    // and the US have separate hosts. The SDK's DASHSCOPE_HTTP_BASE_URL belongs to another API.
    preset(
        "alibaba",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
    )
    .variables(&["DASHSCOPE_API_KEY"], "ALIBABA_BASE_URL"),
    // SDK openai 3.54.0 (lib/azure.py).
    preset("azure", "")
        .kind(Kind::Azure)
        .variables(&["AZURE_OPENAI_API_KEY"], "AZURE_OPENAI_ENDPOINT")
        .own_host()
        .version("/openai/v1"),
    // Code (models.dev, catwalk). catwalk sends the key as a bearer, models.dev as `Api-Key`: unsure
    // whether both work.
    preset("baseten", "https://inference.baseten.co/v1")
        .variables(&["BASETEN_API_KEY"], "BASETEN_BASE_URL"),
    // Docs (docs.aws.amazon.com/bedrock: ListFoundationModels, ListInferenceProfiles, API keys);
    // variables from the AWS SDKs.
    preset(
        "bedrock",
        "https://bedrock.{AWS_REGION|AWS_DEFAULT_REGION}.amazonaws.com",
    )
    .kind(Kind::Bedrock)
    .variables(&["AWS_BEARER_TOKEN_BEDROCK"], "AWS_ENDPOINT_URL_BEDROCK"),
    // Seen; SDK cerebras: the base URL has no version.
    preset("cerebras", "https://api.cerebras.ai")
        .variables(&["CEREBRAS_API_KEY"], "CEREBRAS_BASE_URL")
        .version("/v1"),
    // Seen: open. Code (models.dev): variable.
    preset("chutes", "https://llm.chutes.ai/v1")
        .variables(&["CHUTES_API_KEY"], "CHUTES_BASE_URL")
        .public(),
    // Docs (developers.cloudflare.com/api: Model Search); SDK cloudflare: the variables.
    // CLOUDFLARE_API_KEY is left out: Cloudflare's own tools use that name for the global key,
    // which is not a bearer token.
    preset("cloudflare", "https://api.cloudflare.com/client/v4")
        .kind(Kind::Cloudflare)
        .variables(&["CLOUDFLARE_API_TOKEN"], "CLOUDFLARE_BASE_URL")
        .version("/accounts/{CLOUDFLARE_ACCOUNT_ID}/ai"),
    // SDK cohere 7.3.1.
    preset("cohere", "https://api.cohere.com")
        .kind(Kind::Cohere)
        .variables(&["CO_API_KEY", "COHERE_API_KEY"], "CO_API_URL")
        .version("/v1"),
    // Seen: open. Code (any-llm): base URL; (models.dev): variable. We do not send
    // `filter=with_meta`: unsure whether it leaves models out.
    preset("deepinfra", "https://api.deepinfra.com/v1/openai")
        .variables(&["DEEPINFRA_API_KEY"], "DEEPINFRA_BASE_URL")
        .public(),
    // Seen.
    preset("deepseek", "https://api.deepseek.com")
        .variables(&["DEEPSEEK_API_KEY"], "DEEPSEEK_BASE_URL"),
    // Seen: open, 22,060 models. The variable is unsure.
    preset("featherless", "https://api.featherless.ai/v1")
        .variables(&["FEATHERLESS_API_KEY"], "FEATHERLESS_BASE_URL")
        .public(),
    // Code; so is the second key variable.
    preset("fireworks", "https://api.fireworks.ai/inference/v1").variables(
        &["FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY"],
        "FIREWORKS_BASE_URL",
    ),
    // Code (models.dev): open.
    preset("friendli", "https://api.friendli.ai/serverless/v1")
        .variables(&["FRIENDLI_TOKEN"], "FRIENDLI_BASE_URL")
        .public(),
    // SDK groq 1.7.0.
    preset("groq", "https://api.groq.com")
        .variables(&["GROQ_API_KEY"], "GROQ_BASE_URL")
        .version("/openai/v1"),
    // Code: open.
    preset("huggingface", "https://router.huggingface.co/v1")
        .variables(&["HF_TOKEN"], "HUGGINGFACE_BASE_URL")
        .public(),
    // Seen: 401. Unsure what an entry holds.
    preset("hyperbolic", "https://api.hyperbolic.xyz/v1")
        .variables(&["HYPERBOLIC_API_KEY"], "HYPERBOLIC_BASE_URL"),
    // Code (models.dev, any-llm): base URL, variable; seen: open.
    preset("inception", "https://api.inceptionlabs.ai/v1")
        .variables(&["INCEPTION_API_KEY"], "INCEPTION_BASE_URL")
        .public(),
    // Code (catwalk): open; (models.dev): variable.
    preset("io-net", "https://api.intelligence.io.solutions/api/v1")
        .variables(&["IOINTELLIGENCE_API_KEY"], "IO_NET_BASE_URL")
        .public(),
    // Code (models.dev): open.
    preset("llmgateway", "https://api.llmgateway.io/v1")
        .variables(&["LLMGATEWAY_API_KEY"], "LLMGATEWAY_BASE_URL")
        .public(),
    // Docs (platform.minimax.io); seen: 401. China: https://api.minimaxi.com/v1.
    preset("minimax", "https://api.minimax.io/v1")
        .variables(&["MINIMAX_API_KEY"], "MINIMAX_BASE_URL"),
    // SDK mistralai 3.7.0.
    preset("mistral", "https://api.mistral.ai/v1")
        .variables(&["MISTRAL_API_KEY"], "MISTRAL_BASE_URL"),
    // Docs (platform.kimi.ai/docs/api/list-models). China: https://api.moonshot.cn/v1, with
    // separate keys.
    preset("moonshot", "https://api.moonshot.ai/v1")
        .variables(&["MOONSHOT_API_KEY"], "MOONSHOT_BASE_URL"),
    // Code (catwalk): list and query; without the query an entry has only four fields; seen: 401.
    preset("nebius", "https://api.tokenfactory.nebius.com/v1")
        .variables(&["NEBIUS_API_KEY"], "NEBIUS_BASE_URL")
        .query(&[("verbose", "true")]),
    // Docs (novita.ai/docs: list models); seen: open.
    preset("novita", "https://api.novita.ai/openai/v1")
        .variables(&["NOVITA_API_KEY"], "NOVITA_BASE_URL")
        .public(),
    // Code: open; the second key variable.
    preset("nvidia", "https://integrate.api.nvidia.com/v1")
        .variables(&["NVIDIA_API_KEY", "NVIDIA_NIM_API_KEY"], "NVIDIA_BASE_URL")
        .public(),
    // Docs (docs.ollama.com, cloud); code (models.dev): open, `/api/show` too.
    preset("ollama-cloud", "https://ollama.com")
        .kind(Kind::Ollama)
        .variables(&["OLLAMA_API_KEY"], "OLLAMA_CLOUD_BASE_URL")
        .public(),
    // Code (models.dev): base URL, variable; (catwalk): fetches with the key `public`. Seen: open,
    // though less surely than others.
    preset("opencode", "https://opencode.ai/zen/v1")
        .variables(&["OPENCODE_API_KEY"], "OPENCODE_BASE_URL")
        .public(),
    // SDK @openrouter/sdk 1.3.19; seen: open.
    preset("openrouter", "https://openrouter.ai/api/v1")
        .kind(Kind::OpenRouter)
        .variables(&["OPENROUTER_API_KEY"], "OPENROUTER_BASE_URL")
        .public(),
    // Code (models.dev): variable; seen: open.
    preset(
        "ovhcloud",
        "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1",
    )
    .variables(&["OVHCLOUD_API_KEY"], "OVHCLOUD_BASE_URL")
    .public(),
    // Seen: 401. Unsure about the variable and what an entry holds.
    preset("parasail", "https://api.parasail.io/v1")
        .variables(&["PARASAIL_API_KEY"], "PARASAIL_BASE_URL"),
    // Seen; code: the second key variable.
    preset("perplexity", "https://api.perplexity.ai/v1").variables(
        &["PERPLEXITY_API_KEY", "PERPLEXITYAI_API_KEY"],
        "PERPLEXITY_BASE_URL",
    ),
    // Code (models.dev): base URL, variable; (Roo Code): entries. Unsure whether it is open.
    preset("poe", "https://api.poe.com/v1").variables(&["POE_API_KEY"], "POE_BASE_URL"),
    // Code (models.dev): base URL, variable; (Roo Code): entries. The list depends on the account:
    // not public here, although Roo Code also fetches it without a key.
    preset("requesty", "https://router.requesty.ai/v1")
        .variables(&["REQUESTY_API_KEY"], "REQUESTY_BASE_URL"),
    // Docs; SDK sambanova 1.2.0; seen: open.
    preset("sambanova", "https://api.sambanova.ai/v1")
        .variables(&["SAMBANOVA_API_KEY"], "SAMBANOVA_BASE_URL")
        .public(),
    // Docs: SCW_SECRET_KEY, which is also the key of the whole cloud; code (models.dev): the other
    // one, which is for this service alone and wins.
    preset("scaleway", "https://api.scaleway.ai/v1")
        .variables(&["SCALEWAY_API_KEY", "SCW_SECRET_KEY"], "SCALEWAY_BASE_URL"),
    // Docs (docs.siliconflow.cn: get-model-list); seen: 401. China: https://api.siliconflow.cn/v1,
    // with separate keys.
    preset("siliconflow", "https://api.siliconflow.com/v1")
        .variables(&["SILICONFLOW_API_KEY"], "SILICONFLOW_BASE_URL"),
    // SDK together 2.42.0.
    preset("together", "https://api.together.xyz/v1")
        .variables(&["TOGETHER_API_KEY"], "TOGETHER_BASE_URL"),
    // Seen: 401, and 200 with a key. models.dev calls /v1/solar: unsure whether that has a list.
    preset("upstage", "https://api.upstage.ai/v1")
        .variables(&["UPSTAGE_API_KEY"], "UPSTAGE_BASE_URL"),
    // Docs (docs.venice.ai): open; without the query it lists only text models.
    preset("venice", "https://api.venice.ai/api/v1")
        .variables(&["VENICE_API_KEY"], "VENICE_BASE_URL")
        .query(&[("type", "all")])
        .public(),
    // Docs (vercel.com/docs: AI Gateway, REST API): open.
    preset("vercel", "https://ai-gateway.vercel.sh/v1")
        .variables(&["AI_GATEWAY_API_KEY"], "VERCEL_BASE_URL")
        .public(),
    // Docs (docs.wandb.ai, Inference); seen: 401.
    preset("wandb", "https://api.inference.wandb.ai/v1")
        .variables(&["WANDB_API_KEY"], "WANDB_INFERENCE_BASE_URL"),
    // Seen.
    preset("xai", "https://api.x.ai/v1").variables(&["XAI_API_KEY"], "XAI_BASE_URL"),
    // Code (models.dev, any-llm): base URL; vendor's examples: variable; seen: 401. Keys of a
    // coding plan need https://api.z.ai/api/coding/paas/v4.
    preset("zai", "https://api.z.ai/api/paas/v4").variables(&["ZAI_API_KEY"], "ZAI_BASE_URL"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_name_and_no_variable_twice() {
        let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
        let mut sorted = names[3..].to_vec();
        sorted.sort_unstable();
        assert_eq!(names[3..], sorted, "they are found by name");
        let different: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(different.len(), PRESETS.len());
        let variables: Vec<&str> = PRESETS
            .iter()
            .flat_map(|preset| preset.key_variables.iter().copied())
            .chain(PRESETS.iter().map(|preset| preset.base_url_variable))
            .collect();
        let different: BTreeSet<&str> = variables.iter().copied().collect();
        assert_eq!(different.len(), variables.len());
        assert!(!different.contains(""));
    }

    /// A key must not travel in the clear, and nothing is added behind a query.
    #[test]
    fn every_address_is_a_plain_https_url() {
        for preset in &PRESETS {
            assert!(!preset.key_variables.is_empty(), "{}", preset.name);
            if let Some(url) = preset.base_url {
                assert!(url.starts_with("https://"), "{url}");
                assert!(!url.ends_with('/') && !url.contains(['?', '#']), "{url}");
            }
        }
    }

    #[test]
    fn the_documentation_has_each_with_its_variables() {
        let page = include_str!("../../docs/providers.md");
        let (_, page) = page.split_once("## Presets").expect("the section");
        let (table, _) = page.split_once("Of two key variables").expect("its end");
        let rows: Vec<&str> = table
            .lines()
            .filter(|line| line.starts_with("| `"))
            .collect();
        assert_eq!(rows.len(), PRESETS.len());
        for (row, preset) in rows.iter().zip(&PRESETS) {
            let row = row.replace("\\|", "|");
            let list = match preset.kind {
                Kind::Google => "/v1beta/models".to_owned(),
                Kind::Anthropic => "/v1/models".to_owned(),
                Kind::Ollama => "/api/tags".to_owned(),
                Kind::Bedrock => "/foundation-models".to_owned(),
                Kind::Cloudflare => format!("{}/models/search", preset.version_path),
                _ => format!("{}/models", preset.version_path),
            };
            let query: Vec<String> = preset
                .query
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let words = [preset.name, preset.base_url_variable, list.as_str()];
            let words = words
                .iter()
                .chain(preset.key_variables)
                .chain(&preset.base_url)
                .copied()
                .chain(query.iter().map(String::as_str));
            for word in words {
                assert!(row.contains(&format!("`{word}`")), "{word} in {row}");
            }
            assert_eq!(row.ends_with("| yes |"), preset.public_list, "{row}");
        }
    }
}
