//! The absolute names that a name stands for, in the order of glibc's resolver: pure.
//!
//! | name | tried |
//! |---|---|
//! | `app.example.` | as it is, alone |
//! | `app.example`, with at least `ndots` dots | as it is, then below each domain |
//! | `app`, with fewer | below each domain, then as it is |

use super::resolv_conf::Search;

/// One name to be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Without a trailing dot.
    pub(super) name: String,
    /// Not below a domain of the list.
    pub(super) is_as_given: bool,
}

/// What asking for a candidate came to, if it had no address.
#[derive(Clone, Debug)]
pub(super) enum Miss<E> {
    /// There is no such name.
    NoName,
    /// It has no address.
    NoData,
    /// The servers failed at it (SERVFAIL): the next name may do better.
    ServFail(E),
    /// The servers refuse or are not there: other names of the list would fare the same.
    Failed(E),
}

/// The candidates of `name`, a name with or without its trailing dot.
pub(super) fn candidates(name: &str, search: &Search) -> Vec<Candidate> {
    let given = |name: &str| Candidate {
        name: name.to_owned(),
        is_as_given: true,
    };
    if let Some(absolute) = name.strip_suffix('.') {
        return vec![given(absolute)];
    }
    let dots = name.bytes().filter(|byte| *byte == b'.').count();
    let mut candidates = Vec::new();
    let is_first = dots >= search.ndots;
    if is_first {
        candidates.push(given(name));
    }
    let is_tld = dots == 0 && search.no_tld_query && !search.domains.is_empty();
    let mut has_root = false;
    for domain in &search.domains {
        has_root |= domain.is_empty();
        let name = match domain.as_str() {
            "" => name.to_owned(),
            domain => format!("{name}.{domain}"),
        };
        candidates.push(Candidate {
            name,
            is_as_given: false,
        });
    }
    if !is_first && !is_tld && !has_root {
        candidates.push(given(name));
    }
    candidates
}

/// Whether `candidate` is still worth asking for, after `misses` of those before it.
pub(super) fn is_worth<E>(candidate: &Candidate, misses: &[(bool, Miss<E>)]) -> bool {
    // A failure of the name as given says nothing of the list; one inside the list ends it.
    let has_list_ended = misses
        .iter()
        .any(|(is_as_given, miss)| !is_as_given && matches!(miss, Miss::Failed(_)));
    candidate.is_as_given || !has_list_ended
}

/// What all `misses` say together: an error, or that there is no address.
pub(super) fn verdict<E>(mut misses: Vec<(bool, Miss<E>)>) -> Result<(), E> {
    // The name as given, if it came first; else that something exists; else a failure.
    if misses.first().is_some_and(|(is_as_given, _)| *is_as_given) {
        misses.truncate(1);
    }
    if misses.iter().any(|(_, miss)| matches!(miss, Miss::NoData)) {
        return Ok(());
    }
    let failure = misses.into_iter().find_map(|(_, miss)| match miss {
        Miss::ServFail(error) | Miss::Failed(error) => Some(error),
        Miss::NoName | Miss::NoData => None,
    });
    failure.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(name: &str, domains: &[&str], ndots: usize) -> Vec<String> {
        let search = Search {
            domains: domains.iter().map(|&domain| domain.to_owned()).collect(),
            ndots,
            no_tld_query: false,
        };
        let found = candidates(name, &search).into_iter();
        found.map(|candidate| candidate.name).collect()
    }

    #[test]
    fn candidates_come_in_glibcs_order() {
        let list = &["one.test", "two.test"];
        for (name, domains, ndots, expected) in [
            (
                "app",
                &list[..],
                1,
                &["app.one.test", "app.two.test", "app"][..],
            ),
            ("a.b", list, 1, &["a.b", "a.b.one.test", "a.b.two.test"]),
            ("a.b", list, 2, &["a.b.one.test", "a.b.two.test", "a.b"]),
            ("app", list, 0, &["app", "app.one.test", "app.two.test"]),
            ("app.", list, 5, &["app"]),
            ("a.b.", list, 1, &["a.b"]),
            ("app", &[], 1, &["app"]),
            ("app", &["", "one.test"], 1, &["app", "app.one.test"]),
        ] {
            assert_eq!(names(name, domains, ndots), expected, "{name} {ndots}");
        }
    }

    #[test]
    fn a_bare_name_may_be_kept_from_the_root() {
        let mut search = Search {
            domains: vec!["one.test".to_owned()],
            no_tld_query: true,
            ..Search::default()
        };
        assert_eq!(candidates("app", &search).len(), 1);
        assert_eq!(candidates("a.b", &search).len(), 2);
        search.domains.clear();
        assert_eq!(candidates("app", &search).len(), 1);
    }

    #[test]
    fn a_server_that_is_not_there_ends_the_list_and_not_the_name() {
        let listed = Candidate {
            name: "a.one.test".to_owned(),
            is_as_given: false,
        };
        let given = Candidate {
            name: "a".to_owned(),
            is_as_given: true,
        };
        for (misses, goes_on) in [
            (vec![(true, Miss::Failed(()))], true),
            (vec![(false, Miss::NoData)], true),
            (vec![(false, Miss::ServFail(()))], true),
            (vec![(false, Miss::Failed(()))], false),
        ] {
            assert_eq!(is_worth(&listed, &misses), goes_on, "{misses:?}");
            assert!(is_worth(&given, &misses));
        }
    }

    #[test]
    fn the_name_as_given_decides_if_it_came_first_else_what_exists() {
        use Miss::{Failed, NoData, NoName, ServFail};
        for (misses, expected) in [
            (vec![], Ok(())),
            (vec![(true, NoName), (false, ServFail(1))], Ok(())),
            (vec![(true, Failed(1)), (false, NoData)], Err(1)),
            (vec![(false, ServFail(1)), (false, NoData)], Ok(())),
            (vec![(false, ServFail(1)), (true, NoName)], Err(1)),
            (vec![(false, NoName), (true, Failed(2))], Err(2)),
        ] {
            assert_eq!(verdict(misses.clone()), expected, "{misses:?}");
        }
    }
}
