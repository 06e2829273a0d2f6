//! `log_group_name` and `log_stream_name`: their placeholders, and what AWS takes. And addresses.

use super::Common;
use super::section::Notes;
use crate::names::Kind;

/// Where that agent sends without `log_stream_name`.
pub(super) const DEFAULT_STREAM: &str = "{instance_id}";

/// That agent takes an address without a scheme, too.
pub(super) fn url_of(text: &str) -> String {
    match text.contains("://") {
        true => text.to_owned(),
        false => format!("https://{text}"),
    }
}

/// The name as a template of this agent's; what is not the same is noted under `path`.
pub(super) fn template(
    kind: Kind,
    name: &str,
    common: &Common,
    notes: &Notes,
    path: &str,
) -> String {
    let mut template = String::new();
    let mut rest = name;
    while !rest.is_empty() {
        if let Some(variable) = rest
            .strip_prefix("${")
            .and_then(|inside| Some(&inside[..inside.find('}')?]))
        {
            let stands = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
            let word: String = variable.chars().map(stands).collect();
            notes.left_out(
                path,
                format!("${{{variable}}}: the CloudWatch agent fills in a variable of its environment: write its value; {word} stands there"),
            );
            template.push_str(&word);
            rest = &rest[variable.len() + 3..];
            continue;
        }
        let placeholder = rest
            .strip_prefix('{')
            .and_then(|inside| Some(&inside[..inside.find('}')?]));
        if let Some(what) = placeholder
            && let Some(ours) = known(what, common, notes, path)
        {
            template.push_str(&ours);
            rest = &rest[what.len() + 2..];
            continue;
        }
        let Some(character) = rest.chars().next() else {
            break;
        };
        rest = &rest[character.len_utf8()..];
        match (kind, character) {
            (Kind::Stream, '{' | '}') => template.extend([character, character]),
            (Kind::Group, c) if c.is_ascii_alphanumeric() || "_-/.#".contains(c) => {
                template.push(c)
            }
            (Kind::Stream, c) if !matches!(c, ':' | '*') && !c.is_control() => template.push(c),
            (_, c) => {
                template.push('_');
                notes.left_out(
                    path,
                    format!("{c:?} can't be in the name of a {kind}: _ stands for it"),
                );
            }
        }
    }
    template
}

fn known(what: &str, common: &Common, notes: &Notes, path: &str) -> Option<String> {
    let missing = |word: &str, why: &str| {
        notes.left_out(path, format!("{{{what}}}: {why}; {word} stands there"));
        Some(word.to_owned())
    };
    match what {
        "instance_id" => Some("{instance_id}".into()),
        "local_hostname" => Some("{hostname}".into()),
        "hostname" => {
            notes.differs(
                path,
                "{hostname} is the host's own name (ip-10-0-0-1); the CloudWatch agent takes that of EC2's metadata \
                 (ip-10-0-0-1.eu-west-1.compute.internal)",
            );
            Some("{hostname}".into())
        }
        "ip_address" => Some("{ip}".into()),
        "aws_region" => match &common.region {
            Some(region) => Some(region.clone()),
            None => missing(
                "AWS_REGION",
                "baker-agent has no such placeholder: write the region",
            ),
        },
        "account_id" => missing(
            "ACCOUNT_ID",
            "baker-agent has no such placeholder: write the account's number",
        ),
        "date" => missing(
            "DATE",
            "the CloudWatch agent fills in the day of its start; events have times, so baker-agent has no such placeholder",
        ),
        _ => None,
    }
}
