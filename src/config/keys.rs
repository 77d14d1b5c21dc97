//! The keys of the catalog's own clients. The catalog keeps only their hashes.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::{error::ConfigError, globs::limit_models};
use crate::model::{scope::Scope, source::SourceName};

/// A client key and what its holder may see: everything, unless the key is restricted.
///
/// ```
/// # fn example() -> Result<(), model_catalog::ConfigError> {
/// use model_catalog::ClientKey;
///
/// let key = ClientKey::new("team-a", "a-long-random-text")?
///     .source("openai")
///     .models(&["openai:gpt-*"])?;
/// # let _ = key;
/// # Ok(())
/// # }
/// # example().expect("usable");
/// ```
#[derive(Clone)]
pub struct ClientKey {
    /// Its name, for logs and operators.
    pub name: SourceName,
    hash: Hash,
    pub(crate) scope: Arc<Scope>,
    /// Tells it from keys of the same name that were set before it.
    pub(crate) serial: u64,
}

/// The serial number of the next key.
static NEXT_SERIAL: AtomicU64 = AtomicU64::new(0);

/// A SHA-256 hash. Comparing hashes leaks nothing about the keys through timing.
type Hash = [u8; 32];

fn hash(key: &str) -> Hash {
    Sha256::digest(key).into()
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientKey")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl ClientKey {
    /// A key that may see everything. `name` is 1 to 64 of `a-z`, `0-9`, `_`, `.` and `-`; `key`
    /// must be visible ASCII without blanks.
    pub fn new(name: &str, key: &str) -> Result<Self, ConfigError> {
        let name = Self::check_name(name)?;
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ConfigError(format!(
                "key `{name}` must consist of visible ASCII characters without blanks: make one with `openssl rand -hex 32`"
            )));
        }
        Ok(Self {
            name,
            hash: hash(key),
            scope: Arc::default(),
            serial: NEXT_SERIAL.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// Whether it has the name, the value and the scope of `other`.
    fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && self.hash == other.hash && self.scope == other.scope
    }

    /// Parses the name of a key. The error does not repeat it: it may be the key itself, misplaced.
    pub(crate) fn check_name(name: &str) -> Result<SourceName, ConfigError> {
        name.parse().map_err(|_| {
            ConfigError(
                "a key's name must be 1 to 64 of a-z, 0-9, `_`, `.` and `-`, starting with a letter or digit"
                    .to_owned(),
            )
        })
    }

    /// Restricts the key to this source and the ones added before.
    pub fn source(mut self, source: &str) -> Self {
        Arc::make_mut(&mut self.scope).add_source(source);
        self
    }

    /// Restricts the key to models whose whole id matches one of `globs` (`*` also matches `/`).
    /// Fails on an invalid glob.
    pub fn models(mut self, globs: &[impl AsRef<str>]) -> Result<Self, ConfigError> {
        let setting = format!("models of key `{}`", self.name);
        limit_models(Arc::make_mut(&mut self.scope), &setting, globs)?;
        Ok(self)
    }
}

/// All keys of a catalog.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    clients: Vec<Arc<ClientKey>>,
    admin: Option<Hash>,
    /// Whether an admin key is set. A blank one counts, although no caller can present it.
    has_admin: bool,
}

/// The holder of a presented key.
#[derive(Clone, Debug)]
pub(crate) enum Holder {
    /// The operator, who may see everything.
    Admin,
    Client(Arc<ClientKey>),
}

/// The name of the operator among the names of keys, which have no such character.
const ADMIN_NAME: &str = "@admin";

impl Holder {
    /// The name of the key.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Admin => ADMIN_NAME,
            Self::Client(key) => key.name.as_str(),
        }
    }
}

impl Keys {
    /// The keys of `clients` and the admin key. Fails when two share a name or a value, or no header
    /// can carry the admin key.
    pub(crate) fn new(
        clients: Vec<ClientKey>,
        admin: Option<&SecretString>,
    ) -> Result<Self, ConfigError> {
        if let Some(admin) = admin
            && !admin
                .expose_secret()
                .trim()
                .bytes()
                .all(|byte| matches!(byte, b' '..=b'~'))
        {
            return Err(ConfigError(
                "the admin key contains a character that no header can carry: make one with `openssl rand -hex 32`"
                    .to_owned(),
            ));
        }
        let mut keys = Self {
            clients: Vec::new(),
            has_admin: admin.is_some(),
            // A blank admin key would match callers that present nothing.
            admin: admin
                .map(|key| key.expose_secret().trim())
                .filter(|key| !key.is_empty())
                .map(hash),
        };
        for client in clients {
            let name = &client.name;
            if keys.clients.iter().any(|other| other.name == *name) {
                return Err(ConfigError(format!(
                    "two keys are called `{name}`: rename one"
                )));
            }
            if let Some(other) = keys.clients.iter().find(|other| other.hash == client.hash) {
                return Err(ConfigError(format!(
                    "the keys `{}` and `{name}` have the same value: make another with `openssl rand -hex 32`",
                    other.name
                )));
            }
            if keys.admin == Some(client.hash) {
                return Err(ConfigError(format!(
                    "key `{name}` has the value of the admin key: make another with `openssl rand -hex 32`"
                )));
            }
            keys.clients.push(Arc::new(client));
        }
        Ok(keys)
    }

    /// Whether `other` lets in the same callers, and shows them the same.
    pub(crate) fn are_same(&self, other: &Self) -> bool {
        let pairs = || self.clients.iter().zip(&other.clients);
        self.has_admin == other.has_admin
            && self.admin == other.admin
            && self.clients.len() == other.clients.len()
            && pairs().all(|(one, other)| one.is_same(other))
    }

    /// Whether operators must present the admin key.
    pub(crate) fn has_admin(&self) -> bool {
        self.has_admin
    }

    /// Whether `presented` is the admin key.
    pub(crate) fn is_admin(&self, presented: &str) -> bool {
        self.admin == Some(hash(presented.trim()))
    }

    /// Whether clients must present a key.
    pub(crate) fn are_needed(&self) -> bool {
        !self.clients.is_empty()
    }

    /// The holder of `presented`; none when no key matches.
    pub(crate) fn find(&self, presented: &str) -> Option<Holder> {
        if self.is_admin(presented) {
            return Some(Holder::Admin);
        }
        let hash = hash(presented.trim());
        let client = self.clients.iter().find(|client| client.hash == hash);
        client.cloned().map(Holder::Client)
    }

    /// The holder called `name`, and the hash of its key, which signs its sessions.
    pub(crate) fn find_by_name(&self, name: &str) -> Option<(Holder, &[u8])> {
        if name == ADMIN_NAME {
            return Some((Holder::Admin, self.admin.as_ref()?));
        }
        let client = self
            .clients
            .iter()
            .find(|client| client.name.as_str() == name)?;
        Some((Holder::Client(client.clone()), &client.hash))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn key(name: &str, value: &str) -> ClientKey {
        ClientKey::new(name, value).expect("usable")
    }

    #[test]
    fn a_key_is_found_by_its_value() {
        let admin = SecretString::from("adm1n");
        let keys = Keys::new(vec![key("a", "k1"), key("b", "k2")], Some(&admin)).expect("usable");
        let name = |presented| match keys.find(presented) {
            Some(Holder::Client(key)) => key.name.to_string(),
            Some(Holder::Admin) => "admin".to_owned(),
            None => "none".to_owned(),
        };
        let presented = ["k1", "k2", "adm1n", "k", "k11", "K1", "", "a"];
        let expected = ["a", "b", "admin", "none", "none", "none", "none", "none"];
        assert_eq!(presented.map(name), expected);
        assert!(keys.are_needed());
        let only_admin = Keys::new(Vec::new(), Some(&admin)).expect("usable");
        assert!(!only_admin.are_needed(), "it restricts no reader");
    }

    #[rstest]
    #[case::name(vec![key("a", "secret1"), key("a", "secret2")], "two keys are called `a`")]
    #[case::value(vec![key("a", "secret"), key("b", "secret")], "`a` and `b`")]
    #[case::admin(vec![key("a", "admin-secret")], "admin key")]
    fn each_has_its_own(#[case] keys: Vec<ClientKey>, #[case] expected: &str) {
        let admin = SecretString::from("admin-secret");
        let error = Keys::new(keys, Some(&admin))
            .expect_err("refused")
            .to_string();
        assert!(
            error.contains(expected) && !error.contains("secret"),
            "{error}"
        );
    }

    #[rstest]
    #[case::empty("a", "")]
    #[case::blank("a", "sec ret")]
    #[case::two_lines("a", "sec\nret")]
    #[case::not_ascii("a", "sécret")]
    #[case::a_key_as_name("sk-Secret", "x")]
    fn refuses(#[case] name: &str, #[case] value: &str) {
        let error = ClientKey::new(name, value)
            .expect_err("refused")
            .to_string();
        for part in [name, value] {
            assert!(part.len() < 2 || !error.contains(part), "{error}");
        }
    }

    #[test]
    fn nothing_shows_a_key() {
        let keys = Keys::new(vec![key("a", "s3cret")], None).expect("usable");
        let text = format!("{keys:?} {:?}", keys.find("s3cret"));
        let numbers = format!("{:?}", hash("s3cret"));
        assert!(
            text.contains("\"a\"") && !text.contains("s3cret") && !text.contains(&numbers),
            "{text}"
        );
    }
}
