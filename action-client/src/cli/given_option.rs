//! Owns an option as it was written, and what its value must be before clap sees it. Pure.

use crate::arguments::values::{PLAN_SOURCE, empty_value, is_empty_set};
use crate::error::{CliError, Result};
use clap::Arg;
use std::any::TypeId;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// An option of this client as it was written.
pub(super) struct GivenOption<'a> {
    pub(super) arg: &'a Arg,
    pub(super) name: String,
    /// The part of the word that is the value.
    pub(super) value: Option<OsString>,
}

impl<'a> GivenOption<'a> {
    /// The option in a word. Of several letters it is the one with a value; without one clap reads the word.
    pub(super) fn find<I: Iterator<Item = &'a Arg>>(
        word: &OsStr,
        options: impl Fn() -> I,
    ) -> Option<Self> {
        if let Some(long) = word.as_bytes().strip_prefix(b"--") {
            // A path may be any bytes.
            let end = long.iter().position(|&byte| byte == b'=');
            let name = str::from_utf8(&long[..end.unwrap_or(long.len())]).ok()?;
            let value = end.map(|end| OsStr::from_bytes(&long[end + 1..]).to_owned());
            let arg = options().find(|it| {
                let aliases = it.get_all_aliases().unwrap_or_default();
                it.get_long() == Some(name) || aliases.contains(&name)
            })?;
            let name = format!("--{name}");
            return Some(Self { arg, name, value });
        }
        let letters = word.to_str()?.strip_prefix('-')?;
        for (start, letter) in letters.char_indices() {
            let arg = options().find(|it| it.get_short() == Some(letter))?;
            if arg.get_action().takes_values() {
                let rest = &letters[start + letter.len_utf8()..];
                let value = rest.strip_prefix('=').unwrap_or(rest);
                return Some(Self {
                    arg,
                    name: format!("-{letter}"),
                    value: (!rest.is_empty()).then(|| value.into()),
                });
            }
        }
        None
    }

    pub(super) fn is_long(&self) -> bool {
        self.name.starts_with("--")
    }

    /// Whether its value is a node set.
    pub(super) fn takes_nodes(&self) -> bool {
        let names = self.arg.get_value_names();
        names.is_some_and(|names| names == ["NODES"])
    }

    /// The error for the option without a value.
    pub(super) fn missing_value(&self) -> CliError {
        let error = CliError::usage(format!("`{}` needs a value", self.name));
        match self.arg.get_long() {
            Some("plan") => error.hint(PLAN_SOURCE),
            // `-g=-value` would be the script's behind its first word.
            Some(long) => error.hint(hyphen_hint(&format!("--{long}"))),
            None => error.hint(hyphen_hint(&self.name)),
        }
    }

    /// Refuses a value that is empty, or that is not text where text is wanted.
    pub(super) fn check_value(&self, value: &OsStr) -> Result<()> {
        let name = &self.name;
        let Some(text) = value.to_str() else {
            let is_path = self.arg.get_value_parser().type_id() == TypeId::of::<PathBuf>();
            let error = || CliError::usage(format!("the value of {name} is not UTF-8"));
            return is_path.then_some(()).ok_or_else(error);
        };
        if self.takes_nodes() && is_empty_set(text) {
            return Err(empty_value(&format!("the node set of {name}")));
        }
        if !text.trim().is_empty() {
            return Ok(());
        }
        let error = empty_value(&format!("the value of {name}"));
        Err(if name == "--plan" {
            error.hint(PLAN_SOURCE)
        } else {
            error
        })
    }
}

fn hyphen_hint(option: &str) -> String {
    format!("a value that begins with `-` is written `{option}=-value`")
}
