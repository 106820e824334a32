//! What does an archive of Homebox say?
//!
//! From version 0.26 on Homebox exports a collection as an archive: `manifest.json`, a JSON file for each table of its database, and the
//! files of items under the ids of their rows, without names. Items and places are rows of the same table; the type of a row says which
//! it is. A file that Homebox could not read is not in the archive, and Homebox does not say so: it is listed here.

mod row;

use std::{
    collections::{HashMap, HashSet},
    marker::PhantomData,
};

use rawzip::ReaderAt;
use serde::Deserialize;

use self::row::Row;
use super::{
    Incoming, IncomingFile, Reading,
    bad_import::BadImport,
    binder::keep,
    homebox_csv::{amount, asset_id, day, known, quantity},
    json, own_field,
};
use crate::records::{
    attachments::{Keeper, cleaned_name, entity::attachment::Role},
    draft::Draft,
    fields::Field,
    kind::Kind,
    portability::{bounded_list::Each, format::Way, zip::reader::Archive},
};

/// Where it says what it is.
pub(in super::super) const MANIFEST: &str = "manifest.json";
const ENTITIES: &str = "entities.json";
const TYPES: &str = "entity_types.json";
const TAGS: &str = "tags.json";
const FIELDS: &str = "entity_fields.json";
const MARKS: &str = "tag_entities.json";
const UPKEEP: &str = "maintenance_entries.json";
const FILES: &str = "attachments.json";
const TABLES: [&str; 7] = [ENTITIES, TYPES, TAGS, FIELDS, MARKS, UPKEEP, FILES];
const VERSION: u32 = 1;
/// Bytes of all tables: 50,000 items with more than a kilobyte each.
const LARGEST: u64 = 64 << 20;
/// Rows of a table.
const MOST_ROWS: usize = 200_000;
/// Places and items within one another before it must be a circle.
const DEEPEST: usize = 64;

#[derive(Deserialize)]
struct Manifest {
    #[serde(rename = "schemaVersion")]
    version: u32,
}

/// The tables of an archive.
struct Tables {
    entities: HashMap<String, Row>,
    /// The ids of the types that places have.
    places: HashSet<String>,
    tags: HashMap<String, String>,
}

/// Reads an archive of Homebox and puts its files into the store.
pub(in super::super) fn read<R: ReaderAt>(
    archive: &Archive<R>,
    keeper: &mut Keeper,
    currency: Option<&str>,
) -> Result<Reading, BadImport> {
    let manifest: Manifest = json::read(archive, MANIFEST, LARGEST, PhantomData)?;
    if manifest.version > VERSION {
        return Err(BadImport::Newer(manifest.version));
    }
    if archive.bytes(ENTITIES).is_none() {
        return Err(BadImport::Lacks(ENTITIES));
    }
    if TABLES.iter().filter_map(|table| archive.bytes(table)).fold(0, u64::saturating_add) > LARGEST {
        return Err(BadImport::TooLarge { what: "All the data", most: LARGEST });
    }
    let entities = table(archive, ENTITIES)?;
    let order: Vec<String> = entities.iter().map(|row| row.text("id").to_owned()).collect();
    let (types, tags) = (table(archive, TYPES)?, table(archive, TAGS)?);
    let of = |row: &Row, column: &str| row.text(column).to_owned();
    let tables = Tables {
        places: types.iter().filter(|row| row.flag("is_location")).map(|row| of(row, "id")).collect(),
        tags: tags.iter().map(|row| (of(row, "id"), of(row, "name"))).collect(),
        entities: entities.into_iter().map(|row| (of(&row, "id"), row)).collect(),
    };
    let fields = grouped(table(archive, FIELDS)?, "entity_fields");
    let marks = grouped(table(archive, MARKS)?, "entity_id");
    let upkeep = grouped(table(archive, UPKEEP)?, "entity_id");
    let files = grouped(table(archive, FILES)?, "entity_attachments");
    let mut reading = Reading::default();
    for id in &order {
        let Some(row) = tables.entities.get(id) else { continue };
        let name = row.text("name");
        if tables.is_place(row) {
            let mut way = tables.way(row);
            way.push(name.to_owned());
            reading.take_place(way);
            if files.contains_key(id) || !row.text("description").is_empty() || !row.text("notes").is_empty() {
                reading.leave_out(
                    format!("Location “{name}”"),
                    "only its name was taken: in Hearth, a place has no text and no files",
                );
            }
            continue;
        }
        let mut record = tables.record(row, rows(&fields, id), rows(&marks, id), currency);
        for entry in rows(&upkeep, id) {
            note_upkeep(&mut record, entry, currency);
        }
        record.what = format!("Item “{name}”");
        let taken = reading.take(record);
        // Thumbnails are Homebox's own.
        for file in rows(&files, id).iter().filter(|file| file.text("type") != "thumbnail") {
            let what = format!("File “{}” of the item “{name}”", file.text("title"));
            match taken {
                Some(place) => reading.take_file(place, what, || content(archive, keeper, file))?,
                None => reading.leave_out(what, "its item was not taken"),
            }
        }
    }
    Ok(reading)
}

/// Puts the content of an attachment into the store, or returns why it cannot be.
fn content<R: ReaderAt>(
    archive: &Archive<R>,
    keeper: &mut Keeper,
    file: &Row,
) -> Result<Result<IncomingFile, String>, BadImport> {
    let path = format!("attachments/{}", file.text("id"));
    let kept = keep(archive, keeper, &path, file.text("title"))?;
    Ok(kept.map(|kept| IncomingFile {
        kept,
        name: cleaned_name(file.text("title")),
        role: role(file.text("type")),
        added_at: moment(file, "created_at"),
    }))
}

/// Reads a table, which may be missing.
fn table<R: ReaderAt>(archive: &Archive<R>, name: &'static str) -> Result<Vec<Row>, BadImport> {
    let mut rows = Vec::new();
    if archive.bytes(name).is_some() {
        json::read(archive, name, LARGEST, Each::new(MOST_ROWS, |row| rows.push(row)))?;
    }
    Ok(rows)
}

/// Returns the rows of a table by what they belong to.
fn grouped(rows: Vec<Row>, column: &str) -> HashMap<String, Vec<Row>> {
    let mut groups: HashMap<String, Vec<Row>> = HashMap::new();
    for row in rows {
        groups.entry(row.text(column).to_owned()).or_default().push(row);
    }
    groups
}

/// Returns the rows that belong to an entity.
fn rows<'a>(groups: &'a HashMap<String, Vec<Row>>, id: &str) -> &'a [Row] {
    groups.get(id).map_or(&[], Vec::as_slice)
}

impl Tables {
    fn is_place(&self, row: &Row) -> bool {
        self.places.contains(row.text("entity_type_entities"))
    }

    /// Returns what a row is in, from the nearest on.
    fn around(&self, row: &Row) -> Vec<&Row> {
        let parent = |row: &Row| self.entities.get(row.text("entity_children"));
        std::iter::successors(parent(row), |row| parent(row)).take(DEEPEST).collect()
    }

    /// Returns the way to the place that a row is in.
    fn way(&self, row: &Row) -> Way {
        let mut way: Way = self
            .around(row)
            .into_iter()
            .filter(|row| self.is_place(row))
            .map(|row| row.text("name").to_owned())
            .collect();
        way.reverse();
        way
    }

    fn record(&self, row: &Row, own: &[Row], marks: &[Row], currency: Option<&str>) -> Incoming {
        let mut tags: Vec<String> =
            marks.iter().filter_map(|mark| self.tags.get(mark.text("tag_id")).cloned()).collect();
        if row.flag("archived") {
            tags.push("archived".to_owned());
        }
        // A comma parts tags.
        let tags = tags.into_iter().map(|tag| tag.replace(',', " ")).collect();
        let notes = [row.text("description"), row.text("notes")];
        let notes: Vec<_> = notes.into_iter().filter(|text| !text.is_empty()).collect();
        let outer = self.around(row).into_iter().find(|outer| !self.is_place(outer)).map(|outer| outer.text("name"));
        let draft = Draft {
            title: Some(row.text("name").to_owned()),
            kind: Some(Kind::Thing),
            notes: Some(notes.join("\n\n")),
            tags: Some(tags),
            fields: Some(fields(row, own, outer.unwrap_or_default(), currency)),
            ..Draft::default()
        };
        Incoming {
            draft,
            place: self.way(row),
            created_at: moment(row, "created_at"),
            updated_at: moment(row, "updated_at"),
            ..Incoming::default()
        }
    }
}

fn fields(row: &Row, own: &[Row], outer: &str, currency: Option<&str>) -> Vec<Field> {
    let of = |name: &str| row.text(name);
    // Renamed in 2026.
    let either = |name: &str, before: &str| day(if of(name).is_empty() { of(before) } else { of(name) });
    let asset = match of("asset_id").parse::<u64>() {
        Ok(0) => String::new(),
        Ok(number) => format!("{:03}-{:03}", number / 1000, number % 1000),
        Err(_) => asset_id(of("asset_id")).to_owned(),
    };
    let yes = |is: bool| if is { "yes" } else { "" };
    let usual = [
        known("manufacturer", of("manufacturer")),
        known("model", of("model_number")),
        known("serial_number", of("serial_number")),
        known("bought_from", of("purchase_from")),
        known("bought_on", &either("purchase_date", "purchase_time")),
        amount("price", "Price", of("purchase_price"), currency),
        known("warranty_until", &day(of("warranty_expires"))),
        own_field("Lifetime warranty", yes(row.flag("lifetime_warranty"))),
        own_field("Warranty details", of("warranty_details")),
        known("quantity", quantity(of("quantity"))),
        known("asset_id", &asset),
        own_field("Insured", yes(row.flag("insured"))),
        own_field("Part of", outer),
        own_field("Sold to", of("sold_to")),
        own_field("Sold on", &either("sold_date", "sold_time")),
        amount("", "Sold for", of("sold_price"), currency),
        own_field("Sale notes", of("sold_notes")),
        own_field("Import reference", of("import_ref")),
    ];
    let own = own.iter().filter_map(|field| {
        let value = match field.text("type") {
            "number" => field.text("number_value").to_owned(),
            "boolean" => if field.flag("boolean_value") { "yes" } else { "no" }.to_owned(),
            "time" => day(field.text("time_value")),
            _ => field.text("text_value").to_owned(),
        };
        own_field(field.text("name"), &value)
    });
    usual.into_iter().flatten().chain(own).collect()
}

/// Adds what was done with an item to its notes.
fn note_upkeep(record: &mut Incoming, entry: &Row, currency: Option<&str>) {
    let (done, planned) = (day(entry.text("date")), day(entry.text("scheduled_date")));
    let when = match (done.is_empty(), planned.is_empty()) {
        (false, _) => done,
        (true, false) => format!("planned for {planned}"),
        (true, true) => String::new(),
    };
    let cost = amount("", "Cost", entry.text("cost"), currency)
        .map(|cost| cost.money.map_or(cost.value, |money| money.in_form()))
        .unwrap_or_default();
    let parts = [&when, entry.text("name"), entry.text("description"), &cost];
    let parts: Vec<_> = parts.into_iter().filter(|part: &&str| !part.is_empty()).collect();
    let notes = record.draft.notes.get_or_insert_default();
    if !notes.contains("## Maintenance") {
        notes.push_str(if notes.is_empty() { "## Maintenance\n" } else { "\n\n## Maintenance\n" });
    }
    notes.push_str(&format!("\n- {}", parts.join(": ").replace('\n', " ")));
}

fn role(kind: &str) -> Role {
    match kind {
        "photo" => Role::Photo,
        "manual" => Role::Manual,
        "receipt" => Role::Receipt,
        "warranty" => Role::Document,
        _ => Role::Other,
    }
}

fn moment(row: &Row, column: &str) -> Option<crate::datetime::Timestamp> {
    // SQLite's own form has a blank.
    let text = row.text(column);
    let with_zone = text.parse().ok();
    with_zone.or_else(|| format!("{}Z", text.get(..19)?.replacen(' ', "T", 1)).parse().ok())
}
