//! Reads the main file and `conf.d` beside it, or one text.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::diagnostics::{Problem, Problems, SourceText};
use super::{Settings, parse};

/// What problems are told to be in.
const INPUT: &str = "the configuration";

/// The directory beside the main file whose `*.toml` are read as well, in order of their names.
const INCLUDES: &str = "conf.d";

/// Reads the configuration in `path` and in `conf.d` beside it.
///
/// # Errors
/// Everything that is wrong in any of the files, each at its place, and files that can't be read.
pub fn load(path: &Path) -> Result<Settings, Problems> {
    let one = |problem| Problems::one(INPUT, problem);
    let main = read(path, MISSING_HELP).map_err(one)?;
    let mut included = Vec::new();
    let mut problems = Vec::new();
    for path in includes(path).map_err(one)? {
        match read(&path, "remove it, or give it the rights of the others") {
            Ok(source) => included.push(source),
            Err(problem) => problems.push(problem),
        }
    }
    settings(&main, &included, problems)
}

/// Reads a configuration that is one text, known to its reader as `shown`.
///
/// # Errors
/// Everything that is wrong in it, each at its place.
pub fn load_text(shown: &str, text: &str) -> Result<Settings, Problems> {
    let main = Arc::new(SourceText {
        path: shown.to_owned(),
        text: text.to_owned(),
    });
    settings(&main, &[], Vec::new())
}

fn settings(
    main: &Arc<SourceText>,
    included: &[Arc<SourceText>],
    mut problems: Vec<Problem>,
) -> Result<Settings, Problems> {
    let (mut settings, wrong) = parse::parse(main, included);
    problems.extend(wrong);
    if let Some(problems) = Problems::of(INPUT, problems) {
        return Err(problems);
    }
    settings.sources = std::iter::once(main)
        .chain(included)
        .map(|source| PathBuf::from(&source.path))
        .collect();
    Ok(settings)
}

const MISSING_HELP: &str = "name another with --config; a file with these two lines is enough:\n[[file]]\npath = \"/var/log/syslog\"";

fn read(path: &Path, help: &str) -> Result<Arc<SourceText>, Problem> {
    let shown = path.display().to_string();
    let bytes = fs::read(path)
        .map_err(|error| Problem::new(format!("cannot read {shown}: {error}")).help(help))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Arc::new(SourceText { path: shown, text })),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let lossy = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let source = Arc::new(SourceText {
                path: shown,
                text: lossy,
            });
            Err(Problem::new("TOML is UTF-8, and this is not").at(&source, at..at + 1, "this byte"))
        }
    }
}

/// The included files, in order. No `conf.d` is as good as an empty one.
fn includes(main: &Path) -> Result<Vec<PathBuf>, Problem> {
    let directory = main.with_file_name(INCLUDES);
    let unreadable =
        |error: io::Error| Problem::new(format!("cannot list {}: {error}", directory.display()));
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let hidden = name.as_encoded_bytes().starts_with(b".");
        if !hidden && Path::new(&name).extension().is_some_and(|e| e == "toml") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}
