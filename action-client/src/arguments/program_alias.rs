//! The names of the program, as `power`, and the commands that each has. Pure.

use crate::environment::Environment;
use crate::error::{CliError, Result};
use action_proto::input::shown_name;
use std::ffi::OsStr;
use std::path::Path;

/// Names that stand for a namespace, with it.
pub(crate) const NAMES: [(&str, &str); 4] = [
    ("power", "power"),
    ("flight-power", "power"),
    ("estate", "estate"),
    ("flight-estate", "estate"),
];

/// How this program was called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProgramAlias {
    /// The name in usage texts.
    pub(crate) program: String,
    /// What the program says of itself in help.
    pub(crate) about: String,
    /// With `power`, only commands named `power-..` can be called, by the rest of their names.
    namespace: Option<String>,
}

impl Default for ProgramAlias {
    fn default() -> Self {
        Self {
            program: "action-client".to_owned(),
            about: String::new(),
            namespace: None,
        }
    }
}

impl ProgramAlias {
    /// Looks at the name of the program and at the environment.
    pub(crate) fn detect(program: &OsStr, environment: &Environment) -> Result<Self> {
        let name = Path::new(program)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let by_name = NAMES.iter().find(|(called, _)| *called == name);
        let variable = ["ACTION_NAMESPACE", "FLIGHT_ACTION_NAMESPACE"]
            .into_iter()
            .find_map(|variable| Some((variable, environment.get(variable)?)));
        let namespace = match (by_name, variable) {
            (Some((_, namespace)), _) => Some((*namespace).to_owned()),
            (None, Some((variable, namespace))) => {
                let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                if !namespace.chars().all(is_name) {
                    return Err(CliError::usage(format!(
                        "{variable} is `{}`, which no command's name begins with",
                        shown_name(namespace)
                    ))
                    .hint("it is a word such as `power`"));
                }
                Some(namespace.to_owned())
            }
            (None, None) => None,
        };
        let about = environment
            .get("FLIGHT_ACTION_DESCRIPTION")
            .map(str::to_owned);
        let about = about.unwrap_or_else(|| match namespace.as_deref() {
            Some("power") => "Manage the power of nodes".to_owned(),
            Some("estate") => "Manage the machine types of nodes".to_owned(),
            Some(namespace) => format!("Run the {namespace} commands on nodes"),
            None => "Run an admin's commands on nodes and watch their output".to_owned(),
        });
        let program = if name.is_empty() {
            "action-client".into()
        } else {
            name
        };
        Ok(Self {
            program: program.into_owned(),
            about,
            namespace,
        })
    }

    /// Whether this is the whole client and not one of its namespaces.
    pub(crate) fn is_whole(&self) -> bool {
        self.namespace.is_none()
    }

    /// Whether `list` lists the nodes.
    pub(crate) fn has_list(&self) -> bool {
        self.namespace.as_deref() == Some("estate")
    }

    /// The name under which a command of the server is called here; None when it is not.
    pub(crate) fn local_name<'a>(&self, command: &'a str) -> Option<&'a str> {
        match &self.namespace {
            None => Some(command),
            Some(namespace) => {
                let rest = command.strip_prefix(namespace)?.strip_prefix('-')?;
                (!rest.is_empty()).then_some(rest)
            }
        }
    }

    /// The server's name of a command that is called so here.
    pub(crate) fn full_name(&self, local_name: &str) -> String {
        match &self.namespace {
            None => local_name.to_owned(),
            Some(namespace) => format!("{namespace}-{local_name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(program: &str, environment: &Environment) -> ProgramAlias {
        ProgramAlias::detect(OsStr::new(program), environment).unwrap()
    }

    #[test]
    fn names_and_variables_choose_the_namespace() {
        let namespace = |variable, value| Environment::from([(variable, value)]);
        let none = Environment::default;
        let table = [
            ("/usr/bin/action-client", none(), None),
            ("/usr/bin/power", none(), Some("power")),
            ("flight-power", none(), Some("power")),
            ("estate", none(), Some("estate")),
            ("flight-estate", none(), Some("estate")),
            (
                "action-client",
                namespace("ACTION_NAMESPACE", "power"),
                Some("power"),
            ),
            (
                "action-client",
                namespace("FLIGHT_ACTION_NAMESPACE", "estate"),
                Some("estate"),
            ),
            ("action-client", namespace("ACTION_NAMESPACE", ""), None),
            (
                "power",
                namespace("ACTION_NAMESPACE", "estate"),
                Some("power"),
            ),
        ];
        for (program, environment, expected) in table {
            assert_eq!(
                alias(program, &environment).namespace.as_deref(),
                expected,
                "{program}"
            );
        }
        let bad = namespace("ACTION_NAMESPACE", "a b");
        assert!(ProgramAlias::detect(OsStr::new("x"), &bad).is_err());
    }

    #[test]
    fn the_prefix_is_cut_and_put_back() {
        let power = alias("power", &Environment::default());
        assert_eq!(power.local_name("power-off"), Some("off"));
        assert_eq!(power.local_name("power"), None);
        assert_eq!(power.local_name("power-"), None);
        assert_eq!(power.local_name("powerful-off"), None);
        assert_eq!(power.full_name("off"), "power-off");
        let whole = alias("action-client", &Environment::default());
        assert_eq!(whole.local_name("power-off"), Some("power-off"));
    }

    #[test]
    fn the_description_is_the_admin_s() {
        let environment = Environment::from([("FLIGHT_ACTION_DESCRIPTION", "Do it")]);
        assert_eq!(alias("power", &environment).about, "Do it");
    }
}
