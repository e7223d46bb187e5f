//! The form of a quoted RFC sentence.
//!
//! ```text
//! //= rfc9293#3.10.7.4
//! //# If an incoming segment is not acceptable, an acknowledgment should be sent in reply
//! ```
//! stands above the branch that obeys it; the test that proves it carries the same with
//! `type=test` behind the section or on a `//=` line of its own, a deviation `type=exception`
//! and a line `//= reason=…`. The oldest RFCs number no sections: `rfc768#`. A citation that no
//! search finds because its form is off is as good as none, hence this rule.

use crate::Source;

/// What is wrong with the citations of this file.
pub fn complaints(source: &Source) -> Vec<String> {
    if source.extension() != "rs" {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    let mut previous = Line::Other;
    let end = (source.text.lines().count(), "");
    for (number, line) in source.lines().chain([end]) {
        let current = classify(line.trim_start());
        let what = match (previous, current) {
            (_, Line::Odd) => "write `//= rfc9293#3.4`, with ` type=test` or ` type=exception`",
            (Line::Place, Line::Other) => "the line above names a place and quotes no sentence",
            (Line::Other, Line::Quote) => "a quoted sentence without the place it stands at",
            _ => "",
        };
        if !what.is_empty() {
            complaints.push(format!("{}:{number}: {what}", source.path));
        }
        previous = if current == Line::Odd { Line::Place } else { current };
    }
    complaints
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Place,
    Quote,
    Odd,
    Other,
}

fn classify(line: &str) -> Line {
    if let Some(quote) = line.strip_prefix("//#") {
        let blank_or_text = quote.is_empty() || quote.starts_with(' ');
        return if blank_or_text { Line::Quote } else { Line::Odd };
    }
    let Some(place) = line.strip_prefix("//=") else { return Line::Other };
    let mut words = place.split_whitespace();
    let first = words.next().unwrap_or_default();
    let rfc = first.strip_prefix("rfc").and_then(|rest| rest.split_once('#'));
    let placed = rfc.is_some_and(|(rfc, _)| rfc.parse::<u16>().is_ok());
    let types = ["type=test", "type=exception"];
    let typed = words.next().is_none_or(|word| types.contains(&word));
    let further = types.contains(&first) || first.starts_with("reason=");
    if (placed && typed) || further { Line::Place } else { Line::Odd }
}

#[cfg(test)]
mod tests {
    //! The form of the house passes; each way to miss it is named.

    use super::*;

    fn count(text: &str) -> usize {
        complaints(&Source::new("a.rs", text)).len()
    }

    #[test]
    fn the_form_of_the_house_passes() {
        assert_eq!(count("  //= rfc9293#3.4\n  //# One.\n  //# Two.\n  if x {\n"), 0);
        assert_eq!(count("//= rfc7323#5.3 type=test\n//# A sentence.\n#[test]\n"), 0);
        assert_eq!(count("//= rfc6298#2 type=exception\n//= reason=Why.\n//# One.\n//#\n"), 0);
        assert_eq!(count("//= rfc768#\n//= type=test\n//# A sentence.\n#[test]\n"), 0);
        assert_eq!(count("//= rfc5961#3.2\n//= rfc9293#3.10.7.4\n//# Said twice.\n"), 0);
    }

    #[test]
    fn a_place_without_a_sentence_is_named() {
        assert_eq!(count("//= rfc9293#3.4\nif x {\n"), 1);
        assert_eq!(count("//= rfc9293#3.4"), 1);
    }

    #[test]
    fn a_sentence_without_a_place_is_named() {
        assert_eq!(count("//# A sentence.\n"), 1);
    }

    #[test]
    fn a_place_that_no_search_would_find_is_named() {
        for place in ["RFC 9293", "rfc9293", "rfc#3.4", "rfc99999#1", "rfc9293#3.4 type=proof"] {
            assert_eq!(count(&format!("//= {place}\n//# A sentence.\n")), 1, "{place}");
        }
    }
}
