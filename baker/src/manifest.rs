//! The manifest: what a bake made, of what, and where its time went.

mod text;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::image::Baked;
use crate::plan::Plan;
use crate::progress::{StageTime, Timeline};
use crate::provision::StepDone;

/// Readers can rely on every field of this version; new fields do not change it.
pub const SCHEMA: u32 = 1;

/// The account of a bake that made an image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The version of the baker.
    pub baker_version: &'static str,
    /// The bake's id.
    pub bake_id: String,
    /// The image.
    pub image: Image,
    /// What it was baked from.
    pub source_image: Source,
    /// The recipe.
    pub recipe: Recipe,
    /// The type of the instance that had capacity.
    pub instance_type: String,
    /// RFC 3339, UTC.
    pub started: String,
    /// RFC 3339, UTC.
    pub finished: String,
    /// From start to finish.
    pub took_s: f64,
    /// Layers and their steps.
    pub layers: Vec<Layer>,
    /// What was checked on the host.
    pub checks: Vec<String>,
    /// Where the time went.
    pub stages: Vec<StageTime>,
    /// Calls by operation, retries included.
    pub api_calls: BTreeMap<String, u64>,
    /// Calls that had to be sent again.
    pub api_retries: u64,
    /// Version by package name.
    pub packages: BTreeMap<String, String>,
    /// What went another way than wished.
    pub warnings: Vec<String>,
}

/// The image that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Image {
    /// `ami-…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub region: String,
    /// Whose it is.
    pub account: String,
    /// What it stands on.
    pub snapshot_ids: Vec<String>,
}

/// The image that it was baked from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// `ami-…`.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// The recipe that it was baked by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recipe {
    /// Its name.
    pub name: String,
    /// SHA-256 of what decides the image.
    pub digest: String,
}

/// A layer of the recipe, or of one that it stands on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Layer {
    /// The recipe that it stands in.
    pub recipe: String,
    /// Its name.
    pub name: String,
    /// SHA-256 of this layer and all below it.
    pub key: String,
    /// Its steps in order.
    pub steps: Vec<Step>,
}

/// A step of a layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Its title.
    pub title: String,
    /// How long it took.
    pub took_s: f64,
}

/// What the stages made, besides the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The image.
    pub baked: Baked,
    /// The type that had capacity.
    pub instance_type: String,
    /// Every step that was done.
    pub steps: Vec<StepDone>,
    /// What is installed.
    pub packages: BTreeMap<String, String>,
}

impl Manifest {
    /// The account of a bake that has ended.
    #[must_use]
    pub fn new(
        plan: &Plan,
        made: &Made,
        timeline: &Timeline,
        api_calls: BTreeMap<String, u64>,
        span: (jiff::Timestamp, jiff::Timestamp),
    ) -> Self {
        let (started, finished) = span;
        let took = Duration::try_from(finished.duration_since(started)).unwrap_or_default();
        let mut times = made.steps.iter().map(|step| seconds(step.elapsed));
        let layers = plan.layers.iter().map(|layer| Layer {
            recipe: layer.recipe.clone(),
            name: layer.name.clone(),
            key: layer.key.to_string(),
            steps: layer
                .steps
                .iter()
                .zip(&mut times)
                .map(|(step, took_s)| Step {
                    title: step.title.clone(),
                    took_s,
                })
                .collect(),
        });
        Self {
            schema: SCHEMA,
            baker_version: env!("CARGO_PKG_VERSION"),
            bake_id: plan.bake_id.to_string(),
            image: Image {
                id: made.baked.image_id.clone(),
                name: plan.image.name.clone(),
                region: plan.region.clone(),
                account: plan.account.clone(),
                snapshot_ids: made.baked.snapshot_ids.clone(),
            },
            source_image: Source {
                id: plan.source_image.id.clone(),
                name: plan.source_image.name.clone(),
            },
            recipe: Recipe {
                name: plan.recipe_name.clone(),
                digest: plan.recipe_digest.to_string(),
            },
            instance_type: made.instance_type.clone(),
            started: rfc3339(started),
            finished: rfc3339(finished),
            took_s: seconds(took),
            layers: layers.collect(),
            checks: plan
                .checks
                .iter()
                .map(|check| check.condition.to_string())
                .collect(),
            stages: timeline.stages.clone(),
            api_calls,
            api_retries: timeline.retries,
            packages: made.packages.clone(),
            warnings: timeline.warnings.clone(),
        }
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, numbers and maps with string keys: there is nothing in it that JSON can't hold.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// For people.
    #[must_use]
    pub fn to_text(&self, timeline: &Timeline) -> String {
        text::render(self, &timeline.lines())
    }

    /// Writes the JSON form to a file, whole or not at all, and to the disk before this returns.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn write(&self, path: &Path) -> Result<(), ManifestError> {
        write_atomically(path, format!("{}\n", self.to_json()).as_bytes()).map_err(|source| {
            ManifestError {
                path: path.to_path_buf(),
                source,
            }
        })
    }
}

/// The manifest could not be written.
#[derive(Debug, thiserror::Error)]
#[error(
    "the manifest could not be written to {}; the image exists, and the manifest is on stdout",
    .path.display()
)]
pub struct ManifestError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(directory)?;
    let mut file = tempfile::Builder::new()
        .prefix(".manifest-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(directory)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    fs::File::open(directory)?.sync_all()
}

fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

fn rfc3339(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests;
