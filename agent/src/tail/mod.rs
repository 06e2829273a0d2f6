//! Which generations of which files there are, and their bytes.
