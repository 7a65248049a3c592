//! Minutes pass: properties arrive and change, two syncs move what the views say, Fivetran copies it back.

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::faults::PropertyFault;
use super::generate::{self, Property, STATUSES};

/// The properties of the seed state.
pub const TOTAL_OF_SEED: usize = 20_247;
/// Those of them that are in Salesforce: 92.47 %.
pub const SYNCED_OF_SEED: usize = 18_722;

/// What an ordinary minute brings.
const ARRIVALS_A_MINUTE: f64 = 0.1;
const CHANGES_A_MINUTE: f64 = 0.7;
/// The share of new properties that nobody has entered the company of yet, and of changes that are deletions.
const NAMELESS: f64 = 0.01;
const DELETIONS: f64 = 0.01;
/// The minutes of the hour at which things happen, as divisors.
const CREATE_EVERY: i64 = 30;
const UPDATE_EVERY: i64 = 15;
const COPY_EVERY: i64 = 5;
/// Fivetran copies what Salesforce had so long ago.
const COPY_LAG: SignedDuration = SignedDuration::from_mins(2);

/// One of the two syncs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// Creates records.
    Create,
    /// Updates records.
    Update,
}

/// What one run of a sync did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// The sync.
    pub sync: Sync,
    /// When.
    pub at: Timestamp,
    /// Records that Salesforce took.
    pub succeeded: usize,
    /// Records that it refused.
    pub failed: usize,
}

/// A record in Salesforce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Salesforce's own id.
    pub id: String,
    /// The external id: the property's key.
    pub property_id: String,
    /// The company's name, as it was moved.
    pub company_name: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last written.
    pub modified_at: Timestamp,
    property: usize,
}

/// A record in the copy that Fivetran keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// The record as it was.
    pub record: Record,
    /// When it was copied.
    pub synced_at: Timestamp,
}

/// The figures of `daily_health_check`, reckoned without SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// Properties that are not gone.
    pub total: usize,
    /// Those of them that are in the copy.
    pub synced: usize,
    /// Properties that wait to be created.
    pub create_queue: usize,
    /// Properties that wait to be updated.
    pub update_queue: usize,
    /// Records without a company.
    pub null_companies: usize,
    /// Properties that are in Salesforce more than once.
    pub duplicates: usize,
}

/// What is wrong at the moment.
#[derive(Debug, Default)]
pub(super) struct Ailments {
    pub(super) view_bug: bool,
    pub(super) leak: Option<String>,
    source_stalls: bool,
    copy_stalls: bool,
    duplicate_percent: u32,
    invalid_percent: u32,
    per_run: Option<usize>,
}

/// What was not written into an engine yet.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    pub(super) properties: BTreeSet<usize>,
    pub(super) copies: BTreeSet<usize>,
    pub(super) views: bool,
}

/// All of it, in memory. The same seed, faults and minutes make the same world.
#[derive(Debug)]
pub struct PropertyWorld {
    rng: ChaCha8Rng,
    now: Timestamp,
    pub(super) properties: Vec<Property>,
    records: Vec<Record>,
    /// Beside `records`: what Fivetran has of each.
    pub(super) copies: Vec<Option<Copy>>,
    /// The records of a property.
    records_of: HashMap<usize, Vec<usize>>,
    /// Records that changed since they were copied.
    uncopied: BTreeSet<usize>,
    /// Properties without a copy, and properties newer than theirs: the queues, but for what the views leave out.
    missing: BTreeSet<usize>,
    behind: BTreeSet<usize>,
    moves: Vec<Move>,
    pub(super) ailments: Ailments,
    pub(super) unwritten: Unwritten,
}

impl PropertyWorld {
    /// Everything as it should be: all properties are in Salesforce, and in the copy.
    #[must_use]
    pub fn healthy(now: Timestamp, seed: u64) -> Self {
        Self::with(now, seed, TOTAL_OF_SEED, TOTAL_OF_SEED, 0)
    }

    /// The state in which Syncwatch found the pipeline: 18,722 of 20,247 are in Salesforce, 25 wait, and of the others
    /// nobody has entered the company.
    #[must_use]
    pub fn as_found(now: Timestamp, seed: u64) -> Self {
        Self::with(now, seed, TOTAL_OF_SEED, SYNCED_OF_SEED, 25)
    }

    /// So many properties, so many of them in Salesforce, so many that wait; of the rest nobody has entered the company.
    #[must_use]
    pub fn with(now: Timestamp, seed: u64, total: usize, synced: usize, waiting: usize) -> Self {
        let now = floor(now);
        let mut world = Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            now,
            properties: Vec::with_capacity(total),
            records: Vec::with_capacity(synced),
            copies: Vec::with_capacity(synced),
            records_of: HashMap::new(),
            uncopied: BTreeSet::new(),
            missing: BTreeSet::new(),
            behind: BTreeSet::new(),
            moves: Vec::new(),
            ailments: Ailments::default(),
            unwritten: Unwritten { views: true, ..Unwritten::default() },
        };
        for number in 0..total {
            // Over the year before; those that wait arrived just now.
            let is_synced = number < synced;
            let minutes =
                if is_synced { world.rng.random_range(120..525_600) } else { world.rng.random_range(1..20) };
            let mut property =
                generate::property(&mut world.rng, number, now - SignedDuration::from_mins(minutes));
            if !is_synced && number >= synced + waiting {
                property.company_name = None;
            }
            let at = property.created_at;
            world.properties.push(property);
            if is_synced {
                let record = world.create(number, at + SignedDuration::from_mins(30));
                world.copy(record, at + SignedDuration::from_mins(35));
            }
            world.touched(number);
        }
        world
    }

    /// What time it is there.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The properties, those that are gone included.
    #[must_use]
    pub fn properties(&self) -> &[Property] {
        &self.properties
    }

    /// What Salesforce has.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// What Fivetran has copied.
    pub fn copies(&self) -> impl Iterator<Item = &Copy> {
        self.copies.iter().flatten()
    }

    /// What the runs did, oldest first.
    #[must_use]
    pub fn moves(&self) -> &[Move] {
        &self.moves
    }

    /// The keys that wait to be created, as the view says, in order.
    #[must_use]
    pub fn to_create(&self) -> Vec<&str> {
        self.missing
            .iter()
            .filter(|index| self.is_ready(**index))
            .filter_map(|index| self.key(*index))
            .collect()
    }

    /// The keys that wait to be updated, as the view says, in order.
    #[must_use]
    pub fn to_update(&self) -> Vec<&str> {
        self.behind.iter().filter_map(|index| self.key(*index)).collect()
    }

    /// The figures, as `daily_health_check` has them.
    #[must_use]
    pub fn health(&self) -> Health {
        let total = self.properties.iter().filter(|property| !property.deleted).count();
        let copied = |records: &Vec<usize>| {
            records.iter().filter(|record| self.copies.get(**record).is_some_and(Option::is_some)).count()
        };
        let is_null =
            |copy: &Copy| copy.record.company_name.as_deref().is_none_or(|name| name.trim().is_empty());
        Health {
            total,
            synced: total - self.missing.len(),
            create_queue: self.to_create().len(),
            update_queue: self.behind.len(),
            null_companies: self.copies().filter(|copy| is_null(copy)).count(),
            duplicates: self.records_of.values().filter(|records| copied(records) > 1).count(),
        }
    }

    /// Lets something go wrong from now on.
    pub fn inflict(&mut self, fault: PropertyFault) {
        match fault {
            PropertyFault::ViewBug => self.ailments.view_bug = true,
            PropertyFault::SourceStalls => self.ailments.source_stalls = true,
            PropertyFault::CopyStalls => self.ailments.copy_stalls = true,
            PropertyFault::DuplicateCreation { percent } => self.ailments.duplicate_percent = percent,
            PropertyFault::CoverageLeak { city } => self.ailments.leak = Some(city),
            PropertyFault::Backlog { per_run } => self.ailments.per_run = Some(per_run),
            PropertyFault::ValidationErrors { percent } => self.ailments.invalid_percent = percent,
        }
        self.unwritten.views = true;
    }

    /// Mends what causes harm. The harm that was done stays: people must repair data.
    pub fn heal(&mut self) {
        self.ailments = Ailments::default();
        self.unwritten.views = true;
    }

    /// Lets minutes pass.
    pub fn advance_to(&mut self, to: Timestamp) {
        while self.now + SignedDuration::from_mins(1) <= to {
            self.now += SignedDuration::from_mins(1);
            self.minute();
        }
    }

    fn minute(&mut self) {
        if !self.ailments.source_stalls {
            for _ in 0..self.draw(ARRIVALS_A_MINUTE) {
                self.arrive();
            }
            for _ in 0..self.draw(CHANGES_A_MINUTE) {
                self.change();
            }
        }
        let minute = self.now.as_second() / 60;
        // Copied first: a sync that just wrote is not copied in the same minute, but with a lag.
        if minute % COPY_EVERY == 0 && !self.ailments.copy_stalls {
            let due = self.now - COPY_LAG;
            let old =
                |record: &usize| self.records.get(*record).is_some_and(|record| record.modified_at <= due);
            for record in self.uncopied.iter().copied().filter(old).collect::<Vec<_>>() {
                self.copy(record, self.now);
            }
        }
        if minute % CREATE_EVERY == 0 {
            self.run_create();
        }
        if minute % UPDATE_EVERY == 0 {
            self.run_update();
        }
    }

    /// How often something happens in a minute, on average so often.
    fn draw(&mut self, mean: f64) -> usize {
        usize::from(self.rng.random_bool(mean.clamp(0.0, 1.0)))
    }

    fn arrive(&mut self) {
        let number = self.properties.len();
        let mut property = generate::property(&mut self.rng, number, self.now);
        if self.rng.random_bool(NAMELESS) {
            property.company_name = None;
        }
        self.properties.push(property);
        self.touched(number);
    }

    fn change(&mut self) {
        if self.properties.is_empty() {
            return;
        }
        let number = self.rng.random_range(0..self.properties.len());
        let (gone, status) = (self.rng.random_bool(DELETIONS), generate::one_of(&mut self.rng, &STATUSES));
        let name = generate::company_name(&mut self.rng);
        let Some(property) = self.properties.get_mut(number) else { return };
        if property.deleted {
            return;
        }
        property.deleted = gone;
        property.status = status;
        property.company_name.get_or_insert(name);
        property.updated_at = self.now;
        self.touched(number);
    }

    fn run_create(&mut self) {
        let limit = self.ailments.per_run.unwrap_or(usize::MAX);
        let queue: Vec<usize> =
            self.missing.iter().copied().filter(|index| self.is_ready(*index)).take(limit).collect();
        let mut run = Move { sync: Sync::Create, at: self.now, succeeded: 0, failed: 0 };
        for number in queue {
            if self.percent(self.ailments.invalid_percent) {
                run.failed += 1;
                continue;
            }
            run.succeeded += 1;
            // Fivetran has not brought it back yet: by the external id it is found, and written again.
            if let Some(records) = self.records_of.get(&number).cloned().filter(|records| !records.is_empty())
            {
                records.into_iter().for_each(|record| self.write(record));
                continue;
            }
            self.create(number, self.now);
            if self.percent(self.ailments.duplicate_percent) {
                self.create(number, self.now);
            }
        }
        self.moves.push(run);
    }

    fn run_update(&mut self) {
        let limit = self.ailments.per_run.unwrap_or(usize::MAX);
        let queue: Vec<usize> = self.behind.iter().copied().take(limit).collect();
        let mut run = Move { sync: Sync::Update, at: self.now, succeeded: 0, failed: 0 };
        for number in queue {
            let records = self.records_of.get(&number).cloned().unwrap_or_default();
            // Salesforce writes nothing by an external id that it has twice.
            if records.len() != 1 || self.percent(self.ailments.invalid_percent) {
                run.failed += 1;
            } else {
                run.succeeded += 1;
                records.into_iter().for_each(|record| self.write(record));
            }
        }
        self.moves.push(run);
    }

    fn percent(&mut self, percent: u32) -> bool {
        percent > 0 && self.rng.random_range(0..100) < percent
    }

    /// A new record, with what the view says of the property.
    fn create(&mut self, property: usize, at: Timestamp) -> usize {
        let number = self.records.len();
        self.records.push(Record {
            // As Salesforce's ids look: fifteen characters, the first three for the kind of object.
            id: format!("a0P{number:012}"),
            property_id: self.key(property).unwrap_or_default().to_owned(),
            company_name: self.name_by_view(property),
            created_at: at,
            modified_at: at,
            property,
        });
        self.copies.push(None);
        self.records_of.entry(property).or_default().push(number);
        self.uncopied.insert(number);
        number
    }

    fn write(&mut self, record: usize) {
        let Some(property) = self.records.get(record).map(|record| record.property) else { return };
        let name = self.name_by_view(property);
        if let Some(record) = self.records.get_mut(record) {
            record.company_name = name;
            record.modified_at = self.now;
        }
        self.uncopied.insert(record);
    }

    fn copy(&mut self, record: usize, at: Timestamp) {
        let Some(original) = self.records.get(record).cloned() else { return };
        let property = original.property;
        if let Some(copy) = self.copies.get_mut(record) {
            *copy = Some(Copy { record: original, synced_at: at });
        }
        self.uncopied.remove(&record);
        self.unwritten.copies.insert(record);
        self.queue(property);
    }

    fn touched(&mut self, property: usize) {
        self.unwritten.properties.insert(property);
        self.queue(property);
    }

    /// Puts a property where the views' joins would find it.
    fn queue(&mut self, number: usize) {
        let Some(property) = self.properties.get(number) else { return };
        let records = self.records_of.get(&number).map(Vec::as_slice).unwrap_or_default();
        let copies = records.iter().filter_map(|record| self.copies.get(*record)?.as_ref());
        let newest = copies.map(|copy| copy.record.modified_at).max();
        let is_missing = !property.deleted && newest.is_none();
        let is_behind = !property.deleted && newest.is_some_and(|newest| property.updated_at > newest);
        for (set, belongs) in [(&mut self.missing, is_missing), (&mut self.behind, is_behind)] {
            if belongs {
                set.insert(number);
            } else {
                set.remove(&number);
            }
        }
    }

    fn is_ready(&self, number: usize) -> bool {
        let leaks =
            |property: &Property| self.ailments.leak.as_ref().is_some_and(|city| *city == property.city);
        self.properties.get(number).is_some_and(|p| !leaks(p) && (p.company_name.is_some()))
    }

    fn key(&self, number: usize) -> Option<&str> {
        self.properties.get(number).map(|property| property.id.as_str())
    }

    fn name_by_view(&self, property: usize) -> Option<String> {
        if self.ailments.view_bug {
            return None;
        }
        self.properties.get(property)?.company_name.clone()
    }
}

/// The whole minute.
fn floor(at: Timestamp) -> Timestamp {
    at - SignedDuration::from_secs(at.as_second().rem_euclid(60))
        - SignedDuration::from_nanos(at.subsec_nanosecond().into())
}
