//! What the commands say, besides progress and manifest.

use std::error::Error;
use std::path::Path;

use serde_json::{Value, json};

use crate::cleanup;
use crate::diagnostics::{Problem, Problems};
use crate::pipeline::Left;
use crate::recipe::{Recipe, Source};

/// A valid recipe in a few words.
#[must_use]
pub fn check_text(path: &Path, recipe: &Recipe) -> String {
    let steps: usize = recipe.layers.iter().map(|layer| layer.steps.len()).sum();
    format!(
        "{}: ok: image {} from {}, {}, {}, {}, digest {}",
        path.display(),
        recipe.name,
        source(&recipe.source),
        counted(recipe.layers.len(), "layer"),
        counted(steps, "step"),
        counted(recipe.checks.len(), "check"),
        recipe.digest.short(),
    )
}

/// Problems, and how many.
#[must_use]
pub fn problems_text(problems: &Problems, colours: bool) -> String {
    let summary = match problems.count() {
        1 => "1 problem; nothing was created".to_owned(),
        n => format!("{n} problems; nothing was created"),
    };
    format!("{}\n\n{summary}", problems.render(colours))
}

/// All results as one JSON document: a list with one object for each recipe.
#[must_use]
pub fn check_json(results: &[(&Path, Result<Recipe, Problems>)]) -> String {
    let list: Vec<Value> = results
        .iter()
        .map(|(path, result)| {
            let problems: Vec<_> = result
                .as_ref()
                .err()
                .into_iter()
                .flat_map(Problems::iter)
                .map(Problem::to_record)
                .collect();
            json!({
                "recipe": path.display().to_string(),
                "valid": result.is_ok(),
                "digest": result.as_ref().ok().map(|recipe| recipe.digest.to_string()),
                "problems": problems,
            })
        })
        .collect();
    format!("{:#}", Value::from(list))
}

fn source(source: &Source) -> String {
    match source {
        Source::Ubuntu(release) => format!("Ubuntu {release}"),
        Source::Ami(id) => id.clone(),
        Source::Ssm(name) => format!("the image in {name}"),
    }
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 {
        format!("1 {what}")
    } else {
        format!("{number} {what}s")
    }
}

/// An error with its causes, each said once.
#[must_use]
pub fn error_text(error: &dyn Error) -> String {
    let mut text = format!("error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        let indented = cause.to_string().replace('\n', "\n    ");
        text.push_str(&format!("\n  because: {indented}"));
        source = cause.source();
    }
    text
}

/// What a bake left behind; `None` if it left nothing.
#[must_use]
pub fn left_text(left: &Left) -> Option<String> {
    let mut lines = Vec::new();
    match left {
        Left::Nothing => return None,
        Left::Things(things) => {
            lines.push("error: not everything that the bake made could be removed:".to_owned());
            lines.extend(things.iter().map(|thing| format!("  {thing}")));
        }
        Left::Unknown {
            journal,
            why,
            region,
            things,
        } => {
            lines.push(match why {
                Some(error) => error_text(error),
                None => "error: cleaning up was interrupted".to_owned(),
            });
            lines.push("  these may still exist:".to_owned());
            lines.extend(things.iter().map(|thing| {
                let id = thing.id.as_deref().unwrap_or(&thing.name);
                let remedy = cleanup::remedy(thing, region);
                format!("    {} {id}: {remedy}", thing.kind.name())
            }));
            lines.push(format!(
                "  all that the bake made is in {}",
                journal.display()
            ));
        }
    }
    Some(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Kind, Resource};

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("inner\nsecond line")]
    struct Inner;

    #[test]
    fn causes_follow_an_error_each_on_its_line() {
        assert_eq!(
            error_text(&Outer(Inner)),
            "error: outer\n  because: inner\n    second line"
        );
    }

    #[test]
    fn what_may_still_exist_is_named_with_the_journal() {
        let left = Left::Unknown {
            journal: "/state/b.jsonl".into(),
            why: None,
            region: "eu-west-1".into(),
            things: vec![
                Resource {
                    kind: Kind::Instance,
                    name: "b".into(),
                    id: Some("i-1".into()),
                },
                Resource {
                    kind: Kind::SecurityGroup,
                    name: "baker-b".into(),
                    id: None,
                },
            ],
        };
        assert_eq!(
            left_text(&left).as_deref(),
            Some(
                "error: cleaning up was interrupted\n  these may still exist:\n    \
                 instance i-1: aws ec2 terminate-instances --region eu-west-1 --instance-ids i-1\n    \
                 security group baker-b: aws ec2 describe-security-groups --region eu-west-1 \
                 --filters Name=group-name,Values=baker-b\n  \
                 all that the bake made is in /state/b.jsonl"
            )
        );
        assert_eq!(left_text(&Left::Nothing), None);
    }
}
