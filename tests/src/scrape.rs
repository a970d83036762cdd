//! Scrapes of a server's metrics, as Prometheus does them: over HTTP, read back into numbers.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use crate::{server::Server, wait::CEILING};

/// What one scrape said.
#[derive(Debug)]
pub struct Scrape {
    /// The answer's body.
    pub text: String,
    samples: BTreeMap<String, f64>,
}

/// What a metric says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// Its name.
    pub name: String,
    /// Counter, gauge or histogram.
    pub kind: String,
    /// What it is.
    pub help: String,
    /// The names of its labels, sorted.
    pub labels: BTreeSet<String>,
}

/// Asks an address for a path over HTTP/1.1: status line, headers and body.
#[track_caller]
pub fn get(address: SocketAddr, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(CEILING)).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nhost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

impl Server {
    /// Where it answers scrapes. Its settings must say `metrics_listen: 127.0.0.1:0`.
    #[track_caller]
    pub fn metrics_address(&self) -> SocketAddr {
        let log = self.log();
        let (_, rest) = log
            .split_once("metrics at http://")
            .expect("metrics_listen");
        rest.split_once("/metrics").unwrap().0.parse().unwrap()
    }

    /// Scrapes it.
    #[track_caller]
    pub fn scrape(&self) -> Scrape {
        let (head, text) = get(self.metrics_address(), "GET /metrics");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(
            head.contains("content-type: text/plain; version=0.0.4"),
            "{head}"
        );
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let samples = samples.map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        });
        Scrape {
            samples: samples.collect(),
            text,
        }
    }
}

impl Scrape {
    /// A number by its name and labels, as they stand in the text.
    #[track_caller]
    pub fn of(&self, sample: &str) -> f64 {
        let value = self.samples.get(sample);
        *value.unwrap_or_else(|| panic!("no {sample} in\n{}", self.text))
    }

    /// The same, for numbers that may not be there yet: then they are none.
    pub fn count(&self, sample: &str) -> f64 {
        self.samples.get(sample).copied().unwrap_or(0.0)
    }

    /// The names of all numbers, with their labels.
    pub fn samples(&self) -> impl Iterator<Item = &str> {
        self.samples.keys().map(String::as_str)
    }

    /// All metrics, by what they say of themselves.
    #[track_caller]
    pub fn families(&self) -> Vec<Family> {
        let comments = |kind: &'static str| {
            let lines = self.text.lines();
            lines.filter_map(move |line| line.strip_prefix(kind)?.split_once(' '))
        };
        let helps: BTreeMap<&str, &str> = comments("# HELP ").collect();
        let family = |(name, kind): (&str, &str)| Family {
            labels: self.labels_of(name),
            name: name.to_owned(),
            kind: kind.to_owned(),
            help: helps[name].to_owned(),
        };
        comments("# TYPE ").map(family).collect()
    }

    fn labels_of(&self, family: &str) -> BTreeSet<String> {
        let own = self.samples.keys().filter_map(|sample| {
            let (name, labels) = sample.split_once('{')?;
            (name.trim_end_matches("_bucket") == family).then_some(labels)
        });
        let labels = own.flat_map(|labels| {
            let pairs = labels.trim_end_matches('}').split(',');
            pairs.filter_map(|pair| Some(pair.split_once('=')?.0.to_owned()))
        });
        labels.filter(|label| label != "le").collect()
    }
}
