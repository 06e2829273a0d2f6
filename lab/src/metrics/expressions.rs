//! Expressions of GetMetricData: searches, and arithmetic with what they and other queries find.
//!
//! Of metric math there is what a dashboard is likely to draw: `SEARCH` with a schema and exact terms, numbers, ids of other queries, `+ - * /` and
//! parentheses. Everything else is refused by name, so that nobody takes a wrong answer for CloudWatch's.
//!
//! Sources: "CloudWatch search expression syntax" and "Using metric math", CloudWatch user guide.

use std::collections::BTreeMap;

use super::statistics::Statistic;

/// Deeper than this nobody nests.
const MAX_DEPTH: usize = 32;

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    Number(f64),
    /// Another query.
    Id(String),
    Search(Search),
    Both(Box<Expression>, Operator, Box<Expression>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// `SEARCH('{namespace,dimension,…} name="value" …', 'statistic', period)`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Search {
    pub(super) namespace: String,
    /// Names of dimensions, sorted: a metric has exactly these.
    pub(super) schema: Vec<String>,
    /// `MetricName` or a dimension, and what it is.
    pub(super) terms: Vec<(String, String)>,
    pub(super) statistic: Statistic,
    /// In seconds; that of the query if it is left out.
    pub(super) period_s: Option<i64>,
}

impl Search {
    /// Whether it means a metric of that namespace and name.
    pub(super) fn finds(
        &self,
        namespace: &str,
        name: &str,
        dimensions: &[(String, String)],
    ) -> bool {
        let schema = dimensions.iter().map(|(name, _)| name);
        self.namespace == namespace
            && schema.eq(&self.schema)
            && self.terms.iter().all(|(term, value)| match term.as_str() {
                "MetricName" => value == name,
                _ => dimensions.iter().any(|it| it.0 == *term && it.1 == *value),
            })
    }
}

/// Values of one line, by the second at which their periods begin.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Line {
    /// What tells it apart, for labels: `MetricName` and dimensions.
    pub(super) properties: BTreeMap<String, String>,
    pub(super) points: BTreeMap<i64, f64>,
}

/// What an expression amounts to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Amount {
    Number(f64),
    Lines(Vec<Line>),
}

/// Computes an expression; `look` finds what queries and searches have.
///
/// # Errors
/// What can't be computed, and what `look` says.
pub(super) fn amount<E: From<String>>(
    expression: &Expression,
    look: &mut impl FnMut(&Expression) -> Result<Vec<Line>, E>,
) -> Result<Amount, E> {
    match expression {
        Expression::Number(number) => Ok(Amount::Number(*number)),
        Expression::Id(_) | Expression::Search(_) => look(expression).map(Amount::Lines),
        Expression::Both(one, operator, other) => {
            let (one, other) = (amount(one, look)?, amount(other, look)?);
            combined(one, *operator, other).map_err(E::from)
        }
    }
}

fn combined(one: Amount, operator: Operator, other: Amount) -> Result<Amount, String> {
    let each = |mut lines: Vec<Line>, with: &dyn Fn(f64) -> f64| {
        for line in &mut lines {
            line.points
                .values_mut()
                .for_each(|value| *value = with(*value));
            // What divides by nothing has no value.
            line.points.retain(|_, value| value.is_finite());
        }
        Amount::Lines(lines)
    };
    Ok(match (one, other) {
        (Amount::Number(one), Amount::Number(other)) => Amount::Number(operator.apply(one, other)),
        (Amount::Lines(lines), Amount::Number(number)) => {
            each(lines, &|value| operator.apply(value, number))
        }
        (Amount::Number(number), Amount::Lines(lines)) => {
            each(lines, &|value| operator.apply(number, value))
        }
        (Amount::Lines(one), Amount::Lines(other)) => {
            let ([one], [other]) = (&one[..], &other[..]) else {
                return Err(
                    "two lists of time series can't be combined, only a list and a number".into(),
                );
            };
            let points = one.points.iter().filter_map(|(at, value)| {
                let value = operator.apply(*value, *other.points.get(at)?);
                value.is_finite().then_some((*at, value))
            });
            Amount::Lines(vec![Line {
                properties: BTreeMap::new(),
                points: points.collect(),
            }])
        }
    })
}

impl Operator {
    fn apply(self, one: f64, other: f64) -> f64 {
        match self {
            Self::Add => one + other,
            Self::Subtract => one - other,
            Self::Multiply => one * other,
            Self::Divide => one / other,
        }
    }
}

/// A label with the properties of a line in place of `${PROP('…')}` ("Using dynamic labels").
pub(super) fn labelled(label: &str, line: &Line) -> String {
    let mut text = label.to_owned();
    for (name, value) in &line.properties {
        text = text.replace(&format!("${{PROP('{name}')}}"), value);
    }
    text
}

/// Reads an expression.
///
/// # Errors
/// What is wrong with it, or what this endpoint does not compute.
pub(super) fn parse(text: &str) -> Result<Expression, String> {
    let mut reader = Reader { rest: text };
    let expression = reader.sum(0)?;
    match reader.peek() {
        None => Ok(expression),
        Some(_) => Err(format!("'{}' is not expected", reader.rest)),
    }
}

struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    fn take(&mut self, wanted: char) -> bool {
        let there = self.peek() == Some(wanted);
        if there {
            self.rest = &self.rest[wanted.len_utf8()..];
        }
        there
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        match self.take(wanted) {
            true => Ok(()),
            false => Err(format!("{wanted} is expected before '{}'", self.rest)),
        }
    }

    fn while_(&mut self, is: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !is(c)).unwrap_or(self.rest.len());
        let (found, rest) = self.rest.split_at(end);
        self.rest = rest;
        found
    }

    fn sum(&mut self, depth: usize) -> Result<Expression, String> {
        self.chain(
            depth,
            &[('+', Operator::Add), ('-', Operator::Subtract)],
            Self::product,
        )
    }

    fn product(&mut self, depth: usize) -> Result<Expression, String> {
        self.chain(
            depth,
            &[('*', Operator::Multiply), ('/', Operator::Divide)],
            Self::one,
        )
    }

    fn chain(
        &mut self,
        depth: usize,
        operators: &[(char, Operator)],
        next: fn(&mut Self, usize) -> Result<Expression, String>,
    ) -> Result<Expression, String> {
        let mut left = next(self, depth)?;
        while let Some((sign, operator)) = self
            .peek()
            .and_then(|c| operators.iter().find(|(sign, _)| *sign == c))
        {
            self.take(*sign);
            left = Expression::Both(Box::new(left), *operator, Box::new(next(self, depth)?));
        }
        Ok(left)
    }

    fn one(&mut self, depth: usize) -> Result<Expression, String> {
        if depth > MAX_DEPTH {
            return Err("it is nested too deeply".into());
        }
        match self.peek() {
            Some('(') => {
                self.take('(');
                let inner = self.sum(depth + 1)?;
                self.expect(')')?;
                Ok(inner)
            }
            Some(c) if c.is_ascii_digit() => {
                let digits = self.while_(|c| c.is_ascii_digit() || c == '.');
                let number = digits
                    .parse()
                    .map_err(|_| format!("{digits} is no number"))?;
                Ok(Expression::Number(number))
            }
            Some(c) if c.is_ascii_alphabetic() => {
                let word = self.while_(|c| c.is_ascii_alphanumeric() || c == '_');
                match (word, self.peek()) {
                    ("SEARCH", Some('(')) => self.search(),
                    (word, Some('(')) => Err(format!("this endpoint does not compute {word}")),
                    (word, _) if word.starts_with(|c: char| c.is_ascii_lowercase()) => {
                        Ok(Expression::Id(word.to_owned()))
                    }
                    (word, _) => Err(format!("{word} is no id")),
                }
            }
            Some(c) => Err(format!("{c} is not expected")),
            None => Err("it breaks off".into()),
        }
    }

    fn search(&mut self) -> Result<Expression, String> {
        self.expect('(')?;
        let what = self.quoted('\'')?;
        self.expect(',')?;
        let statistic = self.quoted('\'')?;
        let statistic =
            Statistic::read(statistic).ok_or_else(|| format!("{statistic} is no statistic"))?;
        let mut period_s = None;
        if self.take(',') {
            self.peek();
            let digits = self.while_(|c| c.is_ascii_digit());
            period_s = Some(
                digits
                    .parse()
                    .map_err(|_| "a period is expected".to_owned())?,
            );
        }
        self.expect(')')?;
        let mut inner = Reader { rest: what };
        let (namespace, schema) = inner.schema()?;
        Ok(Expression::Search(Search {
            namespace,
            schema,
            terms: inner.terms()?,
            statistic,
            period_s,
        }))
    }

    fn quoted(&mut self, quote: char) -> Result<&'t str, String> {
        self.expect(quote)?;
        let (text, rest) = self
            .rest
            .split_once(quote)
            .ok_or_else(|| format!("{quote} is not closed"))?;
        self.rest = rest;
        Ok(text)
    }

    /// A name, in double quotes if it has other characters than letters, digits and slashes.
    fn name(&mut self) -> Result<String, String> {
        let name = match self.peek() {
            Some('"') => self.quoted('"')?,
            _ => self.while_(|c| c.is_ascii_alphanumeric() || c == '/'),
        };
        match name.is_empty() {
            true => Err(format!("a name is expected before '{}'", self.rest)),
            false => Ok(name.to_owned()),
        }
    }

    fn schema(&mut self) -> Result<(String, Vec<String>), String> {
        if !self.take('{') {
            return Err(
                "this endpoint searches with a schema only: {Namespace,Dimension,…}".into(),
            );
        }
        let namespace = self.name()?;
        let mut names = Vec::new();
        while self.take(',') {
            names.push(self.name()?);
        }
        self.expect('}')?;
        names.sort_unstable();
        Ok((namespace, names))
    }

    fn terms(&mut self) -> Result<Vec<(String, String)>, String> {
        let mut terms = Vec::new();
        while self.peek().is_some() {
            let name = self.while_(|c| c.is_ascii_alphanumeric() || c == '_');
            if name.is_empty() || !self.take('=') || self.peek() != Some('"') {
                return Err(format!(
                    "this endpoint knows exact terms only, such as MetricName=\"…\"; not '{name}{}'",
                    self.rest
                ));
            }
            terms.push((name.to_owned(), self.quoted('"')?.to_owned()));
        }
        Ok(terms)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn line(values: &[(i64, f64)]) -> Line {
        Line {
            properties: [("Dim.InstanceId".to_owned(), "i-1".to_owned())].into(),
            points: values.iter().copied().collect(),
        }
    }

    fn computed(text: &str) -> Result<Amount, String> {
        let expression = parse(text)?;
        amount(&expression, &mut |what| match what {
            Expression::Id(id) if id == "m1" => Ok(vec![line(&[(0, 6.0), (60, 9.0)])]),
            Expression::Id(id) if id == "m2" => Ok(vec![line(&[(60, 3.0), (120, 1.0)])]),
            Expression::Search(_) => Ok(vec![line(&[(0, 1.0)]), line(&[(0, 2.0)])]),
            _ => Err("there is no such query".to_owned()),
        })
    }

    fn points(text: &str) -> Vec<Vec<(i64, f64)>> {
        match computed(text).unwrap() {
            Amount::Lines(lines) => lines
                .into_iter()
                .map(|line| line.points.into_iter().collect())
                .collect(),
            Amount::Number(number) => panic!("{number}"),
        }
    }

    #[test]
    fn a_search_is_read_with_its_schema_and_terms() {
        let text = "SEARCH('{CWAgent,path,\"Instance Id\"} MetricName=\"disk_used\" path=\"/\"', 'Maximum', 300)";
        let Expression::Search(search) = parse(text).unwrap() else {
            panic!("no search");
        };
        assert_eq!(search.namespace, "CWAgent");
        assert_eq!(search.schema, ["Instance Id", "path"]);
        assert_eq!(
            (search.statistic, search.period_s),
            (Statistic::Maximum, Some(300))
        );
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let dimensions = [pair("Instance Id", "i-1"), pair("path", "/")];
        assert!(search.finds("CWAgent", "disk_used", &dimensions));
        assert!(!search.finds("CWAgent", "disk_free", &dimensions));
        assert!(!search.finds("Other", "disk_used", &dimensions));
        // A metric with one more dimension, or another value, is another metric.
        assert!(!search.finds("CWAgent", "disk_used", &dimensions[1..]));
        let other = [pair("Instance Id", "i-1"), pair("path", "/mnt")];
        assert!(!search.finds("CWAgent", "disk_used", &other));
    }

    #[test]
    fn arithmetic_is_that_of_school_line_by_line() {
        assert_eq!(computed("1 + 2*3 - 4/(1+1)"), Ok(Amount::Number(5.0)));
        assert_eq!(points("m1/60"), [[(0, 0.1), (60, 0.15)]]);
        assert_eq!(points("100-m1"), [[(0, 94.0), (60, 91.0)]]);
        assert_eq!(points("m1/m2"), [[(60, 3.0)]]);
        assert_eq!(
            points("SEARCH('{N,d} MetricName=\"m\"', 'Sum')/2/4*8"),
            [[(0, 1.0)], [(0, 2.0)]]
        );
        assert_eq!(points("m1/0"), [[]]);
    }

    #[test]
    fn what_is_not_computed_is_refused_by_name() {
        for (text, why) in [
            ("", "breaks off"),
            ("SUM(METRICS())", "does not compute SUM"),
            ("m9", "no such query"),
            ("SEARCH('CPUUtilization', 'Average')", "with a schema only"),
            ("SEARCH('{AWS/EC2} CPU', 'Average')", "exact terms only"),
            ("SEARCH('{N} a=b', 'Average')", "exact terms only"),
            ("SEARCH('{N}', 'Median')", "no statistic"),
            ("SEARCH('{N}, 'Sum')", "expected"),
            ("m1 m2", "is not expected"),
            ("Metric", "no id"),
            (&"(".repeat(100), "too deeply"),
            ("SEARCH('{N}', 'Sum') + SEARCH('{N}', 'Sum')", "two lists"),
        ] {
            let error = computed(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_label_is_filled_in() {
        assert_eq!(
            labelled("in ${PROP('Dim.InstanceId')} ${X}", &line(&[])),
            "in i-1 ${X}"
        );
    }
}
