//! When something is looked at again, without looking: due times by key, and how long what is quiet may wait.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// Due times are kept in steps of this, so that a key costs few bytes. They are rounded down: nothing is due late.
const STEP: Duration = Duration::from_millis(100);

/// Keys, each with the instant at which it is due.
#[derive(Debug, Clone)]
pub(crate) struct Schedule<K> {
    order: BTreeSet<(u32, K)>,
    due: BTreeMap<K, u32>,
}

impl<K> Default for Schedule<K> {
    fn default() -> Self {
        Schedule {
            order: BTreeSet::new(),
            due: BTreeMap::new(),
        }
    }
}

impl<K: Ord + Copy> Schedule<K> {
    /// Makes a key due at this instant, whenever it was due before.
    pub(crate) fn plan(&mut self, key: K, at: Duration) {
        self.put(key, step_of(at));
    }

    /// Makes a key due at this instant, unless it is due sooner.
    pub(crate) fn hasten(&mut self, key: K, at: Duration) {
        let step = step_of(at);
        if self.due.get(&key).is_none_or(|&due| due > step) {
            self.put(key, step);
        }
    }

    pub(crate) fn contains(&self, key: K) -> bool {
        self.due.contains_key(&key)
    }

    pub(crate) fn remove(&mut self, key: K) {
        if let Some(step) = self.due.remove(&key) {
            self.order.remove(&(step, key));
        }
    }

    /// Takes out what is due by now, the longest due first. Who looks at it plans it anew.
    pub(crate) fn take_due(&mut self, now: Duration) -> Vec<K> {
        let now = step_of(now);
        let mut due = Vec::new();
        while let Some(&(step, key)) = self.order.first()
            && step <= now
        {
            self.order.pop_first();
            self.due.remove(&key);
            due.push(key);
        }
        due
    }

    /// When the next key is due.
    pub(crate) fn next(&self) -> Option<Duration> {
        let &(step, _) = self.order.first()?;
        Some(STEP * step)
    }

    fn put(&mut self, key: K, step: u32) {
        if let Some(before) = self.due.insert(key, step) {
            self.order.remove(&(before, key));
        }
        self.order.insert((step, key));
    }
}

fn step_of(at: Duration) -> u32 {
    u32::try_from(at.as_millis() / STEP.as_millis()).unwrap_or(u32::MAX)
}

/// How long something may wait for the next look that has been quiet for so long: as long as a share of that, between two
/// bounds. With a share of 1, a change that nothing tells of is found at the latest when it is as old as the quiet before it was
/// long.
pub(crate) fn by_age(quiet: Duration, share: u32, least: Duration, most: Duration) -> Duration {
    (quiet / share.max(1)).clamp(least, most.max(least))
}

/// The same wait, up to a quarter shorter, by its seed: what was found together is then not looked at together for ever.
pub(crate) fn spread(wait: Duration, seed: impl Hash, least: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    let part = u32::try_from(hasher.finish() % 256).unwrap_or_default();
    (wait - wait / 1024 * part).max(least)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn what_is_due_is_taken_once_and_the_longest_due_comes_first() {
        let mut schedule = Schedule::default();
        schedule.plan('a', 3 * SECOND);
        schedule.plan('b', 2 * SECOND);
        schedule.plan('c', 4 * SECOND);
        assert_eq!(schedule.next(), Some(2 * SECOND));
        assert_eq!(schedule.take_due(3 * SECOND), ['b', 'a']);
        assert!(schedule.take_due(3 * SECOND).is_empty());
        assert_eq!(schedule.next(), Some(4 * SECOND));
    }

    #[test]
    fn hastening_never_puts_off_and_planning_may() {
        let mut schedule = Schedule::default();
        schedule.plan(1, 5 * SECOND);
        schedule.hasten(1, 9 * SECOND);
        assert_eq!(schedule.next(), Some(5 * SECOND));
        schedule.hasten(1, 2 * SECOND);
        assert_eq!(schedule.next(), Some(2 * SECOND));
        schedule.plan(1, 9 * SECOND);
        assert_eq!(schedule.next(), Some(9 * SECOND));
        schedule.remove(1);
        assert_eq!(schedule.next(), None);
    }

    #[test]
    fn a_wait_grows_with_the_quiet_between_its_bounds() {
        let wait = |quiet| by_age(quiet, 1, SECOND, MINUTE);
        assert_eq!(wait(Duration::ZERO), SECOND);
        assert_eq!(wait(10 * SECOND), 10 * SECOND);
        assert_eq!(wait(600 * SECOND), MINUTE);
        assert_eq!(by_age(600 * SECOND, 60, SECOND, MINUTE), 10 * SECOND);
        // Bounds in the wrong order: the least counts.
        assert_eq!(by_age(MINUTE, 1, 2 * SECOND, SECOND), 2 * SECOND);
    }

    #[derive(Debug, Clone)]
    enum Act {
        Plan(u8, u64),
        Hasten(u8, u64),
        Remove(u8),
        Take(u64),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let (key, at) = (0_u8..8, 0_u64..100);
        prop::collection::vec(
            prop_oneof![
                (key.clone(), at.clone()).prop_map(|(key, at)| Act::Plan(key, at)),
                (key.clone(), at.clone()).prop_map(|(key, at)| Act::Hasten(key, at)),
                key.prop_map(Act::Remove),
                at.prop_map(Act::Take),
            ],
            0..60,
        )
    }

    proptest! {
        /// Against a plain table of key and instant.
        #[test]
        fn it_keeps_the_last_word_on_each_key(acts in acts()) {
            let mut schedule = Schedule::default();
            let mut table: BTreeMap<u8, u64> = BTreeMap::new();
            let at = |steps: u64| STEP * u32::try_from(steps).unwrap();
            for act in acts {
                match act {
                    Act::Plan(key, steps) => {
                        schedule.plan(key, at(steps));
                        table.insert(key, steps);
                    }
                    Act::Hasten(key, steps) => {
                        schedule.hasten(key, at(steps));
                        let due = table.entry(key).or_insert(steps);
                        *due = steps.min(*due);
                    }
                    Act::Remove(key) => {
                        schedule.remove(key);
                        table.remove(&key);
                    }
                    Act::Take(now) => {
                        let mut due: Vec<u8> = table.iter().filter(|(_, at)| **at <= now).map(|(key, _)| *key).collect();
                        due.sort_by_key(|key| (table[key], *key));
                        table.retain(|_, at| *at > now);
                        prop_assert_eq!(schedule.take_due(at(now)), due);
                    }
                }
                prop_assert_eq!(schedule.next(), table.values().min().map(|&steps| at(steps)));
            }
        }

        #[test]
        fn spreading_takes_a_quarter_at_most_and_never_goes_below_the_least(wait_ms in 1_000_u64..60_000, key in any::<usize>()) {
            let wait = Duration::from_millis(wait_ms);
            let spread = spread(wait, key, SECOND);
            prop_assert!(spread <= wait && spread >= SECOND && spread >= wait * 3 / 4 - SECOND / 1000);
        }
    }

    /// Found at once, never changed: however many there are, few are looked at in any one second, and none waits longer than is
    /// promised.
    #[test]
    fn many_that_are_quiet_are_looked_at_in_turns() {
        let mut schedule = Schedule::default();
        for key in 0..10_000_u32 {
            schedule.plan(key, SECOND);
        }
        let mut last = vec![Duration::ZERO; 10_000];
        let mut most_after_minutes = 0;
        for second in 1..=600 {
            let now = SECOND * second;
            let due = schedule.take_due(now);
            if second > 300 {
                most_after_minutes = most_after_minutes.max(due.len());
            }
            for key in due {
                assert!(now - last[key as usize] <= MINUTE.min(now) + SECOND);
                last[key as usize] = now;
                let wait = spread(by_age(now, 1, SECOND, MINUTE), (key, now), SECOND);
                schedule.plan(key, now + wait);
            }
        }
        assert!(most_after_minutes < 1_000, "{most_after_minutes} at once");
    }
}
