//! Globs over absolute paths, taken apart at their slashes so that only directories that can matter are listed.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};

/// A pattern that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the pattern `{pattern}` can't be used: {reason}; {remedy}")]
pub struct PatternError {
    /// As it was written.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
    /// What to write instead.
    pub remedy: &'static str,
}

/// Compiled include and exclude patterns of one set of files.
#[derive(Debug)]
pub struct Patterns {
    globs: Vec<Vec<Component>>,
    exclude_paths: GlobSet,
    exclude_names: GlobSet,
}

/// One part of a pattern, between two slashes.
#[derive(Debug)]
pub(crate) enum Component {
    Literal(OsString),
    Wild {
        matcher: Box<GlobMatcher>,
        hidden: bool,
    },
    /// `**`: any number of directories.
    Deep,
}

impl Component {
    /// Like a shell, a wildcard takes a leading dot only if the pattern spells it out.
    pub(crate) fn matches(&self, name: &OsStr) -> bool {
        let dotted = name.as_bytes().first() == Some(&b'.');
        match self {
            Component::Literal(literal) => literal == name,
            Component::Wild { matcher, hidden } => (*hidden || !dotted) && matcher.is_match(name),
            Component::Deep => !dotted,
        }
    }
}

impl Patterns {
    /// Takes absolute globs (`*`, `?`, `[…]`, `{…}`, `**` as a whole part). An exclude pattern without a slash is held
    /// against file names in every directory.
    ///
    /// # Errors
    /// [`PatternError`] for the first pattern that is not absolute or not a glob.
    pub fn compile(include: &[String], exclude: &[String]) -> Result<Patterns, PatternError> {
        let globs = include
            .iter()
            .map(|pattern| components(pattern))
            .collect::<Result<Vec<_>, _>>()?;
        let (paths, names): (Vec<&String>, Vec<&String>) =
            exclude.iter().partition(|pattern| pattern.contains('/'));
        Ok(Patterns {
            globs,
            exclude_paths: glob_set(&paths)?,
            exclude_names: glob_set(&names)?,
        })
    }

    /// The patterns' parts, for a walk.
    pub(crate) fn globs(&self) -> &[Vec<Component>] {
        &self.globs
    }

    /// Whether an exclude pattern names this path.
    #[must_use]
    pub fn excludes(&self, path: &Path) -> bool {
        self.exclude_paths.is_match(path)
            || path
                .file_name()
                .is_some_and(|name| self.exclude_names.is_match(name))
    }

    /// Whether the patterns mean this path, whether or not there is such a file.
    #[must_use]
    pub fn is_match(&self, path: &Path) -> bool {
        let names: Vec<&OsStr> = path.iter().skip(1).collect();
        self.globs.iter().any(|glob| matches_from(glob, &names)) && !self.excludes(path)
    }

    /// Whether a pattern is this very path, without any wildcard.
    pub(crate) fn is_literal(&self, path: &Path) -> bool {
        self.globs.iter().any(|glob| {
            let mut names = path.iter().skip(1);
            glob.iter()
                .all(|part| matches!(part, Component::Literal(l) if names.next() == Some(l)))
                && names.next().is_none()
        })
    }
}

fn matches_from(glob: &[Component], names: &[&OsStr]) -> bool {
    match (glob.split_first(), names.split_first()) {
        (None, None) => true,
        (Some((Component::Deep, rest)), Some((name, names_left))) => {
            // A `**` at the end takes files at any depth.
            (rest.is_empty() && names_left.is_empty() && Component::Deep.matches(name))
                || matches_from(rest, names)
                || (Component::Deep.matches(name) && matches_from(glob, names_left))
        }
        (Some((part, rest)), Some((name, names_left))) => {
            part.matches(name) && matches_from(rest, names_left)
        }
        _ => false,
    }
}

fn components(pattern: &str) -> Result<Vec<Component>, PatternError> {
    let refuse = |reason: &str, remedy| PatternError {
        pattern: pattern.to_owned(),
        reason: reason.to_owned(),
        remedy,
    };
    let Some(relative) = pattern.strip_prefix('/') else {
        return Err(refuse(
            "it does not begin with `/`",
            "write the path from the root, such as /var/log/syslog",
        ));
    };
    let mut parts = Vec::new();
    for part in relative.split('/').filter(|part| !part.is_empty()) {
        if part == "." || part == ".." {
            return Err(refuse(
                "it contains `.` or `..`",
                "write the path without going up or staying",
            ));
        }
        if part == "**" {
            parts.push(Component::Deep);
            continue;
        }
        if part.contains('{') != part.contains('}') {
            return Err(refuse(
                "its braces do not close before the next `/`",
                "write one pattern for each alternative",
            ));
        }
        if part.contains("**") {
            return Err(refuse(
                "`**` is not a whole part of it",
                "put `**` between two slashes, or use a single `*`",
            ));
        }
        parts.push(component(pattern, part)?);
    }
    if parts.is_empty() {
        return Err(refuse("it names the root directory", "name files"));
    }
    Ok(parts)
}

fn component(pattern: &str, part: &str) -> Result<Component, PatternError> {
    if !part.contains(['*', '?', '[', '{', '\\']) {
        return Ok(Component::Literal(part.into()));
    }
    Ok(Component::Wild {
        matcher: Box::new(glob(pattern, part)?.compile_matcher()),
        hidden: part.starts_with('.'),
    })
}

fn glob(pattern: &str, text: &str) -> Result<globset::Glob, PatternError> {
    GlobBuilder::new(text)
        .literal_separator(true)
        .build()
        .map_err(|error| PatternError {
            pattern: pattern.to_owned(),
            reason: error.kind().to_string(),
            remedy: "escape a special character with a backslash",
        })
}

fn glob_set(patterns: &[&String]) -> Result<GlobSet, PatternError> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(glob(pattern, pattern)?);
    }
    set.build().map_err(|error| PatternError {
        pattern: error.glob().unwrap_or_default().to_owned(),
        reason: error.kind().to_string(),
        remedy: "write a simpler pattern",
    })
}

/// The directory a file stands in.
pub(crate) fn directory_of(path: &Path) -> PathBuf {
    path.parent()
        .map_or_else(|| PathBuf::from("/"), Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn patterns(include: &[&str], exclude: &[&str]) -> Patterns {
        let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        Patterns::compile(&own(include), &own(exclude)).unwrap()
    }

    fn means(include: &str, path: &str) -> bool {
        patterns(&[include], &[]).is_match(Path::new(path))
    }

    #[test]
    fn a_star_stays_within_its_directory() {
        assert!(means("/var/log/*.log", "/var/log/a.log"));
        assert!(!means("/var/log/*.log", "/var/log/nginx/a.log"));
        assert!(means("/var/*/a.log", "/var/log/a.log"));
    }

    #[test]
    fn two_stars_take_any_depth_and_none() {
        assert!(means("/var/**/a.log", "/var/a.log"));
        assert!(means("/var/**/a.log", "/var/x/y/a.log"));
        assert!(means("/var/**", "/var/x/y"));
        assert!(!means("/var/**/a.log", "/srv/a.log"));
    }

    #[test]
    fn a_wildcard_leaves_hidden_files_alone() {
        assert!(!means("/var/log/*", "/var/log/.swp"));
        assert!(means("/var/log/.*", "/var/log/.swp"));
        assert!(!means("/var/**/a", "/var/.git/a"));
    }

    #[test]
    fn an_exclude_without_a_slash_is_held_against_names() {
        let set = patterns(&["/var/**"], &["*.tmp", "/var/log/x*"]);
        assert!(!set.is_match(Path::new("/var/a/b.tmp")));
        assert!(!set.is_match(Path::new("/var/log/xy")));
        assert!(set.is_match(Path::new("/var/log/y")));
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_a_remedy() {
        for wrong in ["a.log", "/var/[", "/a{b/c}", "/", "/var/../x", "/a**b"] {
            let error = Patterns::compile(&[wrong.to_owned()], &[]).unwrap_err();
            assert!(error.to_string().contains(wrong), "{error}");
        }
    }
}
