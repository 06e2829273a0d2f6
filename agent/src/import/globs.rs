//! `file_path` and `blacklist`: which files.

/// More patterns than this do not come of one path.
const MAX_PATTERNS: usize = 16;

/// The patterns of this agent that mean the files of a `file_path`.
///
/// The other agent takes a path without `*`, `?` and `[` as it is; with `**` it reads globs of gobwas, where `**` crosses folders within a name too;
/// else those of Go's filepath.Match.
pub(super) fn patterns(path: &str) -> Result<Vec<String>, &'static str> {
    if !path.starts_with('/') {
        return Err(
            "it is no absolute path of Linux: write the path from the root, such as /var/log/syslog",
        );
    }
    if !path.contains(['*', '?', '[']) {
        return Ok(vec![path.chars().map(literal).collect()]);
    }
    let super_stars = path.contains("**");
    let mut all = vec![String::new()];
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    for (at, part) in parts.iter().enumerate() {
        let last = at + 1 == parts.len();
        let ways = match super_stars {
            true => crossing(part, last),
            false => vec![plain(part)],
        };
        let mut longer = Vec::new();
        for way in &ways {
            longer.extend(all.iter().map(|before| format!("{before}/{way}")));
        }
        all = longer;
        if all.len() > MAX_PATTERNS {
            return Err("it has too many ** within names: name the folders one by one");
        }
    }
    Ok(all)
}

/// One character of a name, whatever it means in a glob.
fn literal(character: char) -> String {
    match character {
        '*' | '?' | '[' | ']' | '{' | '}' => format!("[{character}]"),
        '\\' => "\\\\".into(),
        c => c.into(),
    }
}

/// A name's glob of Go's as one of ours: braces are themselves there, and `^` is what `!` is here.
fn plain(part: &str) -> String {
    let mut glob = String::new();
    let mut rest = part.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '{' | '}' => glob.push_str(&literal(character)),
            '\\' => match rest.next() {
                Some(escaped) => glob.push_str(&literal(escaped)),
                None => glob.push_str("\\\\"),
            },
            '[' => {
                glob.push('[');
                if rest.next_if_eq(&'^').is_some() {
                    glob.push('!');
                }
            }
            c => glob.push(c),
        }
    }
    glob
}

/// A name's glob in which `**` may stand for folders, too: one pattern for a name, one for a path.
fn crossing(part: &str, last: bool) -> Vec<String> {
    let Some((before, after)) = part.split_once("**") else {
        return vec![part.to_owned()];
    };
    let after = after.trim_start_matches('*');
    match (before, after) {
        ("", "") => vec!["**".into()],
        ("", after) => vec![format!("**/*{after}")],
        (before, "") if last => vec![format!("{before}*"), format!("{before}*/**")],
        (before, "") => vec![format!("{before}*"), format!("{before}*/**/*")],
        (before, after) => vec![
            format!("{before}*{after}"),
            format!("{before}*/**/*{after}"),
        ],
    }
}

/// Whether it may mean several files.
pub(super) fn several(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// The globs that a regular expression on file names means, where it is simple enough.
pub(super) fn excludes(expression: &str) -> Option<Vec<String>> {
    if expression.contains(['(', ')']) {
        return None;
    }
    expression.split('|').map(exclude).collect()
}

/// One glob: `\.gz$` becomes `*.gz`.
fn exclude(expression: &str) -> Option<String> {
    let (begin, rest) = match expression.strip_prefix('^') {
        Some(rest) => ("", rest),
        None => ("*", expression),
    };
    let escaped = rest.ends_with("\\$");
    let (end, rest) = match rest.strip_suffix('$').filter(|_| !escaped) {
        Some(rest) => ("", rest),
        None => ("*", rest),
    };
    let mut glob = String::from(begin);
    let mut rest = rest.chars().peekable();
    while let Some(character) = rest.next() {
        let one = match character {
            '.' => "?".to_owned(),
            '\\' => match rest.next()? {
                'd' => "[0-9]".to_owned(),
                c if c.is_ascii_punctuation() => literal(c),
                _ => return None,
            },
            '[' => class(&mut rest)?,
            '*' | '+' | '?' | '{' | '}' | '^' | '$' | ']' => return None,
            c => literal(c),
        };
        let last = rest.clone().count() == 1 && end == "*";
        match (character, rest.peek()) {
            ('.', Some('*')) => glob.push('*'),
            ('.', Some('+')) => glob.push_str("?*"),
            // Any number of one character: no glob says that, but what may be none at an open end says nothing.
            (_, Some('*' | '?')) if last => {}
            (_, Some('+')) if last => glob.push_str(&one),
            (_, Some('*' | '+' | '?' | '{')) => return None,
            _ => {
                glob.push_str(&one);
                continue;
            }
        }
        rest.next();
    }
    glob.push_str(end);
    while glob.contains("**") {
        glob = glob.replace("**", "*");
    }
    Some(glob)
}

/// `[a-z]`, after its `[`. Only letters, digits and what stands for itself in both.
fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    let mut class = String::from("[");
    if rest.next_if_eq(&'^').is_some() {
        class.push('!');
    }
    loop {
        match rest.next()? {
            ']' if class.len() > 2 || class.len() == 2 && !class.ends_with('!') => {
                class.push(']');
                return Some(class);
            }
            c if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ',') => class.push(c),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::discover::Patterns;

    fn taken(path: &str) -> Patterns {
        Patterns::compile(&patterns(path).unwrap(), &[]).unwrap()
    }

    #[test]
    fn paths_mean_the_files_that_they_meant() {
        for (path, yes, no) in [
            (
                "/var/log/syslog",
                &["/var/log/syslog"][..],
                &["/var/log/syslog.1"][..],
            ),
            (
                "/var/log/**.log",
                &["/var/log/a.log", "/var/log/x/y/a.log"],
                &["/var/log/a.txt"],
            ),
            ("/var/log/*.log", &["/var/log/a.log"], &["/var/log/x/a.log"]),
            (
                "/var/log/app**",
                &["/var/log/app", "/var/log/app1/x", "/var/log/app1/y/x"],
                &["/var/log/ap"],
            ),
            (
                "/var/a**b/c",
                &["/var/ab/c", "/var/axb/c", "/var/ax/y/xb/c"],
                &["/var/ax/c"],
            ),
            ("/srv/{a}/x.log", &["/srv/{a}/x.log"], &["/srv/a/x.log"]),
            ("/srv/{a}/*.log", &["/srv/{a}/x.log"], &["/srv/a/x.log"]),
            (
                "/srv/**/{a,b}.log",
                &["/srv/x/a.log", "/srv/b.log"],
                &["/srv/{a,b}.log"],
            ),
            ("/srv/[^a].log", &["/srv/b.log"], &["/srv/a.log"]),
            ("/srv/\\*.log*", &["/srv/*.log"], &["/srv/a.log"]),
        ] {
            let patterns = taken(path);
            for file in yes {
                assert!(patterns.is_match(Path::new(file)), "{path} {file}");
            }
            for file in no {
                assert!(!patterns.is_match(Path::new(file)), "{path} {file}");
            }
        }
        assert!(patterns("c:\\logs\\a.log").is_err());
        assert!(patterns(&"/a**b".repeat(9)).is_err());
    }

    #[test]
    fn simple_expressions_become_globs() {
        for (expression, globs) in [
            ("debug", &["*debug*"][..]),
            (r"\.gz$", &["*.gz"]),
            (r"^app-\d\d\.log$", &["app-[0-9][0-9].log"]),
            (r".*\.(gz|zip)$", &[]),
            (r"\.gz$|\.zip$", &["*.gz", "*.zip"]),
            ("^a.*b$", &["a*b"]),
            ("a.b", &["*a?b*"]),
            ("a+", &["*a*"]),
            ("a+b", &[]),
            // People mean a glob by it; what it means is this.
            ("agent.log*|env.log", &["*agent?lo*", "*env?log*"]),
            ("x?", &["*"]),
            ("^a*$", &[]),
            ("[0-9]", &["*[0-9]*"]),
            (r"\w", &[]),
            ("[^a]x$", &["*[!a]x"]),
        ] {
            let found = excludes(expression);
            match globs {
                [] => assert_eq!(found, None, "{expression}"),
                globs => assert_eq!(found.unwrap(), globs, "{expression}"),
            }
        }
    }

    proptest! {
        /// A glob leaves out exactly the names that the expression matches.
        #[test]
        fn a_glob_means_what_the_expression_means(
            expression in r"\^?(a|b|\.|\\\.|\.\*|\.\+|\\d|\[ab\]|\[\^a\]|-){1,5}[*+?]?\$?(\|a\$)?",
            name in "[ab.0-]{1,6}",
        ) {
            prop_assume!(name != "." && name != "..");
            if let Some(globs) = excludes(&expression) {
                let regex = regex::Regex::new(&expression).unwrap();
                let patterns = Patterns::compile(&[], &globs).unwrap();
                prop_assert_eq!(
                    patterns.excludes(Path::new(&format!("/{name}"))),
                    regex.is_match(&name),
                    "{} {:?}", expression, globs
                );
            }
        }

        #[test]
        fn no_path_and_no_expression_is_too_odd(text in any::<String>()) {
            let _ = patterns(&text);
            let _ = patterns(&format!("/{text}"));
            let _ = excludes(&text);
        }
    }
}
