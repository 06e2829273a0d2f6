//! A recipe from its file: read, with the recipes that it stands on, and put together.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use toml::Spanned;

use super::agent::{self, Agent};
use super::parse::{self, Build, From, Outside, Parsed, Parts};
use super::{Check, Layer, Recipe, Source, digest};
use crate::diagnostics::{Problem, Problems, closest, listed};

/// The file that a directory's recipe stands in.
pub const FILE_NAME: &str = "recipe.toml";

/// What problems are told to be in.
const INPUT: &str = "the recipe";

/// Reads and checks a recipe, with everything that it names.
///
/// # Errors
/// Every problem of the recipe, of the recipes that it stands on, and of the files that they name.
pub fn load(path: &Path, outside: &Outside) -> Result<Recipe, Problems> {
    let (chain, mut problems) = read_chain(path, outside);
    problems.extend(unused_values(&chain, outside));
    let agent = settle_agent(&chain, outside, &mut problems);
    if let Some(problems) = Problems::of(INPUT, problems) {
        return Err(problems);
    }
    put_together(chain, agent).ok_or_else(|| {
        let message = format!("{} could not be read completely", path.display());
        Problems::one(INPUT, Problem::new(message))
    })
}

/// The recipe and those that it stands on, top first, and what is wrong with them.
fn read_chain(path: &Path, outside: &Outside) -> (Vec<Parsed>, Vec<Problem>) {
    let mut chain: Vec<Parsed> = Vec::new();
    let mut seen: Vec<PathBuf> = Vec::new();
    let mut problems = Vec::new();
    let mut next: Option<(PathBuf, Option<Spanned<String>>)> = Some((recipe_file(path), None));
    while let Some((file, named_by)) = next.take() {
        // Where a message about this file belongs: the `from` that named it, if one did.
        let blame = |message: String, label: &str| match (&named_by, chain.last()) {
            (Some(name), Some(parent)) => {
                Problem::new(message).at(&parent.source, Spanned::span(name), label)
            }
            _ => Problem::new(message),
        };
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("can't read the recipe {}: {error}", file.display());
                let problem = blame(message, "named here");
                let directory = chain.last().map(|parent| parent.directory.as_path());
                let meant = directory
                    .zip(named_by.as_ref())
                    .and_then(|(directory, name)| parse::suggestion(directory, name.get_ref()));
                problems.push(match meant {
                    Some(meant) => problem.help(format!("did you mean `{meant}`?")),
                    None => problem
                        .help("name a directory that holds a recipe.toml, or the file itself"),
                });
                break;
            }
        };
        let identity = fs::canonicalize(&file).unwrap_or_else(|_| file.clone());
        if seen.contains(&identity) {
            let message = format!("{} stands on itself", file.display());
            problems.push(
                blame(message, "leads back here")
                    .help("`from` must lead to an image in the end: { ubuntu = \"18.04\" }"),
            );
            break;
        }
        seen.push(identity);
        let mut parsed = parse::parse(&file, text, outside);
        problems.append(&mut parsed.problems);
        if let Some(From::Recipe(base)) = &parsed.parts.image.from {
            let directory = file.parent().unwrap_or(Path::new(""));
            next = Some((
                recipe_file(&tidy(&directory.join(base.get_ref()))),
                Some(base.clone()),
            ));
        }
        chain.push(parsed);
    }
    (chain, problems)
}

/// The same path without `x/..`, for messages; kept where `x` is a link and the way back leads elsewhere.
fn tidy(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::new();
    for part in path.components() {
        let named = matches!(tidied.components().next_back(), Some(Component::Normal(_)));
        if part == Component::ParentDir && named && !tidied.is_symlink() {
            tidied.pop();
        } else {
            tidied.push(part);
        }
    }
    if tidied.as_os_str().is_empty() {
        tidied.push(".");
    }
    tidied
}

fn recipe_file(path: &Path) -> PathBuf {
    if path.is_dir() {
        path.join(FILE_NAME)
    } else {
        path.to_path_buf()
    }
}

/// `--var` names that no recipe declares.
fn unused_values(chain: &[Parsed], outside: &Outside) -> Vec<Problem> {
    let declared: BTreeSet<&str> = chain
        .iter()
        .flat_map(|parsed| parsed.variables.iter().map(String::as_str))
        .collect();
    let strange = outside
        .given
        .keys()
        .filter(|name| !declared.contains(name.as_str()));
    strange
        .map(|name| {
            let problem = Problem::new(format!("--var {name}: no recipe has a variable `{name}`"));
            match closest(name, declared.iter().copied()) {
                Some(meant) => problem.help(format!("did you mean `{meant}`?")),
                None => problem.help(format!(
                    "[vars] has {}",
                    listed(declared.iter().copied(), "and")
                )),
            }
        })
        .collect()
}

/// The agent of a chain: what the topmost recipe that has one says, and where it is silent what its bases say. With it,
/// the name of that recipe.
fn settle_agent(
    chain: &[Parsed],
    outside: &Outside,
    problems: &mut Vec<Problem>,
) -> Option<(String, Agent)> {
    let tables = || {
        chain
            .iter()
            .filter_map(|parsed| parsed.parts.agent.as_ref())
    };
    let top = tables().next()?;
    if !tables().any(|table| table.names_config) {
        problems.push(top.has_no_config());
    }
    let program = if tables().any(|table| table.names_program) {
        tables().find_map(|table| table.program.clone())
    } else {
        parse::unnamed_agent(top, outside.agent.as_deref(), outside.beside.as_deref())
            .map_err(|problem| problems.push(problem))
            .ok()
    };
    let recipe = chain.iter().find(|parsed| parsed.parts.agent.is_some())?;
    Some((
        recipe.parts.image.name.clone()?,
        Agent {
            program: program?,
            config: tables().find_map(|table| table.config.clone())?,
            groups: tables()
                .find_map(|table| table.groups.clone())
                .unwrap_or_default(),
        },
    ))
}

/// One recipe of a chain that has no problems; `None` if it lacks something all the same.
fn put_together(chain: Vec<Parsed>, agent: Option<(String, Agent)>) -> Option<Recipe> {
    let mut source: Option<Source> = None;
    let mut build = Build::default();
    let mut layers: Vec<(String, parse::Layer)> = Vec::new();
    let mut checks = Vec::new();
    let mut top = None;
    for Parsed { parts, .. } in chain.into_iter().rev() {
        let Parts {
            image,
            build: own,
            layers: own_layers,
            agent: _,
            checks: own_checks,
        } = parts;
        let name = image.name.clone()?;
        if let Some(From::Image(image)) = &image.from {
            source = Some(image.clone());
        }
        build = own.or(build);
        layers.extend(own_layers.into_iter().map(|layer| (name.clone(), layer)));
        checks.extend(own_checks.into_iter().map(|check| Check {
            recipe: name.clone(),
            timeout: check.timeout,
            condition: check.condition,
        }));
        top = Some(image);
    }
    let image = top?;
    let build = build.settle();
    // Last: it is asked about the files that all the others have made.
    if let Some((recipe, agent)) = agent {
        checks.extend(agent.checks(&recipe));
        let layer = parse::Layer {
            name: agent::LAYER.into(),
            steps: agent.steps(),
        };
        layers.push((recipe, layer));
    }
    let keys = digest::layer_keys(layers.iter().map(|(_, layer)| layer.steps.as_slice()));
    let layers = layers
        .into_iter()
        .zip(keys)
        .map(|((recipe, layer), key)| Layer {
            name: layer.name,
            recipe,
            steps: layer.steps,
            key,
        });
    let mut recipe = Recipe {
        name: image.name?,
        description: image.description,
        source: source?,
        tags: image.tags,
        build,
        layers: layers.collect(),
        checks,
        digest: digest::Digest::from_bytes([0; 32]),
    };
    recipe.digest = digest::of_recipe(&recipe);
    Some(recipe)
}
