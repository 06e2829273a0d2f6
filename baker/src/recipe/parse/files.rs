//! The local files that a recipe names: found, read, and listed while the recipe is checked.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use toml::Spanned;

use super::table::File;
use crate::diagnostics::closest;
use crate::recipe::{Digest, Entry, EntryKind};

/// A local path that the recipe names, from the recipe's own directory.
pub(super) fn locate(file: &File, written: &Spanned<String>) -> Option<PathBuf> {
    let name = written.get_ref();
    let path = file.directory.join(name);
    if !name.is_empty() && path.symlink_metadata().is_ok() {
        return Some(path);
    }
    if name.is_empty() {
        file.report(file.problem(written.span(), "a path must not be empty", "nothing here"));
    } else {
        let problem = file.problem(
            written.span(),
            format!("no such file or directory: {name}"),
            "looked for it next to the recipe",
        );
        file.report(match suggestion(&file.directory, name) {
            Some(meant) => problem.help(format!("did you mean `{meant}`?")),
            None => problem.help(format!(
                "paths start at the recipe's directory, {}",
                shown_directory(&file.directory)
            )),
        });
    }
    None
}

fn shown_directory(directory: &Path) -> String {
    if directory.as_os_str().is_empty() {
        ".".into()
    } else {
        directory.display().to_string()
    }
}

/// Goes down the path as far as it exists, and corrects the first part that does not.
pub(in crate::recipe) fn suggestion(directory: &Path, name: &str) -> Option<String> {
    let mut here = directory.to_path_buf();
    let mut corrected = PathBuf::new();
    let mut slipped = false;
    for part in Path::new(name).components() {
        let next = here.join(part);
        if next.symlink_metadata().is_ok() {
            corrected.push(part);
            here = next;
            continue;
        }
        let siblings: Vec<String> = fs::read_dir(if here.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &here
        })
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
        let meant = closest(
            part.as_os_str().to_str()?,
            siblings.iter().map(String::as_str),
        )?;
        corrected.push(meant);
        here.push(meant);
        slipped = true;
    }
    slipped.then(|| corrected.display().to_string())
}

/// A problem of the operating system with a file that the recipe names.
fn unreadable(file: &File, written: &Spanned<String>, path: &Path, error: &io::Error) {
    file.report(file.problem(
        written.span(),
        format!("can't read {}", path.display()),
        error.to_string(),
    ));
}

/// The content of a regular file that the recipe names.
pub(super) fn read(file: &File, written: &Spanned<String>) -> Option<Vec<u8>> {
    let path = locate(file, written)?;
    if path.is_dir() {
        file.report(file.problem(
            written.span(),
            format!("{} is a directory", written.get_ref()),
            "a file is needed here",
        ));
        return None;
    }
    fs::read(&path)
        .map_err(|error| unreadable(file, written, &path, &error))
        .ok()
}

/// A script that the recipe names: it must say on its first line who runs it.
pub(super) fn read_script(file: &File, written: &Spanned<String>) -> Option<Vec<u8>> {
    let content = read(file, written)?;
    let first = content.split(|byte| *byte == b'\n').next().unwrap_or(&[]);
    let problem = if !first.starts_with(b"#!/") {
        Some((
            "has no interpreter line",
            "make its first line `#!/bin/bash`",
        ))
    } else if first.ends_with(b"\r") {
        Some((
            "has Windows line ends",
            "convert it: sed -i 's/\\r$//' FILE",
        ))
    } else {
        None
    };
    if let Some((wrong, help)) = problem {
        file.report(
            file.problem(
                written.span(),
                format!("the script {} {wrong}", written.get_ref()),
                "the host would not know how to run it",
            )
            .help(help),
        );
        return None;
    }
    Some(content)
}

/// Everything that an upload sends, in order of path.
pub(super) fn entries(
    file: &File,
    written: &Spanned<String>,
    exclude: &[Pattern],
) -> Option<(PathBuf, Vec<Entry>)> {
    let root = locate(file, written)?;
    let mut found = Vec::new();
    // The root itself may be a link to the tree: it is followed, links inside are not.
    let walked = fs::metadata(&root).and_then(|metadata| {
        if metadata.is_dir() {
            walk(&root, "", exclude, &mut found)
        } else {
            found.push(entry(&root, String::new(), &metadata)?);
            Ok(())
        }
    });
    if let Err(error) = walked {
        unreadable(file, written, &root, &error);
        return None;
    }
    if !found
        .iter()
        .any(|e| !matches!(e.kind, EntryKind::Directory))
    {
        file.report(file.problem(
            written.span(),
            format!("nothing to upload in {}", written.get_ref()),
            "no file here, or all excluded",
        ));
        return None;
    }
    Some((root, found))
}

/// A file by itself, as an upload sends it.
pub(super) fn lone_entry(path: &Path) -> io::Result<Entry> {
    entry(path, String::new(), &fs::metadata(path)?)
}

fn walk(
    directory: &Path,
    prefix: &str,
    exclude: &[Pattern],
    found: &mut Vec<Entry>,
) -> io::Result<()> {
    let mut names = Vec::new();
    for item in fs::read_dir(directory)? {
        let name = item?.file_name().into_string().map_err(|name| {
            io::Error::other(format!("{} has a name that is not UTF-8", name.display()))
        })?;
        names.push(name);
    }
    names.sort_unstable();
    for name in names {
        let relative = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}/{name}")
        };
        if exclude.iter().any(|pattern| pattern.matches(&relative)) {
            continue;
        }
        let path = directory.join(&name);
        let metadata = fs::symlink_metadata(&path)?;
        let is_directory = metadata.is_dir();
        found.push(entry(&path, relative.clone(), &metadata)?);
        if is_directory {
            walk(&path, &relative, exclude, found)?;
        }
    }
    Ok(())
}

fn entry(path: &Path, relative: String, metadata: &fs::Metadata) -> io::Result<Entry> {
    let kind = if metadata.is_dir() {
        EntryKind::Directory
    } else if metadata.is_symlink() {
        let target = fs::read_link(path)?;
        let target = target.to_str().ok_or_else(|| {
            io::Error::other(format!("{relative} points to a name that is not UTF-8"))
        })?;
        EntryKind::Symlink {
            target: target.to_owned(),
        }
    } else if metadata.is_file() {
        let mut hasher = Sha256::new();
        let size_bytes = io::copy(&mut fs::File::open(path)?, &mut hasher)?;
        EntryKind::File {
            executable: metadata.permissions().mode() & 0o100 != 0,
            size_bytes,
            sha256: Digest::from_bytes(hasher.finalize().into()),
        }
    } else {
        return Err(io::Error::other(format!(
            "{relative} is neither a file, a directory nor a link"
        )));
    };
    Ok(Entry {
        path: relative,
        kind,
    })
}

/// What an upload leaves out. Without a `/`, any file or directory of that name; with one, the
/// path from the upload's root. `*` and `?` stay within one name, `**` does not.
#[derive(Debug, Clone)]
pub(super) struct Pattern(String);

impl Pattern {
    pub(super) fn new(written: &str) -> Self {
        Self(written.trim_end_matches('/').to_owned())
    }

    fn matches(&self, path: &str) -> bool {
        if self.0.contains('/') {
            glob(self.0.trim_start_matches('/').as_bytes(), path.as_bytes())
        } else {
            let name = path.rsplit('/').next().unwrap_or(path);
            glob(self.0.as_bytes(), name.as_bytes())
        }
    }
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', b'*', b'/', rest @ ..] if glob(rest, text) => true,
        [b'*', b'*', rest @ ..] => (0..=text.len()).any(|skip| glob(rest, &text[skip..])),
        [b'*', rest @ ..] => (0..=text.len())
            .take_while(|skip| !text[..*skip].contains(&b'/'))
            .any(|skip| glob(rest, &text[skip..])),
        [b'?', rest @ ..] => text
            .split_first()
            .is_some_and(|(c, tail)| *c != b'/' && glob(rest, tail)),
        [expected, rest @ ..] => text
            .split_first()
            .is_some_and(|(c, tail)| c == expected && glob(rest, tail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names_and_paths() {
        let taken = [
            ("__pycache__", "a/b/__pycache__"),
            ("*.pyc", "a/x.pyc"),
            ("/build", "build"),
            ("tests/", "a/tests"),
            ("docs/*.md", "docs/a.md"),
            ("docs/**/*.md", "docs/a/b.md"),
            ("docs/**/*.md", "docs/b.md"),
            ("?.txt", "a/b.txt"),
        ];
        for (pattern, path) in taken {
            assert!(Pattern::new(pattern).matches(path), "{pattern} {path}");
        }
        let left = [
            ("*.pyc", "a/x.py"),
            ("/build", "a/build"),
            ("docs/*.md", "docs/a/b.md"),
            ("?.txt", "ab.txt"),
        ];
        for (pattern, path) in left {
            assert!(!Pattern::new(pattern).matches(path), "{pattern} {path}");
        }
    }
}
