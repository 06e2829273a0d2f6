//! What stands in a directory, in few bytes: there may be as many directories as files.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirEntryExt;
use std::path::Path;

/// A name in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// As the directory says. Good for telling entries apart, not for comparing with `stat` (overlayfs).
    pub(crate) inode: u64,
    /// A directory, or something whose type the file system does not tell.
    pub(crate) may_be_directory: bool,
}

/// The names in a directory, in the order of their bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    names: Box<[u8]>,
    entries: Box<[Listed]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Listed {
    inode: u64,
    /// Where the name ends in `names`: it begins where the one before it ends.
    end: u32,
    may_be_directory: bool,
}

impl Listing {
    pub(crate) fn read(path: &Path) -> std::io::Result<Listing> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            let may_be_directory = entry
                .file_type()
                .is_ok_and(|kind| kind.is_dir() || kind.is_symlink());
            let inode = entry.ino();
            found.push((
                entry.file_name(),
                Entry {
                    inode,
                    may_be_directory,
                },
            ));
        }
        Ok(Listing::of(found))
    }

    /// In whatever order; no name twice.
    pub(crate) fn of<N: AsRef<OsStr> + Ord>(mut found: Vec<(N, Entry)>) -> Listing {
        found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut names = Vec::with_capacity(found.iter().map(|(name, _)| name.as_ref().len()).sum());
        let entries = found
            .iter()
            .map_while(|(name, entry)| {
                names.extend_from_slice(name.as_ref().as_bytes());
                Some(Listed {
                    inode: entry.inode,
                    // Names of 4 GiB do not fit into a directory that could be listed within the agent's memory.
                    end: u32::try_from(names.len()).ok()?,
                    may_be_directory: entry.may_be_directory,
                })
            })
            .collect();
        Listing {
            names: names.into_boxed_slice(),
            entries,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&OsStr, Entry)> {
        (0..self.entries.len()).filter_map(|at| self.at(at))
    }

    /// The names that are not before this one.
    pub(crate) fn from(&self, name: &OsStr) -> impl Iterator<Item = (&OsStr, Entry)> {
        let first = self.position(name).unwrap_or_else(|at| at);
        (first..self.entries.len()).filter_map(|at| self.at(at))
    }

    pub(crate) fn get(&self, name: &OsStr) -> Option<Entry> {
        let at = self.position(name).ok()?;
        self.at(at).map(|(_, entry)| entry)
    }

    fn position(&self, name: &OsStr) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.entries.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.at(middle).map(|(there, _)| there.cmp(name)) {
                Some(std::cmp::Ordering::Equal) => return Ok(middle),
                Some(std::cmp::Ordering::Less) => low = middle + 1,
                _ => high = middle,
            }
        }
        Err(low)
    }

    fn at(&self, at: usize) -> Option<(&OsStr, Entry)> {
        let listed = self.entries.get(at)?;
        let start = match at {
            0 => 0,
            _ => self.entries.get(at - 1)?.end as usize,
        };
        let name = self.names.get(start..listed.end as usize)?;
        let entry = Entry {
            inode: listed.inode,
            may_be_directory: listed.may_be_directory,
        };
        Some((OsStr::from_bytes(name), entry))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a map of the same names.
        #[test]
        fn it_gives_back_what_was_put_in(
            names in prop::collection::btree_map(prop::collection::vec(1_u8..=255, 1..6), (any::<u64>(), any::<bool>()), 0..40),
            asked in prop::collection::vec(1_u8..=255, 0..6),
        ) {
            let map: BTreeMap<OsString, Entry> = names
                .into_iter()
                .map(|(name, (inode, may_be_directory))| (OsString::from_vec(name), Entry { inode, may_be_directory }))
                .collect();
            let listing = Listing::of(map.clone().into_iter().rev().collect());
            let all: BTreeMap<OsString, Entry> = listing.iter().map(|(name, entry)| (name.to_owned(), entry)).collect();
            prop_assert_eq!(&all, &map);
            let asked = OsString::from_vec(asked);
            prop_assert_eq!(listing.get(&asked), map.get(&asked).copied());
            let rest: Vec<OsString> = listing.from(&asked).map(|(name, _)| name.to_owned()).collect();
            let expected: Vec<OsString> = map.range(asked..).map(|(name, _)| name.clone()).collect();
            prop_assert_eq!(rest, expected);
            for (name, entry) in &map {
                prop_assert_eq!(listing.get(name), Some(*entry));
            }
        }
    }
}
