//! Members of a request, with the errors that the service answers where they are missing or of another type.

use serde_json::{Map, Value as Json};

use crate::endpoint::AwsError;

/// A structure of a request, and where it is: `MetricData.member.3.`, empty for the request itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    members: &'a Map<String, Json>,
    parent: Option<&'a Where<'a>>,
}

/// An element of a list of a structure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Where<'a> {
    parent: Option<&'a Where<'a>>,
    list: &'a str,
    /// From 1, as the service counts.
    index: usize,
}

impl<'a> Where<'a> {
    fn path(&self) -> String {
        let parent = self.parent.map(Where::path).unwrap_or_default();
        if self.index == 0 {
            return format!("{parent}{}.", self.list);
        }
        format!("{parent}{}.member.{}.", self.list, self.index)
    }
}

impl<'a> Ask<'a> {
    /// The request itself.
    pub(super) fn of(request: &'a Json) -> Result<Self, AwsError> {
        Self::at(request, None)
    }

    fn at(value: &'a Json, parent: Option<&'a Where<'a>>) -> Result<Self, AwsError> {
        let members = value.as_object().ok_or_else(|| {
            let place = parent.map(Where::path).unwrap_or_default();
            AwsError::serialization(format!("a structure was expected at '{place}'"))
        })?;
        Ok(Self { members, parent })
    }

    /// A member's place, as the service names it.
    pub(super) fn place(&self, member: &str) -> String {
        format!(
            "{}{member}",
            self.parent.map(Where::path).unwrap_or_default()
        )
    }

    pub(super) fn has(&self, member: &str) -> bool {
        self.get(member).is_some()
    }

    fn get(&self, member: &str) -> Option<&'a Json> {
        self.members.get(member).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, member: &str) -> Result<Option<&'a str>, AwsError> {
        self.typed(member, "a string", Json::as_str)
    }

    pub(super) fn required_text(&self, member: &str) -> Result<&'a str, AwsError> {
        self.text(member)?.ok_or_else(|| self.missing(member))
    }

    pub(super) fn flag(&self, member: &str) -> Result<Option<bool>, AwsError> {
        self.typed(member, "a boolean", Json::as_bool)
    }

    pub(super) fn integer(&self, member: &str) -> Result<Option<i64>, AwsError> {
        self.typed(member, "an integer", Json::as_i64)
    }

    /// A number, be it none that the service takes.
    pub(super) fn number(&self, member: &str) -> Result<Option<f64>, AwsError> {
        self.typed(member, "a number", number)
    }

    pub(super) fn numbers(&self, member: &str) -> Result<Option<Vec<f64>>, AwsError> {
        self.typed(member, "a list of numbers", |value| {
            value.as_array()?.iter().map(number).collect()
        })
    }

    pub(super) fn texts(&self, member: &str) -> Result<Option<Vec<&'a str>>, AwsError> {
        self.typed(member, "a list of strings", |value| {
            value.as_array()?.iter().map(Json::as_str).collect()
        })
    }

    /// A time in milliseconds since the epoch.
    pub(super) fn time_ms(&self, member: &str) -> Result<Option<i64>, AwsError> {
        let seconds = self.typed(member, "a timestamp in seconds", Json::as_f64)?;
        Ok(seconds.map(|seconds| (seconds * 1000.0).round() as i64))
    }

    pub(super) fn required_time_ms(&self, member: &str) -> Result<i64, AwsError> {
        self.time_ms(member)?.ok_or_else(|| self.missing(member))
    }

    /// The elements of a list of structures.
    pub(super) fn list(&self, member: &str) -> Result<&'a [Json], AwsError> {
        let list = self.typed(member, "a list", |value| {
            value.as_array().map(Vec::as_slice)
        })?;
        Ok(list.unwrap_or_default())
    }

    /// Where an element of a list is, counted from 0.
    pub(super) fn element(&self, list: &'a str, index: usize) -> Where<'a> {
        Where {
            parent: self.parent,
            list,
            index: index + 1,
        }
    }

    /// Where a structure within this one is.
    pub(super) fn inner(&self, member: &'a str) -> Where<'a> {
        Where {
            parent: self.parent,
            list: member,
            index: 0,
        }
    }

    /// The structure that is a member of this one.
    pub(super) fn structure<'b>(
        &self,
        member: &str,
        place: &'b Where<'b>,
    ) -> Result<Option<Ask<'b>>, AwsError>
    where
        'a: 'b,
    {
        self.get(member)
            .map(|value| Ask::at(value, Some(place)))
            .transpose()
    }

    fn typed<T>(
        &self,
        member: &str,
        expected: &str,
        read: impl FnOnce(&'a Json) -> Option<T>,
    ) -> Result<Option<T>, AwsError> {
        let Some(value) = self.get(member) else {
            return Ok(None);
        };
        let wrong = || {
            AwsError::serialization(format!(
                "{expected} was expected at '{}'",
                self.place(member)
            ))
        };
        read(value).ok_or_else(wrong).map(Some)
    }

    pub(super) fn missing(&self, member: &str) -> AwsError {
        AwsError::client(
            "MissingParameter",
            format!("The parameter {} is required.", self.place(member)),
        )
    }

    pub(super) fn invalid(&self, member: &str, value: impl std::fmt::Display) -> AwsError {
        invalid(format!(
            "The value {value} for parameter {} is invalid.",
            self.place(member)
        ))
    }
}

/// The element of a list of structures.
pub(super) fn element<'a>(value: &'a Json, place: &'a Where<'a>) -> Result<Ask<'a>, AwsError> {
    Ask::at(value, Some(place))
}

/// A value that the service refuses.
pub(super) fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::client("InvalidParameterValue", message)
}

/// Values that exclude each other.
pub(super) fn combination(message: impl Into<String>) -> AwsError {
    AwsError::client("InvalidParameterCombination", message)
}

fn number(value: &Json) -> Option<f64> {
    match value.as_str() {
        None => value.as_f64(),
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some(_) => None,
    }
}
