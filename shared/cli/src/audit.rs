//! Audits a quarter: reads what people review, prints it, and on request keeps it for the next audit. A read that fails is a row.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;
use serde_json::json;
use syncwatch::audit::{Advisories, Audit, Deployed, DrillDone, Kept, Quarter, Read, Seen, State, User};
use syncwatch::aws::secrets::SecretStore;
use syncwatch::aws::table::Outcome as Stored;
use syncwatch::baseline::{Live, Part, Relation};
use syncwatch::data_checks::object_name;
use syncwatch::days::day_of;
use syncwatch::finding::Check;
use syncwatch::history::{CompletedRuns, Reads};
use syncwatch::observe::definition::{limits, relations};
use syncwatch::observe::history;
use syncwatch::reconcile::ModifiedBy;
use syncwatch::report::render_page;
use syncwatch::runtime::env;
use syncwatch::runtime::warehouse::{Asker, connection_secret};
use syncwatch::sql::Statement;
use syncwatch::warehouse::Limits;

use super::arguments::Auditing;
use super::error::Error;
use super::{Answer, Operator, Outcome, WAREHOUSE_START_LIMIT, all_readable, doctor, write_page};

const PAGE: &str = include_str!("audit.html");
/// The characters that ids of 15 and 18 characters share.
const ID_CHARS: usize = 15;

fn text<T>(read: Result<T, Error>) -> Read<T> {
    read.map_err(|error| error.to_string())
}

impl Operator {
    /// Audits a quarter, or records a drill. Only `--keep` and `--drill` store anything.
    pub(super) async fn audit(&self, asked: &Auditing) -> Result<Answer, Error> {
        let by = || asked.by.clone().unwrap_or_default();
        if let Some(drill) = &asked.drill {
            let done = DrillDone { drill: drill.clone(), by: by(), at: self.now, tried: asked.tried.clone() };
            self.incidents()?.record_drill(&self.pipeline.name, &done).await?;
            return Ok(Answer::done(&done));
        }
        let current = Quarter::of(self.now, &self.pipeline.time_zone);
        let quarter = asked.quarter.flatten().unwrap_or(current);
        if quarter > current {
            return Err(Error::new(
                format!("{quarter} has not begun"),
                format!("syncwatch audit --quarter {current}"),
            ));
        }
        let audits = text(self.audits().await);
        // Boxed, because the future of all these calls is large.
        let seen = Box::pin(self.seen(quarter, asked.advisories.as_deref(), &audits)).await;
        let audit = Audit::of(&seen, &self.pipeline, quarter);
        if let Some(path) = &asked.html {
            write_page(path, &page(&audit)?)?;
        }
        if !asked.keep {
            return Ok(Answer::new(Outcome::done_if(audit.is_good()), &audit, &audit));
        }
        let kept = Kept { audit, by: by() };
        self.keep(&kept, &audits.map_err(|why| unkept(&why))?).await?;
        let shown =
            format!("{}\n\nKept by {}: the next audit is compared with this one.", kept.audit, kept.by);
        Ok(Answer::new(Outcome::Done, shown, &kept.audit))
    }

    async fn audits(&self) -> Result<Vec<Kept>, Error> {
        Ok(self.incidents()?.audits(&self.pipeline.name).await?)
    }

    /// Stores an audit, unless one of its quarter or of a later one is stored.
    async fn keep(&self, kept: &Kept, audits: &[Kept]) -> Result<(), Error> {
        let later = audits.last().filter(|last| last.audit.quarter >= kept.audit.quarter).cloned();
        let stored = match later {
            Some(later) => Stored::Lost(Some(later)),
            None => self.incidents()?.keep_audit(kept).await?,
        };
        let Stored::Lost(other) = stored else { return Ok(()) };
        let other = other.map(|other| format!("{} was kept by {}", other.audit.quarter, other.by));
        Err(unkept(&other.unwrap_or_else(|| "it was kept meanwhile".to_owned())))
    }

    /// Reads everything that an audit rests on. Nothing is changed.
    async fn seen(&self, quarter: Quarter, advisories: Option<&Path>, audits: &Read<Vec<Kept>>) -> Seen {
        let (pipeline, name) = (&self.pipeline, self.pipeline.name.as_str());
        let today = day_of(self.now, &pipeline.time_zone);
        let span = (quarter.first(), quarter.end().min(today));
        let store = self.incidents();
        let store = async || store.as_ref().map_err(Error::clone);
        let live = self.live().await;
        Seen {
            at: self.now,
            history: text(self.history(span.0, span.1).await),
            runs: text(self.completed_runs(span).await),
            stored: text(async { Ok(store().await?.of_scoreboard(name).await?) }.await),
            checked: text(async { Ok(store().await?.last_round(name).await?) }.await),
            sources: self.sources(&live).await,
            live,
            accepted: text(self.accepted().await),
            acceptances: text(async { all_readable(store().await?.acceptances(name).await?) }.await),
            secrets: self.secrets_stored_at().await,
            roles: text(self.roles().await),
            users: self.users().await,
            deployment: self.deployment().await,
            drills: text(async { Ok(store().await?.drills(name).await?) }.await),
            advisories: advisories.map(read_advisories),
            before: audits
                .clone()
                .map(|audits| audits.into_iter().rfind(|kept| kept.audit.quarter < quarter.to_string())),
        }
    }

    async fn completed_runs(
        &self,
        span: (jiff::civil::Date, jiff::civil::Date),
    ) -> Result<CompletedRuns, Error> {
        let snapshot = self.pipeline.snapshot.as_ref();
        let snapshot = snapshot.ok_or_else(|| Error::plain("pipeline.toml declares no [snapshot]"))?;
        let warehouse = self.warehouse(history::limits()).await?;
        let reads = Reads::new(&self.pipeline.name, &snapshot.audit_log, warehouse.dialect());
        let reads = reads.map_err(Error::plain)?;
        let ask = async |statement: &_| warehouse.query(statement).await;
        history::completed(ask, &reads, span).await.map_err(Error::plain)
    }

    /// Reads the tables and views of syncs that are not part of the definition.
    async fn sources(&self, live: &Live) -> BTreeMap<String, Part<Relation>> {
        let syncs = live.definition.syncs.values().filter_map(Part::known);
        let missing: BTreeSet<&str> = syncs
            .filter_map(|sync| sync.table())
            .filter(|table| !live.definition.relations.contains_key(*table))
            .collect();
        if missing.is_empty() {
            return BTreeMap::new();
        }
        match self.warehouse(limits()).await {
            Ok(warehouse) => {
                let asker = Asker::new(&warehouse, WAREHOUSE_START_LIMIT);
                relations(missing, self.pipeline.dialect(), asker).await
            }
            Err(why) => {
                missing.iter().map(|name| ((*name).to_owned(), Part::Unknown(why.to_string()))).collect()
            }
        }
    }

    async fn secrets_stored_at(&self) -> BTreeMap<String, Read<Timestamp>> {
        let store = SecretStore::new(self.sdk.secrets());
        let used = env::ALL.iter().filter(|setting| setting.name.ends_with("_SECRET"));
        let used = used.filter(|setting| doctor::is_used(&self.pipeline, setting.name));
        let mut names: Vec<Result<String, Error>> = used.map(|setting| self.setting(*setting)).collect();
        let warehouse = self.setting(env::WAREHOUSE_SECRET);
        let connections = self.pipeline.connections.keys();
        names.extend(
            connections.map(|name| Ok(connection_secret(warehouse.as_ref().map_err(Error::clone)?, name))),
        );
        let mut found = BTreeMap::new();
        for name in names {
            match name {
                Ok(name) => {
                    let stored = store.stored_at(&name).await.map_err(|error| Error::from(error).to_string());
                    let stored = stored
                        .and_then(|at| at.ok_or_else(|| "AWS did not say when it was stored".to_owned()));
                    found.insert(name, stored);
                }
                Err(why) => {
                    found.insert("without a name".to_owned(), Err(why.to_string()));
                }
            }
        }
        found
    }

    async fn roles(&self) -> Result<BTreeMap<String, String>, Error> {
        let lambda = aws_sdk_lambda::Client::new(self.sdk.config());
        let mut roles = BTreeMap::new();
        for name in self.declared()?.functions.keys() {
            let found = doctor::configuration(&lambda, &format!("{}-{name}", self.prefix())).await?;
            let role = found.role.unwrap_or_default();
            roles.insert(name.clone(), role.rsplit('/').next().unwrap_or_default().to_owned());
        }
        Ok(roles)
    }

    /// Reads the users of the syncs from the copy of the destination's users; `None` if no object names one.
    async fn users(&self) -> Option<Read<Vec<User>>> {
        let objects = self.pipeline.objects.iter();
        let declared = objects.filter_map(|object| object.destination.modified_by.as_ref());
        let declared: Vec<(&str, &ModifiedBy)> =
            declared.filter_map(|by| Some((by.users.as_deref()?, by))).collect();
        if declared.is_empty() {
            return None;
        }
        let read = async {
            let (warehouse, mut users) = (self.warehouse(Limits::default()).await?, BTreeMap::new());
            for (table, by) in declared {
                for id in &by.integration_users {
                    let table = object_name(warehouse.dialect(), table).map_err(Error::plain)?;
                    let sql = format!(
                        "SELECT last_login_date, is_active FROM {table} WHERE SUBSTR(id, 1, {ID_CHARS}) = :user_id \
                         ORDER BY last_login_date"
                    );
                    let start: String = id.chars().take(ID_CHARS).collect();
                    let answer = warehouse
                        .query(&Statement::new("integration user", sql).bind("user_id", start))
                        .await?;
                    let mut found = None;
                    for row in answer.rows() {
                        found = Some((row.get("last_login_date")?, row.get("is_active")?));
                    }
                    users.insert(id.clone(), found);
                }
            }
            Ok(users.into_iter().map(|(id, found)| User { id, found }).collect())
        };
        Some(text(read.await))
    }

    /// Reads what `doctor` finds of our deployment.
    async fn deployment(&self) -> Vec<Deployed> {
        let owner = self.pipeline.owner_of(Check::DefinitionChanged, "");
        let owner = owner.map_or("the operators", |owner| owner.name.as_str());
        match self.diagnosis(None, false).await {
            Ok(diagnosis) => diagnosis.rows.into_iter().map(|row| deployed(row, owner)).collect(),
            Err(why) => {
                let state = State::Unknown { how: "syncwatch doctor".to_owned() };
                vec![Deployed { part: "all parts".to_owned(), found: why.to_string(), state }]
            }
        }
    }
}

fn deployed(row: doctor::Row, owner: &str) -> Deployed {
    let doctor::Row { what: part, state, found, remedy } = row;
    let remedy = remedy.unwrap_or_else(|| "syncwatch doctor".to_owned());
    let state = match state {
        doctor::State::Ok => State::Ok,
        doctor::State::Wrong => State::Action { owner: owner.to_owned(), what: remedy },
        doctor::State::Unknown => State::Unknown { how: remedy },
    };
    Deployed { part, found, state }
}

fn read_advisories(path: &Path) -> Read<Advisories> {
    let unread = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let at = std::fs::metadata(path).and_then(|file| file.modified()).map_err(unread)?;
    let at = Timestamp::try_from(at).map_err(|error| error.to_string())?;
    Advisories::read(&std::fs::read_to_string(path).map_err(unread)?, at)
}

fn unkept(why: &str) -> Error {
    Error::new(format!("nothing was kept: {why}"), "syncwatch audit, without --keep, only prints")
}

/// Renders an audit as one page: no script and no external resource.
fn page(audit: &Audit) -> Result<String, Error> {
    let row = |row: &&syncwatch::audit::Row| {
        let next = row.next().into_iter().chain(row.details.iter().cloned()).collect::<Vec<_>>();
        json!({ "state": row.state.word(), "subject": row.subject, "evidence": row.evidence, "more": next })
    };
    let areas = audit.areas().into_iter().map(
        |(area, rows)| json!({ "title": area.title(), "rows": rows.iter().map(row).collect::<Vec<_>>() }),
    );
    let before =
        audit.before.as_ref().map(|before| json!({ "title": before.to_string(), "lines": before.lines() }));
    let values = json!({
        "title": format!("{}, {}", audit.pipeline, audit.quarter),
        "headline": audit.headline(),
        "areas": areas.collect::<Vec<_>>(),
        "before": before,
    });
    render_page("audit.html", PAGE, values).map_err(|error| Error::plain(error.to_string()))
}

#[cfg(test)]
mod tests {
    use syncwatch::audit::{Area, Before, Row};

    use super::*;

    #[test]
    fn page_escapes_texts_and_needs_no_script_or_network() {
        let hostile = "<script>alert(1)</script>\" onload=\"x";
        let row = Row {
            area: Area::Access,
            subject: hostile.to_owned(),
            state: State::Action { owner: hostile.to_owned(), what: hostile.to_owned() },
            evidence: hostile.to_owned(),
            details: vec![hostile.to_owned()],
            open_since: None,
        };
        let at: Timestamp = "2026-11-30T10:00:00Z".parse().unwrap();
        let before = Before {
            quarter: "2026-Q3".to_owned(),
            at,
            by: hostile.to_owned(),
            new: vec![hostile.to_owned()],
            open: Vec::new(),
            done: Vec::new(),
            unknown: Vec::new(),
        };
        let audit = Audit {
            pipeline: "properties".to_owned(),
            quarter: "2026-Q4".to_owned(),
            at,
            recorded: "61 of 92 days recorded".to_owned(),
            rows: vec![row],
            before: Some(before),
        };
        let html = page(&audit).unwrap();
        assert!(html.starts_with("<!doctype html>\n") && html.ends_with("</html>\n"), "{html}");
        for absent in ["<script", "\" onload=\"", "http://", "https://", "url(", " style=", "src="] {
            assert!(!html.contains(absent), "{absent}: {html}");
        }
        assert_eq!(html.matches("&lt;script&gt;").count(), 7, "{html}");
    }
}
