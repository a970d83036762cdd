//! Texts that many runs share, each kept once: commands, subjects and lists of nodes.

use std::{
    borrow::Borrow,
    collections::HashSet,
    hash::{Hash, Hasher},
    sync::{Arc, OnceLock},
};

/// The nodes of a run, in the order of its plan.
#[derive(Debug, Default)]
pub struct NodeList {
    /// Each name with a newline behind it: a list of many short names is one allocation.
    names: Box<str>,
    count: usize,
    folded: OnceLock<Box<str>>,
}

impl NodeList {
    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.split_terminator('\n')
    }

    /// How many there are; none for a command that takes no nodes.
    pub fn len(&self) -> usize {
        self.count
    }

    /// True for a command that takes no nodes.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The names as a folded set, worked out once.
    pub fn folded(&self) -> &str {
        self.folded
            .get_or_init(|| action_proto::fold(self.names()).into())
    }
}

impl PartialEq for NodeList {
    fn eq(&self, other: &NodeList) -> bool {
        self.names == other.names
    }
}

impl Eq for NodeList {}

impl Hash for NodeList {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.names.hash(state);
    }
}

impl Borrow<str> for NodeList {
    fn borrow(&self) -> &str {
        &self.names
    }
}

/// A list as it is looked up.
#[derive(PartialEq, Eq, Hash)]
struct SharedList(Arc<NodeList>);

impl Borrow<str> for SharedList {
    fn borrow(&self) -> &str {
        &self.0.names
    }
}

/// The texts and lists that are in use.
#[derive(Default)]
pub(super) struct InternedTexts {
    texts: HashSet<Arc<str>>,
    lists: HashSet<SharedList>,
}

impl InternedTexts {
    /// The one copy of a text.
    pub(super) fn intern_text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&text));
        text
    }

    /// The one copy of a list of nodes.
    pub(super) fn intern_list(&mut self, nodes: &[String]) -> Arc<NodeList> {
        let mut names = String::with_capacity(nodes.iter().map(|it| it.len() + 1).sum());
        for name in nodes {
            names.push_str(name);
            names.push('\n');
        }
        if let Some(SharedList(known)) = self.lists.get(names.as_str()) {
            return Arc::clone(known);
        }
        let list = Arc::new(NodeList {
            names: names.into(),
            count: nodes.len(),
            folded: OnceLock::new(),
        });
        self.lists.insert(SharedList(Arc::clone(&list)));
        list
    }

    /// Forgets what no run uses any more.
    pub(super) fn remove_unused(&mut self) {
        self.texts.retain(|text| Arc::strong_count(text) > 1);
        self.lists.retain(|list| Arc::strong_count(&list.0) > 1);
    }
}

impl std::fmt::Debug for InternedTexts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interned")
            .field("texts", &self.texts.len())
            .field("lists", &self.lists.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one_and_go_when_no_run_has_them() {
        let mut interned = InternedTexts::default();
        let nodes: Vec<String> = (1..=3).map(|at| format!("n{at}")).collect();
        let (one, two) = (interned.intern_list(&nodes), interned.intern_list(&nodes));
        assert!(Arc::ptr_eq(&one, &two));
        assert!(Arc::ptr_eq(
            &interned.intern_text("c"),
            &interned.intern_text("c")
        ));
        assert_eq!((one.len(), one.folded()), (3, "n[1-3]"));
        assert!(one.names().eq(nodes.iter()));
        assert!(interned.intern_list(&[]).is_empty());
        interned.remove_unused();
        assert_eq!((interned.lists.len(), interned.texts.len()), (1, 0));
        drop((one, two));
        interned.remove_unused();
        assert_eq!(interned.lists.len(), 0);
    }
}
