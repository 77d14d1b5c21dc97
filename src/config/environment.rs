//! The process environment, and its only reader.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

/// The environment. Empty or blank variables count as unset; other values are trimmed.
pub struct Environment<'e> {
    read: Box<Reader<'e>>,
    /// The names of the variables that were asked for and are set.
    used: Mutex<BTreeSet<String>>,
}

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
        Self {
            read: Box::new(read),
            used: Mutex::default(),
        }
    }

    /// The value of `name` as it is, for what others read too; none when it is unset or blank.
    pub fn get_untrimmed(&self, name: &str) -> Option<String> {
        let value = (self.read)(name).filter(|value| !value.trim().is_empty())?;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.insert(name.to_owned());
        Some(value)
    }

    /// The trimmed value of `name`; none when it is unset or blank.
    pub fn get(&self, name: &str) -> Option<String> {
        self.get_untrimmed(name)
            .map(|value| value.trim().to_owned())
    }

    /// The names of the variables that were asked for and are set, sorted.
    pub(crate) fn used(&self) -> Vec<String> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.iter().cloned().collect()
    }
}
