//! What a failure tells its reader: what happened, where, and what can be done about it. Pure.

use std::error::Error;
use std::time::Duration;

use super::failure::FailureKind;
use crate::target::Target;

/// A clock that is off by less is not worth a word: signatures are taken for five minutes, and an answer's date has no
/// fractions of a second.
const CLOCK_TOLERANCE_MS: u64 = 60_000;

/// So much of somebody else's words is told, in characters: a page of a proxy is no complaint.
const WORDS: usize = 1_000;

/// Who was asked for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// The API's name of the call, which is also the permission's: `PutLogEvents`.
    pub(super) action: &'static str,
    /// Where to.
    pub(super) target: &'a Target,
    /// The region that was signed for.
    pub(super) region: &'a str,
    /// The address, where it is not the region's own.
    pub(super) endpoint: Option<&'a str>,
}

/// What was seen of a failure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account<'a> {
    pub(super) kind: FailureKind,
    pub(super) code: Option<&'a str>,
    /// The service's words, or the chain of causes.
    pub(super) words: &'a str,
    /// By how much this host's clock is ahead of the service's, if the answer tells.
    pub(super) clock_ahead_ms: Option<i64>,
}

/// One line for people.
pub(super) fn explain(place: Place<'_>, account: Account<'_>) -> String {
    let Target { group, stream, .. } = place.target;
    let mut line = format!("{} for {group}", place.action);
    // A group has one class and one retention for all of its streams.
    if !["CreateLogGroup", "PutRetentionPolicy"].contains(&place.action) && !stream.is_empty() {
        line.push_str(", stream ");
        line.push_str(stream);
    }
    line.push_str(" (");
    line.push_str(place.region);
    if let Some(endpoint) = place.endpoint {
        line.push_str(", ");
        line.push_str(endpoint);
    }
    line.push_str("): ");
    if let Some(code) = account.code {
        line.push_str(code);
        line.push_str(": ");
    }
    let words = account.words.trim().trim_end_matches('.');
    match words.char_indices().nth(WORDS) {
        Some((end, _)) => {
            line.push_str(&words[..end]);
            line.push('…');
        }
        None => line.push_str(words),
    }
    if let Some(remedy) = remedy(place, account) {
        line.push_str("; ");
        line.push_str(&remedy);
    }
    line
}

fn remedy(place: Place<'_>, account: Account<'_>) -> Option<String> {
    let action = place.action;
    Some(match (account.kind, account.code.unwrap_or_default()) {
        (FailureKind::NotSent, _) => {
            "check name resolution, route, firewall, proxy and certificate authorities, then AWS_ENDPOINT_URL and region"
                .into()
        }
        (FailureKind::Unknown | FailureKind::Service, _) if action == "PutLogEvents" => {
            "it may have arrived all the same: the stream is read back before anything is sent again".into()
        }
        (FailureKind::Throttled, "LimitExceededException" | "ServiceQuotaExceededException") => {
            "an account's quota is reached: raise it in Service Quotas".into()
        }
        (FailureKind::NotFound, _) if action == "GetParameter" => format!(
            "make it (aws ssm put-parameter --name {} --type String --value file://baker-agent.toml), or mend its name or the region",
            place.target.group
        ),
        (FailureKind::NotFound, _) if action != "PutLogEvents" => {
            format!("the group is missing: allow logs:CreateLogGroup, or make {}", place.target.group)
        }
        (FailureKind::Denied, code) => denied(place, code, account),
        _ => return None,
    })
}

fn denied(place: Place<'_>, code: &str, account: Account<'_>) -> String {
    let off = account
        .clock_ahead_ms
        .filter(|ms| ms.unsigned_abs() >= CLOCK_TOLERANCE_MS);
    match code {
        "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "RequestTimeTooSkewed"
        | "RequestExpired" => match off {
            Some(ahead_ms) => format!(
                "this host's clock is {} {} the service's: set it (chrony, timedatectl)",
                duration(ahead_ms.unsigned_abs()),
                if ahead_ms > 0 { "ahead of" } else { "behind" },
            ),
            None => "check the secret key, and this host's clock (chrony, timedatectl)".into(),
        },
        "AccessDenied" | "AccessDeniedException" | "NotAuthorized" | "UnauthorizedOperation" => {
            let service = match place.action {
                "PutMetricData" | "GetMetricStatistics" | "PutDashboard" => "cloudwatch",
                "GetParameter" => "ssm",
                _ => "logs",
            };
            format!(
                "allow {service}:{} on {} in the policy of the instance's role",
                place.action, place.target.group
            )
        }
        "ExpiredToken" | "ExpiredTokenException" => {
            "the credentials have expired: renew them, or let the instance's role give them".into()
        }
        "UnrecognizedClientException" | "InvalidClientTokenId" | "AuthFailure" => {
            "the access key is not valid there: check credentials and region".into()
        }
        "OptInRequired" => "the account may not use this service or region".into(),
        "" => "give the instance a role, or credentials by environment or profile; behind a proxy, check its login"
            .into(),
        _ => "check the credentials".into(),
    }
}

/// `1h 3m`, to the second.
fn duration(ms: u64) -> String {
    humantime::format_duration(Duration::from_secs(ms / 1000)).to_string()
}

/// The causes of an error, outermost first. Words that say nothing (`dispatch failure`, `io error`) and words that the next
/// cause repeats are left out.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    const EMPTY: [&str; 8] = [
        "dispatch failure",
        "service error",
        "io error",
        "timeout",
        "other",
        "unhandled error",
        "response error",
        "failed to construct request",
    ];
    let mut words: Vec<String> = Vec::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        let text = error.to_string();
        let told = words.iter().any(|told| told.contains(&text));
        cause = error.source();
        let empty = EMPTY.contains(&text.as_str()) && cause.is_some();
        if !told && !empty {
            words.push(text);
        }
    }
    words.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::GroupClass;

    fn target() -> Target {
        Target {
            group: "app".into(),
            stream: "i-1/syslog".into(),
            retention_days: None,
            class: GroupClass::Standard,
        }
    }

    fn told(kind: FailureKind, code: &str, clock_ahead_ms: Option<i64>) -> String {
        explain(
            Place {
                action: "PutLogEvents",
                target: &target(),
                region: "eu-west-1",
                endpoint: None,
            },
            Account {
                kind,
                code: Some(code).filter(|code| !code.is_empty()),
                words: "It is so.",
                clock_ahead_ms,
            },
        )
    }

    #[test]
    fn a_missing_permission_is_named_with_its_group() {
        assert_eq!(
            told(FailureKind::Denied, "AccessDeniedException", None),
            "PutLogEvents for app, stream i-1/syslog (eu-west-1): AccessDeniedException: It is so; allow \
             logs:PutLogEvents on app in the policy of the instance's role"
        );
    }

    #[test]
    fn a_wrong_clock_is_told_with_how_wrong_it_is() {
        let line = told(
            FailureKind::Denied,
            "InvalidSignatureException",
            Some(-3_780_500),
        );
        assert!(
            line.contains("clock is 1h 3m behind the service's"),
            "{line}"
        );
        let line = told(FailureKind::Denied, "RequestTimeTooSkewed", Some(600_000));
        assert!(
            line.contains("clock is 10m ahead of the service's"),
            "{line}"
        );
        let line = told(
            FailureKind::Denied,
            "InvalidSignatureException",
            Some(1_500),
        );
        assert!(line.contains("check the secret key"), "{line}");
    }

    #[test]
    fn what_needs_no_help_gets_none() {
        assert_eq!(
            told(FailureKind::Throttled, "ThrottlingException", None),
            "PutLogEvents for app, stream i-1/syslog (eu-west-1): ThrottlingException: It is so"
        );
    }

    #[test]
    fn of_very_many_words_the_first_are_told() {
        let words = "é".repeat(60_000);
        let line = explain(
            Place {
                action: "PutLogEvents",
                target: &target(),
                region: "eu-west-1",
                endpoint: None,
            },
            Account {
                kind: FailureKind::Other,
                code: None,
                words: &words,
                clock_ahead_ms: None,
            },
        );
        assert!(
            line.ends_with("é…") && line.chars().count() < 1_100,
            "{line}"
        );
    }

    #[test]
    fn causes_are_told_once_and_without_empty_words() {
        #[derive(Debug, thiserror::Error)]
        #[error("dispatch failure")]
        struct Outer(#[source] Middle);
        #[derive(Debug, thiserror::Error)]
        #[error("error trying to connect: refused")]
        struct Middle(#[source] std::io::Error);
        let error = Outer(Middle(std::io::Error::other("refused")));
        assert_eq!(causes(&error), "error trying to connect: refused");
    }
}
