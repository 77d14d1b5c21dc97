//! The process environment, and its only reader.

/// The environment. Empty or blank variables count as unset; other values are trimmed.
pub struct Environment<'e>(Box<Reader<'e>>);

type Reader<'e> = dyn Fn(&str) -> Option<String> + 'e;

impl<'e> Environment<'e> {
    /// The environment of this process.
    #[expect(
        clippy::disallowed_methods,
        reason = "the only reader of the environment"
    )]
    pub fn of_process() -> Self {
        // Non-UTF-8 values are kept (lossily), so that the setting that uses one is refused instead
        // of ignored.
        Self::new(|name| Some(std::env::var_os(name)?.to_string_lossy().into_owned()))
    }

    /// An environment that reads variables with `read` instead of from the process.
    pub fn new(read: impl Fn(&str) -> Option<String> + 'e) -> Self {
        Self(Box::new(read))
    }

    /// The value of `name` as it is, for what others read too; none when it is unset or blank.
    pub fn get_untrimmed(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.trim().is_empty())
    }

    /// The trimmed value of `name`; none when it is unset or blank.
    pub fn get(&self, name: &str) -> Option<String> {
        (self.0)(name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    }
}
