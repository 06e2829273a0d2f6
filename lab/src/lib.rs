//! `lab` is an AWS on one machine: real API calls, real hosts that boot, real SSH, real systemd.
