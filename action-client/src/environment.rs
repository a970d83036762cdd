//! Environment variables, the home directory and the local user. Tests bring their own.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The environment variables of the process, those with text in them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    pub(crate) fn of_process() -> Self {
        let pairs = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self {
            variables: pairs.collect(),
        }
    }

    /// A variable that is set to something; an empty one counts as not set.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// The user's home directory, for the configuration that lies there.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        self.get("HOME").map(PathBuf::from)
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(pairs: [(&str, &str); N]) -> Self {
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            variables: BTreeMap::from(pairs),
        }
    }
}

/// Who runs this client, as the local system knows it. The server records it as a claim.
pub(crate) struct LocalUser {
    pub(crate) name: String,
    pub(crate) id: String,
}

impl LocalUser {
    pub(crate) fn of_process() -> Self {
        let name = uzers::get_current_username();
        Self {
            name: name
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            id: uzers::get_current_uid().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_not_set() {
        let environment = Environment::from([("A", ""), ("B", "b")]);
        assert_eq!(environment.get("A"), None);
        assert_eq!(environment.get("B"), Some("b"));
        assert_eq!(environment.get("C"), None);
    }
}
