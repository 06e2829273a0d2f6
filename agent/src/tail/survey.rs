//! How long the files of a disk are at one instant: what is in them by then was written before.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use super::generation::Source;
use super::{FileSet, Files, matching};
use crate::account::GenerationId;
use crate::discover::stat::{Node, Stat};

/// The sizes of all files that a generation may be in: those that match, and what stands beside them.
#[derive(Debug, Default)]
pub struct Survey {
    sizes: HashMap<Node, u64>,
}

impl Survey {
    /// Looks at the files of these sets, and follows none. What can't be listed is left out: it can't be read either.
    pub fn of<'a>(sets: impl IntoIterator<Item = &'a FileSet>) -> Survey {
        let mut directories = BTreeSet::new();
        for set in sets {
            let matching = matching(set).unwrap_or_default();
            // A log that is not there now may have left rotated copies.
            let literal = set.patterns.iter().map(PathBuf::from);
            let parents = matching.into_iter().chain(literal);
            directories.extend(parents.filter_map(|path| path.parent().map(Path::to_owned)));
        }
        let entries = directories
            .into_iter()
            .filter_map(|directory| fs::read_dir(directory).ok())
            .flat_map(|entries| entries.filter_map(Result::ok));
        let stats = entries.filter_map(|entry| Stat::at(&entry.path()).ok());
        let sizes = stats.filter(Stat::is_file).map(|it| (it.node, it.size));
        Survey {
            sizes: sizes.collect(),
        }
    }
}

impl Files {
    /// How much of a generation was there when the survey was made.
    #[must_use]
    pub fn written_before(&self, id: GenerationId, survey: &Survey) -> u64 {
        let Some(generation) = self.generations.get(&id) else {
            return 0;
        };
        match generation.source {
            // What is shorter now was truncated since: it holds something new.
            Source::Plain(_) => {
                let size = survey.sizes.get(&generation.node).copied();
                size.filter(|&size| size <= generation.size)
                    .unwrap_or_default()
            }
            // Nobody writes to these.
            Source::Packed(_) | Source::Gone => generation.size,
        }
    }
}
