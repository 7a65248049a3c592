//! Vendors' codes, SQLSTATE values and HTTP statuses with their classes, read from `knowledge/`.
//!
//! A line is `class: ITEM ITEM ...`; lines that begin with a space continue it, and `#` begins a comment. A code may have a mark:
//!
//! * none: its class, regardless of the rest of the text
//! * `~`:  its class, unless the words beside it are more specific, as the vendor uses it for several reasons
//! * `^`:  only the place of the failure; any other reason in the text is better

use std::collections::HashMap;
use std::sync::LazyLock;

use super::ErrorClass;

/// The weight of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// The reason itself.
    Reason,
    /// A reason that words beside it may refine.
    Refined,
    /// The place of the failure, not its reason.
    Wrapper,
}

/// The entries of a list: the class, and the item with its mark.
fn entries(text: &'static str) -> impl Iterator<Item = (ErrorClass, &'static str)> {
    let mut class = None;
    text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).flat_map(move |line| {
        let items = match line.split_once(": ") {
            Some((id, items)) if !line.starts_with(' ') => {
                class = ErrorClass::from_id(id);
                items
            }
            _ => line,
        };
        let of = class;
        items.split_whitespace().filter_map(move |item| Some((of?, item)))
    })
}

/// Vendors' codes; if two lists have the same one, the first list wins.
pub(super) static CODES: LazyLock<HashMap<&'static str, (ErrorClass, Weight)>> = LazyLock::new(|| {
    let mut codes = HashMap::with_capacity(2_048);
    for text in CODE_LISTS {
        for (class, item) in entries(text) {
            let (code, weight) = match item.split_at_checked(1) {
                Some(("~", code)) => (code, Weight::Refined),
                Some(("^", code)) => (code, Weight::Wrapper),
                _ => (item, Weight::Reason),
            };
            codes.entry(code).or_insert((class, weight));
        }
    }
    codes
});

const CODE_LISTS: [&str; 3] = [
    include_str!("knowledge/salesforce.txt"),
    include_str!("knowledge/databricks.txt"),
    include_str!("knowledge/clients.txt"),
];

/// Returns the class of a SQLSTATE: that of the value, else that of its first two characters.
pub(super) fn of_state(state: &str) -> Option<ErrorClass> {
    STATES.get(state).or_else(|| STATES.get(state.get(..2)?)).copied()
}

/// Returns whether a state is listed with all its characters.
pub(super) fn is_listed_state(state: &str) -> bool {
    STATES.contains_key(state)
}

static STATES: LazyLock<HashMap<&'static str, ErrorClass>> =
    LazyLock::new(|| classes(include_str!("knowledge/sqlstate.txt")));

/// Returns the class of an HTTP status.
pub(super) fn of_status(status: &str) -> Option<ErrorClass> {
    STATUSES.get(status).copied()
}

static STATUSES: LazyLock<HashMap<&'static str, ErrorClass>> =
    LazyLock::new(|| classes(include_str!("knowledge/http.txt")));

fn classes(text: &'static str) -> HashMap<&'static str, ErrorClass> {
    entries(text).map(|(class, item)| (item, class)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_knowledge_is_read() {
        let lists = CODE_LISTS
            .iter()
            .chain([&include_str!("knowledge/sqlstate.txt"), &include_str!("knowledge/http.txt")])
            .collect::<Vec<_>>();
        for text in lists {
            let mut known = false;
            for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
                let id = line.split_once(": ").map(|(id, _)| id);
                known |= id.is_some_and(|id| ErrorClass::from_id(id).is_some());
                assert!(
                    known && (line.starts_with(' ') || id.and_then(ErrorClass::from_id).is_some()),
                    "{line}"
                );
            }
            assert!(entries(text).count() > 10);
        }
        assert!(CODES.len() > 1_700, "{}", CODES.len());
    }

    #[test]
    fn unlisted_state_has_the_class_of_its_first_two_characters() {
        assert_eq!(of_state("08006"), Some(ErrorClass::WarehouseUnreachable));
        assert_eq!(of_state("42703"), Some(ErrorClass::DeletedSourceColumn));
        assert_eq!(of_state("42601"), Some(ErrorClass::QueryInvalid));
        assert_eq!(of_state("99999"), None);
        assert_eq!(of_state("é"), None);
    }
}
