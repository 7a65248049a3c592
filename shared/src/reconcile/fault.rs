//! Whose fault a wrong row is: the first rule that applies.

use super::verdict::{Class, Fault};

/// A field is systematically wrong from this share of the joined rows, in percent, and from [`SYSTEMATIC_ROWS`].
pub(super) const SYSTEMATIC_PERCENT: u64 = 5;
pub(super) const SYSTEMATIC_ROWS: u64 = 20;

/// The evidence about a settled row that is wrong. `None` is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clues {
    pub(super) class: Class,
    /// A declared filter or `not_selected` leaves the row of the source out.
    pub(super) left_out: bool,
    /// The key is among the rejected records of the newest runs.
    pub(super) rejected: bool,
    /// The destination changed after the source.
    pub(super) later: Option<bool>,
    /// An integration user changed the destination last.
    pub(super) by_integration: Option<bool>,
    /// The field that carries the source's time of change is equal, so the source's last change arrived.
    pub(super) arrived: Option<bool>,
    /// The destination has the key in a deleted row.
    pub(super) deleted: bool,
    /// It differs in a field that is systematically wrong.
    pub(super) systematic: bool,
}

impl Clues {
    /// Without any evidence.
    pub(super) fn of(class: Class) -> Self {
        Self {
            class,
            left_out: false,
            rejected: false,
            later: None,
            by_integration: None,
            arrived: None,
            deleted: false,
            systematic: false,
        }
    }
}

/// Returns whose fault a settled row is. Ambiguous and pending rows are counted before, so they have no clues.
///
/// A lost update and an edit by hand look alike: the destination changed last, and not to the source's value. They are distinguished
/// by the integration user's last write. If it was before the source's change, the change never arrived: a view that compares times
/// skips it ([`Fault::Skipped`]), no matter who changed the destination. If the source's change arrived, another user changed the value
/// afterwards ([`Fault::EditedThere`]). A field that carries the source's time of change proves which. Without it, the last writer
/// decides: another user edited; the integration user wrote after the source's change, so nothing was skipped. With neither, the
/// row counts as skipped unless its field is systematically wrong, as it is not sent again in either case.
pub(super) fn fault_of(clues: &Clues) -> Fault {
    let Clues { class, left_out, rejected, later, by_integration, arrived, deleted, systematic } = *clues;
    let later = class == Class::Different && later == Some(true);
    let nothing_known = by_integration.is_none() && arrived.is_none();
    let rules = [
        (left_out, Fault::NotSelected),
        (rejected && class != Class::Extra, Fault::Rejected),
        (later && by_integration == Some(false) && arrived != Some(false), Fault::EditedThere),
        (later && arrived == Some(false), Fault::Skipped),
        (systematic, Fault::Mapping),
        (later && nothing_known, Fault::Skipped),
        (class == Class::Missing && deleted, Fault::Deleted),
    ];
    rules.into_iter().find(|(applies, _)| *applies).map_or(Fault::Unknown, |(_, fault)| fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_rule_that_applies_decides() {
        let (yes, no) = (Some(true), Some(false));
        let all = Clues {
            class: Class::Different,
            left_out: true,
            rejected: true,
            later: yes,
            by_integration: no,
            arrived: yes,
            deleted: true,
            systematic: true,
        };
        let selected = Clues { left_out: false, ..all };
        let accepted = Clues { rejected: false, ..selected };
        let single = Clues { systematic: false, ..accepted };
        let missing = Clues { class: Class::Missing, ..single };
        let table = [
            (all, Fault::NotSelected),
            (selected, Fault::Rejected),
            (accepted, Fault::EditedThere),
            (Clues { arrived: None, ..accepted }, Fault::EditedThere),
            // A lost update: another field was edited before the sync ran.
            (Clues { arrived: no, ..accepted }, Fault::Skipped),
            // Another sync wrote in between.
            (Clues { arrived: no, by_integration: yes, ..accepted }, Fault::Skipped),
            (Clues { by_integration: yes, ..accepted }, Fault::Mapping),
            (Clues { by_integration: yes, arrived: None, ..accepted }, Fault::Mapping),
            (Clues { by_integration: None, arrived: None, ..accepted }, Fault::Mapping),
            (Clues { later: no, ..accepted }, Fault::Mapping),
            (Clues { by_integration: yes, ..single }, Fault::Unknown),
            (Clues { by_integration: None, arrived: None, ..single }, Fault::Skipped),
            (Clues { later: no, arrived: no, ..single }, Fault::Unknown),
            (Clues { later: None, ..single }, Fault::Unknown),
            (missing, Fault::Deleted),
            (Clues { rejected: true, ..missing }, Fault::Rejected),
            (Clues { deleted: false, ..missing }, Fault::Unknown),
            (Clues { class: Class::Extra, rejected: true, ..single }, Fault::Unknown),
            (Clues { class: Class::Extra, left_out: true, ..single }, Fault::NotSelected),
        ];
        for (clues, fault) in table {
            assert_eq!(fault_of(&clues), fault, "{clues:?}");
        }
    }
}
