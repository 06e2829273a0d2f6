//! Which metrics are wanted: whole families, or single ones. Each costs money, on each host.

use crate::sample::{Families, Family};

use super::{Metric, metrics};

/// Metrics by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Sorted.
    names: Vec<&'static str>,
    families: Families,
}

/// A word that names neither a family nor a metric.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no metric and no family of metrics {word:?}{}", hint(.nearest))]
pub struct Unknown {
    /// The word.
    pub word: String,
    /// What may have been meant.
    pub nearest: Option<&'static str>,
}

fn hint(nearest: &Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |nearest| {
        format!("; did you mean {nearest:?}?")
    })
}

impl Wanted {
    /// Every metric there is.
    #[must_use]
    pub fn all() -> Self {
        Self::select(|_| true)
    }

    /// By words of the configuration: `cpu` is every metric of that family, `mem_used_percent` that metric. A family whose own metrics all come from
    /// elsewhere (`agent`) is among [`Self::families`] all the same.
    ///
    /// # Errors
    /// Of the first word that is neither.
    pub fn of<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, Unknown> {
        let words: Vec<&str> = words.into_iter().collect();
        let known = |word: &&str| {
            Family::of(word).is_some() || metrics().any(|metric| metric.name == *word)
        };
        if let Some(word) = words.iter().find(|word| !known(word)) {
            return Err(Unknown {
                word: (*word).to_owned(),
                nearest: nearest(word),
            });
        }
        Ok(Self::select(|metric| {
            words.contains(&metric.name) || words.contains(&metric.family.word())
        }))
    }

    fn select(wanted: impl Fn(&Metric) -> bool) -> Self {
        let (mut names, families): (Vec<_>, Vec<_>) = metrics()
            .filter(wanted)
            .map(|metric| (metric.name, metric.family))
            .unzip();
        names.sort_unstable();
        Self {
            names,
            families: families.into_iter().collect(),
        }
    }

    /// Whether the metric of that name is wanted.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.names.binary_search(&name).is_ok()
    }

    /// What has to be sampled for them.
    #[must_use]
    pub fn families(&self) -> Families {
        self.families
    }
}

fn nearest(word: &str) -> Option<&'static str> {
    let families = Family::ALL.into_iter().map(Family::word);
    diagnostics::closest(word, families.chain(metrics().map(|metric| metric.name)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_family_is_all_of_its_metrics_and_a_metric_only_itself() {
        let wanted = Wanted::of(["swap", "mem_used_percent"]).unwrap();
        assert!(
            wanted.has("swap_free")
                && wanted.has("swap_used_percent")
                && wanted.has("mem_used_percent")
        );
        assert!(!wanted.has("mem_used") && !wanted.has("cpu_usage_user"));
        assert_eq!(
            wanted.families(),
            [Family::Swap, Family::Mem].into_iter().collect()
        );
        assert_eq!(
            Wanted::of(Family::ALL.map(Family::word)).unwrap(),
            Wanted::all()
        );
        assert_eq!(Wanted::of([]).unwrap(), Wanted::default());
    }

    #[test]
    fn a_word_that_is_nothing_is_said_with_what_it_is_near_to() {
        let error = Wanted::of(["cpu", "mem_used_precent"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no metric and no family of metrics \"mem_used_precent\"; did you mean \"mem_used_percent\"?"
        );
        assert_eq!(Wanted::of(["qqq"]).unwrap_err().nearest, None);
    }

    #[test]
    fn no_name_is_used_twice() {
        let mut names: Vec<_> = metrics().map(|metric| metric.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
