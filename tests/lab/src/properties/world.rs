//! Minutes pass: properties arrive and change, two syncs move what the views say, Fivetran copies it back.

use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::faults::PropertyFault;
use super::generate::{self, Property, STATUSES};

/// The properties of the seed state.
pub const TOTAL_OF_SEED: usize = 20_247;
/// Those of them that are in Salesforce: 92.47%.
pub const SYNCED_OF_SEED: usize = 18_722;

/// What a minute brings on average.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    pub arrivals_a_minute: f64,
    pub changes_a_minute: f64,
}

impl Pace {
    /// A quiet company's.
    pub const ORDINARY: Self = Self { arrivals_a_minute: 0.1, changes_a_minute: 0.7 };
    /// What the seed's syncs carry: some 40 new records in half an hour, and 60 changes in a quarter.
    pub const OF_SEED: Self = Self { arrivals_a_minute: 40.0 / 30.0, changes_a_minute: 4.0 };
}

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
    Create,
    Update,
}

/// What one run of a sync did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    pub sync: Sync,
    pub at: Timestamp,
    pub succeeded: usize,
    pub failed: usize,
    /// Records that were left out before Salesforce saw them.
    pub invalid: usize,
    /// Whether it was a full run, which sends everything.
    pub full: bool,
}

/// What share of a run's records does not arrive, beyond what the data's own faults do. It is true of the oldest
/// properties first, so that one which is not created is not created the next time either, as with a rule that it breaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Salesforce refuses so many of them, in percent, rounded up to whole records.
    pub rejected_percent: u32,
    /// So many of them are left out as invalid, in percent, rounded up to whole records.
    pub invalid_percent: u32,
}

/// What one run did, with the keys of what did not arrive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moved {
    pub succeeded: usize,
    pub rejected: Vec<String>,
    pub invalid: Vec<String>,
}

/// A record in Salesforce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub id: String,
    /// The external id: the property's key.
    pub property_id: String,
    /// The company's name, as it was moved.
    pub company_name: Option<String>,
    pub created_at: Timestamp,
    /// When it was last written, by a sync or by a person.
    pub modified_at: Timestamp,
    /// The version of the property that a sync wrote last: when that last changed.
    pub source_version: Option<Timestamp>,
    pub deleted: bool,
    property: usize,
}

/// A record in the copy that Fivetran keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    pub record: Record,
    pub synced_at: Timestamp,
}

/// The figures of `daily_health_check`, reckoned without SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Properties that are not gone.
    pub total: usize,
    /// Those of them that are in the copy.
    pub synced: usize,
    pub create_queue: usize,
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
    pace: Pace,
    is_driven: bool,
    pub(super) properties: Vec<Property>,
    records: Vec<Record>,
    /// Beside `records`: what Fivetran has of each.
    pub(super) copies: Vec<Option<Copy>>,
    records_of: HashMap<usize, Vec<usize>>,
    /// Records that changed since they were copied.
    uncopied: BTreeSet<usize>,
    /// Properties without a copy, and properties of another version than theirs: the queues, but for what the views leave out.
    missing: BTreeSet<usize>,
    behind: BTreeSet<usize>,
    moves: Vec<Move>,
    faults: Vec<PropertyFault>,
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
            faults: Vec::new(),
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

    /// The same, and from now on as much happens as a pace says.
    #[must_use]
    pub fn at_pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// The same, but its syncs have no timer any more: they run when [`PropertyWorld::run`] is called.
    #[must_use]
    pub fn driven(mut self) -> Self {
        self.is_driven = true;
        self
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

    /// Lets something go wrong from now on.
    pub fn inflict(&mut self, fault: PropertyFault) {
        self.faults.push(fault.clone());
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

    /// What was made to go wrong and is not mended.
    #[must_use]
    pub fn faults(&self) -> &[PropertyFault] {
        &self.faults
    }

    /// Mends what causes harm. The harm that was done stays until [`PropertyWorld::repair`].
    pub fn heal(&mut self) {
        self.faults.clear();
        self.ailments = Ailments::default();
        self.unwritten.views = true;
    }

    /// Mends one cause of harm; `false` if nobody inflicted it. The others stay.
    pub fn mend(&mut self, fault: &PropertyFault) -> bool {
        let before = self.faults.len();
        let left: Vec<PropertyFault> = self.faults.iter().filter(|known| *known != fault).cloned().collect();
        let is_mended = left.len() < before;
        self.heal();
        for fault in left {
            self.inflict(fault);
        }
        is_mended
    }

    /// Undoes the harm, as people do with a data loader: companies that are missing at the source are entered there,
    /// those that are missing in Salesforce are restored, and of records that are there twice the younger ones are deleted.
    /// The copy shows it when Fivetran next brings it back.
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

    /// Deletes the younger ones of records that Salesforce has twice.
    pub fn delete_duplicates(&mut self) {
        let twice: Vec<usize> =
            self.records_of.keys().flat_map(|property| self.live_records(*property).skip(1)).collect();
        for number in twice {
            if let Some(record) = self.records.get_mut(number) {
                record.deleted = true;
                record.modified_at = self.now;
                self.uncopied.insert(number);
            }
        }
    }

    /// Restores the companies that are missing in Salesforce and are known at the source.
    pub fn restore_companies(&mut self) {
        for (number, record) in self.records.iter_mut().enumerate() {
            let name =
                self.properties.get(record.property).and_then(|property| property.company_name.clone());
            if !record.deleted && record.company_name.is_none() && name.is_some() {
                record.company_name = name;
                record.modified_at = self.now;
                self.uncopied.insert(number);
            }
        }
    }

    /// People edit every n-th record in Salesforce, in a field that no sync writes.
    pub fn edit_in_salesforce(&mut self, every: usize) {
        for (number, record) in self.records.iter_mut().enumerate().step_by(every) {
            record.modified_at = self.now;
            self.uncopied.insert(number);
        }
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
        // Copied first: a sync that just wrote is not copied in the same minute, but with a lag.
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

    /// How often something happens in a minute, on average so often.
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

    /// Runs a sync: all that its view says moves at one instant, which [`PropertyWorld::advance_to`] has reached.
    pub fn run(&mut self, sync: Sync, at: Timestamp, refusals: Refusals) -> Moved {
        let limit = self.ailments.per_run.unwrap_or(usize::MAX);
        let queue: Vec<usize> = match sync {
            Sync::Create => self.missing.iter().copied().filter(|n| self.is_ready(*n)).take(limit).collect(),
            Sync::Update => self.behind.iter().copied().take(limit).collect(),
        };
        self.send(sync, &queue, at, refusals, false)
    }

    /// Runs a sync in full: it sends every property as if it had never sent one, whatever Salesforce has. What is there
    /// already is written over; while records are created twice, it is created again.
    pub fn run_full(&mut self, sync: Sync, at: Timestamp, refusals: Refusals) -> Moved {
        let all = 0..self.properties.len();
        let is_there =
            |number: &usize| self.properties.get(*number).is_some_and(|property| !property.deleted);
        let queue: Vec<usize> = match sync {
            Sync::Create => all.filter(is_there).filter(|n| self.is_ready(*n)).collect(),
            Sync::Update => {
                let has_records = |number: &usize| self.live_records(*number).next().is_some();
                all.filter(is_there).filter(has_records).collect()
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
        let mut moved = Moved { succeeded: 0, rejected: keys(rejected), invalid: keys(invalid) };
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

    /// Whether Salesforce took it.
    fn create_one(&mut self, number: usize, at: Timestamp, full: bool) -> bool {
        if self.percent(self.ailments.invalid_percent) {
            return false;
        }
        // Fivetran has not brought it back yet: by the external id it is found, and written again.
        let records: Vec<usize> = self.live_records(number).collect();
        if !records.is_empty() {
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

    /// Whether Salesforce took it.
    fn update_one(&mut self, number: usize, at: Timestamp) -> bool {
        let records: Vec<usize> = self.live_records(number).collect();
        // Salesforce writes nothing by an external id that it has twice.
        if records.len() != 1 || self.percent(self.ailments.invalid_percent) {
            return false;
        }
        records.into_iter().for_each(|record| self.write(record, at));
        true
    }

    /// The records of a property that Salesforce has, oldest first.
    fn live_records(&self, property: usize) -> impl Iterator<Item = usize> {
        let records = self.records_of.get(&property).map(Vec::as_slice).unwrap_or_default();
        let live = |record: &usize| self.records.get(*record).is_some_and(|record| !record.deleted);
        records.iter().copied().filter(live)
    }

    /// What the copy has of a property, but for what it knows to be deleted.
    fn copies_of(&self, property: usize) -> impl Iterator<Item = &Copy> {
        let records = self.records_of.get(&property).map(Vec::as_slice).unwrap_or_default();
        let copies = records.iter().filter_map(|record| self.copies.get(*record)?.as_ref());
        copies.filter(|copy| !copy.record.deleted)
    }

    /// Takes out what was not written yet; see [`PropertyWorld::put_back`].
    pub(super) fn take_unwritten(&mut self) -> Unwritten {
        std::mem::take(&mut self.unwritten)
    }

    /// Puts back what could not be written.
    pub(super) fn put_back(&mut self, unwritten: Unwritten) {
        self.unwritten.properties.extend(unwritten.properties);
        self.unwritten.copies.extend(unwritten.copies);
        self.unwritten.views |= unwritten.views;
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
        let (name, version) = (self.name_by_view(property), self.version(property));
        if let Some(record) = self.records.get_mut(record) {
            record.company_name = name;
            record.modified_at = at;
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

    /// Puts a property where the views' joins would find it.
    fn queue(&mut self, number: usize) {
        let Some(property) = self.properties.get(number) else { return };
        let is_missing = !property.deleted && self.copies_of(number).next().is_none();
        let is_old = |copy: &Copy| copy.record.source_version != Some(property.updated_at);
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
