//! The `look` command: the tools of an on-call person, at the lab's addresses and in its time.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use syncwatch::sql::{Dialect, Statement, Value as Cell, check_read_only};
use syncwatch_cli::runbook;
use syncwatch_lab::census::TOKEN;
use syncwatch_lab::databricks;

use crate::scene::Scene;

/// Lines shown of one answer; a person reads no more.
const SHOWN: usize = 80;

/// The subjects of `look`, as the prompt lists them.
pub(crate) const LOOKS: &str = "\
  look notices             all mails so far
  look incidents           open incidents          (syncwatch incidents)
  look explain FINDING     the runbook section     (syncwatch explain FINDING)
  look expectations        each figure and the range that was expected (syncwatch expectations)
  look config              the declared pipeline   (syncwatch check-config)
  look reconcile [--explain | --key KEY] compare every record (syncwatch reconcile)
  look baseline            changes since the definition was accepted (syncwatch baseline diff)
  look remedies            what Syncwatch proposes and does (syncwatch remedies list)
  look validate [CHECK]    run the data checks now (the function daily-validation)
  look sql SELECT ...      query the warehouse, such as SELECT * FROM crm.sfdc_dbx.daily_health_check
  look census PATH         query the Census API, such as syncs/3394022 or syncs/3394022/sync_runs?per_page=5
  look webhook             check the webhook       (syncwatch webhook-register --check)
  look addresses           commands for another shell (curl, syncwatch)";

impl Scene {
    /// Answers one `look`.
    ///
    /// # Errors
    /// The subject is unknown, or the tool refuses; the prompt shows the error as the answer.
    pub async fn look(&self, what: &str) -> Result<String> {
        let (tool, rest) = what.split_once(' ').unwrap_or((what, ""));
        let rest = rest.trim();
        match (tool, rest) {
            ("notices", _) => {
                let mails = self.mails();
                let mails = mails.iter().map(|mail| format!("Subject: {}\n\n{}", mail.subject, mail.text));
                Ok(mails.collect::<Vec<_>>().join("\n----\n"))
            }
            ("incidents", _) => Ok(self.operate(&["incidents"]).await?.0),
            ("explain", "") => Ok(runbook::contents().to_string()),
            ("explain", finding) => Ok(runbook::explain(finding)?.to_string()),
            ("expectations", _) => Ok(self.operate(&["expectations"]).await?.0),
            ("config", _) => Ok(self.pipeline.to_string()),
            ("reconcile", words) => {
                let words: Vec<&str> = std::iter::once("reconcile").chain(words.split_whitespace()).collect();
                Ok(shortened(self.operate(&words).await?.0.lines().map(str::to_owned)))
            }
            ("baseline", _) => {
                Ok(shortened(self.operate(&["baseline", "diff"]).await?.0.lines().map(str::to_owned)))
            }
            ("remedies", _) => Ok(self.operate(&["remedies", "list"]).await?.0),
            ("validate", "") => self.validate(None).await,
            ("validate", check) => self.validate(Some(check)).await,
            ("sql", "") => {
                bail!("look sql needs a statement, such as SELECT * FROM crm.sfdc_dbx.daily_health_check")
            }
            ("sql", sql) => self.sql(sql).await,
            ("census", path) => self.ask_census(path).await,
            ("webhook", _) => match self.webhook_url() {
                None => Ok("In this drill no webhook is registered; the poll finds everything.".to_owned()),
                Some(url) => Ok(self.operate(&["webhook-register", "--url", url, "--check"]).await?.0),
            },
            ("addresses", _) => Ok(self.addresses()),
            _ => bail!("unknown subject {tool:?}; the subjects are:\n{LOOKS}"),
        }
    }

    async fn sql(&self, sql: &str) -> Result<String> {
        let sql = sql.trim_end_matches(';');
        check_read_only(sql, Dialect::Databricks, &[]).context("the account of Syncwatch may only read")?;
        let answer = self.databricks()?.query(&Statement::new("your statement", sql)).await?;
        let heads = answer.columns().iter().map(|column| column.name.clone()).collect::<Vec<_>>();
        let rows = answer.rows().map(|row| row.values().iter().map(cell).collect::<Vec<_>>().join(" | "));
        Ok(shortened(std::iter::once(heads.join(" | ")).chain(rows)))
    }

    async fn ask_census(&self, path: &str) -> Result<String> {
        let url = format!("{}/api/v1/{}", self.census.url(), path.trim_start_matches('/'));
        let http = syncwatch::http::client()?;
        let answer = http.get(url).bearer_auth(TOKEN).send().await.context("Census does not answer")?;
        let status = answer.status();
        let text = answer.text().await.context("Census closed the connection")?;
        let text = serde_json::from_str::<Value>(&text).map_or(text, |json| format!("{json:#}"));
        Ok(format!("{status}\n{}", shortened(text.lines().map(str::to_owned))))
    }

    /// Commands for another shell. Census and Databricks show the lab's time, which is stopped between two commands of the
    /// drill.
    fn addresses(&self) -> String {
        let (census, warehouse) = (self.census.url(), self.warehouse.url());
        format!(
            "census() {{ curl -sS -H 'Authorization: Bearer {TOKEN}' \"{census}/api/v1/$1\"; }}\n\
             census syncs\n\
             census 'syncs/3394022/sync_runs?per_page=5'\n\
             curl -sS -H 'Authorization: Bearer {}' {warehouse}/api/2.0/sql/statements \\\n  \
             -d '{{\"warehouse_id\": \"{}\", \"statement\": \"SELECT * FROM crm.sfdc_dbx.daily_health_check\"}}'\n\
             export AWS_ENDPOINT_URL={} AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=lab AWS_SECRET_ACCESS_KEY=lab\n\
             syncwatch incidents  # shows how long each is open by the wall clock\n\
             syncwatch check-config\n\
             Apply steps by `fix`: the drill does them, and counts them.",
            databricks::TOKEN,
            databricks::WAREHOUSE_ID,
            self.mail.url(),
        )
    }
}

fn shortened(lines: impl Iterator<Item = String>) -> String {
    let lines: Vec<String> = lines.collect();
    let mut shown = lines.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
    if lines.len() > SHOWN {
        shown.push_str(&format!("\n... {} more lines", lines.len() - SHOWN));
    }
    shown
}

fn cell(value: &Cell) -> String {
    match value {
        Cell::Null => "NULL".to_owned(),
        Cell::Unreadable => "(unreadable)".to_owned(),
        Cell::Text(text) => text.clone(),
        Cell::Integer(number) => number.to_string(),
        Cell::Double(number) => number.to_string(),
        Cell::Decimal(number) => number.as_str().to_owned(),
        Cell::Boolean(truth) => truth.to_string(),
        Cell::Date(date) => date.to_string(),
        Cell::Timestamp(instant) => instant.to_string(),
    }
}
