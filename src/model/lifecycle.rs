//! The stage of a model's life: the one reading of what its source says about its end. Pure.

use utoipa::ToSchema;

use super::{attributes::Attributes, time::Timestamp};

/// A stage of a model's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum Stage {
    /// Nothing is said of its end, or only that it comes later.
    Active,
    /// Its source advises against it, or a day that its source named for its end has passed.
    Deprecated,
    /// Its source says that it is over. A passed date does not say so: Anthropic and others go on
    /// serving such models.
    Retired,
}

impl Stage {
    /// All stages.
    pub const ALL: [Self; 3] = [Self::Active, Self::Deprecated, Self::Retired];

    /// The stage at `now` of a model with these `attributes`, by its source's word and its dates.
    pub fn of(attributes: &Attributes, now: Timestamp) -> Self {
        Self::known(attributes, now).unwrap_or(Self::Active)
    }

    /// The same; none when the source says nothing of it.
    pub fn known(attributes: &Attributes, now: Timestamp) -> Option<Self> {
        let dates = [attributes.deprecated_at, attributes.retires_at];
        let has_passed = dates.into_iter().flatten().any(|at| at <= now);
        Self::of_word(attributes).max(has_passed.then_some(Self::Deprecated))
    }

    /// The stage that the source's word says, in any case; none for any other word.
    pub fn of_word(attributes: &Attributes) -> Option<Self> {
        let word = attributes.lifecycle.as_deref()?;
        Self::ALL.into_iter().find(|stage| {
            let mut words = stage.words().iter();
            words.any(|known| word.eq_ignore_ascii_case(known))
        })
    }

    /// `active`, `deprecated` or `retired`.
    pub fn as_str(self) -> &'static str {
        self.words()[0]
    }

    /// The words of sources for it, its own name first.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Active => &["active"],
            // `LEGACY` is Amazon Bedrock's; `inactive` stands for Groq's `"active": false`.
            Self::Deprecated => &["deprecated", "inactive", "legacy", "retiring", "sunset"],
            Self::Retired => &[
                "retired",
                "decommissioned",
                "discontinued",
                "end_of_life",
                "eol",
                "obsolete",
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[rstest]
    #[case::nothing(json!({}), None)]
    #[case::another_word(json!({"lifecycle": "preview"}), None)]
    #[case::active(json!({"lifecycle": "Active"}), Some(Stage::Active))]
    #[case::deprecated(json!({"lifecycle": "DEPRECATED"}), Some(Stage::Deprecated))]
    #[case::legacy(json!({"lifecycle": "LEGACY"}), Some(Stage::Deprecated))]
    #[case::retired(json!({"lifecycle": "Retired"}), Some(Stage::Retired))]
    #[case::to_come(json!({"deprecated_at": "2026-11-26T00:00:00.001Z"}), None)]
    #[case::come(json!({"deprecated_at": "2026-11-26T00:00:00Z"}), Some(Stage::Deprecated))]
    #[case::over_by_its_date(json!({"retires_at": "2026-11-25T00:00:00Z"}), Some(Stage::Deprecated))]
    #[case::a_date_after_its_word(
        json!({"lifecycle": "active", "deprecated_at": "2026-11-25T00:00:00Z"}), Some(Stage::Deprecated))]
    #[case::a_word_after_its_date(
        json!({"lifecycle": "retired", "deprecated_at": "2027-11-25T00:00:00Z"}), Some(Stage::Retired))]
    fn stages(#[case] mut attributes: Value, #[case] expected: Option<Stage>) {
        attributes["created"] = 0.into();
        let attributes: Attributes = serde_json::from_value(attributes).expect("attributes");
        let now = "2026-11-26T00:00:00Z".parse().expect("a time");
        assert_eq!(Stage::known(&attributes, now), expected);
        assert_eq!(
            Stage::of(&attributes, now),
            expected.unwrap_or(Stage::Active)
        );
    }
}
