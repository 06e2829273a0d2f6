//! Which paths the globs mean just now, and a doorbell that rings when something may have changed.
