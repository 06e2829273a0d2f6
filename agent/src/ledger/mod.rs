//! The account of every byte, kept through crashes.
