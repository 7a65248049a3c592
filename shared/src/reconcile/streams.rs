//! Compares two sides that arrive as streams, from two databases: a map of key digests finds the rows that differ. Pure: it needs
//! no order, no collation and no engine's text.
//!
//! A row waits for its partner with its values, in bounded memory: if both sides arrive in about the same order, one reading is
//! enough. Rows that differ and whose values were not kept are read again.
//!
//! A pass covers a range of the digests of keys. If the map would exceed its budget, the range is halved, and a further pass over
//! both sides covers the rest. Both sides are in the map, so that a key that either side repeats is found. If it is found only
//! after its rows were judged, all is compared again, and rows are judged at the end of a pass.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use twox_hash::{XxHash3_64, XxHash3_128};

use super::coverage::Coverage;
use super::fault::Clues;
use super::kind::{KeyKind, Kind};
use super::number::Exact;
use super::object::{Field, Object, Origin};
use super::report::{
    FieldCount, Judged, Reconciliation, Record, SideCount, Suspect, clues, key_text, read_records,
};
use super::sent::Sent;
use super::statements::{MOST_JUDGED, MOST_SHOWN, Statements};
use super::value;
use super::verdict::{Broken, Class, Fault, NotCompared, WhyNot};
use crate::sql::{self, Answer, Block, Column, Dialect, Statement, Value};

/// The default memory of the map and of the waiting rows, in bytes. The map has two thirds.
pub const STREAM_BUDGET: usize = 96 << 20;
/// The planned memory of a row, and that of a slot of the map: a key, a row and its flags, of which 4 in 5 are used.
const ROW_BYTES: u64 = 40;
const SLOT_BYTES: usize = 26;
/// The memory of a waiting row beside its values: its place in a map that may be half empty, and an allocation.
const WAITING_BYTES: usize = 128;
/// The rows that are judged together.
const BATCH: usize = 500;

const SOURCE: u16 = 1;
const DESTINATION: u16 = 2;
const REPEATED: u16 = 4;
const DIFFERENT: u16 = 8;
const UNREADABLE: u16 = 16;
const JUDGED: u16 = 32;
/// The state of [`Statements::rows_of`], in the order of its bits.
const PENDING: u16 = 64;
const UNSELECTED: u16 = 128;
const LATE: u16 = 256;
const NOT_RUN: u16 = 512;
const BOTH: u16 = SOURCE | DESTINATION;

/// A row without its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digested {
    /// `None` without a key.
    key: Option<u128>,
    row: u64,
    flags: u16,
}

/// Digests the rows of [`Statements::rows_of`] with their values: equal digests are values that are equal without any rule.
pub fn digest(object: &Object, origin: Origin, block: &Block<'_>) -> Vec<Digested> {
    let mut buffer = Vec::new();
    let has_state = Statements::has_state(object, origin);
    let row = |cells: &[Option<&[u8]>]| {
        let mut cells = cells.iter().copied().enumerate();
        let key = cells.next().and_then(|(place, cell)| key_digest(object.key, block, place, cell));
        let mut flags = 0;
        if has_state {
            flags |= state_flags(cells.next().and_then(|(_, cell)| str::from_utf8(cell?).ok()));
        }
        buffer.clear();
        for field in &object.fields {
            let Some((place, cell)) = cells.next() else { continue };
            if write_value(field, origin, block, place, cell, &mut buffer).is_err() {
                flags |= UNREADABLE;
            }
            if field.currency.is_some() {
                write_part(&mut buffer, cells.next().and_then(|(_, cell)| cell));
            }
        }
        Digested { key, row: XxHash3_64::oneshot(&buffer), flags }
    };
    block.rows().map(row).collect()
}

/// The flags of a state, as [`Statements::rows_of`] selects it.
fn state_flags(state: Option<&str>) -> u16 {
    let state: u16 = state.and_then(|state| state.parse().ok()).unwrap_or(0);
    (state & 15) * PENDING
}

fn key_digest(kind: KeyKind, block: &Block<'_>, place: usize, cell: Option<&[u8]>) -> Option<u128> {
    let bytes = cell?;
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_matches(' ');
    if text.is_empty() {
        return None;
    }
    let number = match kind {
        KeyKind::Integer => {
            Exact::plain(bytes, false).or_else(|| value::number(&block.value(place, cell)).ok().flatten())
        }
        _ => None,
    };
    let digest = match number {
        Some(number) => XxHash3_128::oneshot(&number.bytes()),
        None => XxHash3_128::oneshot(kind.folded(text).as_bytes()),
    };
    // 0 is an empty slot.
    Some(digest.max(1))
}

/// Appends a part with its length, so that no two rows have the same bytes.
fn write_part(out: &mut Vec<u8>, part: Option<&[u8]>) {
    match part {
        None => out.push(0),
        Some(bytes) => {
            out.push(1);
            out.extend_from_slice(&bytes.len().to_le_bytes());
            out.extend_from_slice(bytes);
        }
    }
}

/// Appends a value in the one form of its kind.
fn write_value(
    field: &Field,
    origin: Origin,
    block: &Block<'_>,
    place: usize,
    cell: Option<&[u8]>,
    out: &mut Vec<u8>,
) -> Result<(), WhyNot> {
    let Some(bytes) = cell else {
        write_part(out, None);
        return Ok(());
    };
    let column = block.columns().get(place).map_or(sql::Kind::Text, |column| column.kind);
    let is_mapped = origin == Origin::Source && !field.map.is_empty();
    // Without the detour through a value, where the form is certain.
    match (&field.kind, column) {
        (Kind::Number { .. } | Kind::Money { .. }, _) => {
            if let Some(number) = Exact::plain(bytes, column == sql::Kind::Double) {
                write_part(out, Some(&number.bytes()));
                return Ok(());
            }
        }
        (Kind::Instant, sql::Kind::Timestamp) => {
            let civil: Option<DateTime> = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
            let is_utc = block.zones.get(place) == Some(&TimeZone::UTC) && !bytes.ends_with(b"Z");
            if let Some(instant) =
                civil.filter(|_| is_utc && !bytes.iter().skip(11).any(|b| matches!(b, b'+' | b'-')))
                && let Ok(instant) = jiff::tz::Offset::UTC.to_timestamp(instant)
            {
                write_part(out, Some(&instant.as_nanosecond().to_le_bytes()));
                return Ok(());
            }
        }
        (Kind::Flag | Kind::Date { .. } | Kind::Instant, _) => {}
        (_, sql::Kind::Text) if !is_mapped => {
            write_part(out, Some(bytes));
            return Ok(());
        }
        _ => {}
    }
    let mut value = block.value(place, cell);
    if is_mapped && let Some(mapped) = field.mapped(&value) {
        value = mapped;
    }
    write_form(&field.kind, &value, out)
}

/// Appends a value in the one form of its kind: two values have the same form if they are equal without any rule.
fn write_form(kind: &Kind, value: &Value, out: &mut Vec<u8>) -> Result<(), WhyNot> {
    match kind {
        Kind::Flag => write_part(
            out,
            value::flag(value)?.map(|flag| [u8::from(flag)]).as_ref().map(<[u8; 1]>::as_slice),
        ),
        Kind::Number { .. } | Kind::Money { .. } => {
            write_part(out, value::number(value)?.map(Exact::bytes).as_ref().map(<[u8; 20]>::as_slice));
        }
        Kind::Instant => {
            let bytes = value::instant(value)?.map(|instant| instant.as_nanosecond().to_le_bytes());
            write_part(out, bytes.as_ref().map(<[u8; 16]>::as_slice));
        }
        Kind::Date { source_zone } => {
            let zone = source_zone.clone().unwrap_or(TimeZone::UTC);
            let day = value::date(value, &zone)?.map(|date| date.to_string());
            write_part(out, day.as_deref().map(str::as_bytes));
        }
        _ => write_part(out, value::text(value)?.as_deref().map(str::as_bytes)),
    }
    Ok(())
}

/// Digests from `low` to `high`, by their first 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    low: u64,
    high: u64,
}

impl Range {
    fn has(self, key: u128) -> bool {
        let first = u64::try_from(key >> 64).unwrap_or(u64::MAX);
        self.low <= first && first <= self.high
    }

    fn halve(&mut self) {
        self.high = self.low + (self.high - self.low) / 2;
    }

    /// The range behind it, of at most this length; `None` at the end.
    fn next(self, length: u64) -> Option<Self> {
        let low = self.high.checked_add(1)?;
        Some(Self { low, high: low.saturating_add(length) })
    }
}

/// A map of a fixed size, without the keys' texts.
#[derive(Debug)]
struct Table {
    keys: Vec<u128>,
    rows: Vec<u64>,
    flags: Vec<u16>,
    used: usize,
}

impl Table {
    fn of(slots: usize) -> Self {
        Self { keys: vec![0; slots], rows: vec![0; slots], flags: vec![0; slots], used: 0 }
    }

    fn is_full(&self) -> bool {
        self.used >= self.keys.len() / 5 * 4
    }

    /// The slot of a key, or the empty one for it.
    fn slot(&self, key: u128) -> usize {
        let (low, slots) = (key & u128::from(u64::MAX), self.keys.len());
        let begin = usize::try_from((low * slots as u128) >> 64).unwrap_or(0);
        let is_its = |slot: &usize| self.keys.get(*slot).is_none_or(|found| *found == 0 || *found == key);
        (begin..slots).chain(0..begin).find(is_its).unwrap_or(0)
    }

    fn flags(&self, key: u128) -> u16 {
        let slot = self.slot(key);
        if self.keys.get(slot) == Some(&key) { self.flags.get(slot).copied().unwrap_or(0) } else { 0 }
    }

    fn set(&mut self, slot: usize, key: u128, row: u64, flags: u16) {
        if let (Some(a), Some(b), Some(c)) =
            (self.keys.get_mut(slot), self.rows.get_mut(slot), self.flags.get_mut(slot))
        {
            self.used += usize::from(*a == 0);
            (*a, *b, *c) = (key, row, flags);
        }
    }

    fn entries(&self) -> impl Iterator<Item = (u128, u64, u16)> {
        let columns = self.keys.iter().zip(&self.rows).zip(&self.flags);
        columns.map(|((key, row), flags)| (*key, *row, *flags)).filter(|(key, ..)| *key != 0)
    }

    fn retain(&mut self, range: Range) {
        let kept: Vec<(u128, u64, u16)> = self.entries().filter(|(key, ..)| range.has(*key)).collect();
        self.keys.fill(0);
        self.used = 0;
        for (key, row, flags) in kept {
            self.set(self.slot(key), key, row, flags);
        }
    }
}

/// A digest is its own hash.
#[derive(Default)]
struct OfDigest(u64);

impl Hasher for OfDigest {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = XxHash3_64::oneshot(bytes);
    }

    fn write_u128(&mut self, digest: u128) {
        self.0 = u64::try_from(digest & u128::from(u64::MAX)).unwrap_or(0);
    }
}

/// A row that waits for its partner: of each cell its length, and its bytes.
struct Waiting {
    origin: Origin,
    cells: Box<[u8]>,
}

/// The length of a cell that is NULL.
const NULL: u32 = u32::MAX;

impl Waiting {
    fn of(origin: Origin, cells: &[Option<&[u8]>]) -> Self {
        let texts: usize = cells.iter().flatten().map(|cell| cell.len()).sum();
        let mut bytes = Vec::with_capacity(texts + 4 * cells.len());
        for cell in cells {
            let length = cell.map_or(NULL, |cell| u32::try_from(cell.len()).unwrap_or(NULL));
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(cell.unwrap_or_default());
        }
        Self { origin, cells: bytes.into_boxed_slice() }
    }

    fn cells(&self) -> Vec<Option<&[u8]>> {
        let mut rest = &*self.cells;
        let next = || {
            let (length, after) = rest.split_first_chunk()?;
            let length = u32::from_le_bytes(*length);
            let (cell, after) = after.split_at_checked(if length == NULL { 0 } else { length as usize })?;
            rest = after;
            Some((length != NULL).then_some(cell))
        };
        std::iter::from_fn(next).collect()
    }

    fn bytes(&self) -> usize {
        self.cells.len() + WAITING_BYTES
    }
}

/// The columns of a side, to parse its waiting rows.
struct Shape {
    dialect: Dialect,
    columns: Vec<Column>,
    zones: Vec<TimeZone>,
}

impl Shape {
    fn of(block: &Block<'_>) -> Self {
        Self { dialect: block.dialect, columns: block.columns.to_vec(), zones: block.zones.to_vec() }
    }

    fn values(&self, cells: &[Option<&[u8]>]) -> Vec<Value> {
        let Self { dialect, columns, zones } = self;
        let block = Block { dialect: *dialect, columns, zones, cells: Vec::new() };
        cells.iter().enumerate().map(|(place, cell)| block.value(place, *cell)).collect()
    }
}

/// The comparison of two streams.
pub struct Streams {
    object: Arc<Object>,
    sent: Sent,
    range: Range,
    /// The length of a pass, if nothing is halved.
    length: u64,
    budget: usize,
    table: Table,
    /// The rows of repeated keys, in source and destination.
    repeated: HashMap<u128, [u64; 2]>,
    found: Reconciliation,
    /// Whether rows are judged only at the end of a pass, when no key can be found to be repeated.
    is_careful: bool,
    /// Whether a row was judged that must not be.
    is_spoilt: bool,
    shapes: [Option<Shape>; 2],
    /// The differing rows of this pass that are not judged yet.
    unjudged: u64,
    judged_range: Range,
    waiting: HashMap<u128, Waiting, BuildHasherDefault<OfDigest>>,
    waiting_bytes: usize,
    columns: Vec<Column>,
    batch: Vec<(u16, Vec<Value>)>,
    judged: Judged,
    /// The judged rows that are pending.
    pending: (Reconciliation, Judged),
    /// The different rows with the least keys.
    different: BTreeMap<String, Suspect>,
    /// The least digests of missing and extra rows, and the keys of those that were found.
    apart: [BTreeMap<u128, Apart>; 2],
}

/// A missing or extra row, of which the first pass has only a digest.
#[derive(Debug, Default)]
struct Apart {
    key: Option<String>,
    /// Whether the other side has the key in a row that does not count.
    is_hidden: bool,
}

const ALL: Range = Range { low: 0, high: u64::MAX };

impl Streams {
    /// Compares an object whose sides have about so many rows, in so many bytes. `is_careful` is whether an earlier comparison was
    /// [spoilt](Self::is_spoilt).
    pub fn new(object: Arc<Object>, sent: Sent, rows: [u64; 2], budget: usize, is_careful: bool) -> Self {
        let [source, destination] = rows;
        let of_map = budget / 3 * 2;
        let passes = source.max(destination).saturating_mul(ROW_BYTES).div_ceil(of_map.max(1) as u64).max(1);
        let length = u64::MAX / passes;
        // Room for a quarter of the rows without a partner; with more, the map is halved.
        let union = source.max(destination).saturating_add(source.min(destination) / 4);
        let union = usize::try_from(union / passes * 5 / 4).unwrap_or(usize::MAX);
        let slots = union.saturating_add(1_024).min(of_map / SLOT_BYTES).max(16);
        let columns = paired_columns(&object);
        let found = empty(&object);
        Self {
            range: Range { low: 0, high: if passes == 1 { u64::MAX } else { length } },
            length,
            budget,
            table: Table::of(slots),
            repeated: HashMap::new(),
            pending: (found.clone(), Judged::default()),
            found,
            is_careful,
            is_spoilt: false,
            shapes: [None, None],
            unjudged: 0,
            judged_range: ALL,
            waiting: HashMap::default(),
            waiting_bytes: 0,
            columns,
            batch: Vec::new(),
            judged: Judged::default(),
            different: BTreeMap::new(),
            apart: [BTreeMap::new(), BTreeMap::new()],
            object,
            sent,
        }
    }

    /// Compares only these keys.
    #[must_use]
    pub fn covering(mut self, coverage: Coverage) -> Self {
        self.found.coverage = coverage;
        self
    }

    /// Returns the memory of the map, in bytes.
    pub fn map_bytes(&self) -> usize {
        self.table.keys.capacity() * SLOT_BYTES
    }

    /// Returns whether a repeated key was found too late: then its rows were judged. All must be compared again, carefully.
    pub fn is_spoilt(&self) -> bool {
        self.is_spoilt
    }

    /// Takes rows of one side, and judges those that differ and whose partner waits with its values.
    ///
    /// # Errors
    /// An answer that cannot be read.
    pub fn take(
        &mut self,
        origin: Origin,
        block: &Block<'_>,
        digested: &[Digested],
    ) -> Result<(), sql::Error> {
        self.shape(origin, block);
        let coverage = self.found.coverage;
        let rows = digested.iter().zip(block.rows());
        for (row, cells) in rows.filter(|(row, _)| coverage.has(row.key.unwrap_or(0))) {
            let Some(key) = row.key else {
                // In the first pass only.
                if self.range.low == 0 {
                    self.side(origin).null_keys += 1;
                }
                continue;
            };
            self.make_room();
            if self.range.has(key) {
                self.take_row(origin, key, row, cells)?;
            }
        }
        Ok(())
    }

    /// Halves the range of the pass while the map is full.
    fn make_room(&mut self) {
        while self.table.is_full() && self.range.high > self.range.low {
            self.range.halve();
            // A later pass would judge such a row again.
            let (range, judged) = (self.range, self.judged.rows + self.pending.1.rows);
            self.is_spoilt |= !self.is_careful && (judged > 0 || !self.batch.is_empty());
            self.table.retain(range);
            self.repeated.retain(|key, _| range.has(*key));
            self.keep_waiting(|key| range.has(key));
        }
    }

    fn take_row(
        &mut self,
        origin: Origin,
        key: u128,
        row: &Digested,
        cells: &[Option<&[u8]>],
    ) -> Result<(), sql::Error> {
        let bit = origin.of([SOURCE, DESTINATION]);
        let slot = self.table.slot(key);
        if self.table.keys.get(slot) != Some(&key) {
            self.table.set(slot, key, row.row, bit | row.flags);
            if !self.is_careful && self.waiting_bytes < self.budget / 3 {
                self.wait(key, Waiting::of(origin, cells));
            }
            return Ok(());
        }
        let partner = self.stop_waiting(key);
        let mut flags = self.table.flags.get(slot).copied().unwrap_or(0);
        let first = self.table.rows.get(slot).copied().unwrap_or(0);
        if flags & (bit | REPEATED) != 0 {
            self.is_spoilt |= flags & JUDGED != 0;
            let count = self.repeated.entry(key).or_insert([u64::from(flags & 1), u64::from(flags >> 1 & 1)]);
            *origin.of(count.each_mut()) += 1;
            self.table.set(slot, key, first, flags | bit | REPEATED);
            return Ok(());
        }
        flags |= bit | row.flags;
        let differs = first != row.row || flags & UNREADABLE != 0;
        flags |= if differs { DIFFERENT } else { 0 };
        self.table.set(slot, key, first, flags);
        match partner.filter(|_| differs) {
            Some(partner) => self.judge_pair(key, &partner, cells),
            None => Ok(()),
        }
    }

    fn shape(&mut self, origin: Origin, block: &Block<'_>) {
        origin.of(self.shapes.each_mut()).get_or_insert_with(|| Shape::of(block));
    }

    fn wait(&mut self, key: u128, row: Waiting) {
        self.waiting_bytes += row.bytes();
        self.waiting.insert(key, row);
    }

    fn stop_waiting(&mut self, key: u128) -> Option<Waiting> {
        let row = self.waiting.remove(&key)?;
        self.waiting_bytes = self.waiting_bytes.saturating_sub(row.bytes());
        Some(row)
    }

    fn keep_waiting(&mut self, is_kept: impl Fn(u128) -> bool) {
        self.waiting.retain(|key, _| is_kept(*key));
        self.waiting_bytes = self.waiting.values().map(Waiting::bytes).sum();
    }

    /// Judges a row whose partner waited.
    fn judge_pair(
        &mut self,
        key: u128,
        partner: &Waiting,
        cells: &[Option<&[u8]>],
    ) -> Result<(), sql::Error> {
        let [Some(source), Some(destination)] = &self.shapes else { return Ok(()) };
        let rows = match partner.origin {
            Origin::Source => [source.values(&partner.cells()), destination.values(cells)],
            Origin::Destination => [source.values(cells), destination.values(&partner.cells())],
        };
        let slot = self.table.slot(key);
        let Some(flags) = self.table.flags.get_mut(slot) else { return Ok(()) };
        *flags |= JUDGED;
        self.batch.push((*flags, paired_row(&self.object, *flags, [false; 2], rows.map(Some))));
        if self.batch.len() >= BATCH { self.judge_batch() } else { Ok(()) }
    }

    fn side(&mut self, origin: Origin) -> &mut SideCount {
        origin.of([&mut self.found.source, &mut self.found.destination])
    }

    /// Counts the rows of a pass, once both sides have ended.
    ///
    /// # Errors
    /// An answer that cannot be read.
    pub fn end_pass(&mut self) -> Result<(), sql::Error> {
        self.judge_batch()?;
        self.keep_waiting(|_| false);
        let Self { table, repeated, found, apart: [missing, extra], .. } = self;
        for (key, _, flags) in table.entries() {
            if flags & REPEATED != 0 {
                let counts = repeated.get(&key).copied().unwrap_or_default();
                for (side, rows) in [&mut found.source, &mut found.destination].into_iter().zip(counts) {
                    side.rows += rows;
                    side.ambiguous += rows;
                    side.repeated_keys += u64::from(rows > 1);
                    side.surplus += rows.saturating_sub(1);
                }
                continue;
            }
            found.source.rows += u64::from(flags & 1);
            found.destination.rows += u64::from(flags >> 1 & 1);
            match flags & BOTH {
                BOTH => {
                    found.joined += 1;
                    match flags & (DIFFERENT | JUDGED) {
                        0 => found.equal += 1,
                        DIFFERENT => self.unjudged += 1,
                        _ => {}
                    }
                }
                SOURCE if flags & UNSELECTED != 0 => found.not_selected += 1,
                SOURCE if flags & PENDING != 0 => {
                    found.missing_pending += 1;
                    found.missing_late += u64::from(flags & LATE != 0);
                    found.add_fault(Fault::NotRun, u64::from(flags & NOT_RUN != 0));
                }
                SOURCE => {
                    found.missing += 1;
                    keep_least(missing, key);
                }
                _ => {
                    found.extra += 1;
                    keep_least(extra, key);
                }
            }
        }
        self.judged_range = ALL;
        Ok(())
    }

    /// Returns whether both sides are to be read again for [`Streams::judge`].
    pub fn lacks_values(&self) -> bool {
        self.unjudged > 0
    }

    /// Takes rows of one side with their values, and judges those that differ and whose partner was taken before.
    ///
    /// # Errors
    /// An answer that cannot be read.
    pub fn judge(&mut self, origin: Origin, block: &Block<'_>) -> Result<(), sql::Error> {
        self.shape(origin, block);
        for cells in block.rows() {
            let first = cells.first().copied().flatten();
            let Some(key) = key_digest(self.object.key, block, 0, first) else { continue };
            let is_wanted = self.table.flags(key) & (DIFFERENT | JUDGED | REPEATED) == DIFFERENT;
            if !is_wanted || !self.judged_range.has(key) {
                continue;
            }
            match self.stop_waiting(key).filter(|partner| partner.origin != origin) {
                Some(partner) => {
                    self.unjudged = self.unjudged.saturating_sub(1);
                    self.judge_pair(key, &partner, cells)?;
                }
                None => {
                    self.wait(key, Waiting::of(origin, cells));
                    // Over the budget, half of the keys are left to a further reading.
                    while self.waiting_bytes > self.budget / 3
                        && self.judged_range.high > self.judged_range.low
                    {
                        self.judged_range.halve();
                        let range = self.judged_range;
                        self.keep_waiting(|key| range.has(key));
                    }
                }
            }
        }
        Ok(())
    }

    /// Ends a reading of the differing rows. Returns whether all are judged.
    ///
    /// # Errors
    /// A row is gone: the data changed since the first reading.
    pub fn end_reading(&mut self) -> Result<bool, NotCompared> {
        self.judge_batch()?;
        self.keep_waiting(|_| false);
        if self.unjudged == 0 {
            return Ok(true);
        }
        let next = self.judged_range.next(u64::MAX);
        self.judged_range = next.ok_or(Broken("different rows and their samples"))?;
        Ok(false)
    }

    fn judge_batch(&mut self) -> Result<(), sql::Error> {
        let (flags, rows): (Vec<u16>, Vec<Vec<Value>>) = std::mem::take(&mut self.batch).into_iter().unzip();
        let statement = Statement::new(format!("values of {}", self.object.name), "");
        let answer = Answer::new(&statement, Dialect::PostgreSql, self.columns.clone(), rows);
        for (row, flags) in answer.rows().zip(flags) {
            let is_pending = flags & PENDING != 0;
            let (found, judged) = match is_pending {
                true => (&mut self.pending.0, &mut self.pending.1),
                false => (&mut self.found, &mut self.judged),
            };
            // As if each value differed; a value that does not is taken off.
            for field in &mut found.fields {
                field.different += 1;
            }
            let wrong = found.judge_row(&self.object, &row, judged)?;
            if wrong.is_empty() {
                continue;
            }
            if is_pending {
                self.found.different_late += u64::from(flags & LATE != 0);
                self.found.add_fault(Fault::NotRun, u64::from(flags & NOT_RUN != 0));
                continue;
            }
            let key = row.value("k").map(key_text)?;
            let clues = clues(&self.object, &row, Class::Different, &wrong)?;
            let mut suspect = Suspect::of(&self.object, &self.sent, key.clone(), clues, wrong);
            // The values of the first rows only are kept.
            if self.different.keys().nth(MOST_SHOWN - 1).is_some_and(|last| *last < key) {
                suspect.shown = None;
            }
            self.different.insert(key, suspect);
            if let Some(beyond) = self.different.values_mut().nth(MOST_SHOWN) {
                beyond.shown = None;
            }
            if self.different.len() > MOST_JUDGED {
                self.different.pop_last();
            }
        }
        Ok(())
    }

    /// Begins the next pass; returns `false` after the last.
    pub fn next_pass(&mut self) -> bool {
        let Some(range) = self.range.next(self.length) else { return false };
        self.range = range;
        self.table.keys.fill(0);
        self.table.used = 0;
        self.repeated.clear();
        true
    }

    /// Returns whether rows of a side are missing on the other: only the digests of their keys are known yet.
    pub fn lacks_keys(&self, origin: Origin) -> bool {
        origin.of(self.apart.each_ref()).values().any(|row| row.key.is_none())
    }

    /// Returns whether the other side lacks rows of this one.
    pub fn has_apart(&self, origin: Origin) -> bool {
        !origin.of(self.apart.each_ref()).is_empty()
    }

    /// Takes the keys of one side, to name those that the other lacks.
    pub fn take_keys(&mut self, origin: Origin, block: &Block<'_>) {
        self.each_apart(origin, block, |row, key| row.key = Some(key_text(&key())));
    }

    /// Takes [hidden keys](Statements::hidden_keys) of one side: the other's missing or extra rows are there, and do not count.
    pub fn take_hidden(&mut self, origin: Origin, block: &Block<'_>) {
        self.each_apart(origin.other(), block, |row, _| row.is_hidden = true);
    }

    fn each_apart(
        &mut self,
        origin: Origin,
        block: &Block<'_>,
        act: impl Fn(&mut Apart, &dyn Fn() -> Value),
    ) {
        let apart = origin.of(self.apart.each_mut());
        for cells in block.rows() {
            let cell = cells.first().copied().flatten();
            if let Some(row) = key_digest(self.object.key, block, 0, cell).and_then(|key| apart.get_mut(&key))
            {
                act(row, &|| block.value(0, cell));
            }
        }
    }

    /// Returns the result.
    ///
    /// # Errors
    /// The counts do not add up.
    pub fn finish(self, copied: Option<Timestamp>) -> Result<Reconciliation, NotCompared> {
        let Self {
            object, sent, mut found, judged, pending: (of_pending, pending), different, apart, ..
        } = self;
        for side in [&mut found.source, &mut found.destination] {
            side.rows += side.null_keys;
        }
        found.different = judged.different;
        found.not_evaluated = judged.not_evaluated;
        found.different_pending = pending.different + pending.not_evaluated;
        found.equal += judged.equal + pending.equal;
        found.equal_normalised = judged.equal_normalised + pending.equal_normalised;
        for (rule, values) in of_pending.rules {
            *found.rules.entry(rule).or_default() += values;
        }
        found.copied = copied.filter(|_| found.source.rows > 0);
        // In the order of the samples of one statement.
        let mut suspects: Vec<Suspect> = different.into_values().collect();
        for (class, rows) in [Class::Missing, Class::Extra].into_iter().zip(apart).rev() {
            let mut rows: Vec<(String, bool)> = rows
                .into_values()
                .map(|row| Some((row.key?, row.is_hidden)))
                .collect::<Option<_>>()
                .ok_or(Broken("missing or extra rows and their keys"))?;
            rows.sort_unstable();
            let suspect = |(key, is_hidden)| {
                let left_out = is_hidden && class == Class::Extra;
                let clues = Clues { left_out, deleted: is_hidden, ..Clues::of(class) };
                Suspect::of(&object, &sent, key, clues, Vec::new())
            };
            let begin = suspects.len();
            suspects.extend(rows.into_iter().map(suspect));
            suspects.iter_mut().skip(begin + MOST_SHOWN).for_each(|row| row.shown = None);
        }
        let all = found.missing + found.extra + found.different + found.not_evaluated;
        found.unexamined = all.saturating_sub(suspects.len() as u64);
        found.find_faults(suspects);
        found.check()?;
        Ok(found)
    }
}

fn keep_least(kept: &mut BTreeMap<u128, Apart>, key: u128) {
    kept.insert(key, Apart::default());
    if kept.len() > MOST_JUDGED {
        kept.pop_last();
    }
}

fn empty(object: &Object) -> Reconciliation {
    let field = |field: &Field| FieldCount {
        field: field.destination.clone(),
        different: 0,
        reasons: BTreeMap::new(),
    };
    Reconciliation { fields: object.fields.iter().map(field).collect(), ..Reconciliation::default() }
}

/// Reads the answers of [`Statements::rows_of`] for one key, from both sides; `is_hidden` is whether each has it among its
/// [hidden keys](Statements::hidden_keys).
///
/// # Errors
/// A column is missing.
pub fn pair_records(
    object: &Object,
    key: &str,
    sent: &Sent,
    answers: [&Answer; 2],
    is_hidden: [bool; 2],
) -> Result<Vec<Record>, sql::Error> {
    let [sources, destinations] = answers.map(|answer| {
        let rows: Vec<Option<Vec<Value>>> = answer.rows().map(|row| Some(row.values().to_vec())).collect();
        if rows.is_empty() { vec![None] } else { rows }
    });
    let mut rows = Vec::new();
    for source in &sources {
        for destination in destinations.iter().filter(|destination| source.is_some() || destination.is_some())
        {
            let state = source.as_ref().filter(|_| Statements::has_state(object, Origin::Source));
            let state = state.and_then(|row| value::value_text(row.get(1)?));
            let flags = state_flags(state.as_deref());
            rows.push(paired_row(object, flags, is_hidden, [source.clone(), destination.clone()]));
        }
    }
    let statement = Statement::new(format!("one key of {}", object.name), "");
    read_records(
        object,
        key,
        sent,
        &Answer::new(&statement, Dialect::PostgreSql, paired_columns(object), rows),
    )
}

/// The columns of both rows of a key, as in the samples of one statement and in [`Statements::one_key`].
fn paired_columns(object: &Object) -> Vec<Column> {
    let mut names = vec!["k".to_owned(), "normalised".to_owned()];
    for (place, field) in object.fields.iter().enumerate() {
        names.extend([format!("x{place}"), format!("sv{place}"), format!("dv{place}")]);
        if field.currency.is_some() {
            names.extend([format!("sc{place}"), format!("dc{place}")]);
        }
    }
    let others = ["later", "by_integration", "left_out", "deleted", "changed", "modified", "by_user"];
    let states = ["in_source", "in_destination", "pending", "not_selected"];
    names.extend(others.into_iter().chain(states).map(str::to_owned));
    names.into_iter().map(|name| Column { name, kind: sql::Kind::Text }).collect()
}

/// The values of [`paired_columns`], from those of both sides as [`Statements::rows_of`] selects them.
fn paired_row(
    object: &Object,
    flags: u16,
    is_hidden: [bool; 2],
    [source, destination]: [Option<Vec<Value>>; 2],
) -> Vec<Value> {
    let is = |flag: bool| Value::Integer(flag.into());
    let exists = [source.is_some(), destination.is_some()];
    let behind = |origin| 1 + usize::from(Statements::has_state(object, origin));
    let first = source.as_ref().or(destination.as_ref()).and_then(|row| row.first());
    let mut values = vec![first.cloned().unwrap_or(Value::Null), is(false)];
    let mut source = source.into_iter().flatten().skip(behind(Origin::Source));
    let mut destination = destination.into_iter().flatten().skip(behind(Origin::Destination));
    for field in &object.fields {
        values.push(is(true));
        for _ in 0..=usize::from(field.currency.is_some()) {
            values.extend([source.next(), destination.next()].map(|value| value.unwrap_or(Value::Null)));
        }
    }
    let next = |is_declared: bool, values: &mut dyn Iterator<Item = Value>| {
        let value = if is_declared { values.next() } else { None };
        value.unwrap_or(Value::Null)
    };
    let changed = next(object.source.changed.is_some(), &mut source);
    let modified = next(object.destination.changed.is_some(), &mut destination);
    let [by_integration, by_user] =
        [(); 2].map(|()| next(object.destination.modified_by.is_some(), &mut destination));
    let later = match [&changed, &modified].map(|value| value::instant(value).ok().flatten()) {
        [Some(here), Some(there)] => is(there > here),
        _ => Value::Null,
    };
    let [hides_source, hides_destination] = is_hidden;
    let [in_source, in_destination] = exists;
    let is_unselected = flags & UNSELECTED != 0;
    values.extend([later, by_integration, is(is_unselected || !in_source && hides_source)]);
    values.extend([is(hides_destination), changed, modified, by_user]);
    values.extend([in_source, in_destination, flags & PENDING != 0, is_unselected].map(is));
    values
}
