//! What a node set selects, and of which nodes that is not known.

use std::collections::BTreeSet;

/// What becomes of a group whose current definition is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BrokenGroups {
    /// It is an error, as for rules and tokens.
    Refuse,
    /// Its last good definition is used, as for runs and lists.
    UseLastGood,
}

/// What a text selects of the nodes that are defined, by position.
#[derive(Debug, Default)]
pub(super) struct SelectedNodes {
    pub(super) members: BTreeSet<usize>,
    /// The nodes that may be selected or not, since their ranks and metadata are not known: see
    /// `Nodes::broken`. `members` has those of them that the last good definitions select.
    pub(super) unsure: BTreeSet<usize>,
}

impl SelectedNodes {
    /// These nodes and no others.
    pub(super) fn sure(members: impl IntoIterator<Item = usize>) -> SelectedNodes {
        SelectedNodes {
            members: members.into_iter().collect(),
            unsure: BTreeSet::new(),
        }
    }

    /// Joins the term behind an operator. A node that is unsure on either side stays unsure, unless
    /// the other side alone decides.
    pub(super) fn apply_term(&mut self, operator: char, term: SelectedNodes) {
        let SelectedNodes { members, unsure } = term;
        if !self.unsure.is_empty() || !unsure.is_empty() {
            let either: BTreeSet<usize> = self.unsure.union(&unsure).copied().collect();
            let is_unsure = |at: &usize| {
                let left = (!self.unsure.contains(at)).then(|| self.members.contains(at));
                let right = (!unsure.contains(at)).then(|| members.contains(at));
                decide_membership(operator, left, right).is_none()
            };
            self.unsure = either.into_iter().filter(is_unsure).collect();
        }
        // In place: thousands of small terms must not copy a large set thousands of times.
        match operator {
            '!' => members.iter().for_each(|at| _ = self.members.remove(at)),
            '&' => self.members.retain(|at| members.contains(at)),
            '^' => members.into_iter().for_each(|at| self.toggle(at)),
            _ => self.members.extend(members),
        }
    }

    fn toggle(&mut self, at: usize) {
        if !self.members.remove(&at) {
            self.members.insert(at);
        }
    }
}

/// Whether a node is selected, by whether it is on either side; `None` where that is not known.
fn decide_membership(operator: char, left: Option<bool>, right: Option<bool>) -> Option<bool> {
    let both = |left, right| match (left, right) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    };
    let not = |side: Option<bool>| side.map(|is| !is);
    match operator {
        '!' => both(left, not(right)),
        '&' => both(left, right),
        '^' => Some(left? != right?),
        // A union is what is not outside of both.
        _ => not(both(not(left), not(right))),
    }
}
