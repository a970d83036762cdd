//! The limits of a token: commands by pattern, and nodes by a node set.

use super::patterns::PatternList;

/// A token's limits. A limit that is not set allows everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TokenGrant {
    /// Patterns of the commands allowed, as `power-*`.
    pub commands: Option<Vec<String>>,
    /// The node set allowed, in the grammar of selections.
    pub nodes: Option<String>,
}

impl TokenGrant {
    /// True when the token allows the command.
    pub fn allows_command(&self, command: &str) -> bool {
        let Some(patterns) = &self.commands else {
            return true;
        };
        PatternList::new(patterns.clone()).match_any(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_by_pattern() {
        assert!(TokenGrant::default().allows_command("anything"));
        let grant = |patterns: &[&str]| TokenGrant {
            commands: Some(patterns.iter().map(ToString::to_string).collect()),
            nodes: None,
        };
        assert!(grant(&["usage", "power-*"]).allows_command("power-on"));
        assert!(!grant(&["power-*"]).allows_command("estate-show"));
        assert!(!grant(&[]).allows_command("usage"));
        assert!(!grant(&["[a]"]).allows_command("a"));
    }
}
