//! Where services put each attribute: one table per meaning, each a list of JSON pointers. The
//! first place with a value counts. Older places come first, so that a new one changes nothing for
//! the services that are already read.
//!
//! Comments name the services that use each place. Places that no known service uses are not read.

/// When the model was created. Azure and gateways use `created_at`.
pub const CREATED: [&str; 2] = ["/created", "/created_at"];

/// The `created` of all of NVIDIA's models, which means that it is unknown.
pub const NVIDIA_CREATED: i64 = 735_790_403;

/// A name for people.
pub const DISPLAY_NAME: [&str; 5] = [
    "/display_name",
    "/name",
    // Novita; AIHubMix; Venice.
    "/title",
    "/model_name",
    "/model_spec/name",
];

/// A description for people.
pub const DESCRIPTION: [&str; 4] = [
    "/description",
    // DeepInfra; Venice; AIHubMix.
    "/metadata/description",
    "/model_spec/description",
    "/desc",
];

/// Tokens that fit into the input. The limit for a call now comes before the model's own limit.
pub const CONTEXT_WINDOW: [&str; 24] = [
    // OpenRouter, Together, Fireworks, Cohere, xAI.
    "/context_length",
    // Groq, Vercel, Requesty, io.net.
    "/context_window",
    // Mistral, LM Studio.
    "/max_context_length",
    // vLLM, SGLang. Chutes' may be twice its context_length, which comes first.
    "/max_model_len",
    // llama.cpp: the configured size (`--ctx-size`), and the size that the model was trained for.
    "/meta/n_ctx",
    "/meta/n_ctx_train",
    "/top_provider/context_length",
    // LiteLLM's proxy, Anthropic.
    "/max_input_tokens",
    // Novita, Cortecs.
    "/context_size",
    // Cerebras; Neuralwatt.
    "/limits/max_context_length",
    "/limits/max_input_tokens",
    "/limits/context_length",
    "/metadata/limits/max_context_length",
    "/metadata/limits/max_input_tokens",
    "/metadata/limits/context_length",
    // DeepInfra.
    "/metadata/context_length",
    "/metadata/context_window",
    // Venice.
    "/model_spec/availableContextTokens",
    // GitHub Copilot; its prompt is shorter than its window.
    "/capabilities/limits/max_context_window_tokens",
    "/capabilities/limits/max_prompt_tokens",
    // models.dev's format.
    "/limit/context",
    // Google's, through gateways.
    "/inputTokenLimit",
    "/input_token_limit",
    // Vultr: OpenRouter's newer format, an object per modality.
    "/input_modalities/text/max_context_length",
];

/// Most tokens of an answer.
pub const MAX_OUTPUT_TOKENS: [&str; 18] = [
    // Groq, Cerebras, SambaNova, Friendli, Baseten; OpenRouter.
    "/max_completion_tokens",
    "/top_provider/max_completion_tokens",
    // LiteLLM's proxy, Novita, Requesty.
    "/max_output_tokens",
    // OpenRouter's format for providers: Chutes, Atlas Cloud, Reka, OVHcloud, W&B.
    "/max_output_length",
    // AIHubMix.
    "/max_output",
    // Cerebras; Neuralwatt.
    "/limits/max_completion_tokens",
    "/limits/max_output_tokens",
    "/limits/max_output_length",
    "/metadata/limits/max_completion_tokens",
    "/metadata/limits/max_output_tokens",
    // DeepInfra, where it is a limit.
    "/metadata/max_tokens",
    "/metadata/max_output_tokens",
    // Venice; GitHub Copilot; models.dev's format.
    "/model_spec/maxCompletionTokens",
    "/capabilities/limits/max_output_tokens",
    "/limit/output",
    // Google's, through gateways.
    "/outputTokenLimit",
    "/output_token_limit",
    // Vultr.
    "/output_modalities/text/max_output_length",
];

/// Beside these a bare `max_tokens` is a limit; elsewhere it is the default for a call.
pub const MAX_TOKENS_IS_A_LIMIT: [&str; 3] = [
    // Anthropic, LiteLLM; Vercel; io.net.
    "/max_input_tokens",
    "/released",
    "/input_token_price",
];

/// Modalities: words, a text with commas, or an object or list of objects, one per modality.
pub const INPUT_MODALITIES: [&str; 3] = [
    // OpenRouter, the Hugging Face router, llama.cpp; xAI, LocalAI, Vultr, AIHubMix; DigitalOcean.
    "/architecture/input_modalities",
    "/input_modalities",
    "/modalities/input",
];
/// As [`INPUT_MODALITIES`].
pub const OUTPUT_MODALITIES: [&str; 3] = [
    "/architecture/output_modalities",
    "/output_modalities",
    "/modalities/output",
];

/// Lists and flags of capabilities.
pub const CAPABILITIES: [&str; 6] = [
    // Mistral, Azure, LM Studio, LocalAI; OpenRouter; Cohere, Featherless, Novita.
    "/capabilities",
    "/supported_parameters",
    "/features",
    // OpenRouter's format for providers: Groq, Chutes, Nebius, Baseten, W&B and others.
    "/supported_features",
    // Friendli; Neuralwatt.
    "/functionality",
    "/metadata/capabilities",
];

/// Places of tags. Only [`TAGS`] are read, since other tags are free-form.
pub const TAG_LISTS: [&str; 2] = [
    // Vercel, Cortecs; DeepInfra.
    "/tags",
    "/metadata/tags",
];
/// The tags that are read.
pub const TAGS: [&str; 18] = [
    "audio",
    "chat",
    "embeddings",
    "explicit-caching",
    "file-input",
    "function-calling",
    "image-generation",
    "implicit-caching",
    "json",
    "prompt_cache",
    "reasoning",
    "reasoning_effort",
    "structured-outputs",
    "tool-use",
    "tools",
    "vision",
    "vlm",
    "web-search",
];

/// The values of `type` that name the use of a model: Together's and LM Studio's. Elsewhere `type`
/// has another meaning (`model`, `base`, `fine-tuned`).
pub const USE_TYPES: [&str; 13] = [
    "audio",
    "chat",
    "code",
    "embedding",
    "embeddings",
    "image",
    "language",
    "llm",
    "moderation",
    "rerank",
    "transcribe",
    "video",
    "vlm",
];

/// The methods that the model can be called with.
pub const SUPPORTED_METHODS: [&str; 2] = [
    // Cohere, Novita; inference.net.
    "/endpoints",
    "/supported_endpoints",
];

/// The stage of its lifecycle, in the source's own word.
pub const LIFECYCLE: [&str; 3] = [
    // Azure, DigitalOcean; Cohere; Bedrock's format.
    "/lifecycle_status",
    "/lifecycle",
    "/modelLifecycle/status",
];
/// Flags of a deprecated model: Cohere's; Cerebras' and gateways'; Neuralwatt's.
pub const DEPRECATED: [&str; 3] = ["/is_deprecated", "/deprecated", "/metadata/deprecated"];
/// The values of `status` that mean end of life. Others describe the server (`loaded`, `succeeded`).
pub const ENDING_STATUSES: [&str; 10] = [
    "decommissioned",
    "deprecated",
    "discontinued",
    "end_of_life",
    "eol",
    "legacy",
    "obsolete",
    "retired",
    "retiring",
    "sunset",
];

/// Since when the model is, or will be, deprecated.
pub const DEPRECATED_AT: [&str; 3] = [
    "/deprecated_at",
    // A date in place of the flag; Bedrock's format.
    "/deprecated",
    "/modelLifecycle/legacyTime",
];

/// When the model is shut down.
pub const RETIRES_AT: [&str; 16] = [
    // OpenAI; OpenRouter; Mistral; Azure.
    "/shutdown_date",
    "/expiration_date",
    "/deprecation",
    "/deprecation/inference",
    "/retires_at",
    // OpenRouter's format for providers, W&B; LLMAPI.
    "/deprecation_date",
    "/deactivated_at",
    // Gateways.
    "/retirement_date",
    "/retired_at",
    "/sunset_date",
    "/end_of_life",
    // Bedrock's format; Venice.
    "/modelLifecycle/endOfLifeTime",
    "/model_spec/deprecation/date",
    "/model_spec/deprecation",
    "/metadata/deprecation_date",
    "/metadata/retirement_date",
];

/// The date up to which its knowledge goes.
pub const KNOWLEDGE_CUTOFF: [&str; 1] = ["/knowledge_cutoff"];

/// Objects of prices.
pub const PRICES: [&str; 4] = [
    "/pricing",
    // ZenMux; DeepInfra, Neuralwatt; Venice.
    "/pricings",
    "/metadata/pricing",
    "/model_spec/pricing",
];
