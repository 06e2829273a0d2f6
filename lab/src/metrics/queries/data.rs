//! GetMetricData: metrics, and expressions that refer to them.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value as Json, json};

use super::{bad_token, is_period, period, read_metric, read_token, span, token, unit, window};
use crate::endpoint::AwsError;
use crate::metrics::Context;
use crate::metrics::ask::{Ask, combination, element, invalid};
use crate::metrics::expressions::{self, Amount, Expression, Line, Search};
use crate::metrics::limits::{DATA_POINTS, LISTED_MS, QUERIES, SEARCHED};
use crate::metrics::statistics::{Bucket, Statistic};
use crate::metrics::store::Metric;

/// What one query of a GetMetricData asks for.
struct Query<'q> {
    id: &'q str,
    label: Option<&'q str>,
    shown: bool,
    what: What<'q>,
}

enum What<'q> {
    Metric {
        metric: Metric,
        period_s: i64,
        statistic: Statistic,
        unit: Option<&'q str>,
    },
    Expression {
        expression: Expression,
        /// Of searches that name none.
        period_s: Option<i64>,
    },
}

pub(in crate::metrics) fn get_metric_data(
    request: &Json,
    context: &Context<'_>,
) -> Result<Json, AwsError> {
    let ask = Ask::of(request)?;
    let (from_ms, to_ms) = window(&ask)?;
    let most = ask.integer("MaxDatapoints")?;
    let most = most.map_or(DATA_POINTS, |most| {
        usize::try_from(most).unwrap_or(0).clamp(1, DATA_POINTS)
    });
    let descending = match ask.text("ScanBy")? {
        None | Some("TimestampDescending") => true,
        Some("TimestampAscending") => false,
        Some(other) => return Err(ask.invalid("ScanBy", other)),
    };
    let queries = queries(&ask)?;
    let shown_before = match ask.text("NextToken")? {
        None => 0,
        Some(token) => read_token(token)?.parse().map_err(|_| bad_token())?,
    };
    let mut skip: usize = shown_before;
    let mut room = most;
    let mut results = Vec::new();
    let asked = Asked {
        queries: &queries,
        from_ms,
        to_ms,
        context,
    };
    let shown = queries.iter().filter(|query| query.shown);
    let mut all: Vec<(&Query<'_>, Line)> = Vec::new();
    for query in shown {
        all.extend(asked.lines(query, 0)?.into_iter().map(|line| (query, line)));
    }
    for (query, line) in &all {
        let points = line.points.iter();
        let mut points: Vec<(i64, f64)> = points.map(|(at, value)| (*at, *value)).collect();
        if descending {
            points.reverse();
        }
        let skipped = skip.min(points.len());
        skip -= skipped;
        let rest = &points[skipped..];
        let page = &rest[..rest.len().min(room)];
        room -= page.len();
        let complete = page.len() == rest.len();
        results.push(json!({
            "Id": query.id,
            "Label": query.labelled(line),
            "Timestamps": page.iter().map(|(at, _)| *at).collect::<Vec<_>>(),
            "Values": page.iter().map(|(_, value)| *value).collect::<Vec<_>>(),
            "StatusCode": if complete { "Complete" } else { "PartialData" },
        }));
        if !complete {
            let token = token(&(shown_before + most).to_string());
            return Ok(json!({"MetricDataResults": results, "Messages": [], "NextToken": token}));
        }
    }
    Ok(json!({"MetricDataResults": results, "Messages": []}))
}

impl Query<'_> {
    fn labelled(&self, line: &Line) -> String {
        let of_metric = || match &self.what {
            What::Metric { metric, .. } => metric.name.clone(),
            What::Expression { .. } => line
                .properties
                .values()
                .cloned()
                .collect::<Vec<_>>()
                .join(" "),
        };
        match (self.label, of_metric()) {
            (Some(label), _) => expressions::labelled(label, line),
            (None, name) if name.is_empty() => self.id.to_owned(),
            (None, name) => name,
        }
    }
}

/// All queries of a request, which may refer to each other.
struct Asked<'a> {
    queries: &'a [Query<'a>],
    from_ms: i64,
    to_ms: i64,
    context: &'a Context<'a>,
}

impl Asked<'_> {
    /// What a query finds; `depth` is by how many others it is asked for.
    fn lines(&self, query: &Query<'_>, depth: usize) -> Result<Vec<Line>, AwsError> {
        let (expression, period_s) = match &query.what {
            What::Metric {
                metric,
                period_s,
                statistic,
                unit,
            } => return Ok(vec![self.line(metric, *period_s, *statistic, *unit)]),
            What::Expression {
                expression,
                period_s,
            } => (expression, *period_s),
        };
        let wrong = |why: &str| validation(format!("Error in expression '{}': {why}", query.id));
        if depth > self.queries.len() {
            return Err(wrong("it refers to itself"));
        }
        let amount = expressions::amount(expression, &mut |what| match what {
            Expression::Id(id) => match self.queries.iter().find(|query| query.id == id) {
                Some(other) => self.lines(other, depth + 1).map_err(Trouble::Answered),
                None => Err(Trouble::Wrong(format!("there is no query {id}"))),
            },
            Expression::Search(search) => self.search(search, period_s),
            Expression::Number(_) | Expression::Both(..) => Ok(Vec::new()),
        });
        match amount {
            Ok(Amount::Lines(lines)) => Ok(lines),
            Ok(Amount::Number(_)) => Err(wrong("it is a number, and no time series")),
            Err(Trouble::Answered(error)) => Err(error),
            Err(Trouble::Wrong(why)) => Err(wrong(&why)),
        }
    }

    fn search(&self, search: &Search, period_s: Option<i64>) -> Result<Vec<Line>, Trouble> {
        let period_s = search.period_s.or(period_s);
        let period_s = period_s.filter(|it| is_period(*it)).ok_or_else(|| {
            Trouble::Wrong(
                "a search needs a period of 1, 5, 10, 20, 30 or a multiple of 60 seconds".into(),
            )
        })?;
        let context = self.context;
        let recent = |last_us: i64| {
            (context.now_us - LISTED_MS * 1000..=context.visible_us).contains(&last_us)
        };
        let metrics = context.store.metrics().filter(|(metric, last_us)| {
            recent(*last_us) && search.finds(&metric.namespace, &metric.name, &metric.dimensions)
        });
        let found: Vec<Line> = metrics
            .take(SEARCHED + 1)
            .map(|(metric, _)| self.line(metric, period_s, search.statistic, None))
            .collect();
        match found.len() > SEARCHED {
            true => Err(Trouble::Wrong(format!(
                "the search finds more than {SEARCHED} time series"
            ))),
            false => Ok(found),
        }
    }

    fn line(
        &self,
        metric: &Metric,
        period_s: i64,
        statistic: Statistic,
        unit: Option<&str>,
    ) -> Line {
        let span = span(self.from_ms, self.to_ms, period_s, unit, self.context);
        // Its unit is not shown, so data of all units are one.
        let mut buckets: BTreeMap<i64, Bucket> = BTreeMap::new();
        for ((start_s, _), bucket) in self.context.store.buckets(metric, &span) {
            buckets.entry(start_s).or_default().merge(bucket);
        }
        let dimensions = metric.dimensions.iter();
        let dimensions = dimensions.map(|(name, value)| (format!("Dim.{name}"), value.clone()));
        let name = ("MetricName".to_owned(), metric.name.clone());
        let points = buckets.iter();
        Line {
            properties: dimensions.chain([name]).collect(),
            points: points
                .filter_map(|(at, bucket)| Some((*at, bucket.get(statistic)?)))
                .collect(),
        }
    }
}

/// Why an expression has no lines.
enum Trouble {
    /// Another query could not be answered.
    Answered(AwsError),
    Wrong(String),
}

impl From<String> for Trouble {
    fn from(why: String) -> Self {
        Self::Wrong(why)
    }
}

fn queries<'a>(ask: &Ask<'a>) -> Result<Vec<Query<'a>>, AwsError> {
    let list = ask.list("MetricDataQueries")?;
    if list.is_empty() {
        return Err(ask.missing("MetricDataQueries"));
    }
    if list.len() > QUERIES {
        return Err(invalid(format!(
            "The collection MetricDataQueries must not have a size greater than {QUERIES}."
        )));
    }
    let mut ids = HashSet::new();
    let mut queries = Vec::with_capacity(list.len());
    for (index, value) in list.iter().enumerate() {
        let query = read_query(ask, index, value)?;
        if !ids.insert(query.id) {
            return Err(validation(format!(
                "The values for parameter id in MetricDataQueries must be unique; '{}' is not.",
                query.id
            )));
        }
        queries.push(query);
    }
    Ok(queries)
}

fn read_query<'a>(request: &Ask<'a>, index: usize, value: &'a Json) -> Result<Query<'a>, AwsError> {
    // Places live only as long as errors need them; what is kept is borrowed from the request.
    let place = request.element("MetricDataQueries", index);
    let ask = element(value, &place)?;
    let text = |member: &str| value.get(member).and_then(Json::as_str);
    let id = match ask.text("Id")?.and(text("Id")) {
        Some(id) if is_id(id) => id,
        Some(id) => return Err(ask.invalid("Id", id)),
        None => return Err(ask.missing("Id")),
    };
    let label = ask.text("Label")?.and(text("Label"));
    let shown = ask.flag("ReturnData")?.unwrap_or(true);
    if let Some(written) = ask.text("Expression")? {
        if ask.has("MetricStat") {
            return Err(combination(format!(
                "The parameters {} and {} are mutually exclusive and you have specified both.",
                ask.place("Expression"),
                ask.place("MetricStat")
            )));
        }
        let expression = expressions::parse(written)
            .map_err(|why| validation(format!("Error in expression '{id}': {why}")))?;
        let what = What::Expression {
            expression,
            period_s: ask.integer("Period")?,
        };
        return Ok(Query {
            id,
            label,
            shown,
            what,
        });
    }
    let place = ask.inner("MetricStat");
    let Some(stat) = ask.structure("MetricStat", &place)? else {
        return Err(ask.missing("MetricStat"));
    };
    let place = stat.inner("Metric");
    let Some(metric) = stat.structure("Metric", &place)? else {
        return Err(stat.missing("Metric"));
    };
    let name = stat.required_text("Stat")?;
    let Some(statistic) = Statistic::read(name) else {
        return Err(stat.invalid("Stat", name));
    };
    let metric = read_metric(&metric)?;
    let pointed = |pointer: &str| value.pointer(pointer).and_then(Json::as_str);
    Ok(Query {
        id,
        label,
        shown,
        what: What::Metric {
            metric,
            period_s: period(&stat)?,
            statistic,
            unit: unit(&stat)?.and(pointed("/MetricStat/Unit")),
        },
    })
}

/// Whether a text can name a query: a lower-case letter, then letters, digits and underscores.
fn is_id(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn validation(message: String) -> AwsError {
    AwsError::client("ValidationError", message)
}
