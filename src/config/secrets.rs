//! Reading keys and other secrets from the settings, a variable or a file. Errors never repeat a
//! value that may be a misplaced secret.

use std::{fs::File, io::Read, path::Path};

use secrecy::{ExposeSecret, SecretString};

use super::{environment::Environment, error::ConfigError};

/// The largest key file, in bytes.
const MAX_KEY_BYTES: u64 = 64 << 10;

/// The settings that may hold a secret. At most one of the three is set.
pub(super) struct SecretPlaces<'a> {
    /// `api_key`, `url` or `secret`; the other two settings are `…_env` and `…_file`.
    pub(super) field: &'static str,
    pub(super) value: &'a Option<SecretString>,
    pub(super) variable: &'a Option<String>,
    pub(super) file: &'a Option<String>,
}

/// Reads secrets and collects warnings about how they are stored.
pub(super) struct Secrets<'e> {
    environment: &'e Environment<'e>,
    pub(super) warnings: Vec<String>,
    /// Whether the settings file itself holds a secret.
    pub(super) are_in_file: bool,
}

impl<'e> Secrets<'e> {
    pub(super) fn new(environment: &'e Environment<'e>) -> Self {
        Self {
            environment,
            warnings: Vec::new(),
            are_in_file: false,
        }
    }

    /// The key from the first of `variables` that is set, directly or as `<variable>_FILE`.
    pub(super) fn read_variables(
        &mut self,
        variables: &[&str],
    ) -> Result<Option<SecretString>, ConfigError> {
        for variable in variables {
            if let Some(key) = self.environment.get(variable) {
                return Ok(Some(key.into()));
            }
            let file_variable = format!("{variable}_FILE");
            if let Some(path) = self.environment.get(&file_variable) {
                return self.read_file(&file_variable, &path).map(Some);
            }
        }
        Ok(None)
    }

    /// The secret of `name` from the one place that is set; none when none is. Fails when several
    /// are.
    pub(super) fn read_places(
        &mut self,
        name: &str,
        places: SecretPlaces<'_>,
    ) -> Result<Option<SecretString>, ConfigError> {
        let field = places.field;
        match (places.value, places.variable, places.file) {
            (None, None, None) => Ok(None),
            (Some(key), None, None) => {
                self.are_in_file = true;
                let key = key.expose_secret().trim();
                Ok((!key.is_empty()).then(|| key.into()))
            }
            (None, Some(variable), None) => {
                match self.read_variables(&[variable])? {
                    Some(key) => Ok(Some(key)),
                    // The key itself may stand here by mistake, so only text that looks like a
                    // variable is repeated.
                    None => Err(ConfigError(format!(
                        "{field}_env of `{name}` names a variable that is not set{}: set it, or remove this setting",
                        if looks_like_a_variable(variable) {
                            format!(" ({variable})")
                        } else {
                            String::new()
                        }
                    ))),
                }
            }
            (None, None, Some(path)) => self
                .read_file(&format!("{field}_file of `{name}`"), path)
                .map(Some),
            _ => Err(ConfigError(format!(
                "`{name}` has several keys: keep one of {field}, {field}_env and {field}_file"
            ))),
        }
    }

    fn read_file(&mut self, setting: &str, path: &str) -> Result<SecretString, ConfigError> {
        // The key itself may stand here instead of its path, so the path is not repeated.
        let key = read_text(path, MAX_KEY_BYTES).map_err(|error| {
            ConfigError(format!(
                "{setting}: cannot read that file ({error}): check the path"
            ))
        })?;
        let key = key.trim();
        if key.is_empty() {
            return Err(ConfigError(format!(
                "{setting}: {path} is empty: put the key into it"
            )));
        }
        self.check_file(path);
        Ok(key.into())
    }

    /// Warns when others can read the file at `path`, which holds a secret.
    pub(super) fn check_file(&mut self, path: &str) {
        if others_may_read(Path::new(path)) {
            self.warnings.push(format!(
                "{path} holds a key but every user of this machine can read it: run chmod 600 {path}"
            ));
        }
    }
}

/// Reads the file at `path`. Fails above `limit` bytes: the path may name an endless device.
pub(crate) fn read_text(path: &str, limit: u64) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(limit + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > limit {
        return Err(std::io::Error::other(format!(
            "it is larger than {} KiB",
            limit >> 10
        )));
    }
    Ok(text)
}

fn looks_like_a_variable(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(unix)]
fn others_may_read(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn others_may_read(_path: &Path) -> bool {
    false
}
