//! An audit as text.

use std::fmt;

use super::{Area, Audit, Before, DrillDone, Row, State};
use crate::text::{counted, minute_utc, named};

impl Area {
    /// The heading of its rows.
    pub fn title(self) -> &'static str {
        match self {
            Self::FieldMappings => "Field mappings",
            Self::Views => "Views",
            Self::Schedules => "Schedules",
            Self::Access => "Access",
            Self::Alerts => "Alerts",
            Self::Runbook => "Runbook",
            Self::Drills => "Drills",
            Self::Dependencies => "Dependencies",
            Self::Audit => "Audit",
        }
    }
}

impl State {
    /// The word for people.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Action { .. } => "ACTION",
            Self::Unknown { .. } => "UNKNOWN",
        }
    }
}

impl Row {
    /// The action with its owner, or how to find out.
    pub fn next(&self) -> Option<String> {
        match &self.state {
            State::Ok => None,
            State::Action { owner, what } => {
                let since = self.open_since.as_deref().unwrap_or("now");
                Some(format!("{owner}, open since {since}: {what}"))
            }
            State::Unknown { how } => Some(format!("to find out: {how}")),
        }
    }
}

impl Audit {
    /// The pipeline, the quarter, and the number of rows in each state.
    pub fn headline(&self) -> String {
        let of = |word| self.rows.iter().filter(|row| row.state.word() == word).count();
        let Self { pipeline, quarter, recorded, .. } = self;
        let actions = counted(of("ACTION"), "action");
        format!("{pipeline}, {quarter} ({recorded}): {actions}, {} unknown, {} ok", of("UNKNOWN"), of("ok"))
    }

    /// Its rows by area, in order.
    pub fn areas(&self) -> Vec<(Area, Vec<&Row>)> {
        let mut areas: Vec<(Area, Vec<&Row>)> = Vec::new();
        for row in &self.rows {
            match areas.iter_mut().find(|(area, _)| *area == row.area) {
                Some((_, rows)) => rows.push(row),
                None => areas.push((row.area, vec![row])),
            }
        }
        areas
    }
}

impl Before {
    /// One line for each kind of action.
    pub fn lines(&self) -> Vec<String> {
        let Self { new, open, done, unknown, .. } = self;
        let lists = [("new", new), ("still open", open), ("done", done), ("unknown now", unknown)];
        let line = |(what, list): (&str, &Vec<String>)| {
            format!("{what} ({}): {}", list.len(), named(list, list.len(), list.len()))
        };
        lists.into_iter().filter(|(_, list)| !list.is_empty()).map(line).collect()
    }
}

impl fmt::Display for Before {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Compared with {}, kept by {} at {}", self.quarter, self.by, minute_utc(self.at))
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.headline())?;
        for (area, rows) in self.areas() {
            writeln!(f, "\n{}", area.title().to_uppercase())?;
            for row in rows {
                writeln!(f, "  {:<8}{}: {}", row.state.word(), row.subject, row.evidence)?;
                let more = row.next().into_iter().chain(row.details.iter().cloned());
                more.into_iter().try_for_each(|line| writeln!(f, "          {line}"))?;
            }
        }
        match &self.before {
            None => write!(f, "\nNo earlier audit to compare with."),
            Some(before) => {
                write!(f, "\n{before}")?;
                before.lines().iter().try_for_each(|line| write!(f, "\n  {line}"))
            }
        }
    }
}

impl fmt::Display for DrillDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recorded drill {} by {}, which tried {}", self.drill, self.by, self.tried.join(", "))
    }
}
