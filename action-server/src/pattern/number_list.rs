//! The list of numbers in a bracket: `1-3,05,10-20/5`.
//!
//! A number is its digits: `5` and `05` are two. Lists are kept as runs of one width, so that no
//! range costs more than a few of them, however many numbers it has.

use action_proto::input::shown_name;

use super::PatternError;

/// The most digits that a number may have: all of them fit into `u128`.
const MOST_DIGITS: usize = 38;

/// Some numbers with their leading zeroes.
#[derive(Debug, Clone, Default)]
pub(super) struct NumberList {
    /// The runs of step 1, by width and first number; no two overlap.
    solid: Vec<NumberRun>,
    /// The runs of other steps.
    stepped: Vec<NumberRun>,
    count: usize,
}

/// Numbers that are all written with `width` digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct NumberRun {
    width: usize,
    first: u128,
    last: u128,
    step: u128,
}

impl NumberRun {
    fn contains(&self, width: usize, number: u128) -> bool {
        self.width == width
            && (self.first..=self.last).contains(&number)
            && (number - self.first).is_multiple_of(self.step)
    }
}

impl NumberList {
    /// Reads what stands between `[` and `]`; `before` and `after` are the texts around these.
    pub(super) fn parse(text: &str, before: &str, after: &str) -> Result<NumberList, PatternError> {
        let follows_digit = before.ends_with(|c: char| c.is_ascii_digit());
        let precedes_digit = after.starts_with(|c: char| c.is_ascii_digit());
        let mut list = NumberList::default();
        for item in text.split(',') {
            let range = NumberRange::parse(item.trim())?;
            if precedes_digit {
                range.check_before_digit()?;
            }
            list.push(&range);
        }
        list.merge();
        match list
            .width_limit()
            .filter(|_| follows_digit && !precedes_digit)
        {
            Some(limit) => Err(PatternError(format!(
                "[{}]: after a digit all numbers need the same number of digits; \
                 write those up to {limit} and those from {} as two terms",
                shown_name(text),
                limit + 1
            ))),
            None => Ok(list),
        }
    }

    fn push(&mut self, range: &NumberRange<'_>) {
        let count = usize::try_from((range.last - range.first) / range.step).unwrap_or(usize::MAX);
        self.count = self.count.saturating_add(count).saturating_add(1);
        let mut first = range.first;
        for width in range.width..=digits(range.last).max(range.width) {
            let last = range.last.min(greatest(width));
            if first > last {
                continue;
            }
            let last = last - (last - first) % range.step;
            let run = NumberRun {
                width,
                first,
                last,
                step: range.step,
            };
            match run {
                _ if range.step > 1 && last > first => self.stepped.push(run),
                _ => self.solid.push(NumberRun { step: 1, ..run }),
            }
            first = last.saturating_add(range.step);
        }
    }

    /// Sorts the runs and joins those that touch.
    fn merge(&mut self) {
        self.stepped.sort_unstable();
        self.stepped.dedup();
        self.solid.sort_unstable();
        self.solid.dedup_by(|next, run| {
            let touches = next.width == run.width && next.first <= run.last + 1;
            if touches {
                run.last = run.last.max(next.last);
            }
            touches
        });
    }

    /// The first 9, 99, .. of this list that the number after it follows. ClusterShell takes the
    /// digits before a bracket into the ranges, so that `n1[9-10]` is `n[19-110]` to it.
    fn width_limit(&self) -> Option<u128> {
        let goes_on = |&width: &usize| {
            let limit = greatest(width);
            self.contains(width, limit) && self.contains(width + 1, limit + 1)
        };
        (1..MOST_DIGITS).find(goes_on).map(greatest)
    }

    /// How many numbers were written, or `usize::MAX` for as many or more.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The most digits that one of the numbers has.
    pub(super) fn longest(&self) -> usize {
        let runs = [self.solid.last(), self.stepped.last()];
        let widths = runs.into_iter().flatten().map(|run| run.width);
        widths.max().unwrap_or(0)
    }

    /// All of the numbers, each once: see [`NumberList::count`].
    pub(super) fn numbers(&self) -> Vec<String> {
        let runs = self.solid.iter().chain(&self.stepped);
        let mut numbers: Vec<String> = runs
            .flat_map(|run| {
                let times = (run.last - run.first) / run.step;
                let number = |nth| run.first + nth * run.step;
                (0..=times).map(move |nth| format!("{:01$}", number(nth), run.width))
            })
            .collect();
        if !self.stepped.is_empty() {
            numbers.sort_unstable_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
            numbers.dedup();
        }
        numbers
    }

    /// For each number of the list that `text` begins with, how many digits it has; ascending.
    pub(super) fn lengths(&self, text: &[u8]) -> impl Iterator<Item = usize> {
        let digits = text.iter().take(self.longest());
        let digits = digits.map_while(|&byte| char::from(byte).to_digit(10));
        let numbers = digits.scan(0_u128, |number, digit| {
            *number = *number * 10 + u128::from(digit);
            Some(*number)
        });
        let numbers = numbers.enumerate().map(|(at, number)| (at + 1, number));
        let known = numbers.filter(|&(width, number)| self.contains(width, number));
        known.map(|(width, _)| width)
    }

    fn contains(&self, width: usize, number: u128) -> bool {
        let behind = self
            .solid
            .partition_point(|run| (run.width, run.first) <= (width, number));
        let solid = behind.checked_sub(1).and_then(|at| self.solid.get(at));
        solid
            .into_iter()
            .chain(&self.stepped)
            .any(|run| run.contains(width, number))
    }
}

/// One item of a list: a number, or a range of them.
struct NumberRange<'a> {
    text: &'a str,
    first: u128,
    last: u128,
    step: u128,
    has_step: bool,
    /// The number of digits of the first number, zeroes included.
    width: usize,
}

impl NumberRange<'_> {
    fn parse(text: &str) -> Result<NumberRange<'_>, PatternError> {
        let wrong = |reason: &str| PatternError(format!("{}: {reason}", shown_name(text)));
        if text.is_empty() {
            return Err(PatternError(
                "a number is missing between the brackets".into(),
            ));
        }
        let (ends, step) = match text.split_once('/') {
            Some((ends, step)) => (ends.trim(), Some(step.trim())),
            None => (text, None),
        };
        let (first, last) = match ends.split_once('-') {
            Some((first, last)) => (first.trim(), last.trim()),
            None => (ends, ends),
        };
        if first.is_empty() || last.is_empty() {
            return Err(wrong("a range needs a number on each side of the -"));
        }
        let is_padded = |number: &str| number.len() > 1 && number.starts_with('0');
        let range = NumberRange {
            text,
            first: number(first)?,
            last: number(last)?,
            step: step.map_or(Ok(1), number)?,
            has_step: step.is_some(),
            width: first.len(),
        };
        if (is_padded(first) || is_padded(last)) && first.len() != last.len() {
            let width = first.len().max(last.len());
            let (first, last) = (range.first, range.last);
            return Err(wrong(&format!(
                "pad both numbers alike: write {first:0width$}-{last:0width$} or {first}-{last}"
            )));
        }
        if range.last < range.first {
            return Err(wrong("the smaller number comes first"));
        }
        if range.step == 0 {
            return Err(wrong("the step must be 1 or more"));
        }
        if range.step > 1 && !ends.contains('-') {
            return Err(wrong("a step needs a range"));
        }
        Ok(range)
    }

    /// Rejects what ClusterShell rejects before a digit: it takes the digit into the range.
    fn check_before_digit(&self) -> Result<(), PatternError> {
        let wrong = |reason| Err(PatternError(format!("{}: {reason}", shown_name(self.text))));
        if self.has_step {
            return wrong("a step cannot stand before a digit; list the numbers");
        }
        if self.width == 1 && self.first == 0 && self.last > 9 {
            return wrong(
                "before a digit a range from 0 ends at 9; write 0-9 and the rest as two ranges",
            );
        }
        Ok(())
    }
}

fn number(text: &str) -> Result<u128, PatternError> {
    let shown = shown_name(text);
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(PatternError(format!("{shown:?} is not a number")));
    }
    let parsed = text.parse().ok().filter(|_| text.len() <= MOST_DIGITS);
    parsed.ok_or_else(|| {
        let count = text.len();
        PatternError(format!(
            "a number has at most {MOST_DIGITS} digits, and not {count}"
        ))
    })
}

/// The greatest number of that many digits: 9, 99, ..
fn greatest(width: usize) -> u128 {
    (0..width).fold(0, |number, _| number * 10 + 9)
}

fn digits(number: u128) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}
