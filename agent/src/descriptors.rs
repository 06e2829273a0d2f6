//! How many files this process may hold open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the soft limit of open files to the hard one: shells and old systemd start programs with 1,024, because of
/// `select`, which nothing here uses. Where that is refused, files that can't be opened are told of as they come.
pub fn raise_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_the_hard_one_afterwards() {
        raise_limit();
        let limits = getrlimit(Resource::RLIMIT_NOFILE).map_err(|_| ());
        assert!(limits.is_ok_and(|(soft, hard)| soft == hard));
    }
}
