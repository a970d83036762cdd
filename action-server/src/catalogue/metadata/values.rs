//! How the values of `metadata.yaml` are written.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    catalogue::Confirmation,
    keys::{ByteSize, KeyForm, KeyReader, ScalarForm, TimeSpan},
    yaml::Yaml,
};

/// A text of one line.
#[derive(Debug)]
pub struct OneLine;

impl ScalarForm for OneLine {
    type Value = String;
    const NAME: &'static str = "text";
    const EXPECTED: &'static str = "a line of text";
    const IS_TEXT: bool = true;

    fn parse(text: &str) -> Option<String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        Some(words.join(" "))
    }
}

/// A line that is not empty.
#[derive(Debug)]
pub struct SomeLine;

impl ScalarForm for SomeLine {
    type Value = String;
    const NAME: &'static str = "text";
    const EXPECTED: &'static str = "a line of text";
    const IS_TEXT: bool = true;

    fn parse(text: &str) -> Option<String> {
        OneLine::parse(text).filter(|line| !line.is_empty())
    }
}

/// A time that is not zero.
#[derive(Debug)]
pub struct PositiveTime;

impl ScalarForm for PositiveTime {
    type Value = Duration;
    const NAME: &'static str = <TimeSpan as ScalarForm>::NAME;
    const EXPECTED: &'static str = <TimeSpan as ScalarForm>::EXPECTED;

    fn parse(text: &str) -> Option<Duration> {
        TimeSpan::parse(text).filter(|time| !time.is_zero())
    }
}

/// A number of jobs, at least one.
#[derive(Debug)]
pub struct JobLimit;

impl ScalarForm for JobLimit {
    type Value = u32;
    const NAME: &'static str = "number";
    const EXPECTED: &'static str = "a number from 1";

    fn parse(text: &str) -> Option<u32> {
        text.parse().ok().filter(|&count| count > 0)
    }
}

/// A size in bytes, or none for no limit.
#[derive(Debug)]
pub struct OutputLimit;

impl ScalarForm for OutputLimit {
    type Value = Option<u64>;
    const NAME: &'static str = "size or `none`";
    const EXPECTED: &'static str = "a size such as 64MiB, or none";

    fn parse(text: &str) -> Option<Option<u64>> {
        match text {
            "none" => Some(None),
            text => ByteSize::parse(text).map(Some),
        }
    }
}

/// A question with placeholders.
#[derive(Debug)]
pub struct ConfirmationText;

impl KeyForm for ConfirmationText {
    type Value = Confirmation;
    const NAME: &'static str = "text";
    const IS_TEXT: bool = true;

    fn read(value: &Yaml, reader: &mut KeyReader<'_>) -> Option<Confirmation> {
        let Yaml::Scalar(text) = value else {
            reader.fault(format!("expected a text, found {}", value.kind()));
            return None;
        };
        let confirmation = Confirmation::parse(text);
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
        let Yaml::Map(entries) = value else {
            let kind = value.kind();
            reader.fault(format!(
                "expected a map from code to `{{state: NAME}}`, found {kind}"
            ));
            return None;
        };
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
        let words = states.iter().map(|state| match state {
            Yaml::Scalar(text) if text.split_whitespace().count() == 1 => Some(text.clone()),
            _ => None,
        });
        let words: Option<Vec<String>> = words.collect();
        let words = words.filter(|words| !words.is_empty());
        if words.is_none() {
            reader.fault("expected states, each one word, such as [ON]");
        }
        words
    }
}
