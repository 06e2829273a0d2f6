//! Running the machine's own tools, with errors that show what was run and what it said.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// Runs `program` to its end and returns what it printed; on failure the error holds the command and the end of its output.
pub(crate) fn run(program: &str, args: &[&str]) -> Result<String> {
    run_command(Command::new(program).args(args))
}

/// As [`run`], for a command that needs more than arguments.
pub(crate) fn run_command(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("could not start `{shown}`; is the program installed?"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    bail!(
        "`{shown}` failed ({}): {}",
        output.status,
        last_lines(&said, 12)
    )
}

/// Whether `program` is on the search path.
pub(crate) fn exists(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Administrators' tools are not on every user's path.
    let admin = ["/usr/sbin", "/sbin"].map(std::path::PathBuf::from);
    std::env::split_paths(&path)
        .chain(admin)
        .any(|dir| dir.join(program).is_file())
}

fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The last `count` lines of `text`.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
