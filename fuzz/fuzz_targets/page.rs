//! One page of a list, in every dialect.

#![no_main]

use libfuzzer_sys::fuzz_target;
use model_catalog::{Kind, fuzzing};

fuzz_target!(|body: &[u8]| {
    for kind in [
        Kind::OpenAi,
        Kind::Google,
        Kind::Anthropic,
        Kind::Cohere,
        Kind::Ollama,
        Kind::Bedrock,
        Kind::Cloudflare,
    ] {
        fuzzing::page(kind, body);
    }
});
