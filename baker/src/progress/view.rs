//! Events as lines. Pure: what is shown depends on the events, the time and the width alone.

use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::events::{Event, Outcome, Stage};
use crate::remote::OutputStream;
use crate::terminal::clean;

const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const SPINNER_FRAME: Duration = Duration::from_millis(100);
/// A log needs no line for every poll: one when something changes, and one now and then.
const REPEAT_WAIT: Duration = Duration::from_secs(15);
/// What changes all the time (a percentage, the kind of refusal) is shown no oftener than this.
const CHANGED_WAIT: Duration = Duration::from_secs(1);

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// For a terminal: a lasting line a stage, the rest in the live line.
    Live {
        /// With colours.
        color: bool,
    },
    /// For a log: a line an event, with the time since the start.
    Plain,
}

/// What is going on.
#[derive(Debug)]
pub(super) struct View {
    style: Style,
    stage: Option<Running>,
    /// `[3/9] install nginx`.
    step: Option<String>,
    /// The last thing that was heard: a line of output, a wait.
    detail: String,
    /// What the stage's lasting line will say: its last note.
    summary: String,
    /// The wait that was last written to a log, and when.
    waited: Option<(String, String, Duration)>,
}

#[derive(Debug)]
struct Running {
    stage: Stage,
    since: Duration,
}

impl View {
    pub(super) fn new(style: Style) -> View {
        View {
            style,
            stage: None,
            step: None,
            detail: String::new(),
            summary: String::new(),
            waited: None,
        }
    }

    /// Takes one event that happened `at` after the start; what it adds to the lasting lines.
    pub(super) fn apply(&mut self, at: Duration, event: &Event) -> Vec<String> {
        let line = match self.style {
            Style::Live { color } => self.lasting(at, event, color),
            Style::Plain => self.logged(at, event),
        };
        if let (Some(_), Event::Waiting { what, detail, .. }) = (&line, event) {
            self.waited = Some((what.clone(), detail.clone(), at));
        }
        self.remember(at, event);
        line.into_iter().collect()
    }

    fn remember(&mut self, at: Duration, event: &Event) {
        match event {
            Event::StageStarted { stage } => {
                self.stage = Some(Running {
                    stage: *stage,
                    since: at,
                });
                self.step = None;
                self.detail.clear();
                self.summary.clear();
                self.waited = None;
            }
            Event::StageFinished { .. } => self.stage = None,
            Event::StepStarted {
                name, number, of, ..
            } => {
                self.step = Some(format!("[{number}/{of}] {}", clean(name)));
                self.detail.clear();
            }
            Event::StepFinished { outcome } => {
                // A failed step stays in sight: the stage's lasting line names it.
                if *outcome == Outcome::Ok {
                    self.step = None;
                }
                self.detail.clear();
            }
            Event::Output { line, .. } => {
                let line = clean(line);
                if !line.trim().is_empty() {
                    self.detail = line.trim().to_owned();
                }
            }
            Event::Waiting { what, detail, .. } => {
                self.detail = format!("waiting for {}: {}", clean(what), clean(detail));
            }
            Event::Retried { operation, attempt } => {
                self.detail = format!("{operation}, attempt {attempt}");
            }
            Event::Created { kind, id } => {
                self.summary = format!("{kind} {id}");
                self.detail = format!("created {kind} {id}");
            }
            Event::Removed { kind, id } => self.detail = format!("removed {kind} {id}"),
            Event::Note { message } => {
                self.summary = clean(message);
                self.detail.clone_from(&self.summary);
            }
            Event::Warning { .. } | Event::Ended => {}
        }
    }

    /// The line that an event leaves on a terminal.
    fn lasting(&self, at: Duration, event: &Event, color: bool) -> Option<String> {
        match event {
            Event::StageFinished { stage, outcome } => {
                let (mark, code) = match outcome {
                    Outcome::Ok => ("✓", "32"),
                    Outcome::Failed => ("✗", "31"),
                    Outcome::Interrupted => ("■", "33"),
                };
                let since = self.stage.as_ref().map_or(at, |running| running.since);
                let about = match (outcome, &self.step) {
                    (Outcome::Ok, _) | (_, None) => &self.summary,
                    (_, Some(step)) => step,
                };
                let line = format!(
                    "{} {:<9} {:>7} {about}",
                    paint(mark, code, color),
                    stage.name(),
                    short(at.saturating_sub(since)),
                );
                Some(line.trim_end().to_owned())
            }
            Event::Warning { message } => {
                Some(format!("{} {}", paint("!", "33", color), clean(message)))
            }
            _ => None,
        }
    }

    /// The line that an event leaves in a log.
    fn logged(&self, at: Duration, event: &Event) -> Option<String> {
        let text = match event {
            Event::StageStarted { stage } => stage.name().to_owned(),
            Event::StageFinished { stage, outcome } => {
                let since = self.stage.as_ref().map_or(at, |running| running.since);
                let took = short(at.saturating_sub(since));
                match outcome {
                    Outcome::Ok => format!("{} done in {took}", stage.name()),
                    Outcome::Failed => format!("{} failed after {took}", stage.name()),
                    Outcome::Interrupted => format!("{} interrupted after {took}", stage.name()),
                }
            }
            Event::StepStarted {
                name,
                layer,
                number,
                of,
            } if layer.is_empty() => format!("  [{number}/{of}] {name}"),
            Event::StepStarted {
                name,
                layer,
                number,
                of,
            } => format!("  [{number}/{of}] {layer}: {name}"),
            Event::StepFinished { outcome } => match outcome {
                Outcome::Ok => return None,
                Outcome::Failed => "  failed".to_owned(),
                Outcome::Interrupted => "  interrupted".to_owned(),
            },
            Event::Output { stream, line } => match stream {
                OutputStream::Stdout => format!("  | {line}"),
                OutputStream::Stderr => format!("  ! {line}"),
            },
            Event::Waiting {
                what,
                detail,
                elapsed,
            } => {
                if let Some((last_what, last_detail, last_at)) = &self.waited
                    && last_what == what
                {
                    let quiet = if last_detail == detail {
                        REPEAT_WAIT
                    } else {
                        CHANGED_WAIT
                    };
                    if at.saturating_sub(*last_at) < quiet {
                        return None;
                    }
                }
                format!("  waiting for {what}: {detail} ({})", short(*elapsed))
            }
            Event::Created { kind, id } => format!("  created {kind} {id}"),
            Event::Removed { kind, id } => format!("  removed {kind} {id}"),
            Event::Retried { operation, attempt } => format!("  {operation}, attempt {attempt}"),
            Event::Warning { message } => format!("warning: {message}"),
            Event::Note { message } => format!("  {message}"),
            Event::Ended => return None,
        };
        Some(
            format!("{:>8} {}", short(at), clean(&text))
                .trim_end()
                .to_owned(),
        )
    }

    /// The live line at a time, no wider than the terminal; empty when no stage runs.
    pub(super) fn live(&self, now: Duration, columns: usize) -> String {
        let Some(running) = &self.stage else {
            return String::new();
        };
        let frame = now.as_millis() / SPINNER_FRAME.as_millis();
        let spinner = SPINNER[frame as usize % SPINNER.len()];
        let mut line = format!(
            "{spinner} {:<9} {:>7}",
            running.stage.name(),
            short(now.saturating_sub(running.since)),
        );
        for part in self.step.iter().chain([&self.detail]) {
            if !part.is_empty() {
                line.push_str("  ");
                line.push_str(part);
            }
        }
        // The last column stays free: some terminals wrap as soon as it is written.
        fit(&line, columns.saturating_sub(1))
    }
}

/// `12.3 s`, `4 m 05 s`.
fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 100 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} m {:02} s", seconds / 60, seconds % 60)
    }
}

fn paint(text: &str, code: &str, color: bool) -> String {
    if color {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// Columns that a text takes on a terminal.
pub(super) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// Cuts a text to a width; `…` stands for what is missing.
fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut taken = 0;
    let mut cut: String = text
        .chars()
        .take_while(|c| {
            taken += c.width().unwrap_or(0);
            taken < columns
        })
        .collect();
    if columns > 0 {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests;
