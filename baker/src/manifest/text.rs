//! The manifest as a person reads it: the image first, then where the time went.

use super::Manifest;

/// Operations are listed in as many columns as fit.
const LINE_CHARACTERS: usize = 100;
const INDENT: &str = "           ";

pub(super) fn render(manifest: &Manifest, bars: &[String]) -> String {
    let image = &manifest.image;
    let mut lines = vec![
        format!("{}  {}  ({})", image.id, image.name, image.region),
        String::new(),
        field(
            "from",
            &format!(
                "{}  {}",
                manifest.source_image.id, manifest.source_image.name
            ),
        ),
        field(
            "recipe",
            &format!("{}  {}", manifest.recipe.name, manifest.recipe.digest),
        ),
        field("snapshots", &image.snapshot_ids.join(", ")),
        field(
            "bake",
            &format!("{} on a {}", manifest.bake_id, manifest.instance_type),
        ),
        field("packages", &manifest.packages.len().to_string()),
    ];
    lines.push(String::new());
    lines.push(format!("{:.1} s, of which", manifest.took_s));
    lines.extend(bars.iter().map(|bar| format!("  {bar}")));
    lines.push(String::new());
    lines.push("steps".into());
    for layer in &manifest.layers {
        for step in &layer.steps {
            lines.push(format!(
                "  {:>7.1} s  {}/{}: {}",
                step.took_s, layer.recipe, layer.name, step.title
            ));
        }
    }
    lines.push(String::new());
    let calls: Vec<String> = manifest
        .api_calls
        .iter()
        .map(|(operation, count)| format!("{operation} {count}"))
        .collect();
    let total: u64 = manifest.api_calls.values().sum();
    lines.push(field(
        "API calls",
        &format!("{total}, {} of them repeated", manifest.api_retries),
    ));
    lines.extend(
        wrapped(&calls)
            .into_iter()
            .map(|line| format!("{INDENT}{line}")),
    );
    for warning in &manifest.warnings {
        lines.push(field("warning", warning));
    }
    lines.join("\n")
}

fn field(name: &str, value: &str) -> String {
    format!("{name:<9}  {value}")
}

/// Words separated by commas, in lines of bounded length.
fn wrapped(words: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() + 2 <= LINE_CHARACTERS => {
                line.push_str(", ");
                line.push_str(word);
            }
            Some(line) => {
                line.push(',');
                lines.push(word.clone());
            }
            None => lines.push(word.clone()),
        }
    }
    lines
}
