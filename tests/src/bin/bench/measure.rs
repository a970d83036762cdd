//! One measure: who was measured, each round's figure, and what they are compared by.

use serde_json::{Value, json};

/// What was measured of everyone side by side.
pub(crate) struct Measure {
    /// Its name on the command line and in the file of figures.
    pub(crate) id: String,
    /// What it is, for people.
    pub(crate) title: String,
    /// `ms`, `MiB`, `runs/s`.
    pub(crate) unit: &'static str,
    /// Who, with the figure of each round. The first is this project.
    pub(crate) series: Vec<(String, Vec<f64>)>,
    /// What should be true of them.
    pub(crate) goals: Vec<Goal>,
}

/// A bound on the first series.
pub(crate) struct Goal {
    /// As a multiple of this one's figure of the same round; without one, in the measure's unit.
    pub(crate) of: Option<String>,
    /// The bound.
    pub(crate) bound: f64,
    /// Whether more is better.
    pub(crate) at_least: bool,
}

/// At most so many times the figure of `of`.
pub(crate) fn at_most(bound: f64, of: &str) -> Goal {
    Goal {
        of: Some(of.to_owned()),
        bound,
        at_least: false,
    }
}

/// At least so many times the figure of `of`.
pub(crate) fn at_least(bound: f64, of: &str) -> Goal {
    Goal {
        at_least: true,
        ..at_most(bound, of)
    }
}

/// At most so much.
pub(crate) fn below(bound: f64) -> Goal {
    Goal {
        of: None,
        bound,
        at_least: false,
    }
}

/// Someone who is measured: a name, and what gives one figure.
pub(crate) struct Contender<'a> {
    who: &'static str,
    figure: Box<dyn FnMut() -> f64 + 'a>,
}

/// Someone who is measured.
pub(crate) fn contender<'a>(who: &'static str, figure: impl FnMut() -> f64 + 'a) -> Contender<'a> {
    Contender {
        who,
        figure: Box::new(figure),
    }
}

/// Measures everyone in turn, so many times; each round begins with another one. What the machine
/// does beside comes to all of them alike.
pub(crate) fn side_by_side(
    rounds: usize,
    mut contenders: Vec<Contender<'_>>,
) -> Vec<(String, Vec<f64>)> {
    let count = contenders.len();
    let mut series: Vec<_> = contenders
        .iter()
        .map(|it| (it.who.to_owned(), Vec::new()))
        .collect();
    // The first of each fills caches.
    if rounds > 1 {
        for contender in &mut contenders {
            (contender.figure)();
        }
    }
    for round in 0..rounds {
        for turn in 0..count {
            let at = (round + turn) % count;
            let figure = (contenders[at].figure)();
            series[at].1.push(figure);
        }
    }
    series
}

/// The middle one.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Measure {
    /// A measure without goals.
    pub(crate) fn new(
        id: impl Into<String>,
        title: impl Into<String>,
        unit: &'static str,
        series: Vec<(String, Vec<f64>)>,
    ) -> Measure {
        Measure {
            id: id.into(),
            title: title.into(),
            unit,
            series,
            goals: Vec::new(),
        }
    }

    /// The same with a goal.
    pub(crate) fn goal(mut self, goal: Goal) -> Measure {
        self.goals.push(goal);
        self
    }

    /// As it is kept: with the medians, and each goal with what came of it.
    pub(crate) fn to_json(&self) -> Value {
        let series = self.series.iter().map(|(who, values)| {
            let ratio = self.ratio_to(who);
            json!({"who": who, "median": rounded(median(values)), "values": values.iter().copied().map(rounded).collect::<Vec<_>>(), "ratio": rounded(ratio)})
        });
        let goals = self.goals.iter().map(|goal| {
            let reached = match &goal.of {
                Some(of) => self.ratio_to(of),
                None => median(&self.series[0].1),
            };
            let is_met = if goal.at_least { reached >= goal.bound } else { reached <= goal.bound };
            json!({"of": goal.of, "bound": goal.bound, "at_least": goal.at_least, "reached": rounded(reached), "met": is_met})
        });
        json!({"id": self.id, "title": self.title, "unit": self.unit, "series": series.collect::<Vec<_>>(), "goals": goals.collect::<Vec<_>>()})
    }

    /// How many times another's figure ours is: the median over rounds, each beside its neighbour.
    fn ratio_to(&self, of: &str) -> f64 {
        let ours = &self.series[0].1;
        let theirs = self.series.iter().find(|(who, _)| who == of);
        let theirs = theirs.map_or(&[][..], |(_, values)| values);
        let ratios: Vec<f64> = ours
            .iter()
            .zip(theirs)
            .map(|(ours, theirs)| ours / theirs)
            .collect();
        median(&ratios)
    }
}

/// Four significant digits: no more than there is to know.
pub(crate) fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}
