//! PutDashboard, GetDashboard, ListDashboards, DeleteDashboards. Dashboards belong to no region.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::ask::Ask;
use super::dashboard_body::{Finding, check};
use super::limits::DASHBOARD_NAME_CHARS;
use crate::endpoint::{ACCOUNT, AwsError};

/// All dashboards, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dashboards(BTreeMap<String, Dashboard>);

#[derive(Debug, Clone)]
struct Dashboard {
    body: String,
    modified_ms: i64,
}

impl Dashboards {
    /// The body of a dashboard.
    pub(crate) fn body(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|dashboard| &*dashboard.body)
    }

    /// Names and bodies of all.
    pub(crate) fn bodies(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.0.iter();
        all.map(|(name, dashboard)| (&**name, &*dashboard.body))
    }

    pub(super) fn put(&mut self, request: &Json, now_ms: i64) -> Result<Json, AwsError> {
        let ask = Ask::of(request)?;
        let name = ask.required_text("DashboardName")?;
        let body = ask.required_text("DashboardBody")?;
        let known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > DASHBOARD_NAME_CHARS || !name.chars().all(known) {
            return Err(AwsError::client(
                "InvalidParameterInput",
                format!(
                    "The value {name} for field DashboardName contains invalid characters. It can only contain alphanumerics, dash (-) and underscore (_) and be {DASHBOARD_NAME_CHARS} characters long."
                ),
            ));
        }
        let findings = match serde_json::from_str(body) {
            Ok(body) => check(&body),
            Err(_) => vec![Finding::error(
                "",
                "The field DashboardBody must be a valid JSON object",
            )],
        };
        let errors: Vec<&Finding> = findings.iter().filter(|finding| finding.fatal).collect();
        if !errors.is_empty() {
            let places = errors.iter();
            let places = places.map(|error| (error.path.clone(), error.message.clone()));
            return Err(AwsError {
                places: places.collect(),
                ..AwsError::client(
                    "InvalidParameterInput",
                    format!(
                        "The dashboard body is invalid, there are {} validation errors",
                        errors.len()
                    ),
                )
            });
        }
        let dashboard = Dashboard {
            body: body.to_owned(),
            modified_ms: now_ms,
        };
        self.0.insert(name.to_owned(), dashboard);
        let warnings = findings.iter();
        let warnings = warnings.map(|it| json!({"DataPath": it.path, "Message": it.message}));
        Ok(json!({"DashboardValidationMessages": warnings.collect::<Vec<_>>()}))
    }

    pub(super) fn get(&self, request: &Json) -> Result<Json, AwsError> {
        let ask = Ask::of(request)?;
        let name = ask.required_text("DashboardName")?;
        let dashboard = self.0.get(name).ok_or_else(|| missing(name))?;
        Ok(json!({
            "DashboardArn": arn(name),
            "DashboardBody": dashboard.body,
            "DashboardName": name,
        }))
    }

    pub(super) fn list(&self, request: &Json) -> Result<Json, AwsError> {
        let ask = Ask::of(request)?;
        let prefix = ask.text("DashboardNamePrefix")?.unwrap_or_default();
        let found = self.0.iter().filter(|(name, _)| name.starts_with(prefix));
        let entries = found.map(|(name, dashboard)| {
            json!({
                "DashboardName": name,
                "DashboardArn": arn(name),
                "LastModified": dashboard.modified_ms / 1000,
                "Size": dashboard.body.len(),
            })
        });
        Ok(json!({"DashboardEntries": entries.collect::<Vec<_>>()}))
    }

    /// Deletes all or none.
    pub(super) fn delete(&mut self, request: &Json) -> Result<(), AwsError> {
        let ask = Ask::of(request)?;
        let names = ask.texts("DashboardNames")?.unwrap_or_default();
        if names.is_empty() {
            return Err(ask.missing("DashboardNames"));
        }
        if let Some(unknown) = names.iter().find(|name| !self.0.contains_key(**name)) {
            return Err(missing(unknown));
        }
        self.0.retain(|name, _| !names.contains(&&**name));
        Ok(())
    }
}

fn arn(name: &str) -> String {
    format!("arn:aws:cloudwatch::{ACCOUNT}:dashboard/{name}")
}

fn missing(name: &str) -> AwsError {
    AwsError {
        status: 404,
        ..AwsError::client(
            "ResourceNotFound",
            format!("Dashboard {name} does not exist"),
        )
    }
}

/// What a fault answers for a thing that is there.
pub(crate) fn not_found() -> AwsError {
    AwsError {
        status: 404,
        ..AwsError::client("ResourceNotFound", "The resource does not exist")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    const BODY: &str = r#"{"widgets": [{"type": "text", "properties": {"markdown": "Hello"}}]}"#;

    fn put(dashboards: &mut Dashboards, name: &str, body: &str) -> Result<Json, AwsError> {
        dashboards.put(&json!({"DashboardName": name, "DashboardBody": body}), 5000)
    }

    #[test]
    fn a_dashboard_is_kept_listed_and_deleted() {
        let mut dashboards = Dashboards::default();
        put(&mut dashboards, "app-1", BODY).unwrap();
        put(&mut dashboards, "db", BODY).unwrap();
        let got = dashboards.get(&json!({"DashboardName": "app-1"})).unwrap();
        assert_eq!(got["DashboardBody"], BODY);
        let listed = dashboards
            .list(&json!({"DashboardNamePrefix": "app"}))
            .unwrap();
        assert_eq!(listed["DashboardEntries"][0]["LastModified"], 5);
        assert_eq!(listed["DashboardEntries"].as_array().unwrap().len(), 1);
        let both = json!({"DashboardNames": ["db", "nobodys"]});
        assert_eq!(
            dashboards.delete(&both).unwrap_err().code,
            "ResourceNotFound"
        );
        assert!(dashboards.body("db").is_some(), "all or none");
        dashboards
            .delete(&json!({"DashboardNames": ["db"]}))
            .unwrap();
        assert_eq!(dashboards.body("db"), None);
    }

    #[test]
    fn what_cannot_be_kept_is_refused_with_its_places() {
        let mut dashboards = Dashboards::default();
        for (name, body) in [
            ("a b", BODY),
            ("", BODY),
            ("ok", "{"),
            ("ok", "[]"),
            ("ok", "{}"),
        ] {
            let error = put(&mut dashboards, name, body).unwrap_err();
            assert_eq!(error.code, "InvalidParameterInput", "{name} {body}");
        }
        let body = BODY.replace("markdown", "markup");
        let error = put(&mut dashboards, "ok", &body).unwrap_err();
        assert_eq!(error.places[0].0, "/widgets/0/properties");
        assert_eq!(dashboards.bodies().count(), 0);
    }
}
