//! Suggests listed ids that resemble an unlisted one. Pure.

use strsim::normalized_damerau_levenshtein;

/// The least likeness of a suggestion, from 0 to 1.
const LIKENESS: f64 = 0.6;
/// The most suggestions.
const SUGGESTIONS: usize = 3;
/// The longest id that is compared, in bytes. Time grows with the product of both lengths.
const LONGEST: usize = 512;

/// The `ids` closest to `wanted`, closest first, at most three. Tolerates a missing provider prefix
/// and different case, both common slips.
pub fn closest<'a>(wanted: &str, ids: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    if wanted.len() > LONGEST {
        return Vec::new();
    }
    let wanted = wanted.to_lowercase();
    let mut close: Vec<(f64, &str)> = ids
        .map(|id| {
            let lower = id.to_lowercase();
            let model = lower.split_once(':').map_or("", |(_, model)| model);
            (likeness(&wanted, &lower).max(likeness(&wanted, model)), id)
        })
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .collect();
    close.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    close.iter().take(SUGGESTIONS).map(|(_, id)| *id).collect()
}

/// The likeness of `a` and `b`, from 0 to 1. Returns 0 early when the lengths alone rule out a
/// match.
fn likeness(a: &str, b: &str) -> f64 {
    let (shorter, longer) = (a.len().min(b.len()), a.len().max(b.len()));
    // Lengths are in bytes; a character has at most four.
    if shorter * 4 * 10 < longer * 6 {
        return 0.0;
    }
    normalized_damerau_levenshtein(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: [&str; 6] = [
        "openai:gpt-4o",
        "openai:gpt-4o-mini",
        "openai:whisper-1",
        "google:gemini-x",
        "mistral:7b",
        "über-modell",
    ];

    #[test]
    fn finds_what_may_have_been_meant() {
        let closest = |wanted| closest(wanted, IDS.into_iter());
        assert_eq!(
            closest("OpenAI:GPT-4o"),
            ["openai:gpt-4o", "openai:gpt-4o-mini"]
        );
        assert_eq!(closest("gpt-4o")[0], "openai:gpt-4o");
        assert_eq!(closest("gemini-X"), ["google:gemini-x"]);
        assert_eq!(closest("uber-modell"), ["über-modell"]);
        assert!(closest("nothing like it").is_empty());
        assert!(closest(&"x".repeat(100_000)).is_empty());
    }
}
