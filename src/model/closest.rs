//! Suggests listed ids that resemble an unlisted one. Pure.

use rapidfuzz::distance::osa::{Args, BatchComparator};

/// The least likeness of a suggestion, from 0 to 1.
const LIKENESS: f64 = 0.6;
/// The most suggestions.
const SUGGESTIONS: usize = 3;
/// The longest id that anything is suggested for, in characters. A comparison takes about a microsecond at
/// that length.
const LONGEST: usize = 128;
/// The most ids that are compared, those of another length left out.
const MAX_COMPARED: usize = 50_000;

/// The `ids` closest to `wanted`, closest first, at most three. Tolerates a missing provider prefix
/// and different case, both common slips.
pub fn closest<'a>(wanted: &str, ids: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    // A character has at least one byte, so nothing longer is looked at.
    let length = wanted.chars().take(LONGEST + 1).count();
    if length > LONGEST {
        return Vec::new();
    }
    let wanted = Wanted {
        length,
        comparator: BatchComparator::new(wanted.to_lowercase().chars()),
    };
    let mut close: Vec<(f64, &str)> = ids
        .filter(|id| wanted.may_resemble(id))
        .take(MAX_COMPARED)
        .filter_map(|id| Some((wanted.likeness_to_any_part(id)?, id)))
        .collect();
    close.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    close.iter().take(SUGGESTIONS).map(|(_, id)| *id).collect()
}

/// The wanted id in lower case, ready to be compared with many.
struct Wanted {
    /// In characters.
    length: usize,
    comparator: BatchComparator<char>,
}

impl Wanted {
    /// Whether the length of `id` or of its part behind the prefix allows a likeness.
    fn may_resemble(&self, id: &str) -> bool {
        let model = id.split_once(':').map_or("", |(_, model)| model);
        [id, model].iter().any(|text| {
            // In bytes; a character has at most four.
            let (bytes, length) = (text.len(), self.length);
            bytes as f64 >= length as f64 * LIKENESS
                && bytes as f64 * LIKENESS <= 4.0 * length as f64
        })
    }

    fn likeness_to_any_part(&self, id: &str) -> Option<f64> {
        let id = id.to_lowercase();
        let model = id
            .split_once(':')
            .and_then(|(_, model)| self.likeness(model));
        // None is less than any likeness.
        self.likeness(&id)
            .into_iter()
            .chain(model)
            .max_by(f64::total_cmp)
    }

    /// The likeness of `text`; none when it is too small. Gives up as soon as it must be.
    fn likeness(&self, text: &str) -> Option<f64> {
        let (length, longest) = (text.chars().count(), self.length);
        let (shorter, longer) = (length.min(longest), length.max(longest));
        if (shorter as f64) < longer as f64 * LIKENESS {
            return None;
        }
        let enough = Args::default().score_cutoff(LIKENESS);
        self.comparator
            .normalized_similarity_with_args(text.chars(), &enough)
    }
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

    /// What once took 17 s.
    #[test]
    fn twenty_thousand_long_ids_are_compared_in_time() {
        let id = |number: usize| {
            let noise =
                (0..).map(|place| char::from(b'a' + ((number * 7 + place * place) % 26) as u8));
            noise.take(200).collect::<String>()
        };
        let ids: Vec<String> = (0..20_000).map(id).collect();
        for length in [1, 64, LONGEST, LONGEST + 1, 512] {
            let wanted: String = "zyxwvu:tsrqponmlkjihgfedcba"
                .chars()
                .cycle()
                .take(length)
                .collect();
            let began = std::time::Instant::now();
            closest(&wanted, ids.iter().map(String::as_str));
            let took = began.elapsed();
            assert!(
                took < std::time::Duration::from_secs(5),
                "{length}: {took:?}"
            );
        }
    }
}
