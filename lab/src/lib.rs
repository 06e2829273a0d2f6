//! `lab` is an AWS on one machine: real API calls, real hosts that boot, real SSH, real systemd.

pub mod front_door;
pub mod moto;
pub mod python;
pub mod records;
