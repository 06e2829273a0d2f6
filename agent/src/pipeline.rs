//! The table of contents: it alone knows the stages.
