//! Whether a dashboard's body keeps the rules of "Dashboard Body Structure and Syntax" (CloudWatch API reference). What the service is known to
//! refuse is an error; a member that no rule names is a warning, as the service keeps such a dashboard.

use serde_json::{Map, Value as Json};

use super::limits::{GRID_COLUMNS, WIDGET_METRICS, WIDGET_ROWS, WIDGETS};

/// What is to be said of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// JSON pointer.
    pub(super) path: String,
    pub(super) message: String,
    /// The dashboard is refused.
    pub(super) fatal: bool,
}

impl Finding {
    pub(super) fn error(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            fatal: true,
        }
    }
}

/// Members of a body, of a widget, and of the properties of each type of widget.
const BODY: [&str; 5] = ["widgets", "variables", "start", "end", "periodOverride"];
const WIDGET: [&str; 6] = ["type", "x", "y", "width", "height", "properties"];
const TEXT: [&str; 2] = ["markdown", "background"];
const LOG: [&str; 8] = [
    "accountId",
    "region",
    "title",
    "query",
    "view",
    "stacked",
    "queryLanguage",
    "timezone",
];
const METRIC: [&str; 16] = [
    "accountId",
    "annotations",
    "liveData",
    "legend",
    "metrics",
    "period",
    "region",
    "sparkline",
    "stacked",
    "stat",
    "table",
    "timezone",
    "title",
    "view",
    "yAxis",
    "setPeriodToTimeRange",
];
/// Members of the last element of a metric.
const RENDERING: [&str; 12] = [
    "accountId",
    "color",
    "expression",
    "id",
    "label",
    "period",
    "region",
    "searchQuery",
    "stat",
    "visible",
    "yAxis",
    "dynamicLabel",
];

/// Checks a body.
pub(super) fn check(body: &Json) -> Vec<Finding> {
    let mut check = Check::default();
    let Some(object) = check.object(body, "") else {
        return check.findings;
    };
    check.known(object, "", &BODY);
    check.one_of(object, "", "periodOverride", &["auto", "inherit"]);
    if object.contains_key("end") && !object.contains_key("start") {
        check.error(
            "",
            "Should have required property 'start' where there is an 'end'",
        );
    }
    match object.get("widgets").map(|widgets| widgets.as_array()) {
        None => check.error("", "Should have required property 'widgets'"),
        Some(None) => check.error("/widgets", "Should be array"),
        Some(Some(widgets)) if widgets.len() > WIDGETS => {
            check.error(
                "/widgets",
                format!("Should not have more than {WIDGETS} items"),
            );
        }
        Some(Some(widgets)) => {
            for (index, widget) in widgets.iter().enumerate() {
                check.widget(widget, &format!("/widgets/{index}"));
            }
        }
    }
    check.findings
}

#[derive(Default)]
struct Check {
    findings: Vec<Finding>,
}

impl Check {
    fn error(&mut self, path: &str, message: impl Into<String>) {
        self.findings.push(Finding::error(path, message));
    }

    fn object<'j>(&mut self, value: &'j Json, path: &str) -> Option<&'j Map<String, Json>> {
        let object = value.as_object();
        if object.is_none() {
            self.error(path, "Should be object");
        }
        object
    }

    fn known(&mut self, object: &Map<String, Json>, path: &str, names: &[&str]) {
        for name in object.keys().filter(|name| !names.contains(&&***name)) {
            self.findings.push(Finding {
                fatal: false,
                ..Finding::error(
                    path,
                    format!("Should not have additional property '{name}'"),
                )
            });
        }
    }

    /// A text that has to be there.
    fn text(&mut self, object: &Map<String, Json>, path: &str, name: &str) {
        match object.get(name) {
            None => self.error(path, format!("Should have required property '{name}'")),
            Some(value) if !value.is_string() => {
                self.error(&format!("{path}/{name}"), "Should be string");
            }
            Some(_) => {}
        }
    }

    fn one_of(&mut self, object: &Map<String, Json>, path: &str, name: &str, values: &[&str]) {
        if let Some(value) = object.get(name)
            && !value.as_str().is_some_and(|value| values.contains(&value))
        {
            let message = format!(
                "Should be equal to one of the allowed values: {}",
                values.join(", ")
            );
            self.error(&format!("{path}/{name}"), message);
        }
    }

    fn whole(&mut self, object: &Map<String, Json>, path: &str, name: &str, range: (i64, i64)) {
        if let Some(value) = object.get(name) {
            let (low, high) = range;
            match value.as_i64() {
                Some(number) if (low..=high).contains(&number) => {}
                _ => self.error(
                    &format!("{path}/{name}"),
                    format!("Should be an integer from {low} to {high}"),
                ),
            }
        }
    }

    fn period(&mut self, object: &Map<String, Json>, path: &str) {
        if let Some(value) = object.get("period") {
            let good = value.as_i64().is_some_and(|period| {
                [1, 5, 10, 30].contains(&period) || (period > 0 && period % 60 == 0)
            });
            if !good {
                self.error(&format!("{path}/period"), "Should be a multiple of 60");
            }
        }
    }

    fn widget(&mut self, widget: &Json, path: &str) {
        let Some(object) = self.object(widget, path) else {
            return;
        };
        self.known(object, path, &WIDGET);
        self.whole(object, path, "x", (0, GRID_COLUMNS - 1));
        self.whole(object, path, "y", (0, i64::MAX));
        self.whole(object, path, "width", (1, GRID_COLUMNS));
        self.whole(object, path, "height", (1, WIDGET_ROWS));
        for (one, other) in [("x", "y"), ("y", "x")] {
            if object.contains_key(one) && !object.contains_key(other) {
                self.error(path, format!("Should have required property '{other}'"));
            }
        }
        let number = |name: &str| object.get(name).and_then(Json::as_i64);
        if let (Some(x), Some(width)) = (number("x"), number("width"))
            && x + width > GRID_COLUMNS
        {
            self.error(
                path,
                format!("Should end within the grid's {GRID_COLUMNS} columns"),
            );
        }
        self.text(object, path, "type");
        let kinds = ["metric", "text", "log", "alarm", "explorer"];
        self.one_of(object, path, "type", &kinds);
        let Some(properties) = object.get("properties") else {
            self.error(path, "Should have required property 'properties'");
            return;
        };
        let path = format!("{path}/properties");
        let Some(properties) = self.object(properties, &path) else {
            return;
        };
        match object.get("type").and_then(Json::as_str) {
            Some("text") => {
                self.known(properties, &path, &TEXT);
                self.text(properties, &path, "markdown");
                self.one_of(properties, &path, "background", &["transparent", "solid"]);
            }
            Some("log") => self.log(properties, &path),
            Some("metric") => self.metric(properties, &path),
            // Alarms and explorers are kept as they are.
            _ => {}
        }
    }

    fn log(&mut self, properties: &Map<String, Json>, path: &str) {
        self.known(properties, path, &LOG);
        self.text(properties, path, "region");
        self.text(properties, path, "query");
        self.one_of(
            properties,
            path,
            "view",
            &["table", "timeSeries", "bar", "pie"],
        );
        let query = properties.get("query").and_then(Json::as_str);
        if query.is_some_and(|query| !query.trim_start().starts_with("SOURCE ")) {
            self.error(
                &format!("{path}/query"),
                "Should begin with SOURCE and the name of a log group",
            );
        }
    }

    fn metric(&mut self, properties: &Map<String, Json>, path: &str) {
        self.known(properties, path, &METRIC);
        self.text(properties, path, "region");
        self.period(properties, path);
        let views = ["timeSeries", "singleValue", "gauge", "bar", "pie", "table"];
        self.one_of(properties, path, "view", &views);
        match properties.get("metrics").map(|metrics| metrics.as_array()) {
            None if properties.contains_key("annotations") => {}
            None => self.error(path, "Should have required property 'metrics'"),
            Some(None) => self.error(&format!("{path}/metrics"), "Should be array"),
            Some(Some(metrics)) if metrics.len() > WIDGET_METRICS => self.error(
                &format!("{path}/metrics"),
                format!("Should not have more than {WIDGET_METRICS} items"),
            ),
            Some(Some(metrics)) => {
                for (index, metric) in metrics.iter().enumerate() {
                    self.series(metric, index == 0, &format!("{path}/metrics/{index}"));
                }
            }
        }
        if properties.get("view").and_then(Json::as_str) == Some("gauge") {
            for bound in ["min", "max"] {
                let left = properties.get("yAxis").and_then(|axis| axis.get("left"));
                if left.and_then(|left| left.get(bound)).is_none() {
                    self.error(
                        path,
                        format!("Should have required property 'yAxis.left.{bound}'"),
                    );
                }
            }
        }
    }

    /// `[namespace, name, dimension, value, …, {rendering}]` or `[{expression}]`.
    fn series(&mut self, series: &Json, first: bool, path: &str) {
        let Some(parts) = series.as_array() else {
            self.error(path, "Should be array");
            return;
        };
        let (texts, rendering) = match parts.split_last() {
            Some((last, before)) if last.is_object() => (before, last.as_object()),
            _ => (&parts[..], None),
        };
        if !texts.iter().all(Json::is_string) {
            self.error(
                path,
                "Should hold strings, and an object at most as the last item",
            );
        }
        let dot = |part: &Json| matches!(part.as_str(), Some("." | "..."));
        if first && texts.iter().any(dot) {
            self.error(path, "Should not refer to a metric before the first one");
        }
        let expression = rendering.is_some_and(|members| members.contains_key("expression"));
        let elliptic = texts.iter().any(|part| part.as_str() == Some("..."));
        match (expression, texts.len()) {
            (true, 0) => {}
            (true, _) => self.error(path, "Should be an expression or a metric, not both"),
            (false, _) if elliptic => {}
            (false, length) if length >= 2 && length.is_multiple_of(2) => {}
            (false, _) => self.error(
                path,
                "Should hold a namespace, a name, and a value for each dimension",
            ),
        }
        if let Some(rendering) = rendering {
            self.known(rendering, path, &RENDERING);
            self.period(rendering, path);
            self.one_of(rendering, path, "yAxis", &["left", "right"]);
            let id = rendering.get("id").and_then(Json::as_str);
            if id.is_some_and(|id| !id.starts_with(|first: char| first.is_ascii_lowercase())) {
                self.error(
                    &format!("{path}/id"),
                    "Should begin with a lower-case letter",
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn widget(kind: &str, properties: &Json) -> Json {
        json!({"widgets": [{"type": kind, "x": 0, "y": 0, "width": 12, "height": 6, "properties": properties}]})
    }

    fn places(body: &Json) -> Vec<String> {
        check(body)
            .into_iter()
            .map(|finding| finding.path)
            .collect()
    }

    #[test]
    fn what_the_documentation_shows_is_good() {
        let series = json!([
            ["AWS/EC2", "DiskReadBytes", "InstanceId", "i-123", {"id": "m1"}],
            [".", ".", ".", "i-abc", {"yAxis": "right", "period": 3600}],
            [{"expression": "SUM(METRICS())", "label": "Sum", "id": "e3"}],
        ]);
        let metric = json!({"metrics": series, "view": "timeSeries", "stacked": false, "period": 300, "stat": "Average", "region": "us-east-1", "title": "t"});
        assert_eq!(check(&widget("metric", &metric)), []);
        let log = json!({"region": "us-east-1", "query": "SOURCE 'a' | filter @message like /x/", "view": "table"});
        assert_eq!(check(&widget("log", &log)), []);
        let body = json!({"start": "-PT6H", "periodOverride": "inherit", "widgets": []});
        assert_eq!(check(&body), []);
    }

    #[test]
    fn each_rule_finds_its_place() {
        let metric = |series: Json| widget("metric", &json!({"metrics": series, "region": "r"}));
        for (body, place) in [
            (json!({}), ""),
            (json!([]), ""),
            (json!({"widgets": {}}), "/widgets"),
            (
                json!({"widgets": [], "periodOverride": "x"}),
                "/periodOverride",
            ),
            (json!({"widgets": [], "end": "2026-01-01T00:00:00Z"}), ""),
            (json!({"widgets": [7]}), "/widgets/0"),
            (widget("picture", &json!({})), "/widgets/0/type"),
            (
                widget("log", &json!({"query": "SOURCE 'a'"})),
                "/widgets/0/properties",
            ),
            (
                widget("log", &json!({"query": "fields x", "region": "r"})),
                "/widgets/0/properties/query",
            ),
            (
                widget("metric", &json!({"region": "r"})),
                "/widgets/0/properties",
            ),
            (
                metric(json!([["N", "m", "d"]])),
                "/widgets/0/properties/metrics/0",
            ),
            (
                metric(json!([[".", "m"]])),
                "/widgets/0/properties/metrics/0",
            ),
            (
                metric(json!([["N", "m", {"period": 61}]])),
                "/widgets/0/properties/metrics/0/period",
            ),
            (
                metric(json!([["N", "m", {"id": "M"}]])),
                "/widgets/0/properties/metrics/0/id",
            ),
            (metric(json!([["N", 7]])), "/widgets/0/properties/metrics/0"),
            (
                widget(
                    "metric",
                    &json!({"metrics": [], "region": "r", "view": "gauge", "yAxis": {"left": {"min": 0}}}),
                ),
                "/widgets/0/properties",
            ),
        ] {
            assert_eq!(places(&body), [place], "{body}");
        }
        let mut wide = widget("text", &json!({"markdown": ""}));
        wide["widgets"][0]["x"] = json!(20);
        assert_eq!(places(&wide), ["/widgets/0"]);
    }

    #[test]
    fn a_member_that_nobody_knows_is_a_warning() {
        let findings = check(&widget("text", &json!({"markdown": "", "colour": "red"})));
        assert_eq!(findings.len(), 1);
        assert!(!findings[0].fatal && findings[0].message.contains("'colour'"));
    }
}
