//! The end of cloud-init: only then is the host what its image and its user-data say.

use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::events::{Event, Events};
use crate::remote::{Command, ExitStatus, Host, HostError, OutputLine, OutputStream, Stdin};

/// From SSH to the end of cloud-init: user-data of the source image may install packages.
const BOOTED_WITHIN: Duration = Duration::from_secs(900);
/// How often the wait for cloud-init is shown.
const SHOW_EVERY: Duration = Duration::from_millis(500);
/// Waits for cloud-init's result, which exists once it has ended, and prints it; nothing where cloud-init does not run.
/// `cloud-init status --wait` would do the same, but each look of its costs a Python start on a host that is busy booting:
/// it is only asked every few seconds, for a cloud-init that ended without a result.
const CLOUD_INIT: &str = "\
result=/run/cloud-init/result.json looks=0
if command -v cloud-init >/dev/null 2>&1 && [ ! -e /run/cloud-init/disabled ] && [ ! -e /etc/cloud/cloud-init.disabled ]; then
  until [ -e $result ]; do
    looks=$((looks + 1))
    if [ $((looks % 50)) = 0 ]; then
      case $(cloud-init status 2>/dev/null) in
        *running* | *'not run'* | *'not started'*) ;;
        *) break ;;
      esac
    fi
    sleep 0.1
  done
  if [ -e $result ]; then cat $result; fi
fi";

/// Waits for the end of cloud-init. What it could not do is a warning: the recipe's own checks decide.
pub(super) async fn ended(host: &impl Host, events: &Events) -> Result<(), HostError> {
    let started = Instant::now();
    let mut result = String::new();
    let mut keep = |line: OutputLine| {
        if line.stream == OutputStream::Stdout {
            result.push_str(&line.text);
            result.push('\n');
        }
    };
    let command = Command {
        line: CLOUD_INIT.to_owned(),
        stdin: Stdin::Empty,
        timeout: BOOTED_WITHIN,
    };
    let status = {
        let running = host.run(command, &mut keep);
        tokio::pin!(running);
        loop {
            tokio::select! {
                status = &mut running => break status?,
                () = tokio::time::sleep(SHOW_EVERY) => events.emit(Event::Waiting {
                    what: "cloud-init to end".into(),
                    detail: "the host answers SSH and is still booting".into(),
                    elapsed: started.elapsed(),
                }),
            }
        }
    };
    if status != ExitStatus::Code(0) {
        events.warn(format!(
            "cloud-init could not be asked how it ended: {status}"
        ));
    }
    for error in cloud_init_errors(&result) {
        events.warn(format!("cloud-init on the host reported: {error}"));
    }
    Ok(())
}

/// The errors in cloud-init's `result.json`; none when there is no such file.
fn cloud_init_errors(result: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct Result {
        v1: V1,
    }
    #[derive(Deserialize)]
    struct V1 {
        #[serde(default)]
        errors: Vec<String>,
    }
    serde_json::from_str::<Result>(result)
        .map(|result| result.v1.errors)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use std::sync::Mutex;

    /// A host on which cloud-init has ended in some way.
    struct Scripted {
        line: &'static str,
        asked: Mutex<Option<String>>,
    }

    impl Host for Scripted {
        async fn run(
            &self,
            command: Command,
            output: &mut (dyn FnMut(OutputLine) + Send),
        ) -> Result<ExitStatus, HostError> {
            *self.asked.lock().unwrap() = Some(command.line);
            for text in self.line.lines() {
                output(OutputLine {
                    stream: OutputStream::Stdout,
                    text: text.into(),
                });
            }
            Ok(ExitStatus::Code(0))
        }
    }

    async fn warnings(result: &'static str) -> Vec<String> {
        let host = Scripted {
            line: result,
            asked: Mutex::new(None),
        };
        let (events, seen) = Events::channel();
        ended(&host, &events).await.unwrap();
        assert!(host.asked.lock().unwrap().is_some());
        seen.try_iter()
            .filter_map(|stamped| match stamped.event {
                Event::Warning { message } => Some(message),
                _ => None,
            })
            .collect()
    }

    #[tokio::test]
    async fn what_cloud_init_could_not_do_is_a_warning() {
        let result = "{\n \"v1\": {\n  \"datasource\": \"DataSourceEc2\",\n  \"errors\": [\"('ssh', KeyError())\"]\n }\n}";
        assert_eq!(
            warnings(result).await,
            ["cloud-init on the host reported: ('ssh', KeyError())"]
        );
    }

    #[tokio::test]
    async fn a_host_without_cloud_init_or_without_errors_is_fine() {
        assert!(warnings("").await.is_empty());
        assert!(
            warnings("{\"v1\": {\"datasource\": null, \"errors\": []}}")
                .await
                .is_empty()
        );
    }

    #[test]
    fn the_script_asks_only_where_cloud_init_runs() {
        let run = |path: &str| {
            std::process::Command::new("/bin/sh")
                .args(["-c", CLOUD_INIT])
                .env("PATH", path)
                .output()
                .unwrap()
        };
        let output = run("/nonexistent");
        assert!(output.status.success());
        assert!(output.stdout.is_empty());
    }
}
