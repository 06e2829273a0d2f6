//! The service's limits. Sources: the API reference of `PutMetricData`, `MetricDatum`, `Dimension`, `GetMetricData`, `GetMetricStatistics`,
//! `ListMetrics` and of the dashboard body, and the service model (2010-08-01) for lengths.

/// Of a request (`PutMetricData`: "limited to 1 MB in size for HTTP POST requests. You can send a payload compressed by gzip"). Whether it is
/// counted before or after packing is not documented; here both have to keep it, so that who keeps it here is right either way.
pub const REQUEST_BYTES: usize = 1_048_576;
/// Data of a request (`PutMetricData`: "no more than 1000 different metrics").
pub const DATA: usize = 1000;
/// Values of a datum (`PutMetricData`: "up to 150 values per metric with one PutMetricData request").
pub const VALUES: usize = 150;
/// Dimensions of a metric (`PutMetricData`: "up to 30 dimensions per metric").
pub const DIMENSIONS: usize = 30;
/// Data that is older is refused (`PutMetricData`: "as much as two weeks before the current date").
pub const OLDEST_MS: i64 = 14 * 24 * HOUR_MS;
/// Data that is further ahead is refused (`PutMetricData`: "as much as 2 hours after the current day and time").
pub const NEWEST_MS: i64 = 2 * HOUR_MS;
/// The largest value (`PutMetricData`: "in the range of -2^360 to 2^360").
pub const LARGEST_VALUE_EXPONENT: i32 = 360;
/// Of a metric's name, in characters (model: `MetricName`).
pub const NAME_CHARS: usize = 255;
/// Of a namespace, in characters (model: `Namespace`).
pub const NAMESPACE_CHARS: usize = 255;
/// Of a dimension's name, in characters (model: `DimensionName`).
pub const DIMENSION_NAME_CHARS: usize = 255;
/// Of a dimension's value, in characters (model: `DimensionValue`).
pub const DIMENSION_VALUE_CHARS: usize = 1024;
/// How long data of a second's resolution can be asked for so finely (`GetMetricStatistics`: "with a period of less than 60 seconds are
/// available for 3 hours").
pub const HIGH_RESOLUTION_MS: i64 = 3 * HOUR_MS;
/// Data points of one GetMetricStatistics ("The maximum number of data points returned from a single call is 1,440").
pub const STATISTICS_POINTS: usize = 1440;
/// Data points of one page of GetMetricData (`MaxDatapoints`: "If you omit this, the default of 100,800 is used").
pub const DATA_POINTS: usize = 100_800;
/// Queries of one GetMetricData ("A single GetMetricData call can include up to 500 MetricDataQuery structures").
pub const QUERIES: usize = 500;
/// Time series of a search ("Using search expressions": "can find up to 500 time series").
pub const SEARCHED: usize = 500;
/// Metrics of one page of ListMetrics ("Up to 500 results are returned for any one call").
pub const LISTED: usize = 500;
/// Filters of ListMetrics (model: `DimensionFilters`).
pub const DIMENSION_FILTERS: usize = 10;
/// ListMetrics forgets metrics without new data (`ListMetrics`: "only metrics that have had data reported in the past two weeks").
pub const LISTED_MS: i64 = OLDEST_MS;
/// Widgets of a dashboard (dashboard body: "an array of between 0 and 500 widget objects").
pub const WIDGETS: usize = 500;
/// Metrics of a widget (dashboard body: "One metrics array can include 0–500 metrics and expressions").
pub const WIDGET_METRICS: usize = 500;
/// Columns of a dashboard (dashboard body: "the 24-column dashboard grid").
pub const GRID_COLUMNS: i64 = 24;
/// Rows of a widget (dashboard body: "Valid Values: 1–1000").
pub const WIDGET_ROWS: i64 = 1000;
/// Of a dashboard's name (`PutDashboard`: "The maximum length is 255, and valid characters are A-Z, a-z, 0-9, "-", and "_"").
pub const DASHBOARD_NAME_CHARS: usize = 255;

/// Units of a datum (model: `StandardUnit`).
pub const UNITS: [&str; 27] = [
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];

const HOUR_MS: i64 = 3_600_000;
