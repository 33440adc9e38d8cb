//! The known name that an unknown one was probably meant to be.

use super::limits::SIMILAR_BYTES_MAX;

/// The candidate nearest to `name`, if one is near enough to be worth mentioning.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    if name.len() > SIMILAR_BYTES_MAX {
        return None;
    }
    let near = candidates.map(|candidate| (distance(name, candidate), candidate)).min();
    near.filter(|(steps, _)| *steps <= (name.len() / 3).max(1)).map(|(_, candidate)| candidate)
}

/// Levenshtein's distance: how many bytes to insert, remove or change. Hyphens and underscores
/// count as one, and case does not count, for those are the usual slips.
fn distance(a: &str, b: &str) -> usize {
    let fold = |byte: u8| if byte == b'-' { b'_' } else { byte.to_ascii_lowercase() };
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(fold(x) != fold(y));
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_is_levenshteins() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("api-listen", "API_listen"), 0);
    }

    #[test]
    fn a_slip_finds_its_name_and_nonsense_finds_none() {
        let known = ["api", "api_listen", "responsive", "shards"];
        assert_eq!(nearest("responsiv", known.into_iter()), Some("responsive"));
        assert_eq!(nearest("api-listen", known.into_iter()), Some("api_listen"));
        assert_eq!(nearest("xyzzy", known.into_iter()), None);
        assert_eq!(nearest(&"api".repeat(1000), known.into_iter()), None);
    }
}
