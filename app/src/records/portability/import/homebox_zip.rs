//! What does an archive of Homebox say?
//!
//! From version 0.26 on Homebox exports a collection as an archive: `manifest.json`, a JSON file for each table of its database, and the
//! files of items under the ids of their rows, without names. Items and places are rows of the same table; the type of a row says which
//! it is. A file that Homebox could not read is not in the archive, and Homebox does not say so: it is listed here.

use std::collections::{HashMap, HashSet};

use rawzip::ReaderAt;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Incoming, IncomingFile, Reading,
    binder::{BadImport, json, keep},
    homebox_csv::{amount, asset_id, day, known, quantity},
    own_field,
};
use crate::records::{
    attachments::{Attachments, cleaned_name, entity::attachment::Role},
    draft::Draft,
    fields::Field,
    kind::Kind,
    portability::{format::Way, zip::reader::Archive},
};

/// Where it says what it is.
pub(in super::super) const MANIFEST: &str = "manifest.json";
const ENTITIES: &str = "entities.json";
const VERSION: u32 = 1;
/// Places and items within one another before it must be a circle.
const DEEPEST: usize = 64;

#[derive(Deserialize)]
struct Manifest {
    #[serde(rename = "schemaVersion")]
    version: u32,
}

/// A row of any table: a newer version may have more columns, and each may be null.
type Row = HashMap<String, Value>;

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
    attachments: &Attachments,
    currency: Option<&str>,
) -> Result<Reading, BadImport> {
    let manifest: Manifest = json(archive, MANIFEST)?;
    if manifest.version > VERSION {
        return Err(BadImport::Newer(manifest.version));
    }
    let entities: Vec<Row> = json(archive, ENTITIES)?;
    let order: Vec<String> = entities.iter().map(|row| text(row, "id")).collect();
    let types: Vec<Row> = table(archive, "entity_types.json")?;
    let tags: Vec<Row> = table(archive, "tags.json")?;
    let tables = Tables {
        places: types.iter().filter(|row| flag(row, "is_location")).map(|row| text(row, "id")).collect(),
        tags: tags.iter().map(|row| (text(row, "id"), text(row, "name"))).collect(),
        entities: entities.into_iter().map(|row| (text(&row, "id"), row)).collect(),
    };
    let fields = grouped(table(archive, "entity_fields.json")?, "entity_fields");
    let marks = grouped(table(archive, "tag_entities.json")?, "entity_id");
    let upkeep = grouped(table(archive, "maintenance_entries.json")?, "entity_id");
    let files = grouped(table(archive, "attachments.json")?, "entity_attachments");
    let none = Vec::new();
    let mut reading = Reading::default();
    for id in &order {
        let Some(row) = tables.entities.get(id) else { continue };
        let of = |rows: &HashMap<String, Vec<Row>>| rows.get(id).unwrap_or(&none).clone();
        let name = text(row, "name");
        if tables.is_place(row) {
            let mut way = tables.way(row);
            way.push(name.clone());
            reading.take_place(way);
            if files.contains_key(id) || !text(row, "description").is_empty() || !text(row, "notes").is_empty() {
                reading.leave_out(
                    format!("Location “{name}”"),
                    "only its name was taken: in Hearth, a place has no text and no files",
                );
            }
            continue;
        }
        let mut record = tables.record(row, &of(&fields), &of(&marks), currency);
        for entry in &of(&upkeep) {
            note_upkeep(&mut record, entry, currency);
        }
        record.what = format!("Item “{name}”");
        let Some(place) = reading.take(record) else { continue };
        for file in &of(&files) {
            // Homebox makes them itself.
            if text(file, "type") == "thumbnail" {
                continue;
            }
            let title = text(file, "title");
            let path = format!("attachments/{}", text(file, "id"));
            match keep(archive, attachments, &path, &title)? {
                Ok(kept) => reading.records[place].files.push(IncomingFile {
                    kept,
                    name: cleaned_name(&title),
                    role: role(&text(file, "type")),
                    added_at: moment(file, "created_at"),
                }),
                Err(why) => reading.leave_out(format!("File “{title}” of the item “{name}”"), why),
            }
        }
    }
    Ok(reading)
}

/// Reads a table, which may be missing.
fn table<R: ReaderAt>(archive: &Archive<R>, name: &'static str) -> Result<Vec<Row>, BadImport> {
    if archive.bytes(name).is_none() { Ok(Vec::new()) } else { json(archive, name) }
}

/// Returns the rows of a table by what they belong to.
fn grouped(rows: Vec<Row>, column: &str) -> HashMap<String, Vec<Row>> {
    let mut groups: HashMap<String, Vec<Row>> = HashMap::new();
    for row in rows {
        groups.entry(text(&row, column)).or_default().push(row);
    }
    groups
}

impl Tables {
    fn is_place(&self, row: &Row) -> bool {
        self.places.contains(&text(row, "entity_type_entities"))
    }

    /// Returns what a row is in, from the nearest on.
    fn around(&self, row: &Row) -> Vec<&Row> {
        let parent = |row: &Row| self.entities.get(&text(row, "entity_children"));
        std::iter::successors(parent(row), |row| parent(row)).take(DEEPEST).collect()
    }

    /// Returns the way to the place that a row is in.
    fn way(&self, row: &Row) -> Way {
        let mut way: Way =
            self.around(row).into_iter().filter(|row| self.is_place(row)).map(|row| text(row, "name")).collect();
        way.reverse();
        way
    }

    fn record(&self, row: &Row, own: &[Row], marks: &[Row], currency: Option<&str>) -> Incoming {
        let mut tags: Vec<String> =
            marks.iter().filter_map(|mark| self.tags.get(&text(mark, "tag_id")).cloned()).collect();
        if flag(row, "archived") {
            tags.push("archived".to_owned());
        }
        // A comma parts tags.
        let tags = tags.into_iter().map(|tag| tag.replace(',', " ")).collect();
        let notes = [text(row, "description"), text(row, "notes")];
        let notes: Vec<_> = notes.into_iter().filter(|text| !text.is_empty()).collect();
        let outer = self.around(row).into_iter().find(|outer| !self.is_place(outer)).map(|outer| text(outer, "name"));
        let draft = Draft {
            title: Some(text(row, "name")),
            kind: Some(Kind::Thing),
            notes: Some(notes.join("\n\n")),
            tags: Some(tags),
            fields: Some(fields(row, own, &outer.unwrap_or_default(), currency)),
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
    let of = |name: &str| text(row, name);
    // Renamed in 2026.
    let either = |name: &str, before: &str| day(&[of(name), of(before)].concat());
    let asset = match row.get("asset_id").and_then(Value::as_i64) {
        Some(number) if number > 0 => format!("{:03}-{:03}", number / 1000, number % 1000),
        Some(_) => String::new(),
        None => asset_id(&of("asset_id")).to_owned(),
    };
    let yes = |is: bool| if is { "yes" } else { "" };
    let usual = [
        known("manufacturer", &of("manufacturer")),
        known("model", &of("model_number")),
        known("serial_number", &of("serial_number")),
        known("bought_from", &of("purchase_from")),
        known("bought_on", &either("purchase_date", "purchase_time")),
        amount("price", "Price", &of("purchase_price"), currency),
        known("warranty_until", &day(&of("warranty_expires"))),
        own_field("Lifetime warranty", yes(flag(row, "lifetime_warranty"))),
        own_field("Warranty details", &of("warranty_details")),
        known("quantity", quantity(&of("quantity"))),
        known("asset_id", &asset),
        own_field("Insured", yes(flag(row, "insured"))),
        own_field("Part of", outer),
        own_field("Sold to", &of("sold_to")),
        own_field("Sold on", &either("sold_date", "sold_time")),
        amount("", "Sold for", &of("sold_price"), currency),
        own_field("Sale notes", &of("sold_notes")),
        own_field("Import reference", &of("import_ref")),
    ];
    let own = own.iter().filter_map(|field| {
        let value = match text(field, "type").as_str() {
            "number" => text(field, "number_value"),
            "boolean" => if flag(field, "boolean_value") { "yes" } else { "no" }.to_owned(),
            "time" => day(&text(field, "time_value")),
            _ => text(field, "text_value"),
        };
        own_field(&text(field, "name"), &value)
    });
    usual.into_iter().flatten().chain(own).collect()
}

/// Adds what was done with an item to its notes.
fn note_upkeep(record: &mut Incoming, entry: &Row, currency: Option<&str>) {
    let (done, planned) = (day(&text(entry, "date")), day(&text(entry, "scheduled_date")));
    let when = match (done.is_empty(), planned.is_empty()) {
        (false, _) => done,
        (true, false) => format!("planned for {planned}"),
        (true, true) => String::new(),
    };
    let cost = amount("", "Cost", &text(entry, "cost"), currency)
        .map(|cost| cost.money.map_or(cost.value, |money| money.in_form()))
        .unwrap_or_default();
    let parts = [when, text(entry, "name"), text(entry, "description"), cost];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
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

/// Returns a value as a text; null and what is not there are empty.
fn text(row: &Row, column: &str) -> String {
    match row.get(column) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(is)) => is.to_string(),
        _ => String::new(),
    }
}

/// Returns a truth value, which SQLite has as a number.
fn flag(row: &Row, column: &str) -> bool {
    matches!(text(row, column).as_str(), "true" | "1")
}

fn moment(row: &Row, column: &str) -> Option<crate::datetime::Timestamp> {
    // SQLite's own form has a blank.
    let text = text(row, column);
    let with_zone = text.parse().ok();
    with_zone.or_else(|| format!("{}Z", text.get(..19)?.replacen(' ', "T", 1)).parse().ok())
}
