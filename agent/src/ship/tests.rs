//! Against a service that takes, loses, throttles, refuses and forgets.
