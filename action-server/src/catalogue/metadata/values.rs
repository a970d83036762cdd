//! How the values of `metadata.yaml` are written.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    catalogue::Confirmation,
    keys::{KeyForm, KeyReader, parse_size, parse_time, scalar_forms},
    yaml::Yaml,
};

scalar_forms! {
    /// A text of one line.
    OneLine: String = "text", true, "a line of text", |text| Some(one_line(text));
    /// A line that is not empty.
    SomeLine: String = "text", true, "a line of text",
        |text| Some(one_line(text)).filter(|line| !line.is_empty());
    /// A time that is not zero.
    PositiveTime: Duration = "time", false, "a time such as 90s or 1h",
        |text| parse_time(text).filter(|time| !time.is_zero());
    /// A number of jobs, at least one.
    JobLimit: u32 = "number", false, "a number from 1",
        |text| text.parse().ok().filter(|&count| count > 0);
    /// A size in bytes, or none for no limit.
    OutputLimit: Option<u64> = "size or `none`", false, "a size such as 64MiB, or none",
        |text| match text {
            "none" => Some(None),
            text => parse_size(text).map(Some),
        };
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

/// A question with placeholders.
#[derive(Debug)]
pub struct ConfirmationText;

impl KeyForm for ConfirmationText {
    type Value = Confirmation;
    const NAME: &'static str = "text";
    const IS_TEXT: bool = true;

    fn read(value: &Yaml, reader: &mut KeyReader<'_>) -> Option<Confirmation> {
        let confirmation = Confirmation::parse(reader.text(value, "a text")?);
        confirmation
            .inspect_err(|error| reader.fault(error.to_string()))
            .ok()
    }
}

/// Exit codes that are an answer, with the state that each stands for.
#[derive(Debug)]
pub struct ExitCodes;

impl KeyForm for ExitCodes {
    type Value = BTreeMap<i32, String>;
    const NAME: &'static str = "map";

    fn read(value: &Yaml, reader: &mut KeyReader<'_>) -> Option<BTreeMap<i32, String>> {
        let entries = reader.map(value)?;
        let mut states = BTreeMap::new();
        for (at, (key, answer)) in entries.iter().enumerate() {
            let nth = entries[..at].iter().filter(|(other, _)| other == key);
            let nth = nth.count();
            let state = match answer {
                Yaml::Map(fields) => match fields.as_slice() {
                    [(key, Yaml::Scalar(state))] if key == "state" => Some(state),
                    _ => None,
                },
                _ => None,
            };
            match (key.parse::<i32>(), state) {
                // By its number: 7 and 07 are one code.
                (Ok(code @ 1..=255), Some(state)) => {
                    if states.insert(code, state.clone()).is_some() {
                        let reason = format!("the exit code {code} is given twice");
                        reader.fault_of(key, nth, reason);
                    }
                }
                _ => {
                    let reason = "expected a code from 1 to 255 with `{state: NAME}`";
                    reader.fault_of(key, nth, reason);
                }
            }
        }
        Some(states)
    }
}

/// States, each one word: what a script prints.
#[derive(Debug)]
pub struct StateNames;

impl KeyForm for StateNames {
    type Value = Vec<String>;
    const NAME: &'static str = "list";

    fn read(value: &Yaml, reader: &mut KeyReader<'_>) -> Option<Vec<String>> {
        let states = match value {
            Yaml::List(items) => items.as_slice(),
            other => std::slice::from_ref(other),
        };
        let mut words = Vec::new();
        for (index, state) in states.iter().enumerate() {
            match state {
                Yaml::Scalar(text) if text.split_whitespace().count() == 1 => {
                    words.push(text.clone());
                }
                _ => reader.fault(format!(
                    "expected states, each one word, such as [ON]; the one at [{index}] is none"
                )),
            }
        }
        if states.is_empty() {
            reader.fault("expected states, each one word, such as [ON]");
        }
        (words.len() == states.len() && !words.is_empty()).then_some(words)
    }
}
