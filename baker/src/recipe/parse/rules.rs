//! What a value must look like: EC2's shapes, and what a Linux host takes. Pure; each rule says
//! what it expects.

use std::time::Duration;

/// The result of a rule: what the value should be, if it is not.
pub(super) type Rule = Result<(), &'static str>;

/// EC2 takes 3 to 128 characters; the baker adds `-yyyymmdd-hhmmss-xxxxxxxx`.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateImage.html>
pub(super) const MAX_NAME_CHARACTERS: usize = 128 - 25;
/// An image's description (same page).
pub(super) const MAX_DESCRIPTION_CHARACTERS: usize = 255;

fn holds(condition: bool, expected: &'static str) -> Rule {
    if condition { Ok(()) } else { Err(expected) }
}

pub(super) fn image_name(name: &str) -> Rule {
    holds(!name.is_empty(), "must not be empty")?;
    holds(
        name.chars()
            .all(|c| c.is_ascii_alphanumeric() || "()[] ./-'@_".contains(c)),
        "EC2 takes letters, digits, spaces and ( ) [ ] . / - ' @ _",
    )?;
    holds(
        name.chars().count() <= MAX_NAME_CHARACTERS,
        "must have at most 103 characters (EC2 takes 128, and time and digest are added)",
    )
}

pub(super) fn description(text: &str) -> Rule {
    holds(
        text.chars().count() <= MAX_DESCRIPTION_CHARACTERS && !text.contains('\n'),
        "must be one line of at most 255 characters",
    )
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions>
pub(super) fn tag_key(key: &str) -> Rule {
    holds(
        (1..=128).contains(&key.chars().count()),
        "must have 1 to 128 characters",
    )?;
    holds(
        !key.to_ascii_lowercase().starts_with("aws:"),
        "AWS keeps `aws:` for itself",
    )?;
    holds(
        !key.starts_with("baker:"),
        "the baker keeps `baker:` for itself",
    )
}

pub(super) fn tag_value(value: &str) -> Rule {
    holds(
        value.chars().count() <= 256,
        "must have at most 256 characters",
    )
}

fn resource_id(id: &str, prefix: &str) -> bool {
    id.strip_prefix(prefix).is_some_and(|digits| {
        matches!(digits.len(), 8 | 17)
            && digits
                .chars()
                .all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
    })
}

pub(super) fn ami_id(id: &str) -> Rule {
    holds(
        resource_id(id, "ami-"),
        "must be `ami-` and 8 or 17 hexadecimal digits",
    )
}

pub(super) fn subnet_id(id: &str) -> Rule {
    holds(
        resource_id(id, "subnet-"),
        "must be `subnet-` and 8 or 17 hexadecimal digits",
    )
}

pub(super) fn ubuntu_release(release: &str) -> Rule {
    holds(
        release.len() == 5
            && release.char_indices().all(|(at, c)| {
                if at == 2 {
                    c == '.'
                } else {
                    c.is_ascii_digit()
                }
            }),
        "must be a release number like 18.04",
    )
}

pub(super) fn ssm_parameter(name: &str) -> Rule {
    holds(
        name.starts_with('/')
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "/_.-:".contains(c)),
        "must be the full name of a parameter: `/` first, then letters, digits and _ . - /",
    )
}

pub(super) fn instance_type(name: &str) -> Rule {
    let part = |text: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    holds(
        name.split_once('.')
            .is_some_and(|(family, size)| part(family) && part(size)),
        "must be a family and a size, like t3.medium",
    )
}

pub(super) fn cidr(text: &str) -> Rule {
    let parsed = text.split_once('/').and_then(|(address, bits)| {
        let address: std::net::Ipv4Addr = address.parse().ok()?;
        let bits: u32 = bits.parse().ok().filter(|bits| *bits <= 32)?;
        Some((u32::from(address), bits))
    });
    let Some((address, bits)) = parsed else {
        return Err("must be an IPv4 network like 203.0.113.7/32");
    };
    holds(
        bits > 0,
        "the whole Internet is never let in: name the network that you bake from",
    )?;
    holds(
        address.trailing_zeros() >= 32 - bits || bits == 32,
        "has bits set beyond its prefix length",
    )
}

/// The name of an IAM instance profile.
pub(super) fn instance_profile(name: &str) -> Rule {
    holds(
        (1..=128).contains(&name.len())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c)),
        "must be the profile's name (not its ARN): letters, digits and + = , . @ _ -",
    )
}

/// A user or group name on the host.
pub(super) fn account(name: &str) -> Rule {
    let mut characters = name.chars();
    holds(
        name.len() <= 32
            && characters
                .next()
                .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && characters.all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)),
        "must be an account's name: letters, digits and _ . -",
    )
}

/// A package, perhaps with its architecture and version.
pub(super) fn package(name: &str) -> Rule {
    holds(
        name.chars()
            .next()
            .is_some_and(|c| c.is_ascii_alphanumeric())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+.:=~/_-".contains(c)),
        "must be one package, like nginx or nginx=1.14.0-0ubuntu1",
    )
}

/// A systemd unit's name, perhaps without its suffix.
pub(super) fn unit(name: &str) -> Rule {
    holds(
        !name.is_empty()
            && name.len() <= 255
            && !name.starts_with(['-', '.'])
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || ":_.@\\-".contains(c)),
        "must be the name of a systemd unit, like nginx or nginx.service",
    )
}

/// A place on the host.
pub(super) fn absolute_path(path: &str) -> Rule {
    holds(
        path.starts_with('/'),
        "must be an absolute path on the host: `/` first",
    )?;
    holds(
        path.split('/').all(|part| part != ".." && part != "."),
        "must not hold `.` or `..`",
    )?;
    holds(
        !path.chars().any(char::is_control),
        "must not hold control characters",
    )
}

/// A file's place on the host.
pub(super) fn absolute_file(path: &str) -> Rule {
    absolute_path(path)?;
    holds(
        !path.ends_with('/'),
        "must name the file itself, not its directory",
    )
}

pub(super) fn environment_name(name: &str) -> Rule {
    let mut characters = name.chars();
    holds(
        characters
            .next()
            .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && characters.all(|c| c.is_ascii_alphanumeric() || c == '_'),
        "must be letters, digits and `_`, no digit first",
    )
}

pub(super) fn url(url: &str) -> Rule {
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    holds(
        rest.is_some_and(|rest| {
            !rest.is_empty()
                && !rest.starts_with('/')
                && !rest.contains(char::is_whitespace)
                && rest.is_ascii()
        }),
        "must be a URL like http://127.0.0.1/health",
    )
}

/// Permission bits from `"0750"`.
pub(super) fn mode(text: &str) -> Result<u32, &'static str> {
    let octal = (3..=4).contains(&text.len()) && text.chars().all(|c| ('0'..='7').contains(&c));
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|_| octal)
        .ok_or("must be three or four octal digits, like \"0750\"")
}

/// A duration from `"45m"`, within limits.
pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    let parsed = humantime::parse_duration(text)
        .map_err(|_| "must be a time span like 30s, 45m or 1h30m")?;
    if parsed < Duration::from_secs(1) || parsed > Duration::from_secs(24 * 3600) {
        return Err("must be from 1s to 24h");
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests;
