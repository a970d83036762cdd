//! Owns the scripts that make shells ask this program for completions.

/// The shells that there are scripts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Shell {
    /// For bash 4.2 and later
    Bash,
    /// For fish 3.1 and later
    Fish,
    /// For zsh 5 and later
    Zsh,
}

impl Shell {
    /// The script, for all names that the program goes by.
    pub(crate) fn script(self) -> &'static str {
        match self {
            Shell::Bash => include_str!("completion.bash"),
            Shell::Fish => include_str!("completion.fish"),
            Shell::Zsh => include_str!("completion.zsh"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::program_alias::NAMES;

    #[test]
    fn the_scripts_are_for_all_names() {
        for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
            let names = NAMES.iter().map(|(name, _)| *name);
            for name in names.chain(["action-client", super::super::COMPLETE]) {
                assert!(shell.script().contains(name), "{shell:?} {name}");
            }
        }
    }
}
