//! Where the time of a bake went.

use std::time::Duration;

use serde::Serialize;

use crate::events::{Event, Outcome, Stage};

/// The bar of the longest stage.
const BAR_COLUMNS: usize = 30;

/// Stages and steps with their times, in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Timeline {
    /// Every stage that began.
    pub stages: Vec<StageTime>,
    /// Every step and check that began.
    pub steps: Vec<StepTime>,
    /// What went another way than wished.
    pub warnings: Vec<String>,
    /// API calls that had to be sent again.
    pub retries: u64,
}

/// A stage's time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageTime {
    /// Which one.
    pub stage: Stage,
    /// Seconds from the bake's start to the stage's.
    pub started_s: f64,
    /// Seconds that it took; until it ends, none.
    pub took_s: f64,
    /// How it ended; until then, [`Outcome::Interrupted`].
    pub outcome: Outcome,
}

/// A step's or check's time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepTime {
    /// The stage that it is of.
    pub stage: Option<Stage>,
    /// Its layer; empty for a check.
    pub layer: String,
    /// Its name.
    pub name: String,
    /// Seconds from the bake's start to the step's.
    pub started_s: f64,
    /// Seconds that it took; until it ends, none.
    pub took_s: f64,
    /// How it ended; until then, [`Outcome::Interrupted`].
    pub outcome: Outcome,
}

/// Seconds to the millisecond: more digits say nothing.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

impl Timeline {
    /// Takes one event that happened `at` after the bake's start.
    pub fn record(&mut self, at: Duration, event: &Event) {
        let now = seconds(at);
        match event {
            Event::StageStarted { stage } => self.stages.push(StageTime {
                stage: *stage,
                started_s: now,
                took_s: 0.0,
                outcome: Outcome::Interrupted,
            }),
            Event::StageFinished { stage, outcome } => {
                let running = self.stages.iter_mut().rfind(|time| time.stage == *stage);
                if let Some(time) = running {
                    time.took_s = seconds(at) - time.started_s;
                    time.outcome = *outcome;
                }
            }
            Event::StepStarted { name, layer, .. } => self.steps.push(StepTime {
                stage: self.stages.last().map(|time| time.stage),
                layer: layer.clone(),
                name: name.clone(),
                started_s: now,
                took_s: 0.0,
                outcome: Outcome::Interrupted,
            }),
            Event::StepFinished { outcome } => {
                if let Some(time) = self.steps.last_mut() {
                    time.took_s = now - time.started_s;
                    time.outcome = *outcome;
                }
            }
            Event::Warning { message } => self.warnings.push(message.clone()),
            Event::Retried { .. } => self.retries += 1,
            Event::Output { .. }
            | Event::Waiting { .. }
            | Event::Created { .. }
            | Event::Removed { .. }
            | Event::Note { .. }
            | Event::Ended => {}
        }
    }

    /// The stages as bars, for a reader: `provision   42.1 s  ██████████`.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let longest = self
            .stages
            .iter()
            .map(|time| time.took_s)
            .fold(0.0, f64::max);
        self.stages
            .iter()
            .map(|time| {
                let share = if longest > 0.0 {
                    time.took_s / longest
                } else {
                    0.0
                };
                let bar = "█".repeat((share * BAR_COLUMNS as f64).round() as usize);
                format!("{:<9} {:>7.1} s  {bar}", time.stage.name(), time.took_s)
                    .trim_end()
                    .to_owned()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn stages_and_steps_get_their_own_times() {
        let mut timeline = Timeline::default();
        let step = |name: &str| Event::StepStarted {
            name: name.into(),
            layer: "system".into(),
            number: 1,
            of: 2,
        };
        timeline.record(
            at(0),
            &Event::StageStarted {
                stage: Stage::Launch,
            },
        );
        let launched = Event::StageFinished {
            stage: Stage::Launch,
            outcome: Outcome::Ok,
        };
        timeline.record(at(500), &launched);
        timeline.record(
            at(500),
            &Event::StageStarted {
                stage: Stage::Provision,
            },
        );
        timeline.record(at(600), &step("install nginx"));
        timeline.record(
            at(1600),
            &Event::StepFinished {
                outcome: Outcome::Ok,
            },
        );
        timeline.record(at(1600), &step("configure"));

        assert_eq!(timeline.stages[0].took_s, 0.5);
        assert_eq!(timeline.stages[1].outcome, Outcome::Interrupted);
        assert_eq!(timeline.steps[0].took_s, 1.0);
        assert_eq!(timeline.steps[0].stage, Some(Stage::Provision));
        assert_eq!(timeline.steps[1].outcome, Outcome::Interrupted);
    }

    #[test]
    fn the_longest_stage_has_the_longest_bar() {
        let mut timeline = Timeline::default();
        for (stage, from, to) in [(Stage::Facts, 0, 1000), (Stage::Image, 1000, 4000)] {
            timeline.record(at(from), &Event::StageStarted { stage });
            timeline.record(
                at(to),
                &Event::StageFinished {
                    stage,
                    outcome: Outcome::Ok,
                },
            );
        }
        assert_eq!(
            timeline.lines(),
            [
                format!("facts         1.0 s  {}", "█".repeat(10)),
                format!("image         3.0 s  {}", "█".repeat(30)),
            ]
        );
    }
}
