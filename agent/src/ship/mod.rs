//! Batches to the service: what to send when, what each answer means, and what to do next. Pure.
