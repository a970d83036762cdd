//! `check`: what is wrong with the settings and definitions, as a server that starts now finds it.

use std::{path::Path, sync::Arc};

use action_proto::input::shown_name;

use super::{CONFIG, Failure, counted, environment, note, say};
use crate::{
    app::ServeError,
    catalogue::Catalogue,
    config::Settings,
    definitions::{self, Sources},
    log, net,
    process::{base_environment, env_fault},
    record,
    rpc::resolve,
    shown,
    yaml::Fault,
};

/// Prints each fault as a line.
pub(super) fn check(config: &Path) -> Result<(), Failure> {
    let settings = Settings::load(config, environment())?;
    log::filter(&settings)?;
    let mut chain_faults = Vec::new();
    if let Some(files) = settings.tls.clone() {
        let tls = net::Tls::open(files)
            .map_err(ServeError::from)
            .map_err(|error| Failure::of_config(&error))?;
        chain_faults = tls.faults();
    }
    for fault in &chain_faults {
        let kind = if fault.is_error { "" } else { "warning: " };
        say(&format!("{}: {kind}{}\n", fault.place, fault.reason))?;
    }
    let secret_warnings = settings.auth.keys()?.warnings();
    for warning in &secret_warnings {
        say(&format!("warning: {warning}\n"))?;
    }
    settings.auth.check_revocations(&settings.state_directory)?;
    let pause = record::check_clock(&settings.state_directory, settings.retention_age);
    if let Some(pause) = pause {
        say(&format!(
            "warning: {}: records are not removed for their age; set the clock right, or run: action-server accept-clock\n",
            pause.reason()
        ))?;
    }
    let policy = Arc::new(settings.auth.read_policy()?);
    let (catalogue, faults) =
        definitions::load(&Sources::new(&settings)).map_err(|fault| Failure::of_fault(&fault))?;
    for fault in &faults {
        say(&format!("{fault}\n"))?;
    }
    let (_, rule_faults) = resolve(&policy, &catalogue);
    for fault in &rule_faults {
        say(&format!("{fault}\n"))?;
    }
    let blind = catalogue.commands.values().filter_map(|command| {
        let teller = &command.verify.as_ref()?.command;
        let (name, is_there) = (&command.name, catalogue.commands.contains_key(teller));
        (!is_there).then(|| {
            format!(
                "{name}: verify: there is no command {:?}\n",
                shown_name(teller)
            )
        })
    });
    let blind: Vec<String> = blind.collect();
    blind.iter().try_for_each(|fault| say(fault))?;
    let lost = without_interpreter(&settings, &catalogue);
    lost.iter().try_for_each(|warning| say(warning))?;
    let are_errors = faults.iter().chain(&rule_faults).map(Fault::is_error);
    let are_errors = are_errors.chain(chain_faults.iter().map(|fault| fault.is_error));
    let (errors, warnings): (Vec<bool>, Vec<bool>) = are_errors.partition(|is_error| *is_error);
    let (errors, warnings) = (
        errors.len() + blind.len(),
        warnings.len() + secret_warnings.len() + lost.len() + usize::from(pause.is_some()),
    );
    if !catalogue.broken.is_empty() {
        let broken = catalogue.broken.keys().map(|name| shown_name(name));
        let broken: Vec<String> = broken.collect();
        note(&format!(
            "these commands cannot be run, unless a running server still has a good version of before: {}\n",
            broken.join(", ")
        ));
    }
    let summary = format!(
        "{} and {} can be used; {}, {}",
        counted(catalogue.nodes.list().len(), "node"),
        counted(catalogue.commands.len(), "command"),
        counted(errors, "error"),
        counted(warnings, "warning"),
    );
    match errors {
        0 => {
            note(&format!("{summary}\n"));
            Ok(())
        }
        _ => Err(Failure::new(CONFIG, summary)),
    }
}

/// A warning for each script whose first line has env(1) look for a program that is not there. A
/// node's metadata may set another PATH, so it is no error.
fn without_interpreter(settings: &Settings, catalogue: &Catalogue) -> Vec<String> {
    let environment = base_environment(&settings.script_environment);
    let path = environment.iter().find(|(key, _)| key == "PATH");
    let path = path.map_or("", |(_, path)| path.as_str());
    let commands = catalogue.commands.values();
    let scripts = commands.flat_map(|command| command.scripts.values());
    let faults = scripts.filter_map(|script| {
        let reason = env_fault(script, path)?;
        Some(format!("{}: warning: {reason}\n", shown::file(script)))
    });
    faults.collect()
}
