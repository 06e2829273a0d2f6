//! Which numbers of CloudWatch's answers are times, and which are floating point: JSON does not show it, CBOR and XML need it.

use crate::cbor::Numbers;

/// The members of CloudWatch's answers that are times or floating point (API model 2010-08-01); in its answers a name
/// has one type wherever it stands, except `Value`, which is a text there and not a number.
pub(crate) fn numbers_under(member: &str) -> Option<Numbers> {
    Some(match member {
        "AlarmConfigurationUpdatedTimestamp"
        | "CreatedAt"
        | "CreationDate"
        | "EndTime"
        | "ExpireDate"
        | "LastModified"
        | "LastUpdateDate"
        | "LastUpdatedTimestamp"
        | "StartDate"
        | "StartTime"
        | "StateTransitionedTimestamp"
        | "StateUpdatedTimestamp"
        | "Timestamp"
        | "Timestamps"
        | "UpdatedAt" => Numbers::Times,
        "AggregateValue"
        | "ApproximateAggregateValue"
        | "ApproximateValue"
        | "Average"
        | "ExtendedStatistics"
        | "MaxContributorValue"
        | "Maximum"
        | "Minimum"
        | "SampleCount"
        | "Sum"
        | "Threshold"
        | "UniqueContributors"
        | "Values" => Numbers::Floats,
        _ => return None,
    })
}
