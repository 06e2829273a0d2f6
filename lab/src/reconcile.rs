//! What a host must do next, from what AWS's record says and what the machine is: a pure table.

use crate::machine::Ended;
use crate::records::InstanceState as State;

/// What the record asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) state: State,
    /// RebootInstances was called since the last boot.
    pub(crate) reboot: bool,
    /// InstanceInitiatedShutdownBehavior is `terminate`.
    pub(crate) terminate_on_power_off: bool,
    /// A snapshot of the disk is waiting to be taken.
    pub(crate) freeze: bool,
}

/// What the machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Not running.
    Off,
    /// Running.
    On,
    /// Ended by itself, and nobody has acted on it yet.
    Ended(Ended),
}

/// The next thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Wait for the record or the machine to change.
    Wait,
    /// Boot, from the disk as it is.
    Boot,
    /// Shut down in order and boot again.
    Reboot,
    /// Shut down in order.
    Stop,
    /// Take the snapshots that are waiting.
    Freeze,
    /// Shut down in order if running, and remove the disk.
    Destroy,
    /// The machine is as the record's intermediate state promised, or changed by itself: say so.
    Announce(State),
    /// Nothing of the instance is left to look after.
    Leave,
}

/// The table.
pub(crate) fn decide(wanted: Wanted, found: Found) -> Action {
    match (wanted.state, found) {
        (State::Terminated, _) => Action::Leave,
        // A snapshot that was asked for before the disk goes away is still taken.
        (_, Found::Off | Found::On) if wanted.freeze => Action::Freeze,
        (State::ShuttingDown, _) => Action::Destroy,
        (State::Pending, Found::On) => Action::Announce(State::Running),
        (State::Pending | State::Running, Found::Off | Found::Ended(Ended::Reboot)) => Action::Boot,
        (State::Pending, Found::Ended(Ended::PowerOff)) => Action::Announce(State::Running),
        (State::Running, Found::On) if wanted.reboot => Action::Reboot,
        (State::Running, Found::On) => Action::Wait,
        (State::Running, Found::Ended(Ended::PowerOff)) if wanted.terminate_on_power_off => {
            Action::Announce(State::ShuttingDown)
        }
        (State::Running, Found::Ended(Ended::PowerOff)) => Action::Announce(State::Stopping),
        (State::Stopping | State::Stopped, Found::On) => Action::Stop,
        (State::Stopping, Found::Off | Found::Ended(_)) => Action::Announce(State::Stopped),
        (State::Stopped, Found::Off | Found::Ended(_)) => Action::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [State; 6] = [
        State::Pending,
        State::Running,
        State::Stopping,
        State::Stopped,
        State::ShuttingDown,
        State::Terminated,
    ];

    fn wanted(state: State) -> Wanted {
        Wanted {
            state,
            reboot: false,
            terminate_on_power_off: false,
            freeze: false,
        }
    }

    #[test]
    fn the_life_of_an_instance() {
        assert_eq!(decide(wanted(State::Pending), Found::Off), Action::Boot);
        assert_eq!(
            decide(wanted(State::Pending), Found::On),
            Action::Announce(State::Running)
        );
        assert_eq!(decide(wanted(State::Running), Found::On), Action::Wait);
        assert_eq!(decide(wanted(State::Stopping), Found::On), Action::Stop);
        assert_eq!(
            decide(wanted(State::Stopping), Found::Off),
            Action::Announce(State::Stopped)
        );
        assert_eq!(decide(wanted(State::Stopped), Found::Off), Action::Wait);
        assert_eq!(
            decide(wanted(State::ShuttingDown), Found::On),
            Action::Destroy
        );
        assert_eq!(decide(wanted(State::Terminated), Found::Off), Action::Leave);
    }

    #[test]
    fn a_power_off_inside_follows_the_shutdown_behaviour() {
        let off = Found::Ended(Ended::PowerOff);
        assert_eq!(
            decide(wanted(State::Running), off),
            Action::Announce(State::Stopping)
        );
        assert_eq!(
            decide(
                Wanted {
                    terminate_on_power_off: true,
                    ..wanted(State::Running)
                },
                off
            ),
            Action::Announce(State::ShuttingDown)
        );
    }

    #[test]
    fn a_reboot_inside_boots_again_and_one_through_the_api_goes_down_first() {
        assert_eq!(
            decide(wanted(State::Running), Found::Ended(Ended::Reboot)),
            Action::Boot
        );
        assert_eq!(
            decide(
                Wanted {
                    reboot: true,
                    ..wanted(State::Running)
                },
                Found::On
            ),
            Action::Reboot
        );
    }

    #[test]
    fn a_snapshot_asked_for_is_taken_before_the_disk_can_go() {
        for state in STATES
            .into_iter()
            .filter(|state| *state != State::Terminated)
        {
            for found in [Found::Off, Found::On] {
                assert_eq!(
                    decide(
                        Wanted {
                            freeze: true,
                            ..wanted(state)
                        },
                        found
                    ),
                    Action::Freeze,
                    "{state:?} {found:?}"
                );
            }
        }
    }

    #[test]
    fn a_machine_that_ended_while_stopping_is_not_booted_again() {
        for ended in [Ended::Reboot, Ended::PowerOff] {
            assert_eq!(
                decide(wanted(State::Stopping), Found::Ended(ended)),
                Action::Announce(State::Stopped)
            );
            assert_eq!(
                decide(wanted(State::ShuttingDown), Found::Ended(ended)),
                Action::Destroy
            );
        }
    }
}
