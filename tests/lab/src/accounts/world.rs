//! The simulation, minute by minute: companies change, the sync sends what changed, Fivetran copies Salesforce back.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::faults::{AccountFault, Bend};
use crate::properties::{INTEGRATION_USER, PERSON};

const SYNC_EVERY: i64 = 30;
const COPY_EVERY: i64 = 5;
/// Fivetran copies the state of Salesforce from this long ago.
const COPY_LAG: SignedDuration = SignedDuration::from_mins(2);
/// The average number of changes of companies per minute.
const CHANGES: f64 = 0.15;
const LONGEST_NAME: usize = 80;
const INDUSTRIES: [(&str, &str); 3] = [("FI", "Finance"), ("RE", "Real Estate"), ("RT", "Retail")];
const ZONE: &str = "America/Los_Angeles";

/// A company at the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Company {
    /// The key; not unique.
    pub key: String,
    pub name: String,
    pub industry: String,
    /// Digits with three decimals, one more than Salesforce shows; the last is 1.
    pub revenue: String,
    /// `None` arrives as unchecked.
    pub is_partner: Option<bool>,
    pub onboarded_at: Timestamp,
    pub phone: String,
    pub fax: String,
    /// A Salesforce id of 15 characters.
    pub parent: String,
    pub updated_at: Timestamp,
    pub deleted: bool,
}

/// A record in Salesforce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: String,
    pub external_id: String,
    pub name: Option<String>,
    pub industry: String,
    pub revenue: String,
    pub is_partner: bool,
    pub onboarded_at: Timestamp,
    pub onboarded_on: Date,
    pub phone: String,
    pub fax: String,
    /// A Salesforce id of 18 characters.
    pub parent: String,
    pub version: Timestamp,
    pub modified_at: Timestamp,
    pub modified_by: &'static str,
    pub deleted: bool,
    /// Whether the copy's user may not see it.
    hidden: bool,
}

/// A rejected record of the newest run: key, and Salesforce's message.
pub type Refused = (String, &'static str);

/// The companies and accounts, in memory. The same seed and calls make the same world.
#[derive(Debug)]
pub struct AccountWorld {
    rng: ChaCha8Rng,
    now: Timestamp,
    zone: TimeZone,
    pub(super) companies: Vec<Company>,
    /// The version of each company that the sync last sent, as Census records it.
    sent: Vec<Option<Timestamp>>,
    accounts: Vec<Account>,
    /// Parallel to `accounts`: Fivetran's copy of each, and when it was synced.
    pub(super) copies: Vec<Option<(Account, Timestamp)>>,
    uncopied: BTreeSet<usize>,
    planted: BTreeMap<usize, AccountFault>,
    refused: BTreeMap<usize, &'static str>,
    last_run: Timestamp,
    /// Minutes between two runs of the copy.
    copy_every: i64,
    compares_times: bool,
    bend: Option<Bend>,
    pub(super) unwritten: (BTreeSet<usize>, BTreeSet<usize>),
}

impl AccountWorld {
    /// Creates companies that are all in Salesforce and in the copy.
    #[must_use]
    pub fn healthy(now: Timestamp, seed: u64, count: usize) -> Self {
        let now = now - SignedDuration::from_secs(now.as_second().rem_euclid(60));
        let mut world = Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            now,
            zone: TimeZone::get(ZONE).unwrap_or(TimeZone::UTC),
            companies: Vec::new(),
            sent: Vec::new(),
            accounts: Vec::new(),
            copies: Vec::new(),
            uncopied: BTreeSet::new(),
            planted: BTreeMap::new(),
            refused: BTreeMap::new(),
            last_run: now,
            copy_every: COPY_EVERY,
            compares_times: false,
            bend: None,
            unwritten: (BTreeSet::new(), BTreeSet::new()),
        };
        for _ in 0..count {
            world.arrive();
        }
        world.run();
        world.copy(now);
        world
    }

    /// The current time of the world.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The start of the last run, which succeeded.
    #[must_use]
    pub fn last_run(&self) -> Timestamp {
        self.last_run
    }

    /// The records that the last run rejected.
    #[must_use]
    pub fn refused(&self) -> Vec<Refused> {
        let key = |company: &usize| self.companies.get(*company).map(|company| company.key.clone());
        self.refused.iter().filter_map(|(company, why)| Some((key(company)?, *why))).collect()
    }

    /// Lets the copy run this often, in minutes; by default every five.
    pub fn copy_every(&mut self, minutes: Option<i64>) {
        self.copy_every = minutes.unwrap_or(COPY_EVERY);
    }

    /// Fivetran copies everything again: every row is synced now.
    pub fn resync_copy(&mut self) {
        self.uncopied = (0..self.accounts.len()).collect();
        self.copy(self.now);
    }

    /// Lets the view select by times instead of versions.
    pub fn compare_times(&mut self, on: bool) {
        self.compares_times = on;
    }

    /// Changes the mapping or the view, or restores both; records that were sent stay as they are.
    pub fn bend(&mut self, bend: Option<Bend>) {
        self.bend = bend;
    }

    /// Changes so many companies without a fault at the source.
    pub fn change_many(&mut self, count: usize) {
        let free: Vec<usize> = (0..self.companies.len()).filter(|company| self.is_free(*company)).collect();
        for company in free.into_iter().take(count) {
            self.change(company);
        }
    }

    /// Lets minutes pass.
    pub fn advance_to(&mut self, to: Timestamp) {
        while self.now + SignedDuration::from_mins(1) <= to {
            self.now += SignedDuration::from_mins(1);
            if self.rng.random_bool(CHANGES) {
                let company = self.rng.random_range(0..self.companies.len().max(1));
                if self.is_free(company) {
                    self.change(company);
                }
            }
            let minute = self.now.as_second() / 60;
            if minute % self.copy_every == 0 {
                self.copy(self.now - COPY_LAG);
            }
            if minute % SYNC_EVERY == 0 {
                self.run();
            }
        }
    }

    /// Whether a company has no fault, is equal on both sides, and has nothing in flight.
    fn is_free(&self, company: usize) -> bool {
        let Some(found) = self.companies.get(company) else { return false };
        !found.deleted && !self.planted.contains_key(&company)
    }

    fn arrive(&mut self) -> usize {
        let number = self.companies.len();
        let at = self.now - SignedDuration::from_hours(self.rng.random_range(48..9_000));
        let (industry, _) = INDUSTRIES.get(number % INDUSTRIES.len()).copied().unwrap_or_default();
        self.companies.push(Company {
            key: format!("Comp-{number:05}"),
            name: format!("Company {number}"),
            industry: industry.to_owned(),
            revenue: format!("{}.{:02}1", self.rng.random_range(1_000..9_000_000), number % 100),
            is_partner: if number.is_multiple_of(3) { None } else { Some(number % 3 == 1) },
            onboarded_at: at,
            phone: format!("+1 415 555 {:04}", number % 10_000),
            fax: format!("+1 510 555 {:04}", number % 10_000),
            parent: "00300000003T2PG".to_owned(),
            updated_at: self.now,
            deleted: false,
        });
        self.sent.push(None);
        self.unwritten.0.insert(number);
        number
    }

    fn change(&mut self, company: usize) {
        let number = self.rng.random_range(0..100_000);
        let now = self.now;
        self.touch(company, now, |found| found.name = format!("Company, renamed {number}"));
    }

    fn touch(&mut self, company: usize, at: Timestamp, change: impl FnOnce(&mut Company)) {
        let Some(found) = self.companies.get_mut(company) else { return };
        change(found);
        found.updated_at = at;
        self.unwritten.0.insert(company);
    }

    /// A person saves a record.
    fn edit(&mut self, account: usize, change: impl FnOnce(&mut Account)) {
        let Some(found) = self.accounts.get_mut(account) else { return };
        change(found);
        (found.modified_at, found.modified_by) = (self.now, PERSON);
        self.uncopied.insert(account);
    }

    fn live(&self, key: &str) -> Option<usize> {
        self.accounts.iter().position(|account| account.external_id == key && !account.deleted)
    }

    /// The record as the sync sends it now; the name is as Salesforce keeps it.
    fn form(&self, company: &Company, bend: Option<Bend>) -> Account {
        let industry = INDUSTRIES.iter().find(|(code, _)| *code == company.industry);
        let day = match bend {
            Some(Bend::DayInUtc) => TimeZone::UTC,
            _ => self.zone.clone(),
        };
        let (mut phone, mut fax) = (company.phone.clone(), company.fax.clone());
        if bend == Some(Bend::Exchanged) {
            std::mem::swap(&mut phone, &mut fax);
        }
        Account {
            id: String::new(),
            external_id: company.key.clone(),
            name: Some(company.name.trim_end().to_owned()).filter(|name| !name.is_empty()),
            industry: industry.map_or_else(|| company.industry.clone(), |(_, name)| (*name).to_owned()),
            revenue: company.revenue.clone(),
            is_partner: company.is_partner.unwrap_or(false),
            onboarded_at: company.onboarded_at,
            onboarded_on: day.to_datetime(company.onboarded_at).date(),
            phone,
            fax,
            parent: format!("{}AA0", company.parent),
            version: company.updated_at,
            modified_at: self.now,
            modified_by: INTEGRATION_USER,
            deleted: false,
            hidden: false,
        }
    }

    /// A run of the sync: sends what changed since it was sent, and what was rejected.
    fn run(&mut self) {
        self.last_run = self.now;
        self.refused.clear();
        for number in 0..self.companies.len() {
            let Some(company) = self.companies.get(number) else { continue };
            let is_sent = self.sent.get(number).copied().flatten() == Some(company.updated_at);
            if company.deleted || is_sent || (self.compares_times && self.is_later_in_copy(company)) {
                continue;
            }
            let form = self.form(company, self.bend);
            if company.name.len() > LONGEST_NAME {
                self.refused
                    .insert(number, "STRING_TOO_LONG: Account Name: data value too large (max length=80)");
                continue;
            }
            if !INDUSTRIES.iter().any(|(_, name)| *name == form.industry) {
                let why = "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST: Industry: bad value for restricted picklist field";
                self.refused.insert(number, why);
                continue;
            }
            let version = company.updated_at;
            self.upsert(form);
            if let Some(sent) = self.sent.get_mut(number) {
                *sent = Some(version);
            }
        }
    }

    /// Whether the copy has a later time for each of its records, so that a view that compares times leaves it out.
    fn is_later_in_copy(&self, company: &Company) -> bool {
        let copies =
            self.copies.iter().flatten().filter(|(copy, _)| copy.external_id == company.key && !copy.deleted);
        copies.map(|(copy, _)| copy.modified_at).min().is_some_and(|modified| modified >= company.updated_at)
    }

    fn upsert(&mut self, form: Account) {
        let number = match self.live(&form.external_id) {
            Some(number) => {
                if let Some(old) = self.accounts.get_mut(number) {
                    // Empty text clears nothing.
                    let name = form.name.clone().or_else(|| old.name.clone());
                    *old = Account { id: old.id.clone(), hidden: old.hidden, name, ..form };
                }
                number
            }
            None => self.create(form),
        };
        self.uncopied.insert(number);
    }

    fn create(&mut self, form: Account) -> usize {
        let number = self.accounts.len();
        let hidden = self.planted.iter().any(|(company, fault)| {
            *fault == AccountFault::RecordHidden
                && self.companies.get(*company).is_some_and(|company| company.key == form.external_id)
        });
        self.accounts.push(Account { id: format!("001{number:012}"), hidden, ..form });
        self.copies.push(None);
        number
    }

    /// Copies what Salesforce had at an instant.
    fn copy(&mut self, as_of: Timestamp) {
        for number in std::mem::take(&mut self.uncopied) {
            let Some(account) = self.accounts.get(number) else { continue };
            if account.hidden {
                continue;
            }
            if account.modified_at > as_of {
                self.uncopied.insert(number);
                continue;
            }
            if let Some(copy) = self.copies.get_mut(number) {
                *copy = Some((account.clone(), self.now));
                self.unwritten.1.insert(number);
            }
        }
    }

    /// Plants a fault; returns the key of the company to which it happens.
    pub fn plant(&mut self, fault: AccountFault) -> Option<String> {
        let settled = self.now - SignedDuration::from_hours(4);
        let company = match fault {
            AccountFault::RecordHidden => self.arrive(),
            _ => (0..self.companies.len()).find(|number| {
                let waits = self.companies.get(*number).is_none_or(|company| company.updated_at > settled);
                !waits && self.is_free(*number)
            })?,
        };
        self.planted.insert(company, fault);
        let found = self.companies.get(company)?.clone();
        let (now, name) = (self.now, "Renamed by a person".to_owned());
        let account = self.live(&found.key);
        match (fault, account) {
            (AccountFault::HandEdit, Some(account)) => {
                self.edit(account, |account| account.name = Some(name));
            }
            (AccountFault::OtherEdit, Some(account)) => self.edit(account, |_| {}),
            (AccountFault::LostUpdate, Some(account)) => {
                self.touch(company, now - SignedDuration::from_mins(1), |company| {
                    company.name.push_str(" (new)");
                });
                self.edit(account, |_| {});
            }
            (AccountFault::RecordDeleted, Some(account)) => {
                self.edit(account, |account| account.deleted = true);
            }
            (AccountFault::RecordUndeleted, Some(account)) => {
                self.edit(account, |account| account.deleted = true);
                self.copy(self.now);
                self.edit(account, |account| account.deleted = false);
            }
            (AccountFault::DuplicateByCase, Some(account)) => {
                let mut twin = self.accounts.get(account)?.clone();
                twin.external_id = twin.external_id.to_uppercase();
                let twin = self.create(twin);
                self.edit(twin, |_| {});
            }
            (AccountFault::Rounded, Some(account)) => self.edit(account, |account| {
                let cents = account.revenue.len() - 1;
                account.revenue.truncate(cents);
            }),
            (AccountFault::EmptyText, _) => self.touch(company, now, |company| company.name.clear()),
            (AccountFault::TooLong, _) => {
                self.touch(company, now, |company| company.name = "Long ".repeat(20));
            }
            (AccountFault::BadChoice, _) => {
                self.touch(company, now, |company| company.industry = "Aviation".to_owned());
            }
            (AccountFault::KeyReused, _) => {
                let other = self.arrive();
                self.planted.insert(other, fault);
                self.touch(other, now, |company| company.key = found.key.clone());
            }
            (AccountFault::SourceDeleted, _) => self.touch(company, now, |company| company.deleted = true),
            (AccountFault::TrailingBlanks, _) => {
                self.touch(company, now, |company| company.name.push_str("  "));
            }
            _ => {}
        }
        Some(found.key)
    }

    /// Repairs what a fault did, as people do: the source row is right and is sent again, and no other record has its key.
    pub fn cure(&mut self, key: &str) {
        let mine: Vec<usize> = self
            .planted
            .keys()
            .copied()
            .filter(|n| self.companies.get(*n).is_some_and(|c| c.key == key))
            .collect();
        let now = self.now;
        for (place, company) in mine.into_iter().enumerate() {
            let fault = self.planted.remove(&company);
            self.touch(company, now, |company| {
                company.name = format!("{} cured", company.key);
                company.industry = "FI".to_owned();
                company.deleted |= place > 0;
            });
            // Nothing of a company that is gone is left in Salesforce.
            let is_gone = fault == Some(AccountFault::SourceDeleted);
            for account in 0..self.accounts.len() {
                let found = self.accounts.get(account);
                let is_of_key =
                    |found: &Account| !found.deleted && found.external_id.eq_ignore_ascii_case(key);
                let Some(found) = found.filter(|found| is_of_key(found)) else { continue };
                if is_gone || found.external_id != key {
                    self.edit(account, |account| account.deleted = true);
                } else if found.hidden {
                    // Shown again, without a write that a view that compares times would take for a newer one.
                    if let Some(found) = self.accounts.get_mut(account) {
                        found.hidden = false;
                    }
                    self.uncopied.insert(account);
                }
            }
        }
    }

    /// The keys whose values in Salesforce are not those that a sound sync would have sent, by exact comparison in memory; without
    /// those that changed at the source since an instant, and without ambiguous ones.
    #[must_use]
    pub fn wrong_keys(&self, settled: Timestamp) -> BTreeSet<String> {
        let mut wrong = BTreeSet::new();
        let live: Vec<&Company> = self.companies.iter().filter(|company| !company.deleted).collect();
        let visible: Vec<&Account> =
            self.accounts.iter().filter(|account| !account.deleted && !account.hidden).collect();
        let folded = |key: &str| key.to_ascii_lowercase();
        let is_ambiguous = |key: &str| {
            live.iter().filter(|company| folded(&company.key) == folded(key)).count() > 1
                || visible.iter().filter(|account| folded(&account.external_id) == folded(key)).count() > 1
        };
        for company in &live {
            if company.updated_at > settled || is_ambiguous(&company.key) {
                continue;
            }
            let found = visible.iter().find(|account| account.external_id == company.key);
            let is_right = found.is_some_and(|found| {
                let Account { id, modified_at, modified_by, .. } = (*found).clone();
                **found == Account { id, modified_at, modified_by, ..self.form(company, None) }
            });
            if !is_right {
                wrong.insert(folded(&company.key));
            }
        }
        let has_company = |account: &&&Account| live.iter().any(|company| company.key == account.external_id);
        let extra =
            visible.iter().filter(|account| !has_company(account) && !is_ambiguous(&account.external_id));
        wrong.extend(extra.map(|account| folded(&account.external_id)));
        wrong
    }
}
