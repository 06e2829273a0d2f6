//! The service's limits. Sources: the API reference of `PutLogEvents`, `CreateLogGroup`, `CreateLogStream`, `PutRetentionPolicy`,
//! `GetLogEvents` and `FilterLogEvents`, and the service model (2014-03-28) for lengths and patterns.

/// What each event counts for besides its message (`PutLogEvents`: "plus 26 bytes for each log event").
pub const EVENT_OVERHEAD_BYTES: usize = 26;
/// Of a batch: messages in UTF-8 plus the overhead of each event (`PutLogEvents`: "The maximum batch size is 1,048,576 bytes").
pub const BATCH_BYTES: usize = 1_048_576;
/// Of a batch (`PutLogEvents`: "The maximum number of log events in a batch is 10,000").
pub const BATCH_EVENTS: usize = 10_000;
/// Of one event, counted as in a batch (`PutLogEvents`: "Each log event can be no larger than 1 MB"; the service's errors count the overhead in).
pub const EVENT_BYTES: usize = 1_048_576;
/// Between the first and the last event of a batch that are neither too old nor too new (`PutLogEvents`: "cannot exceed 24 hours").
pub const SPAN_MS: i64 = 24 * HOUR_MS;
/// Events that are older are rejected one by one (`PutLogEvents`: "older than 14 days").
pub const OLDEST_MS: i64 = 14 * DAY_MS;
/// Events that are further ahead are rejected one by one (`PutLogEvents`: "more than 2 hours in the future").
pub const NEWEST_MS: i64 = 2 * HOUR_MS;
/// Days that a group may keep its events (`PutRetentionPolicy`: "Possible values are").
pub const RETENTION_DAYS: [u16; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];
/// Of a group's or a stream's name, in characters (model: `LogGroupName`, `LogStreamName`).
pub const NAME_CHARS: usize = 512;
/// Of a page of events (`GetLogEvents`, `FilterLogEvents`: "up to 1 MB of log events or up to 10,000 log events").
pub const PAGE_BYTES: usize = 1_048_576;
/// See [`PAGE_BYTES`].
pub const PAGE_EVENTS: usize = 10_000;
/// Of a page of groups or streams (model: `DescribeLimit`).
pub const DESCRIBE_ITEMS: usize = 50;
/// Of a filter pattern, in characters (model: `FilterPattern`).
pub const FILTER_PATTERN_CHARS: usize = 1024;
/// Streams that a filter may name (model: `InputLogStreamNames`).
pub const FILTER_STREAMS: usize = 100;
/// Events that a query gives (`StartQuery`: "The maximum limit is 100,000"), in pages of [`PAGE_EVENTS`].
pub const QUERY_EVENTS: usize = 100_000;
/// Of a query's text (model: `QueryString`).
pub const QUERY_CHARS: usize = 10_000;
/// Queries whose results are kept here; the service keeps them for seven days.
pub const QUERIES: usize = 1_000;
/// So long a query waits before it runs, and so long it takes in all, in microseconds: a query over a stream and a short time takes a second or
/// two there.
pub const QUERY_SCHEDULED_US: i64 = 50_000;
/// See [`QUERY_SCHEDULED_US`].
pub const QUERY_US: i64 = 300_000;
/// Tags of a group (model: `Tags`).
pub const TAGS: usize = 50;
/// Calls of `CreateLogStream` in a second, per account and region (`CreateLogStream`: "a limit of 50 TPS").
pub const CREATE_STREAM_PER_SECOND: u32 = 50;
/// Of a request's body. The service's own cap is not documented; no legal batch is larger: at worst, each byte of a message is a
/// control character (6 bytes of JSON), and each event adds less than 100 bytes.
pub const BODY_BYTES: usize = 6 * BATCH_BYTES + 100 * BATCH_EVENTS;

const HOUR_MS: i64 = 3_600_000;
/// A day in milliseconds.
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;
