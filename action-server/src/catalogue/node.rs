//! A node.

/// A node: a name, its ranks, and the metadata that its scripts get.
#[derive(Debug, PartialEq, Eq)]
pub struct Node {
    /// The name, unique in the file.
    pub name: String,
    /// The ranks, the preferred one first.
    pub ranks: Vec<String>,
    /// What scripts get as variables, in the file's order. Never shown by itself: see
    /// [`Nodes::visible_metadata`].
    pub metadata: Vec<(String, String)>,
    /// Those of the metadata keys whose values must not be shown anywhere.
    pub secret_keys: Vec<String>,
}

impl Node {
    /// The values that must not be shown anywhere.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let secret = self.metadata.iter().filter(|(key, _)| self.is_secret(key));
        secret.map(|(_, value)| value.as_str())
    }

    pub(super) fn is_secret(&self, key: &str) -> bool {
        self.secret_keys.iter().any(|secret| secret == key)
    }
}
