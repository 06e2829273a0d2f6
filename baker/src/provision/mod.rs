//! The recipe's steps, done on the host one after the other.

mod actions;
mod report;
pub(crate) mod shell;

use std::time::{Duration, Instant};

use self::actions::{Ground, Input, Operation};
use self::report::{Ending, LastLines};
use self::shell::Root;
use crate::archive;
use crate::events::{Event, Events, Outcome};
use crate::plan::Plan;
use crate::recipe::{Layer, Step};
use crate::remote::{Command, ExitStatus, Host, HostError, Stdin};

pub(crate) use self::actions::RUN_DIRECTORY;
pub use self::report::{Place, ProvisionError};

/// cloud-init's own work before the first step may take this long.
const PREPARE_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// A step that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepDone {
    /// Where it stands in the recipe.
    pub place: Place,
    /// How long it took.
    pub elapsed: Duration,
}

/// Does every step of every layer, in order, until one fails or the bake's time is over.
///
/// # Errors
/// The first step that failed, with what it printed last.
pub async fn provision(
    plan: &Plan,
    host: &impl Host,
    deadline: Instant,
    events: &Events,
) -> Result<Vec<StepDone>, ProvisionError> {
    let ground = Ground {
        root: Root::of(&plan.login.user),
        run_directory: RUN_DIRECTORY,
    };
    let runner = Runner {
        host,
        deadline,
        events,
    };
    runner
        .operate(
            &actions::prepare(ground),
            Instant::now(),
            Some(PREPARE_TIMEOUT),
        )
        .await
        .map_err(|failure| ProvisionError::Prepare(failure.into()))?;
    runner.steps(ground, &plan.layers).await
}

struct Runner<'a, H> {
    host: &'a H,
    deadline: Instant,
    events: &'a Events,
}

/// How an operation failed, before it is known where.
struct Failure {
    shown: String,
    ending: Ending,
    last_lines: Vec<String>,
}

impl<H: Host> Runner<'_, H> {
    async fn steps(
        &self,
        ground: Ground<'_>,
        layers: &[Layer],
    ) -> Result<Vec<StepDone>, ProvisionError> {
        let of: usize = layers.iter().map(|layer| layer.steps.len()).sum();
        let mut done = Vec::with_capacity(of);
        for layer in layers {
            for (index, step) in layer.steps.iter().enumerate() {
                self.events.emit(Event::StepStarted {
                    name: step.title.clone(),
                    layer: layer.name.clone(),
                    number: done.len() + 1,
                    of,
                });
                let place = Place {
                    recipe: layer.recipe.clone(),
                    layer: layer.name.clone(),
                    number: index + 1,
                    title: step.title.clone(),
                };
                let started = Instant::now();
                let result = self.step(ground, step).await;
                self.events.emit(Event::StepFinished {
                    outcome: match result {
                        Ok(()) => Outcome::Ok,
                        Err(_) => Outcome::Failed,
                    },
                });
                if let Err(failure) = result {
                    return Err(failure.at(place));
                }
                done.push(StepDone {
                    place,
                    elapsed: started.elapsed(),
                });
            }
        }
        Ok(done)
    }

    async fn step(&self, ground: Ground<'_>, step: &Step) -> Result<(), Failure> {
        let started = Instant::now();
        for operation in actions::operations(ground, &step.action) {
            self.operate(&operation, started, step.timeout).await?;
        }
        Ok(())
    }

    /// Runs one operation of a step within what is left of the step's time and the bake's.
    async fn operate(
        &self,
        operation: &Operation,
        started: Instant,
        limit: Option<Duration>,
    ) -> Result<(), Failure> {
        let bakes = self.deadline.saturating_duration_since(Instant::now());
        let steps = limit.map(|limit| limit.saturating_sub(started.elapsed()));
        let timeout = steps.map_or(bakes, |steps| steps.min(bakes));
        let command = Command {
            line: operation.line.clone(),
            stdin: stdin(&operation.input),
            timeout,
        };
        let mut last_lines = LastLines::default();
        let ended = self
            .host
            .run(command, &mut |line| {
                last_lines.push(&line.text);
                self.events.emit(Event::Output {
                    stream: line.stream,
                    line: line.text,
                });
            })
            .await;
        let ending = match ended {
            Ok(ExitStatus::Code(0)) => return Ok(()),
            Ok(status) => Ending::Status(status),
            Err(HostError::TimedOut { .. }) => match limit {
                Some(limit) if timeout < bakes => Ending::StepTimedOut(limit),
                _ => Ending::BakeTimedOut,
            },
            Err(error) => Ending::Host(error),
        };
        Err(Failure {
            shown: operation.shown.clone(),
            ending,
            last_lines: last_lines.into_vec(),
        })
    }
}

fn stdin(input: &Input) -> Stdin {
    match input {
        Input::Empty => Stdin::Empty,
        Input::Bytes(bytes) => Stdin::Bytes(bytes.clone()),
        Input::Archive(upload, name) => {
            let (upload, name) = (upload.clone(), name.clone());
            Stdin::Stream(Box::new(move |output| {
                archive::write(&upload, &name, output)
            }))
        }
    }
}

#[cfg(test)]
mod tests;
