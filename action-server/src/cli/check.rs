//! `check`: what is wrong with the settings and definitions, as a server that starts now finds it.

use std::{path::Path, sync::Arc};

use action_proto::input::shown_name;

use super::{CONFIG, VerbFailure, counted, load_settings, print_note, print_text};
use crate::{
    app::ServeError,
    catalogue::Catalogue,
    config::Settings,
    definitions::{self, DefinitionSources},
    net,
    process::{base_environment, env_fault},
    record,
    rpc::resolve_policy,
    shown,
    yaml::Fault,
};

/// Prints each fault as a line.
pub(super) fn check_all(config: &Path) -> Result<(), VerbFailure> {
    let settings = load_settings(config)?;
    let mut report = CheckReport::default();
    check_files(&settings, &mut report)?;
    let policy = Arc::new(settings.auth.read_policy()?);
    let (catalogue, faults) = definitions::load(&DefinitionSources::new(&settings))?;
    let (_, rule_faults) = resolve_policy(&policy, &catalogue);
    for fault in faults.iter().chain(&rule_faults) {
        report.add_fault(fault)?;
    }
    check_scripts(&settings, &catalogue, &mut report)?;
    if !catalogue.broken.is_empty() {
        let broken: Vec<String> = catalogue.broken.keys().map(|it| shown_name(it)).collect();
        print_note(&format!(
            "these commands cannot be run, unless a running server still has a good version of before: {}\n",
            broken.join(", ")
        ));
    }
    let summary = format!(
        "{} and {} can be used; {}, {}",
        counted(catalogue.nodes.list().len(), "node"),
        counted(catalogue.commands.len(), "command"),
        counted(report.errors, "error"),
        counted(report.warnings, "warning"),
    );
    if report.errors > 0 {
        return Err(VerbFailure::new(CONFIG, summary));
    }
    print_note(&format!("{summary}\n"));
    Ok(())
}

/// Prints and counts what was found.
#[derive(Default)]
struct CheckReport {
    errors: usize,
    warnings: usize,
}

impl CheckReport {
    fn add_line(&mut self, is_error: bool, line: &str) -> Result<(), VerbFailure> {
        if is_error {
            self.errors += 1;
        } else {
            self.warnings += 1;
        }
        print_text(&format!("{line}\n"))
    }

    fn add_fault(&mut self, fault: &Fault) -> Result<(), VerbFailure> {
        self.add_line(fault.is_error(), &fault.to_string())
    }
}

/// Checks the certificate, the secrets, the revocations and the clock.
fn check_files(settings: &Settings, report: &mut CheckReport) -> Result<(), VerbFailure> {
    if let Some(files) = settings.tls.clone() {
        let tls = net::Tls::open(files)
            .map_err(ServeError::from)
            .map_err(|error| VerbFailure::of_config(&error))?;
        for fault in tls.faults() {
            let kind = if fault.is_error { "" } else { "warning: " };
            let line = format!("{}: {kind}{}", fault.place, fault.reason);
            report.add_line(fault.is_error, &line)?;
        }
    }
    for warning in settings.auth.keys()?.warnings() {
        report.add_line(false, &format!("warning: {warning}"))?;
    }
    settings.auth.check_revocations(&settings.state_directory)?;
    let pause = record::check_clock(&settings.state_directory, settings.retention.age);
    if let Some(pause) = pause {
        let line = format!(
            "warning: {}: records are not removed for their age; set the clock right, or run: action-server accept-clock",
            pause.reason()
        );
        report.add_line(false, &line)?;
    }
    Ok(())
}

/// Checks the commands that others verify with, and warns of each script whose first line has env(1) look
/// for a program that is not there. A node's metadata may set another PATH, so the last is no error.
fn check_scripts(
    settings: &Settings,
    catalogue: &Catalogue,
    report: &mut CheckReport,
) -> Result<(), VerbFailure> {
    for command in catalogue.commands.values() {
        let verifier = command.verify.as_ref().map(|verify| &verify.command);
        if let Some(verifier) = verifier.filter(|name| !catalogue.commands.contains_key(*name)) {
            let (name, verifier) = (&command.name, shown_name(verifier));
            let line = format!("{name}: verify: there is no command {verifier:?}");
            report.add_line(true, &line)?;
        }
    }
    let environment = base_environment(&settings.script_environment);
    let path = environment.iter().find(|(key, _)| key == "PATH");
    let path = path.map_or("", |(_, path)| path.as_str());
    let commands = catalogue.commands.values();
    for script in commands.flat_map(|command| command.scripts.values()) {
        if let Some(reason) = env_fault(script, path) {
            let line = format!("{}: warning: {reason}", shown::file(script));
            report.add_line(false, &line)?;
        }
    }
    Ok(())
}
