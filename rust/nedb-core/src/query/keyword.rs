//! The words that NQL gives a meaning to, and the nearest of them to a mistyped one.
//!
//! In: a word as written. Out: a [`Keyword`], or the one that was probably meant.
//!
//! Invariants:
//! * Case does not matter, and only ASCII is folded: `ſearch` is a name.
//! * A keyword is not reserved. Whether a word is a keyword or a name is the parser's to say, from
//!   where the word stands.

/// Declares the keywords once: variant, spelling, and the lower-case bytes that are looked up.
macro_rules! keywords {
    ($($variant:ident $spelling:literal $bytes:literal,)*) => {
        /// A word with a meaning in NQL.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Keyword {
            $(#[doc = concat!("`", $spelling, "`")] $variant,)*
        }

        impl Keyword {
            /// Returns the spelling of the documentation, in capitals.
            pub(super) fn spelling(self) -> &'static str {
                match self { $(Keyword::$variant => $spelling,)* }
            }

            /// Finds the keyword among bytes that are already lower-case.
            fn of_lower_case(word: &[u8]) -> Option<Keyword> {
                match word { $($bytes => Some(Keyword::$variant),)* _ => None }
            }
        }
    };
}

keywords! {
    And "AND" b"and",
    As "AS" b"as",
    Asc "ASC" b"asc",
    Avg "AVG" b"avg",
    Between "BETWEEN" b"between",
    By "BY" b"by",
    CausedBy "caused_by" b"caused_by",
    Contains "CONTAINS" b"contains",
    Count "COUNT" b"count",
    Desc "DESC" b"desc",
    Explain "EXPLAIN" b"explain",
    False "FALSE" b"false",
    From "FROM" b"from",
    Group "GROUP" b"group",
    Having "HAVING" b"having",
    In "IN" b"in",
    Is "IS" b"is",
    Like "LIKE" b"like",
    Limit "LIMIT" b"limit",
    Max "MAX" b"max",
    Min "MIN" b"min",
    Not "NOT" b"not",
    Null "NULL" b"null",
    Of "OF" b"of",
    Offset "OFFSET" b"offset",
    Or "OR" b"or",
    Order "ORDER" b"order",
    Reverse "REVERSE" b"reverse",
    Search "SEARCH" b"search",
    Sum "SUM" b"sum",
    Trace "TRACE" b"trace",
    Traverse "TRAVERSE" b"traverse",
    True "TRUE" b"true",
    Valid "VALID" b"valid",
    Where "WHERE" b"where",
}

/// Length of the longest keyword, `caused_by`.
const KEYWORD_BYTES_MAX: usize = 9;

impl Keyword {
    /// Finds the keyword that a word spells, whatever its case.
    pub(super) fn of(word: &str) -> Option<Keyword> {
        let mut lower = [0; KEYWORD_BYTES_MAX];
        let room = lower.get_mut(..word.len())?;
        room.copy_from_slice(word.as_bytes());
        room.make_ascii_lowercase();
        Keyword::of_lower_case(room)
    }

    /// Finds the candidate that a mistyped word most probably stands for.
    ///
    /// One slip (a letter missing, added, changed, or two neighbours swapped) is allowed in a word
    /// of up to four letters, two in a longer one.
    pub(super) fn nearest(word: &str, candidates: &[Keyword]) -> Option<Keyword> {
        let slips_max = if word.chars().count() <= 4 { 1 } else { 2 };
        let word = word.to_ascii_uppercase();
        candidates
            .iter()
            .map(|&keyword| (slips(&word, &keyword.spelling().to_ascii_uppercase()), keyword))
            .filter(|&(count, _)| count <= slips_max)
            .min_by_key(|&(count, _)| count)
            .map(|(_, keyword)| keyword)
    }
}

/// Counts the slips between two words: the optimal string alignment distance.
///
/// Words much longer than a keyword are not compared, so the cost is bounded.
fn slips(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    if left.len().abs_diff(right.len()) > 2 {
        return usize::MAX;
    }
    // Rows of the distance table: the one before the last, the last, and the one being filled.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, &here) in left.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, &there) in right.iter().enumerate() {
            let at =
                |cells: &[usize], index: usize| cells.get(index).copied().unwrap_or(usize::MAX);
            let changed = at(&last, column) + usize::from(here != there);
            let mut best = changed.min(at(&last, column + 1) + 1).min(at(&next, column) + 1);
            let swapped = row > 0
                && column > 0
                && left.get(row - 1) == Some(&there)
                && right.get(column - 1) == Some(&here);
            if swapped {
                best = best.min(at(&before, column - 1) + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut last, next);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_found_in_any_case_and_nothing_else_is() {
        assert_eq!(Keyword::of("WHERE"), Some(Keyword::Where));
        assert_eq!(Keyword::of("wHeRe"), Some(Keyword::Where));
        assert_eq!(Keyword::of("caused_by"), Some(Keyword::CausedBy));
        for word in ["", "wher", "wheres", "ſearch", "a_long_name_of_a_field", "größer"] {
            assert_eq!(Keyword::of(word), None, "{word}");
        }
    }

    #[test]
    fn the_nearest_keyword_is_one_or_two_slips_away() {
        let clauses = [Keyword::Where, Keyword::Order, Keyword::Or, Keyword::And, Keyword::Limit];
        for (typo, meant) in [
            ("WEHRE", Some(Keyword::Where)),
            ("were", Some(Keyword::Where)),
            ("odrer", Some(Keyword::Order)),
            ("LIMT", Some(Keyword::Limit)),
            ("adn", Some(Keyword::And)),
            ("status", None),
            ("x", None),
            ("größe", None),
        ] {
            assert_eq!(Keyword::nearest(typo, &clauses), meant, "{typo}");
        }
    }
}
