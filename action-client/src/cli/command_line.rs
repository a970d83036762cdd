//! One pass over the command line: finds the verb or command, and separates options from the script's
//! words. Checks each option: a missing value would take a node and run the command on other nodes.

use crate::arguments::globals::GlobalArgs;
use crate::arguments::run_target::CommandCall;
use crate::cli::given_option::GivenOption;
use crate::cli::misspelt;
use crate::cli::verbs::FIRST_VERBS;
use crate::commands::suggest;
use crate::error::{CliError, Result};
use action_proto::is_dash;
use clap::{Arg, Args, Command, FromArgMatches};
use std::ffi::{OsStr, OsString};

/// The id of `--nodes`.
const NODES: &str = "nodes";

/// The options of 0.1, by id: they count anywhere before `--`. An option that was added later counts before
/// the script's words only, since these may have one of its name.
pub(super) const FIRST_OPTIONS: &str = "config color output raw confirm exit reconnect_for nodes exclude expect_nodes plan reason \
    fanout max_failures timeout wait no_wait detach dry_run fold diff quiet output_dir";

/// A command line that was read.
pub(super) struct CommandLine {
    /// The words for clap: the program, the verb, its options, and behind `--` a command with its words.
    pub(super) words: Vec<OsString>,
    /// The verb as it was written; None for a command of the server without `run`.
    pub(super) verb: Option<String>,
    /// The command of the server.
    pub(super) call: Option<CommandCall>,
    /// Whether there are options before the verb that clap answers, such as `--help`.
    pub(super) asks_root: bool,
    /// The global options, as far as they can be read.
    pub(super) globals: GlobalArgs,
    /// The first mistake.
    pub(super) error: Option<CliError>,
}

impl CommandLine {
    /// Reads the words of a command line, the program's name first.
    pub(super) fn read(root: &Command, args: &[OsString]) -> CommandLine {
        let mut scanner = Scanner::new(root);
        let mut words = args.get(1..).unwrap_or_default().iter();
        while let Some(word) = words.next() {
            if word == "--" {
                scanner.take_separator(words.as_slice());
                break;
            }
            let Some(option) = scanner.option(word) else {
                scanner.take_word(word);
                continue;
            };
            let mut written = vec![word.clone()];
            if scanner.takes_next(&option, words.as_slice().first()) {
                written.extend(words.next().cloned());
            }
            scanner.take_option(&option, written);
        }
        scanner.finish(args.first())
    }

    /// The verb, if it was added after 0.1: a command of the server with its name precedes it.
    pub(super) fn later_verb(&self) -> Option<&str> {
        let verb = self.verb.as_deref()?;
        (!FIRST_VERBS.split(' ').any(|it| it == verb)).then_some(verb)
    }
}

/// The state of the pass.
struct Scanner<'a> {
    root: &'a Command,
    verb: Option<(&'a Command, String)>,
    call: Option<CommandCall>,
    /// Unknown options before the verb.
    unknown: Vec<OsString>,
    /// The options of the verb or command, and those before it.
    options: Vec<OsString>,
    /// The names of the options before the verb.
    early: Vec<&'a Arg>,
    globals: Vec<Vec<OsString>>,
    /// The words of the verb, or of the script.
    rest: Vec<OsString>,
    /// Where in the script's words `--` stood.
    separator: Option<usize>,
    /// The ids of the options so far, and whether each stood before the verb or command.
    seen: Vec<(&'a str, bool)>,
    error: Option<CliError>,
}

impl<'a> Scanner<'a> {
    fn new(root: &'a Command) -> Self {
        Self {
            root,
            verb: None,
            call: None,
            unknown: Vec::new(),
            options: Vec::new(),
            early: Vec::new(),
            globals: Vec::new(),
            rest: Vec::new(),
            separator: None,
            seen: Vec::new(),
            error: None,
        }
    }

    /// Whether the script's words have begun.
    fn is_in_script(&self) -> bool {
        self.call.is_some() && !self.rest.is_empty()
    }

    fn is_run(&self) -> bool {
        self.verb
            .as_ref()
            .is_some_and(|(verb, _)| verb.get_name() == "run")
    }

    fn fail(&mut self, error: CliError) {
        self.error.get_or_insert(error);
    }

    /// The options that count here.
    fn known_options(&self) -> impl Iterator<Item = &'a Arg> + use<'a> {
        let is_in_script = self.is_in_script();
        let global = self.root.get_arguments().filter(|it| it.is_global_set());
        let verb = self.verb.as_ref().map_or(self.root, |(verb, _)| verb);
        let counts = move |arg: &&Arg| {
            !is_in_script || FIRST_OPTIONS.split(' ').any(|id| arg.get_id() == id)
        };
        verb.get_arguments().chain(global).filter(counts)
    }

    /// The option that a word is, if it is one of this client.
    fn option(&self, word: &OsStr) -> Option<GivenOption<'a>> {
        let is_short = word.as_encoded_bytes().len() == 2;
        let option = GivenOption::find(word, || self.known_options())?;
        // Behind the script's first word only `-g NODES` may be of this client.
        let may_be_ours = !self.is_in_script() || option.is_long() || is_short;
        may_be_ours.then_some(option)
    }

    /// Whether an option's value is the next word. Notes an option that is given twice, and a value that is
    /// missing or wrong.
    fn takes_next(&mut self, option: &GivenOption<'a>, next: Option<&OsString>) -> bool {
        let is_ours = option.is_long() || !self.is_in_script();
        if is_ours {
            self.note_once(option);
        }
        if !option.arg.get_action().takes_values() {
            return false;
        }
        let next = next.filter(|word| !word.as_encoded_bytes().starts_with(b"-"));
        let value = option.value.as_deref();
        let Some(text) = value.or(next.map(OsString::as_os_str)) else {
            self.fail(option.missing_value());
            return false;
        };
        if is_ours && let Err(error) = option.check_value(text) {
            self.fail(error);
        }
        option.value.is_none()
    }

    fn note_once(&mut self, option: &GivenOption<'a>) {
        let id = option.arg.get_id().as_str();
        // The nearer global option counts: a shell's alias may have one before the verb.
        let is_early = self.verb.is_none() && self.call.is_none();
        let is_same = |(seen, was_early): &(&str, bool)| {
            *seen == id && (*was_early == is_early || !option.arg.is_global_set())
        };
        if self.seen.iter().any(is_same) {
            self.fail(given_twice(&option.name, option.takes_nodes()));
        }
        self.seen.push((id, is_early));
    }

    /// Rejects a second `-g` where one counts.
    fn refuse_second_nodes(&mut self) {
        let error = given_twice("-g", true);
        self.fail(error.hint("to give -g to the script, put its words after `--`"));
    }

    /// Puts an option where it belongs.
    fn take_option(&mut self, option: &GivenOption<'a>, written: Vec<OsString>) {
        if option.arg.is_global_set() {
            self.globals.push(written);
        } else if self.is_in_script() && !option.is_long() || self.verb.is_some() && !self.is_run()
        {
            self.rest.extend(written);
        } else {
            if self.verb.is_none() && self.call.is_none() {
                self.early.push(option.arg);
            }
            if let Some(call) = self.call.as_mut().filter(|_| !self.rest.is_empty()) {
                call.set_follows_word |= option.arg.get_id() == NODES;
            }
            self.options.extend(written);
        }
    }

    /// Takes a word that is no option of this client.
    fn take_word(&mut self, word: &OsString) {
        let text = word.to_str().unwrap_or_default();
        let is_option = text.starts_with('-') && text.len() > 1;
        if self.call.is_some() {
            // Before the script's first argument it asks for help.
            if text.starts_with("--help=") && self.rest.len() < 2 {
                self.fail(CliError::usage("--help takes no value"));
            }
            self.check_misspelling(text);
            if is_option && self.rest.is_empty() {
                self.options.push(word.clone());
            } else {
                self.rest.push(word.clone());
            }
        } else if self.verb.is_some() && !self.is_run() {
            self.rest.push(word.clone());
        } else if is_option {
            let unknown = if self.is_run() {
                &mut self.options
            } else {
                &mut self.unknown
            };
            unknown.push(word.clone());
        } else if let Some(verb) = self.find_verb(text) {
            self.take_verb(verb, text);
        } else {
            self.call = Some(CommandCall {
                name: word.to_string_lossy().into_owned(),
                after_run: self.is_run(),
                ..CommandCall::default()
            });
        }
    }

    fn find_verb(&self, name: &str) -> Option<&'a Command> {
        let verb = self
            .root
            .find_subcommand(name)
            .filter(|_| self.verb.is_none());
        verb.filter(|verb| !verb.is_hide_set())
    }

    /// Refuses options before a verb that it does not take: they would do nothing.
    fn take_verb(&mut self, verb: &'a Command, name: &str) {
        let takes = |arg: &Arg| verb.get_arguments().any(|it| it.get_id() == arg.get_id());
        if let Some(arg) = self.early.iter().find(|arg| !takes(arg)) {
            let option = match (arg.get_short(), arg.get_long()) {
                (Some(letter), _) => format!("-{letter}"),
                (None, long) => format!("--{}", long.unwrap_or_default()),
            };
            self.fail(CliError::usage(format!("{option} is not for `{name}`")));
        }
        self.verb = Some((verb, name.to_owned()));
    }

    /// Refuses a word that the script would get and that is most likely meant for this client.
    fn check_misspelling(&mut self, word: &str) {
        if !word.starts_with(is_dash) {
            return;
        }
        let near = misspelt::near_options(word, self.known_options());
        let near: Vec<&str> = near.iter().map(String::as_str).collect();
        if let Some(hint) = suggest::did_you_mean(&near) {
            let text = format!("unknown option `{}`", misspelt::option_name(word));
            let script_s = "words for the script that begin with -- stand behind `--`";
            self.fail(CliError::usage(text).hint(hint).hint(script_s));
        }
    }

    /// Takes `--` and the words behind it.
    fn take_separator(&mut self, behind: &[OsString]) {
        let rest = if self.call.is_some() || self.verb.is_some() {
            &mut self.rest
        } else {
            &mut self.unknown
        };
        self.separator = Some(rest.len());
        if self.call.is_none() || !rest.is_empty() {
            rest.push("--".into());
        }
        rest.extend(behind.iter().cloned());
    }

    /// Takes from the script's words the options that stand right behind the first, and `-g NODES` at the end.
    fn take_options_of_script(&mut self) {
        let was_set = self.seen.iter().any(|(id, _)| *id == NODES);
        let mut is_set = was_set;
        let end = self.separator.unwrap_or(self.rest.len());
        let mut taken = 0;
        while taken + 1 < end {
            let word = self.rest[taken + 1].to_str().unwrap_or_default();
            let count = match word {
                "-h" | "--help" => 1,
                _ if word.starts_with("-g") && is_set => {
                    self.refuse_second_nodes();
                    break;
                }
                "-g" => 2,
                _ if word.starts_with("-g") => 1,
                _ => break,
            };
            is_set |= word.starts_with("-g");
            taken += count;
        }
        let behind_first = self.rest.drain(1..=taken.min(end.saturating_sub(1)));
        self.options.extend(behind_first);
        let is_last = matches!(self.rest.as_slice(), [_, .., flag, _] if flag == "-g");
        if is_last && is_set && self.separator.is_none() {
            self.refuse_second_nodes();
        } else if is_last && self.separator.is_none() {
            is_set = true;
            let last = self.rest.split_off(self.rest.len() - 2);
            self.options.extend(last);
        }
        if let Some(call) = &mut self.call {
            call.set_follows_word |= is_set && !was_set;
            call.separator_follows_node = !was_set && self.separator == Some(taken + 1);
        }
    }

    fn finish(mut self, program: Option<&OsString>) -> CommandLine {
        if self.is_in_script() {
            self.take_options_of_script();
        }
        let (globals, wrong_global) = read_globals(&self.globals);
        let asks_root = !self.unknown.is_empty();
        let mut words = vec![program.cloned().unwrap_or_default()];
        words.extend(self.unknown);
        let verb = self.verb.map(|(_, name)| name);
        match &self.call {
            Some(_) => words.push("run".into()),
            None => words.extend(verb.as_ref().map(OsString::from)),
        }
        words.extend(self.options);
        if let Some(call) = &self.call {
            words.extend(["--".into(), OsString::from(&call.name)]);
        }
        words.extend(self.rest);
        CommandLine {
            words,
            verb,
            call: self.call,
            asks_root,
            globals,
            error: self.error.or(wrong_global),
        }
    }
}

fn given_twice(name: &str, takes_nodes: bool) -> CliError {
    let error = CliError::usage(format!("{name} is given twice"));
    if takes_nodes {
        error.hint("several node sets are one, with commas: `a,b`")
    } else {
        error
    }
}

/// The global options as far as they can be read, and the first mistake in them.
fn read_globals(options: &[Vec<OsString>]) -> (GlobalArgs, Option<CliError>) {
    let read = |words: &[OsString]| -> Result<GlobalArgs> {
        let command = GlobalArgs::augment_args(Command::new(""))
            .no_binary_name(true)
            .args_override_self(true);
        let matches = command.try_get_matches_from(words)?;
        Ok(GlobalArgs::from_arg_matches(&matches)?)
    };
    match read(&options.concat()) {
        Ok(globals) => (globals, None),
        Err(error) => {
            let right = options.iter().filter(|it| read(it).is_ok());
            let right: Vec<OsString> = right.flatten().cloned().collect();
            (read(&right).unwrap_or_default(), Some(error))
        }
    }
}

#[cfg(test)]
#[path = "command_line_tests.rs"]
mod tests;
