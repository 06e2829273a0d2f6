//! What was typed after `--`.

use std::path::PathBuf;

use super::rows;

/// Rows and how to measure them.
#[derive(Debug, Default)]
pub(crate) struct Args {
    rows: Vec<String>,
    /// Repetitions of rows that take seconds; their medians are printed.
    pub(crate) runs: usize,
    /// Shorter, once.
    pub(crate) quick: bool,
    /// Another binary than the one that cargo built.
    pub(crate) agent: Option<PathBuf>,
    /// Another build to measure ours beside, in turns.
    pub(crate) than: Option<PathBuf>,
    /// Measure AWS's older agent too.
    pub(crate) with_awslogs: bool,
    /// Leave ours out.
    pub(crate) only_others: bool,
}

const RUNS: usize = 5;
/// Beside another build, where a tenth counts.
const RUNS_VERSUS: usize = 11;

impl Args {
    pub(crate) fn parse(typed: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = Self::default();
        let mut typed = typed;
        let mut runs = None;
        while let Some(word) = typed.next() {
            let mut value = || typed.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                // Cargo says so to every benchmark.
                "--bench" => {}
                "--quick" => args.quick = true,
                "--only-others" => args.only_others = true,
                "--agent" => args.agent = Some(value()?.into()),
                "--than" => args.than = Some(value()?.into()),
                "--runs" => runs = Some(value()?.parse().map_err(|_| "--runs needs a number")?),
                "--with" => match value()?.as_str() {
                    "awslogs" => args.with_awslogs = true,
                    other => {
                        return Err(format!("--with {other}: only awslogs can be measured here"));
                    }
                },
                name if rows::ALL.iter().any(|row| row.name == name) => args.rows.push(word),
                other => {
                    let names: Vec<_> = rows::ALL.iter().map(|row| row.name).collect();
                    return Err(format!(
                        "`{other}` is no row and no option\nrows: {}\noptions: --runs N, --quick, --agent PATH, \
                         --than PATH, --with awslogs, --only-others",
                        names.join(" ")
                    ));
                }
            }
        }
        args.runs = runs.unwrap_or(match (args.quick, &args.than) {
            (true, _) => 1,
            (false, None) => RUNS,
            (false, Some(_)) => RUNS_VERSUS,
        });
        if args.than.is_some() && args.rows.is_empty() {
            args.rows.push("versus".into());
        }
        Ok(args)
    }

    pub(crate) fn wants(&self, row: &str) -> bool {
        self.rows.is_empty() || self.rows.iter().any(|name| name == row)
    }
}
