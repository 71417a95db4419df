//! "Did you mean": the known word that a misspelt one most resembles.

/// The nearest of `known`, if one is near enough to be what was meant.
///
/// Case and the difference between `-` and `_` are ignored. Near enough is one edit per three
/// characters (insert, delete, replace, swap of neighbours), or being a part of the known word.
/// Ties go to the one that comes first.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    // A key of this length is no slip of the finger, and the comparison is quadratic.
    const LONGEST: usize = 64;
    /// Shorter fragments are part of too many words.
    const FRAGMENT: usize = 3;

    let word = word.to_lowercase().replace('-', "_");
    let length = word.chars().count();
    if length > LONGEST {
        return None;
    }
    let near = known
        .iter()
        .map(|candidate| (distance(&word, candidate), *candidate))
        .filter(|(edits, _)| *edits <= (length / 3).max(1))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate);
    let mut parts = known
        .iter()
        .copied()
        .filter(|candidate| length >= FRAGMENT && candidate.contains(&word));
    near.or_else(|| parts.next())
}

/// Optimal string alignment: edits between two words, where swapping two neighbours is one edit.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before_last = vec![0; right.len() + 1];
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, l) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, r) in right.iter().enumerate() {
            let replace = last[column] + usize::from(l != r);
            let mut best = replace.min(last[column + 1] + 1).min(current[column] + 1);
            let swapped = row > 0 && column > 0 && left[row - 1] == *r && *l == right[column - 1];
            if swapped {
                best = best.min(before_last[column - 1] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTING: &[&str] = &["advertise_interval", "route_ttl", "max_hops", "balance"];

    #[test]
    fn slips_of_the_finger_find_their_key() {
        for (typed, meant) in [
            ("route_tll", Some("route_ttl")),
            ("routeTTL", Some("route_ttl")),
            ("route-ttl", Some("route_ttl")),
            ("max_hop", Some("max_hops")),
            ("advertise_intervall", Some("advertise_interval")),
            ("blaance", Some("balance")),
            ("ttl", Some("route_ttl")),
            ("hops", Some("max_hops")),
            ("heartbeat", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(typed, ROUTING), meant, "{typed:?}");
        }
    }

    #[test]
    fn distance_counts_single_edits() {
        for (left, right, edits) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "acb", 1),
            ("kitten", "sitting", 3),
            ("route_tll", "route_ttl", 1),
        ] {
            assert_eq!(distance(left, right), edits, "{left:?} {right:?}");
        }
    }
}
