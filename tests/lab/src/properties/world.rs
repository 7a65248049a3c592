//! The simulation, minute by minute: properties arrive and change, two syncs move the rows of the views, Fivetran copies them
//! back.

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::faults::PropertyFault;
use super::generate::{self, Property, STATUSES};

/// The number of properties in the seed state.
pub const TOTAL_OF_SEED: usize = 20_247;
/// The number of properties in Salesforce in the seed state: 92.47%.
pub const SYNCED_OF_SEED: usize = 18_722;

/// The average number of events per minute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    pub arrivals_a_minute: f64,
    pub changes_a_minute: f64,
}

impl Pace {
    /// The pace of a quiet company.
    pub const ORDINARY: Self = Self { arrivals_a_minute: 0.1, changes_a_minute: 0.7 };
    /// The load of the seed's syncs: some 40 new records per 30 minutes, and 60 changes per 15 minutes.
    pub const OF_SEED: Self = Self { arrivals_a_minute: 40.0 / 30.0, changes_a_minute: 4.0 };
}

/// The share of new properties without a company yet, and the share of changes that are deletions.
const NAMELESS: f64 = 0.01;
const DELETIONS: f64 = 0.01;
/// The intervals of the syncs and the copy, in minutes.
const CREATE_EVERY: i64 = 30;
const UPDATE_EVERY: i64 = 15;
const COPY_EVERY: i64 = 5;
/// Fivetran copies the state of Salesforce from this long ago.
const COPY_LAG: SignedDuration = SignedDuration::from_mins(2);

/// The Salesforce user of Census, who writes what syncs move.
pub const INTEGRATION_USER: &str = "005A0000000SyncIAC";
/// A person who works in Salesforce.
pub const PERSON: &str = "005A0000000AnnaIAC";

/// One of the two syncs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    Create,
    Update,
}

/// The result of one run of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    pub sync: Sync,
    pub at: Timestamp,
    pub succeeded: usize,
    pub failed: usize,
    /// Records that were left out before they reached Salesforce.
    pub invalid: usize,
    /// Whether it was a full run, which sends every record.
    pub full: bool,
}

/// The shares of a run's records that do not arrive, beyond the data's own faults. The oldest properties are hit first, so
/// the same record fails again in the next run, as with a rule that it violates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Records that Salesforce rejects, in percent, rounded up to whole records.
    pub rejected_percent: u32,
    /// Records that are left out as invalid, in percent, rounded up to whole records.
    pub invalid_percent: u32,
}

/// The result of one run, with the keys of the records that did not arrive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moved {
    pub succeeded: usize,
    pub rejected: Vec<String>,
    pub invalid: Vec<String>,
    /// Records created although the property had one in Salesforce.
    pub duplicates: usize,
}

/// A record in Salesforce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub id: String,
    /// The external id: the property's key.
    pub property_id: String,
    /// The company's name, as a sync moved it.
    pub company_name: Option<String>,
    pub created_at: Timestamp,
    pub status: String,
    /// When it was last written, by a sync or by a person.
    pub modified_at: Timestamp,
    /// [`INTEGRATION_USER`] or [`PERSON`].
    pub modified_by: &'static str,
    /// The last written version of the property: the instant of that version's change.
    pub source_version: Option<Timestamp>,
    pub deleted: bool,
    property: usize,
}

/// A record in Fivetran's copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    pub record: Record,
    pub synced_at: Timestamp,
}

/// The figures of `daily_health_check`, computed without SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Properties that are not deleted.
    pub total: usize,
    /// Properties that are in the copy.
    pub synced: usize,
    pub create_queue: usize,
    pub update_queue: usize,
    /// Records without a company.
    pub null_companies: usize,
    /// Properties that are in Salesforce more than once.
    pub duplicates: usize,
}

impl Health {
    /// Properties that are in the copy, in percent.
    #[must_use]
    pub fn coverage(&self) -> f64 {
        100.0 * self.synced as f64 / self.total.max(1) as f64
    }
}

/// The active faults.
#[derive(Debug, Default)]
pub(super) struct Ailments {
    pub(super) view_bug: bool,
    pub(super) leak: Option<String>,
    pub(super) compares_times: bool,
    source_stalls: bool,
    copy_stalls: bool,
    duplicate_percent: u32,
    key_not_unique: bool,
    invalid_percent: u32,
    per_run: Option<usize>,
}

/// The changes that were not written into an engine yet.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    pub(super) properties: BTreeSet<usize>,
    pub(super) copies: BTreeSet<usize>,
    pub(super) views: bool,
}

/// The data, in memory. The same seed, faults and minutes make the same world.
#[derive(Debug)]
pub struct PropertyWorld {
    rng: ChaCha8Rng,
    now: Timestamp,
    pace: Pace,
    is_driven: bool,
    pub(super) properties: Vec<Property>,
    records: Vec<Record>,
    /// Parallel to `records`: Fivetran's copy of each.
    pub(super) copies: Vec<Option<Copy>>,
    records_of: HashMap<usize, Vec<usize>>,
    /// Records that changed since they were copied.
    uncopied: BTreeSet<usize>,
    /// Properties without a copy, and properties whose copy has another version: the queues, before the views filter them.
    missing: BTreeSet<usize>,
    behind: BTreeSet<usize>,
    moves: Vec<Move>,
    /// Records created so far although the property had one.
    duplicates_made: usize,
    faults: Vec<PropertyFault>,
    pub(super) ailments: Ailments,
    pub(super) unwritten: Unwritten,
}

impl PropertyWorld {
    /// A healthy state: all properties are in Salesforce and in the copy.
    #[must_use]
    pub fn healthy(now: Timestamp, seed: u64) -> Self {
        Self::with(now, seed, TOTAL_OF_SEED, TOTAL_OF_SEED, 0)
    }

    /// The state in which Syncwatch found the pipeline: 18,722 of 20,247 are in Salesforce, 25 wait, and the others have no
    /// company yet.
    #[must_use]
    pub fn as_found(now: Timestamp, seed: u64) -> Self {
        Self::with(now, seed, TOTAL_OF_SEED, SYNCED_OF_SEED, 25)
    }

    /// A state with these numbers of properties, in total, in Salesforce, and waiting; the rest have no company yet.
    #[must_use]
    pub fn with(now: Timestamp, seed: u64, total: usize, synced: usize, waiting: usize) -> Self {
        let now = floor(now);
        let mut world = Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            now,
            pace: Pace::ORDINARY,
            is_driven: false,
            properties: Vec::with_capacity(total),
            records: Vec::with_capacity(synced),
            copies: Vec::with_capacity(synced),
            records_of: HashMap::new(),
            uncopied: BTreeSet::new(),
            missing: BTreeSet::new(),
            behind: BTreeSet::new(),
            moves: Vec::new(),
            duplicates_made: 0,
            faults: Vec::new(),
            ailments: Ailments::default(),
            unwritten: Unwritten { views: true, ..Unwritten::default() },
        };
        for number in 0..total {
            // Spread over the past year; the waiting ones arrived just now.
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

    /// The same world, with another pace from now on.
    #[must_use]
    pub fn at_pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// The same world, but without a timer for its syncs: they run when [`PropertyWorld::run`] is called.
    #[must_use]
    pub fn driven(mut self) -> Self {
        self.is_driven = true;
        self
    }

    /// The current time of the world.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The properties, deleted ones included.
    #[must_use]
    pub fn properties(&self) -> &[Property] {
        &self.properties
    }

    /// The records in Salesforce.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The records that Fivetran has copied.
    pub fn copies(&self) -> impl Iterator<Item = &Copy> {
        self.copies.iter().flatten()
    }

    /// The results of the runs, oldest first.
    #[must_use]
    pub fn moves(&self) -> &[Move] {
        &self.moves
    }

    /// The keys in the create view, in order.
    #[must_use]
    pub fn to_create(&self) -> Vec<&str> {
        self.missing
            .iter()
            .filter(|index| self.is_ready(**index))
            .filter_map(|index| self.key(*index))
            .collect()
    }

    /// The keys in the update view, in order.
    #[must_use]
    pub fn to_update(&self) -> Vec<&str> {
        self.behind.iter().filter_map(|index| self.key(*index)).collect()
    }

    /// The figures of `daily_health_check`.
    #[must_use]
    pub fn health(&self) -> Health {
        let total = self.properties.iter().filter(|property| !property.deleted).count();
        let is_null = |copy: &Copy| {
            !copy.record.deleted
                && copy.record.company_name.as_deref().is_none_or(|name| name.trim().is_empty())
        };
        Health {
            total,
            synced: total - self.missing.len(),
            create_queue: self.to_create().len(),
            update_queue: self.behind.len(),
            null_companies: self.copies().filter(|copy| is_null(copy)).count(),
            duplicates: self
                .records_of
                .keys()
                .filter(|property| self.copies_of(**property).count() > 1)
                .count(),
        }
    }

    /// Injects a fault. One that happens once is harm from the start, and never in [`PropertyWorld::faults`].
    pub fn inflict(&mut self, fault: PropertyFault) {
        match fault {
            PropertyFault::HandEdits { count } => return self.edit_companies(count),
            PropertyFault::LostUpdates { count } => return self.lose_updates(count),
            _ => self.faults.push(fault.clone()),
        }
        match fault {
            PropertyFault::ViewBug => self.ailments.view_bug = true,
            PropertyFault::SourceStalls => self.ailments.source_stalls = true,
            PropertyFault::CopyStalls => self.ailments.copy_stalls = true,
            PropertyFault::DuplicateCreation { percent } => self.ailments.duplicate_percent = percent,
            PropertyFault::KeyNotUnique => self.ailments.key_not_unique = true,
            PropertyFault::CoverageLeak { city } => self.ailments.leak = Some(city),
            PropertyFault::Backlog { per_run } => self.ailments.per_run = Some(per_run),
            PropertyFault::ValidationErrors { percent } => self.ailments.invalid_percent = percent,
            PropertyFault::ViewComparesTimes => self.ailments.compares_times = true,
            PropertyFault::HandEdits { .. } | PropertyFault::LostUpdates { .. } => {}
        }
        self.view_changed();
    }

    /// Selects by the views as they are now.
    fn view_changed(&mut self) {
        self.unwritten.views = true;
        for number in 0..self.properties.len() {
            self.queue(number);
        }
    }

    /// The faults that are not healed.
    #[must_use]
    pub fn faults(&self) -> &[PropertyFault] {
        &self.faults
    }

    /// Ends every fault. Past harm stays until [`PropertyWorld::repair`].
    pub fn heal(&mut self) {
        self.faults.clear();
        self.ailments = Ailments::default();
        self.view_changed();
    }

    /// Ends one fault and keeps the others; `false` if it is not active.
    pub fn heal_one(&mut self, fault: &PropertyFault) -> bool {
        let before = self.faults.len();
        let left: Vec<PropertyFault> = self.faults.iter().filter(|known| *known != fault).cloned().collect();
        let is_healed = left.len() < before;
        self.heal();
        for fault in left {
            self.inflict(fault);
        }
        is_healed
    }

    /// Repairs past harm, as people do with a data loader: enters companies that are missing at the source, restores those
    /// missing in Salesforce, and deletes the newer duplicates. The copy shows it after Fivetran's next run.
    pub fn repair(&mut self) {
        self.enter_companies();
        self.delete_duplicates();
        self.restore_companies();
    }

    /// Enters the companies that are missing at the source.
    pub fn enter_companies(&mut self) {
        let nameless = |(number, property): (usize, &Property)| {
            (property.company_name.is_none() && !property.deleted).then_some(number)
        };
        for number in self.properties.iter().enumerate().filter_map(nameless).collect::<Vec<_>>() {
            if let Some(property) = self.properties.get_mut(number) {
                property.company_name = Some(generate::company_name(&mut self.rng));
                property.updated_at = self.now;
            }
            self.touched(number);
        }
    }

    /// Adds properties whose company is not entered: no view has them.
    pub fn arrive_nameless(&mut self, count: usize) {
        for number in (self.properties.len()..).take(count) {
            let mut property = generate::property(&mut self.rng, number, self.now);
            property.company_name = None;
            self.properties.push(property);
            self.touched(number);
        }
    }

    /// Deletes the newer duplicates in Salesforce.
    pub fn delete_duplicates(&mut self) {
        let twice: Vec<usize> =
            self.records_of.keys().flat_map(|property| self.live_records(*property).skip(1)).collect();
        for number in twice {
            if let Some(record) = self.records.get_mut(number) {
                record.deleted = true;
                record.modified_at = self.now;
                record.modified_by = PERSON;
                self.uncopied.insert(number);
            }
        }
    }

    /// Restores the companies that are missing in Salesforce and known at the source.
    pub fn restore_companies(&mut self) {
        for (number, record) in self.records.iter_mut().enumerate() {
            let name =
                self.properties.get(record.property).and_then(|property| property.company_name.clone());
            if !record.deleted && record.company_name.is_none() && name.is_some() {
                record.company_name = name;
                record.modified_at = self.now;
                record.modified_by = PERSON;
                self.uncopied.insert(number);
            }
        }
    }

    /// Edits every n-th record in Salesforce, in a field that no sync writes, as people do.
    pub fn edit_in_salesforce(&mut self, every: usize) {
        for number in (0..self.records.len()).step_by(every) {
            self.edit(number, |_| {});
        }
    }

    /// A person saves a record.
    fn edit(&mut self, number: usize, change: impl FnOnce(&mut Record)) {
        let Some(record) = self.records.get_mut(number) else { return };
        change(record);
        record.modified_at = self.now;
        record.modified_by = PERSON;
        self.uncopied.insert(number);
    }

    /// The first properties that Salesforce has as the source does, each with its record.
    fn equal(&self, count: usize) -> Vec<(usize, usize)> {
        let equal = (0..self.records.len()).filter_map(|number| {
            let record = self.records.get(number)?;
            let property = self.properties.get(record.property)?;
            let is_equal = !record.deleted && !property.deleted && !self.uncopied.contains(&number);
            (is_equal && !is_wrong(property, record)).then_some((record.property, number))
        });
        equal.take(count).collect()
    }

    /// A person enters other companies in Salesforce: no view selects these records, as their version is the newest.
    fn edit_companies(&mut self, count: usize) {
        for (_, number) in self.equal(count) {
            self.edit(number, |record| record.company_name = Some("Renamed by hand".to_owned()));
        }
    }

    /// Companies change at the source, a minute later a person saves each record of theirs, and Fivetran copies it: a view that
    /// compares times never selects them.
    fn lose_updates(&mut self, count: usize) {
        for (property, number) in self.equal(count) {
            if let Some(changed) = self.properties.get_mut(property) {
                changed.company_name =
                    Some(format!("{} (new)", changed.company_name.as_deref().unwrap_or("")));
                changed.updated_at = self.now - SignedDuration::from_mins(1);
            }
            self.edit(number, |_| {});
            self.copy(number, self.now);
            self.touched(property);
        }
    }

    /// Changes the properties at the source whose records are wrong and wait in no queue, so that the next run sends them.
    pub fn touch_wrong(&mut self) {
        for number in self.wrong() {
            if let Some(property) = self.properties.get_mut(number) {
                property.updated_at = self.now;
            }
            self.touched(number);
        }
    }

    /// The keys of the properties whose record in Salesforce has other values, while no view selects them.
    #[must_use]
    pub fn wrong_keys(&self) -> Vec<&str> {
        self.wrong().into_iter().filter_map(|number| self.key(number)).collect()
    }

    fn wrong(&self) -> Vec<usize> {
        let is_wrong = |number: &usize| {
            let Some(property) = self.properties.get(*number) else { return false };
            let mut records = self.live_records(*number).filter_map(|record| self.records.get(record));
            !property.deleted
                && !self.behind.contains(number)
                && !self.missing.contains(number)
                && records.any(|record| is_wrong(property, record))
        };
        (0..self.properties.len()).filter(is_wrong).collect()
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
            for _ in 0..self.draw(self.pace.arrivals_a_minute) {
                self.arrive();
            }
            for _ in 0..self.draw(self.pace.changes_a_minute) {
                self.change();
            }
        }
        let minute = self.now.as_second() / 60;
        // The copy runs first, so it does not see a sync's writes of the same minute.
        if minute % COPY_EVERY == 0 && !self.ailments.copy_stalls {
            let due = self.now - COPY_LAG;
            let old =
                |record: &usize| self.records.get(*record).is_some_and(|record| record.modified_at <= due);
            for record in self.uncopied.iter().copied().filter(old).collect::<Vec<_>>() {
                self.copy(record, self.now);
            }
        }
        if minute % CREATE_EVERY == 0 && !self.is_driven {
            self.run(Sync::Create, self.now, Refusals::default());
        }
        if minute % UPDATE_EVERY == 0 && !self.is_driven {
            self.run(Sync::Update, self.now, Refusals::default());
        }
    }

    /// A random number of events in a minute, with this mean.
    fn draw(&mut self, mean: f64) -> usize {
        let rest = usize::from(self.rng.random_bool(mean.fract().clamp(0.0, 1.0)));
        rest + mean as usize
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

    /// Runs a sync: moves every row of its view at one instant, which [`PropertyWorld::advance_to`] has reached.
    pub fn run(&mut self, sync: Sync, at: Timestamp, refusals: Refusals) -> Moved {
        let limit = self.ailments.per_run.unwrap_or(usize::MAX);
        let queue: Vec<usize> = match sync {
            Sync::Create => self.missing.iter().copied().filter(|n| self.is_ready(*n)).take(limit).collect(),
            Sync::Update => self.behind.iter().copied().take(limit).collect(),
        };
        self.send(sync, &queue, at, refusals, false)
    }

    /// Runs a full sync: sends every property, regardless of the records in Salesforce. Existing records are overwritten;
    /// while records are created twice, they are created again.
    pub fn run_full(&mut self, sync: Sync, at: Timestamp, refusals: Refusals) -> Moved {
        let all = 0..self.properties.len();
        let exists = |number: &usize| self.properties.get(*number).is_some_and(|property| !property.deleted);
        let queue: Vec<usize> = match sync {
            Sync::Create => all.filter(exists).filter(|n| self.is_ready(*n)).collect(),
            Sync::Update => {
                let has_records = |number: &usize| self.live_records(*number).next().is_some();
                all.filter(exists).filter(has_records).collect()
            }
        };
        self.send(sync, &queue, at, refusals, true)
    }

    fn send(&mut self, sync: Sync, queue: &[usize], at: Timestamp, refusals: Refusals, full: bool) -> Moved {
        // Salesforce keeps whole seconds.
        let at = at - SignedDuration::from_nanos(at.subsec_nanosecond().into());
        let share =
            |percent: u32| queue.len().saturating_mul(usize::try_from(percent).unwrap_or(0)).div_ceil(100);
        let (invalid, rest) = queue.split_at(share(refusals.invalid_percent).min(queue.len()));
        let (rejected, rest) = rest.split_at(share(refusals.rejected_percent).min(rest.len()));
        let keys =
            |numbers: &[usize]| numbers.iter().filter_map(|n| self.key(*n).map(str::to_owned)).collect();
        let duplicates_before = self.duplicates_made;
        let mut moved = Moved { rejected: keys(rejected), invalid: keys(invalid), ..Moved::default() };
        for number in rest {
            let arrived = match sync {
                Sync::Create => self.create_one(*number, at, full),
                Sync::Update => self.update_one(*number, at),
            };
            if arrived {
                moved.succeeded += 1;
            } else {
                moved.rejected.extend(self.key(*number).map(str::to_owned));
            }
        }
        moved.duplicates = self.duplicates_made - duplicates_before;
        self.moves.push(Move {
            sync,
            at,
            succeeded: moved.succeeded,
            failed: moved.rejected.len(),
            invalid: moved.invalid.len(),
            full,
        });
        moved
    }

    /// Whether Salesforce accepted it.
    fn create_one(&mut self, number: usize, at: Timestamp, full: bool) -> bool {
        if self.percent(self.ailments.invalid_percent) {
            return false;
        }
        // Created before, but not in the copy yet: found by its external id, and written again.
        let records: Vec<usize> = self.live_records(number).collect();
        if !records.is_empty() && !self.ailments.key_not_unique {
            if full && self.percent(self.ailments.duplicate_percent) {
                self.create(number, at);
            }
            records.into_iter().for_each(|record| self.write(record, at));
            return true;
        }
        self.create(number, at);
        if self.percent(self.ailments.duplicate_percent) {
            self.create(number, at);
        }
        true
    }

    /// Whether Salesforce accepted it.
    fn update_one(&mut self, number: usize, at: Timestamp) -> bool {
        let records: Vec<usize> = self.live_records(number).collect();
        // Salesforce rejects writes by an external id that is not unique.
        if records.len() != 1 || self.percent(self.ailments.invalid_percent) {
            return false;
        }
        records.into_iter().for_each(|record| self.write(record, at));
        true
    }

    /// The records of a property in Salesforce, oldest first.
    fn live_records(&self, property: usize) -> impl Iterator<Item = usize> {
        let records = self.records_of.get(&property).map(Vec::as_slice).unwrap_or_default();
        let live = |record: &usize| self.records.get(*record).is_some_and(|record| !record.deleted);
        records.iter().copied().filter(live)
    }

    /// The copied records of a property that are not marked as deleted.
    fn copies_of(&self, property: usize) -> impl Iterator<Item = &Copy> {
        let records = self.records_of.get(&property).map(Vec::as_slice).unwrap_or_default();
        let copies = records.iter().filter_map(|record| self.copies.get(*record)?.as_ref());
        copies.filter(|copy| !copy.record.deleted)
    }

    /// Takes the unwritten changes; see [`PropertyWorld::put_back`].
    pub(super) fn take_unwritten(&mut self) -> Unwritten {
        std::mem::take(&mut self.unwritten)
    }

    /// Puts back changes that could not be written.
    pub(super) fn put_back(&mut self, unwritten: Unwritten) {
        self.unwritten.properties.extend(unwritten.properties);
        self.unwritten.copies.extend(unwritten.copies);
        self.unwritten.views |= unwritten.views;
    }

    fn percent(&mut self, percent: u32) -> bool {
        percent > 0 && self.rng.random_range(0..100) < percent
    }

    /// Creates a record from the property's row in the view.
    fn create(&mut self, property: usize, at: Timestamp) -> usize {
        let exists = self.live_records(property).next().is_some();
        self.duplicates_made += usize::from(exists);
        let number = self.records.len();
        self.records.push(Record {
            // In the format of Salesforce's ids: 15 characters, the first three for the object type.
            id: format!("a0P{number:012}"),
            property_id: self.key(property).unwrap_or_default().to_owned(),
            company_name: self.name_by_view(property),
            status: self.status(property),
            created_at: at,
            modified_at: at,
            modified_by: INTEGRATION_USER,
            source_version: self.version(property),
            deleted: false,
            property,
        });
        self.copies.push(None);
        self.records_of.entry(property).or_default().push(number);
        self.uncopied.insert(number);
        number
    }

    fn write(&mut self, record: usize, at: Timestamp) {
        let Some(property) = self.records.get(record).map(|record| record.property) else { return };
        let (name, status, version) =
            (self.name_by_view(property), self.status(property), self.version(property));
        if let Some(record) = self.records.get_mut(record) {
            record.company_name = name;
            record.status = status;
            record.modified_at = at;
            record.modified_by = INTEGRATION_USER;
            record.source_version = version;
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

    /// Puts a property into the queues in which the views' joins would find it.
    fn queue(&mut self, number: usize) {
        let Some(property) = self.properties.get(number) else { return };
        let is_missing = !property.deleted && self.copies_of(number).next().is_none();
        let is_old = |copy: &Copy| {
            if self.ailments.compares_times {
                copy.record.modified_at < property.updated_at
            } else {
                copy.record.source_version != Some(property.updated_at)
            }
        };
        let is_behind = !property.deleted && self.copies_of(number).any(is_old);
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

    fn version(&self, property: usize) -> Option<Timestamp> {
        self.properties.get(property).map(|property| property.updated_at)
    }

    fn status(&self, property: usize) -> String {
        self.properties.get(property).map(|property| property.status.clone()).unwrap_or_default()
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

fn is_wrong(property: &Property, record: &Record) -> bool {
    record.company_name != property.company_name || record.status != property.status
}

/// Rounds down to the whole minute.
fn floor(at: Timestamp) -> Timestamp {
    at - SignedDuration::from_secs(at.as_second().rem_euclid(60))
        - SignedDuration::from_nanos(at.subsec_nanosecond().into())
}
