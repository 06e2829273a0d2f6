//! Who looks: what has arrived against what was written.

use std::collections::BTreeMap;
use std::fmt;

use super::lines::{Found, Reader, Tag};
use super::writer::Written;

/// An event at rest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrived<'m> {
    /// The event's stamp, milliseconds since 1970.
    pub(crate) stamp_ms: i64,
    /// When the endpoint took it, microseconds since 1970.
    pub(crate) taken_us: u64,
    pub(crate) message: &'m str,
}

/// Holds the events of any number of streams against what writers wrote.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    reader: Reader,
    /// Per writer, how often each line has arrived.
    seen: BTreeMap<u16, Vec<u8>>,
    arrived: u64,
    garbled: u64,
    foreign: u64,
    first_garbled: Option<String>,
    misstamped: u64,
    stamp_error_ms: i64,
    out_of_order: u64,
    last: BTreeMap<u16, u64>,
    latency_ms: Vec<f32>,
}

impl Checker {
    /// Takes an event; those of one stream in the order in which the service gives them.
    pub(crate) fn take(&mut self, event: Arrived<'_>) {
        self.arrived += 1;
        match self.reader.read(event.message) {
            Found::Whole(tag) => self.whole(event, tag),
            Found::Garbled(_) => {
                self.garbled += 1;
                self.first_garbled
                    .get_or_insert_with(|| event.message.to_owned());
            }
            Found::Foreign => {
                self.foreign += 1;
                self.first_garbled
                    .get_or_insert_with(|| event.message.to_owned());
            }
        }
    }

    fn whole(&mut self, event: Arrived<'_>, tag: Tag) {
        let seen = self.seen.entry(tag.writer).or_default();
        let index = usize::try_from(tag.number).unwrap();
        if seen.len() <= index {
            seen.resize(index + 1, 0);
        }
        seen[index] = seen[index].saturating_add(1);
        let error = (event.stamp_ms - tag.stamp_ms()).abs();
        self.misstamped += u64::from(error > 0);
        self.stamp_error_ms = self.stamp_error_ms.max(error);
        let last = self.last.entry(tag.writer).or_default();
        self.out_of_order += u64::from(tag.number < *last);
        *last = tag.number;
        let late_us = event.taken_us.saturating_sub(tag.written_us);
        self.latency_ms.push(late_us as f32 / 1000.0);
    }

    /// How many events have come.
    pub(crate) fn arrived(&self) -> u64 {
        self.arrived
    }

    /// The verdict, once everything that will arrive has.
    pub(crate) fn verdict(&self, written: &[Written]) -> Verdict {
        let mut verdict = Verdict {
            arrived: self.arrived,
            garbled: self.garbled,
            foreign: self.foreign,
            example: self.first_garbled.clone(),
            misstamped: self.misstamped,
            stamp_error_ms: self.stamp_error_ms,
            out_of_order: self.out_of_order,
            ..Verdict::default()
        };
        let mut whole = 0;
        for Written { writer, lines, .. } in written {
            verdict.written += lines;
            let seen = self.seen.get(writer).map_or(&[][..], Vec::as_slice);
            for number in 0..*lines {
                let times = seen
                    .get(usize::try_from(number).unwrap())
                    .copied()
                    .unwrap_or_default();
                whole += u64::from(times);
                match times {
                    0 => {
                        verdict.lost += 1;
                        extend(&mut verdict.gaps, *writer, number);
                    }
                    1 => {}
                    times => {
                        verdict.twice += u64::from(times) - 1;
                        extend(&mut verdict.doubles, *writer, number);
                    }
                }
            }
        }
        // Whole lines that nobody claims to have written.
        let all: u64 = self
            .seen
            .values()
            .flatten()
            .map(|&times| u64::from(times))
            .sum();
        verdict.foreign += all - whole;
        let mut sorted = self.latency_ms.clone();
        sorted.sort_by(f32::total_cmp);
        let rank = |part: f64| {
            let rank = (sorted.len() as f64 * part).ceil() as usize;
            f64::from(
                sorted
                    .get(rank.saturating_sub(1))
                    .copied()
                    .unwrap_or_default(),
            )
        };
        verdict.latency_ms = Latency {
            p50: rank(0.50),
            p99: rank(0.99),
            max: rank(1.0),
        };
        verdict
    }
}

/// Adds a line to runs of lines.
fn extend(runs: &mut Vec<(u16, u64, u64)>, writer: u16, number: u64) {
    match runs.last_mut() {
        Some((last, _, end)) if *last == writer && *end == number => *end += 1,
        _ => runs.push((writer, number, number + 1)),
    }
}

/// From the write to the moment when the endpoint had taken the line.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

/// What became of the lines.
#[derive(Debug, Clone, Default)]
pub(crate) struct Verdict {
    pub(crate) written: u64,
    pub(crate) arrived: u64,
    /// Lines that did not arrive as a whole.
    pub(crate) lost: u64,
    /// Arrivals beyond the first of a line.
    pub(crate) twice: u64,
    /// Events that bear a line's tag but are not that line.
    pub(crate) garbled: u64,
    /// Events that nobody wrote.
    pub(crate) foreign: u64,
    /// Lines whose stamp is not the line's own time.
    pub(crate) misstamped: u64,
    pub(crate) stamp_error_ms: i64,
    /// Lines that stand behind a later line of their file in what the stream shows.
    pub(crate) out_of_order: u64,
    pub(crate) latency_ms: Latency,
    /// Runs of lost lines: writer, first, one past the last.
    pub(crate) gaps: Vec<(u16, u64, u64)>,
    /// Runs of lines that arrived more than once, likewise.
    pub(crate) doubles: Vec<(u16, u64, u64)>,
    /// The first event that is no line.
    pub(crate) example: Option<String>,
}

impl Verdict {
    /// Every line once, as it was written.
    pub(crate) fn is_exact(&self) -> bool {
        self.lost + self.twice + self.garbled + self.foreign == 0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "written {}, arrived {}, lost {}, twice {}, garbled {}, foreign {}, misstamped {}, out of order {}",
            self.written,
            self.arrived,
            self.lost,
            self.twice,
            self.garbled,
            self.foreign,
            self.misstamped,
            self.out_of_order
        )?;
        for (what, runs) in [("lost", &self.gaps), ("twice", &self.doubles)] {
            if !runs.is_empty() {
                write!(f, "; first {what}")?;
            }
            for (writer, from, to) in runs.iter().take(5) {
                write!(f, " {writer}:{from}..{to}")?;
            }
        }
        if let Some(example) = &self.example {
            let start: String = example.chars().take(300).collect();
            write!(f, "; no line: {start:?}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::{Pen, Shape};
    use super::*;

    fn arrive(checker: &mut Checker, number: u64, stamp_off_ms: i64, cut: usize) {
        let tag = Tag {
            shape: Shape::Access,
            writer: 1,
            number,
            written_us: 1_795_411_275_000_000,
        };
        let mut line = Vec::new();
        Pen::default().write(tag, &mut line);
        let message = String::from_utf8(line).unwrap();
        checker.take(Arrived {
            stamp_ms: tag.stamp_ms() + stamp_off_ms,
            taken_us: tag.written_us + 5000,
            message: &message[..message.len() - 1 - cut],
        });
    }

    #[test]
    fn what_is_lost_doubled_cut_and_misstamped_is_counted() {
        let mut checker = Checker::default();
        for number in [0, 1, 1, 5, 3] {
            arrive(&mut checker, number, 0, 0);
        }
        arrive(&mut checker, 4, 0, 10);
        arrive(&mut checker, 6, 1000, 0);
        let written = Written {
            writer: 1,
            lines: 10,
            bytes: 2220,
        };
        let verdict = checker.verdict(&[written]);
        assert_eq!(verdict.lost, 5, "{verdict}");
        assert_eq!(verdict.twice, 1, "{verdict}");
        assert_eq!(verdict.garbled, 1, "{verdict}");
        assert_eq!(verdict.misstamped, 1, "{verdict}");
        assert_eq!(verdict.out_of_order, 1, "{verdict}");
        assert_eq!(verdict.gaps, [(1, 2, 3), (1, 4, 5), (1, 7, 10)]);
        assert!(!verdict.is_exact());
    }

    #[test]
    fn a_line_that_nobody_wrote_is_foreign() {
        let mut checker = Checker::default();
        arrive(&mut checker, 3, 0, 0);
        let written = Written {
            writer: 1,
            lines: 3,
            bytes: 666,
        };
        assert_eq!(checker.verdict(&[written]).foreign, 1);
        assert_eq!(checker.verdict(&[]).foreign, 1);
    }
}
