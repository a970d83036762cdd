//! Finds words that look like a misspelt option: the script must not get them. Pure.

use action_proto::is_dash;
use clap::Arg;

/// The shortest abbreviation of an option that is refused, in letters: shorter ones are the script's.
const SHORTEST: usize = 3;
/// For each so many letters of a name one may be wrong.
const LETTERS_FOR_EACH_EDIT: usize = 3;
/// The most options that are suggested.
const MOST: usize = 3;

/// The options that a script's word resembles, the nearest first. After one dash only a whole name counts.
pub(crate) fn near_options<'a>(word: &str, options: impl Iterator<Item = &'a Arg>) -> Vec<String> {
    let name = option_name(word);
    let dashes = name.chars().take_while(|&c| is_dash(c)).count();
    let is_ascii = name.starts_with('-');
    let text = letters_of(name);
    let length = name.chars().count() - dashes;
    // The script's own options have ASCII dashes.
    if dashes == 0 || text.is_empty() || is_ascii && length < SHORTEST {
        return Vec::new();
    }
    let is_short = is_ascii && dashes == 1;
    let mut found = Vec::new();
    for option in options {
        let aliases = option.get_all_aliases().unwrap_or_default();
        for long in option.get_long().into_iter().chain(aliases) {
            let is_likely = if is_short {
                text == letters_of(long)
            } else {
                is_near(name, long)
            };
            if is_likely {
                let long_text = letters_of(long);
                let distance = strsim::osa_distance(&text, &long_text);
                let is_begun = long_text.starts_with(&text);
                found.push((!is_begun, distance, format!("--{long}")));
            }
        }
        let short = option.get_short().map(String::from);
        if let Some(short) = short.filter(|short| !is_ascii && *short == text) {
            found.push((false, 0, format!("-{short}")));
        }
    }
    found.sort();
    found.dedup();
    found.into_iter().take(MOST).map(|(.., it)| it).collect()
}

/// The part of a word that would be an option's name: `--plan p1:x` as one word is a `--plan` too.
pub(crate) fn option_name(word: &str) -> &str {
    let is_end = |c: char| c == '=' || c.is_whitespace();
    word.split(is_end).next().unwrap_or_default()
}

/// Whether a name resembles an option, as `exclude-nodes`, `exclde`, `dry` and `no-dry-run` do.
fn is_near(name: &str, long: &str) -> bool {
    let (whole, option) = (letters_of(name), letters_of(long));
    let (part, option_part) = (first_part(name), first_part(long));
    let begins =
        |text: &str, with: &str| with.chars().count() >= SHORTEST && text.starts_with(with);
    let edits =
        |a: &str, b: &str, of: usize| strsim::osa_distance(a, b) <= of / LETTERS_FOR_EACH_EDIT;
    let length = |text: &str| text.chars().count();
    whole == option
        || begins(&whole, &option_part)
        || length(name.trim_start_matches(is_dash)) >= SHORTEST && option.starts_with(&whole)
        || begins(&option_part, &part)
        || edits(&part, &option_part, length(&part).min(length(&option_part)))
            && length(&part) >= SHORTEST
        || edits(&whole, &option, length(&whole).max(length(&option)))
        || without_no(name).is_some_and(|rest| is_near(rest, long))
}

/// What is behind `no-`.
fn without_no(name: &str) -> Option<&str> {
    let bare = name.trim_start_matches(is_dash);
    let rest = bare.get(2..)?;
    let is_negation = bare.get(..2)?.eq_ignore_ascii_case("no");
    (is_negation && rest.starts_with(is_separator)).then(|| rest.trim_start_matches(is_separator))
}

/// The letters of a name up to the first dash or underscore between them.
fn first_part(name: &str) -> String {
    let bare = name.trim_start_matches(is_dash);
    letters_of(bare.split(is_separator).next().unwrap_or_default())
}

fn is_separator(c: char) -> bool {
    is_dash(c) || c == '_'
}

/// What remains of an option's name where its writing is ignored: case, dashes and underscores.
fn letters_of(name: &str) -> String {
    let letters = name.chars().filter(|&c| !is_separator(c));
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::program_alias::ProgramAlias;
    use crate::cli::verbs;

    fn of(word: &str) -> Vec<String> {
        near_options(word, verbs::root(&ProgramAlias::default()).get_arguments())
    }

    #[test]
    fn words_that_look_like_an_option_are_not_the_script_s() {
        for (word, option) in [
            ("--exclude-nodes", "--exclude"),
            ("--exclude_nodes=n2", "--exclude"),
            ("--excl-nodes", "--exclude"),
            ("--excludes", "--exclude"),
            ("--Except", "--exclude"),
            ("--pln", "--plan"),
            ("--plans", "--plan"),
            ("--planx", "--plan"),
            ("--plan-digest", "--plan"),
            ("--plan p1:x", "--plan"),
            ("--plan\tp1:x", "--plan"),
            ("--plan:p1", "--plan"),
            ("--expected-nodes", "--expect-nodes"),
            ("--expectednodes=2", "--expect-nodes"),
            ("--expect-node-count", "--expect-nodes"),
            ("--expects", "--expect-nodes"),
            ("--dry-run-only", "--dry-run"),
            ("--drry-rnu", "--dry-run"),
            ("--drynow", "--dry-run"),
            ("--d-ry-run", "--dry-run"),
            ("--no-dry-run", "--dry-run"),
            ("--no-dryrun", "--dry-run"),
            ("--NO_EXCLDE", "--exclude"),
            ("--detached", "--detach"),
            ("--waiting", "--wait"),
            ("--no-waiting", "--no-wait"),
            ("--nowait", "--no-wait"),
            ("--tmeout", "--timeout"),
            ("--timeout-sec", "--timeout"),
            ("--max-failed", "--max-failures"),
            ("--maxfails", "--max-failures"),
            ("--maximum-failures", "--max-failures"),
            ("--fan-out", "--fanout"),
            ("--fnaout", "--fanout"),
            ("--groups", "--group"),
            ("--node", "--nodes"),
            ("--confirmed", "--confirm"),
            ("\u{2014}exclude-nodes", "--exclude"),
            ("\u{2013}-pln", "--plan"),
            ("---plans", "--plan"),
            ("-exclude n2", "--exclude"),
        ] {
            let option = option.to_owned();
            let found = of(word);
            // `--except` is as near to another.
            let is_other = word == "--Except" && !found.is_empty();
            assert!(found.contains(&option) || is_other, "{word}: {found:?}");
        }
    }

    #[test]
    fn other_options_are_the_script_s() {
        for word in [
            "--verbose",
            "--force",
            "--slow",
            "--level=3",
            "-x",
            "-v",
            "-rf",
            "--all",
            "--help",
            "--version",
            "--debug",
            "--delete",
            "--recursive",
            "--restart",
            "--reset",
            "--user=x",
            "--host",
            "--port",
            "--size",
            "--type",
            "--file",
            "--name",
            "--list",
            "--quick",
            "--no-op",
            "--no-cache",
            "--fail-fast",
            "--watch",
            "--write",
            "--ex",
            "--no",
            "--x",
            "-",
            "-1",
            "-dry",
            "-force",
            "-plans",
            "exclude-nodes",
            "",
            "\u{2013}x",
            "--=x",
            "--\u{e9}",
            "--no-\u{e9}",
        ] {
            assert!(of(word).is_empty(), "{word}: {:?}", of(word));
        }
    }

    /// Every option, as words begin and go on that were meant for it.
    #[test]
    fn every_option_is_guarded_in_every_form() {
        let root = verbs::root(&ProgramAlias::default());
        let options = root.get_arguments();
        for long in options.filter_map(Arg::get_long) {
            let mut doubled = long.to_owned();
            doubled.insert(2, doubled.as_bytes()[2].into());
            for word in [
                format!("--{long}s"),
                format!("--{long}-x"),
                format!("--{long}-only=1"),
                format!("--{long} x"),
                format!("--no-{long}"),
                format!("--no-{long}s"),
                format!("--{doubled}"),
                format!("--{doubled}-nodes"),
            ] {
                assert!(!of(&word).is_empty(), "{word}");
            }
        }
    }
}
