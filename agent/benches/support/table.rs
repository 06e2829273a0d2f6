//! How figures are printed: a block per row as it is done, `ratio` lines at the end.

use crate::support::meter;

/// Prints rows, keeps ratios.
#[derive(Debug, Default)]
pub(crate) struct Table {
    ratios: Vec<(String, f64)>,
}

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    AtMost(f64),
    /// Printed for comparison only.
    Open,
}

impl Table {
    /// The head of a row. `what` says the work, so that the figures mean something by themselves.
    pub(crate) fn row(&mut self, program: &str, name: &str, what: &str) {
        println!("\n{name}  [{program}]  {what}  (load {})", meter::load());
    }

    /// A figure of the row: the median, with the least and the most where there are several.
    pub(crate) fn figure(&mut self, name: &str, values: &[f64], unit: &str, target: Target) {
        let middle = meter::median(values);
        let spread = if values.len() > 1 {
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let most = values.iter().copied().fold(0.0, f64::max);
            format!(" ({}–{})", short(least), short(most))
        } else {
            String::new()
        };
        let verdict = match target {
            Target::AtMost(most) if middle <= most => {
                format!("   target ≤ {} {unit}: met", short(most))
            }
            Target::AtMost(most) => format!("   target ≤ {} {unit}: MISSED", short(most)),
            Target::Open => String::new(),
        };
        println!("  {name:<34} {:>9} {unit}{spread}{verdict}", short(middle));
    }

    /// A sentence below the row.
    pub(crate) fn note(&mut self, text: &str) {
        println!("  {text}");
    }

    /// A line for scripts, printed at the end.
    pub(crate) fn ratio(&mut self, program: &str, name: &str, value: f64) {
        let prefix = if program == "baker-agent" {
            String::new()
        } else {
            format!("{program}_")
        };
        self.ratios.push((format!("{prefix}{name}"), value));
    }

    pub(crate) fn end(&self) {
        println!();
        for (name, value) in &self.ratios {
            println!("ratio {name} {}", short(*value));
        }
    }
}

/// Three significant digits, more for large numbers.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}
