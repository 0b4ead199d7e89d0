//! Text → folded words.
//!
//! Words are those of Unicode Standard Annex 29; folding maps letters that differ in case alone to
//! one spelling, `ß` and `SS` included, by way of the upper case.

use crate::json::{elements, members, string_text};
use std::ops::ControlFlow;
use unicode_segmentation::UnicodeSegmentation;

/// Hands each word of a text to `visit`, folded, in order.
pub(crate) fn tokenize(text: &str, visit: &mut dyn FnMut(&str)) {
    tokenize_until(text, &mut |word| {
        visit(word);
        ControlFlow::Continue(())
    });
}

/// Hands words to `visit` as `tokenize` does, until it breaks.
pub(crate) fn tokenize_until(text: &str, visit: &mut dyn FnMut(&str) -> ControlFlow<()>) {
    let mut folded = String::new();
    for word in text.unicode_words() {
        folded.clear();
        if word.is_ascii() {
            folded.push_str(word);
            folded.make_ascii_lowercase();
        } else {
            let upper = word.chars().flat_map(char::to_uppercase);
            folded.extend(upper.flat_map(char::to_lowercase));
        }
        if visit(&folded).is_break() {
            return;
        }
    }
}

/// Hands every string inside a canonical value to `visit`, in the order they stand in; keys are none.
pub(crate) fn for_each_string(value: &str, visit: &mut dyn FnMut(&str)) {
    match value.as_bytes().first() {
        Some(b'"') => {
            if let Some(text) = string_text(value) {
                visit(&text);
            }
        }
        Some(b'[') => elements(value).for_each(|element| for_each_string(element, visit)),
        Some(b'{') => members(value).for_each(|(_, member)| for_each_string(member, visit)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut words = Vec::new();
        tokenize(text, &mut |word| words.push(word.to_owned()));
        words
    }

    #[test]
    fn words_are_folded() {
        assert_eq!(words("The QUICK, brown-fox!"), ["the", "quick", "brown", "fox"]);
        assert_eq!(words("Straße STRASSE"), ["strasse", "strasse"]);
        assert_eq!(words("ΣΊΣΥΦΟΣ σίσυφος"), ["σίσυφοσ", "σίσυφοσ"]);
        assert_eq!(words("Ångström"), ["ångström"]);
        assert!(words(" -- … ").is_empty());
    }

    #[test]
    fn all_strings_inside_a_value_are_found() {
        let mut found = Vec::new();
        for_each_string(r#"{"k":["a",1,{"x":"b\n"}],"n":null}"#, &mut |text| {
            found.push(text.to_owned());
        });
        assert_eq!(found, ["a", "b\n"]);
    }
}
