//! Probes which Census API accepts a token: calls each endpoint that Syncwatch uses once in V1 and V2. It only reads.

use std::fmt;

use jiff::civil::{Date, date};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::{Answer, Operator, Outcome};
use syncwatch::aws::secrets::SecretStore;
use syncwatch::census::{self, Client, ErrorKind};
use syncwatch::observation::SyncId;
use syncwatch::pipeline::ApiVersion;
use syncwatch::runtime::env;
use syncwatch::text::table;

/// Environment variable with a token that replaces the stored one.
const TOKEN: &str = "CENSUS_TOKEN";
/// Retirement date of V1 (the vendor's migration page, "Migrate from V1 to V2").
const V1_ENDS: Date = date(2027, 1, 15);
const BOTH: [ApiVersion; 2] = [ApiVersion::V1, ApiVersion::V2];

/// Result of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    pub endpoints: Vec<ProbedEndpoint>,
    /// Next step.
    pub advice: String,
}

/// One endpoint of one API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbedEndpoint {
    /// `v1` or `v2`.
    pub api: String,
    /// Such as `GET /syncs/{id}`.
    pub endpoint: String,
    /// HTTP status; `None` if it was not called or did not respond.
    pub status: Option<u16>,
    pub verdict: Verdict,
    /// Summary of the response, or the error.
    pub read: String,
}

/// Result for one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Answers,
    /// The token is not accepted, or lacks a right.
    Refused,
    /// The path or the object does not exist.
    Missing,
    /// Syncwatch cannot parse the response.
    Unreadable,
    /// No response, or a server error.
    NoAnswer,
    /// An earlier endpoint did not return the id that this one needs.
    NotAsked,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Answers => "answers",
            Self::Refused => "refused",
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
            Self::NoAnswer => "no answer",
            Self::NotAsked => "not asked",
        }
    }
}

impl fmt::Display for Probed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |found: &ProbedEndpoint| {
            let status = found.status.map_or_else(String::new, |status| status.to_string());
            let (api, endpoint) = (found.api.clone(), found.endpoint.clone());
            [api, endpoint, status, found.verdict.word().to_owned(), found.read.clone()]
        };
        let rows: Vec<_> = self.endpoints.iter().map(row).collect();
        writeln!(f, "{}", table(["api", "endpoint", "status", "verdict", "read"], &rows))?;
        write!(f, "\n{}", self.advice)
    }
}

impl Operator {
    /// Probes both APIs. `token` replaces the stored one, `group` that of `pipeline.toml`.
    pub(super) async fn probe_census(
        &self,
        token: Option<SecretString>,
        group: Option<&str>,
    ) -> Result<Answer, Error> {
        let token = match token.or_else(|| self.env.optional(TOKEN).map(SecretString::from)) {
            Some(token) => token,
            None => {
                let secret = self.setting(env::CENSUS_SECRET)?;
                SecretStore::new(self.sdk.secrets()).get(&secret, self.now).await?
            }
        };
        let base_url = self.env.optional(env::CENSUS_BASE_URL.name);
        let sync = self.pipeline.syncs.first().map(|sync| sync.id);
        let mut endpoints = Vec::new();
        for version in BOTH {
            let mut settings =
                census::Settings::of(&self.pipeline.census, base_url.as_deref(), token.clone());
            settings.version = version;
            settings.group_id = group.map(str::to_owned).or(settings.group_id);
            let client = Client::new(self.sdk.http.clone(), settings, self.now)?;
            endpoints.extend(probe(&client, version, sync).await);
        }
        let advice = advice(&endpoints, self.pipeline.census.api_version);
        let is_ready = answers_all(&endpoints, ApiVersion::V2);
        let probed = Probed { endpoints, advice };
        Ok(Answer::new(Outcome::done_if(is_ready), &probed, &probed))
    }
}

/// Calls every endpoint of one API. The newest run of the first declared sync represents all runs.
async fn probe(client: &Client, version: ApiVersion, sync: Option<SyncId>) -> Vec<ProbedEndpoint> {
    let mut found = Vec::new();
    let mut push = |endpoint: &str, asked: Asked| found.push(row(version, endpoint, asked));

    let page = client.list_syncs_page(1, 1).await;
    let listed = page.as_ref().ok().and_then(|page| page.syncs.first()).map(|sync| sync.id);
    push(
        "GET /syncs",
        Some(page.map(|page| match page.total {
            Some(total) => format!("{total} syncs"),
            None => "a list without a total".to_owned(),
        })),
    );
    let sync = sync.or(listed);
    let one = match sync {
        Some(id) => Some(client.get_sync(id).await.map(|sync| format!("sync {}", sync.id))),
        None => None,
    };
    push("GET /syncs/{id}", one);
    let runs = match sync {
        Some(id) => Some(client.runs_of_sync(id, 1).await),
        None => None,
    };
    let run = runs.as_ref().and_then(|runs| runs.as_ref().ok()).and_then(|runs| runs.runs.first());
    let run = run.map(|run| run.id);
    push(
        "GET /syncs/{id}/sync_runs",
        runs.map(|runs| {
            runs.map(|_| match run {
                Some(run) => format!("newest run {run}"),
                None => "no run yet".to_owned(),
            })
        }),
    );
    let one = match run {
        Some(id) => Some(client.get_run(id).await.map(|run| format!("run {}, {}", run.id, run.status))),
        None => None,
    };
    push("GET /sync_runs/{id}", one);
    let records = match run {
        // Records are customer data, so they are only counted.
        Some(id) => {
            Some(client.rejected_records(id, 1).await.map(|records| format!("{} records", records.len())))
        }
        None => None,
    };
    push("GET /sync_runs/{id}/records", records);
    let webhooks = client.list_webhooks().await;
    push("GET /webhooks", Some(webhooks.map(|webhooks| format!("{} webhooks", webhooks.len()))));
    found
}

/// Summary of a response, or its error; `None` if the endpoint was not called.
type Asked = Option<Result<String, census::Error>>;

fn row(version: ApiVersion, endpoint: &str, asked: Asked) -> ProbedEndpoint {
    let (verdict, status, read) = match asked {
        None => (Verdict::NotAsked, None, String::new()),
        Some(Ok(read)) => (Verdict::Answers, Some(200), read),
        Some(Err(error)) => {
            let (verdict, status) = of_error(&error.kind);
            (verdict, status, error.kind.to_string())
        }
    };
    ProbedEndpoint { api: name(version).to_owned(), endpoint: endpoint.to_owned(), status, verdict, read }
}

fn of_error(kind: &ErrorKind) -> (Verdict, Option<u16>) {
    match kind {
        ErrorKind::Unauthorized => (Verdict::Refused, Some(401)),
        ErrorKind::Forbidden => (Verdict::Refused, Some(403)),
        ErrorKind::NotFound { .. } => (Verdict::Missing, Some(404)),
        // The object has expired, so the path exists.
        ErrorKind::Gone { .. } => (Verdict::Answers, Some(410)),
        ErrorKind::RateLimited { .. } => (Verdict::NoAnswer, Some(429)),
        ErrorKind::Status { status, .. } => (Verdict::NoAnswer, Some(*status)),
        ErrorKind::EmptyBody { status } | ErrorKind::NotJson { status, .. } => {
            (Verdict::Unreadable, Some(*status))
        }
        ErrorKind::Shape { .. } => (Verdict::Unreadable, Some(200)),
        ErrorKind::Timeout { .. }
        | ErrorKind::Transport { .. }
        | ErrorKind::InvalidBaseUrl
        | ErrorKind::InvalidToken => (Verdict::NoAnswer, None),
    }
}

fn name(version: ApiVersion) -> &'static str {
    match version {
        ApiVersion::V1 => "v1",
        ApiVersion::V2 => "v2",
    }
}

/// Returns whether every endpoint of an API answers, or had no id to be called with.
fn answers_all(endpoints: &[ProbedEndpoint], version: ApiVersion) -> bool {
    let mut of_api = endpoints.iter().filter(|found| found.api == name(version)).peekable();
    let usable = |found: &ProbedEndpoint| matches!(found.verdict, Verdict::Answers | Verdict::NotAsked);
    of_api.peek().is_some_and(|list| list.verdict == Verdict::Answers) && of_api.all(usable)
}

fn advice(endpoints: &[ProbedEndpoint], configured: ApiVersion) -> String {
    let of_v2 = |wanted: Verdict| {
        let found = endpoints.iter().filter(|found| found.api == "v2" && found.verdict == wanted);
        found.map(|found| found.endpoint.as_str()).collect::<Vec<_>>()
    };
    let refused = of_v2(Verdict::Refused);
    let lacks: Vec<&str> = [Verdict::Missing, Verdict::Unreadable].into_iter().flat_map(of_v2).collect();
    if answers_all(endpoints, ApiVersion::V2) {
        return match configured {
            ApiVersion::V2 => "V2 answers, and pipeline.toml uses it: nothing to do.".to_owned(),
            ApiVersion::V1 => format!(
                "V2 answers every endpoint that Syncwatch reads. Store this token in the secret, set `api_version = \"v2\"` and \
                 `group_id` in [census], and deploy before {V1_ENDS}, when V1 ends."
            ),
        };
    }
    if !refused.is_empty() {
        return format!(
            "V2 refuses the token at {}. V2 accepts personal access tokens only: create one in Census, then \
             `syncwatch census probe --token-stdin`. V1 ends on {V1_ENDS}.",
            refused.join(", ")
        );
    }
    if !lacks.is_empty() {
        return format!(
            "V2 lacks {}. Stay on V1, which ends on {V1_ENDS}; ask Census's support for the V2 path of each, then run \
             this again.",
            lacks.join(", ")
        );
    }
    format!("V2 did not answer. Run this again; V1 ends on {V1_ENDS}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATHS: [&str; 6] = [
        "GET /syncs",
        "GET /syncs/{id}",
        "GET /syncs/{id}/sync_runs",
        "GET /sync_runs/{id}",
        "GET /sync_runs/{id}/records",
        "GET /webhooks",
    ];

    fn endpoints(of_v2: [Verdict; 6]) -> Vec<ProbedEndpoint> {
        let found = |verdict, endpoint: &str| ProbedEndpoint {
            api: "v2".to_owned(),
            endpoint: endpoint.to_owned(),
            status: None,
            verdict,
            read: String::new(),
        };
        of_v2.into_iter().zip(PATHS).map(|(verdict, path)| found(verdict, path)).collect()
    }

    #[test]
    fn advice_names_the_next_step() {
        use Verdict::{Answers, Missing, NoAnswer, NotAsked, Refused};
        let shown = |of_v2, configured| advice(&endpoints(of_v2), configured);
        assert!(shown([Answers; 6], ApiVersion::V1).contains("before 2027-01-15"));
        assert!(shown([Answers; 6], ApiVersion::V2).contains("nothing to do"));
        assert!(shown([Refused; 6], ApiVersion::V1).contains("personal access tokens only"));
        let no_runs = [Answers, Answers, Missing, NotAsked, NotAsked, Answers];
        assert!(shown(no_runs, ApiVersion::V1).starts_with("V2 lacks GET /syncs/{id}/sync_runs. Stay on V1"));
        assert!(shown([NoAnswer; 6], ApiVersion::V1).contains("Run this again"));
        // A sync that never ran has no run to ask for.
        assert!(
            shown([Answers, Answers, Answers, NotAsked, NotAsked, Answers], ApiVersion::V1)
                .contains("answers every")
        );
        assert!(shown([NotAsked; 6], ApiVersion::V1).contains("Run this again"));
    }

    #[test]
    fn each_kind_of_failure_has_its_verdict() {
        let status = |status| ErrorKind::Status { status, message: None };
        let table = [
            (ErrorKind::Unauthorized, Verdict::Refused, Some(401)),
            (ErrorKind::Forbidden, Verdict::Refused, Some(403)),
            (ErrorKind::NotFound { what: "syncs".to_owned() }, Verdict::Missing, Some(404)),
            (ErrorKind::Gone { what: "records".to_owned() }, Verdict::Answers, Some(410)),
            (status(502), Verdict::NoAnswer, Some(502)),
            (ErrorKind::EmptyBody { status: 200 }, Verdict::Unreadable, Some(200)),
            (ErrorKind::Timeout { seconds: 15 }, Verdict::NoAnswer, None),
        ];
        for (kind, verdict, status) in table {
            assert_eq!(of_error(&kind), (verdict, status), "{kind}");
        }
    }
}
