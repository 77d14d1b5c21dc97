//! The environment of the process: the one reader of it.

/// The environment: variables that are empty or blank count as unset, the rest is trimmed.
pub struct Environment<'e>(Box<Reader<'e>>);

type Reader<'e> = dyn Fn(&str) -> Option<String> + 'e;

impl<'e> Environment<'e> {
    /// The environment of this process.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one reader of the environment"
    )]
    pub fn of_process() -> Self {
        // What is no text is not unset: it is refused where it is used.
        Self::new(|name| Some(std::env::var_os(name)?.to_string_lossy().into_owned()))
    }

    /// An environment made up by the caller.
    pub fn new(read: impl Fn(&str) -> Option<String> + 'e) -> Self {
        Self(Box::new(read))
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<String> {
        (self.0)(name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    }
}
