//! How many descriptors the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a sender may need: members' connections are not counted, and each takes one.
const WANTED: u64 = 8_192;

/// Raises our own limit as far as the system lets us, and no further than makes sense. Members can open
/// connections without number; the more there is room for, the longer others still get through.
pub(crate) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(WANTED, |maximum| maximum.min(WANTED));
    if limit.current.is_some_and(|current| current < wanted) {
        // Where it is refused the old limit stands, and connections beyond it wait.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_limit_is_raised_and_a_high_one_is_left() {
        let at_first = getrlimit(Resource::Nofile);
        let low = Rlimit { current: Some(512), maximum: at_first.maximum };
        setrlimit(Resource::Nofile, low).unwrap();
        raise_limit();
        let wanted = at_first.maximum.map_or(WANTED, |maximum| maximum.min(WANTED));
        assert_eq!(getrlimit(Resource::Nofile).current, Some(wanted));
        setrlimit(Resource::Nofile, at_first).unwrap();
        raise_limit();
        assert!(getrlimit(Resource::Nofile).current >= at_first.current);
    }
}
