//! What does a table of Homebox say?
//!
//! Its columns are called `HB.…`, in any order; older versions call some of them otherwise. An item becomes a thing. An asset id of zero,
//! a day in the year 1 and a number of zero say that nothing is set.

use std::collections::HashMap;

use super::{
    Incoming, Reading, own_field, parts,
    table::{Row, Table},
};
use crate::{
    datetime::Day,
    records::{
        draft::Draft,
        fields::{Field, Money},
        kind::{Kind, suggestion},
    },
};

/// What the heads of its own columns begin with.
const OWN: &str = "HB.";
/// What the heads of the columns begin with that the household made.
const FIELD: &str = "HB.field.";

/// Whether a table is Homebox's.
pub(in super::super) fn is_homebox(table: &Table) -> bool {
    table.column("HB.name").is_some()
}

/// Reads a table of Homebox. It names no currency: without one, amounts are kept as texts.
pub(in super::super) fn read(table: &Table, currency: Option<&str>) -> Reading {
    let mut reading = Reading::default();
    let name = table.column("HB.name").unwrap_or_default();
    let names: HashMap<&str, &str> = match table.column("HB.import_ref") {
        Some(column) => table.rows.iter().map(|row| (row.cell(column), row.cell(name))).collect(),
        None => HashMap::new(),
    };
    for row in &table.rows {
        let what = format!("Row {}", row.number);
        if row.is_too_long(table.heads.len()) {
            reading.leave_out(what, "it has more cells than the table has columns");
            continue;
        }
        let item = Item { table, row, names: &names, currency };
        reading.take(Incoming { what, ..item.record() });
    }
    reading
}

/// A row of a table.
struct Item<'a> {
    table: &'a Table,
    row: &'a Row,
    /// The names of all items by their references.
    names: &'a HashMap<&'a str, &'a str>,
    currency: Option<&'a str>,
}

impl Item<'_> {
    fn record(&self) -> Incoming {
        let mut tags = parts(self.cell(&["tags", "labels", "label"]), &[';', ',']);
        if is_true(self.cell(&["archived"])) {
            tags.push("archived".to_owned());
        }
        let notes = [self.cell(&["description"]), self.cell(&["notes"])];
        let notes: Vec<_> = notes.into_iter().filter(|text| !text.is_empty()).collect();
        let draft = Draft {
            title: Some(self.cell(&["name"]).to_owned()),
            kind: Some(Kind::Thing),
            notes: Some(notes.join("\n\n")),
            tags: Some(tags),
            fields: Some(self.fields()),
            ..Draft::default()
        };
        Incoming { draft, place: parts(self.cell(&["location"]), &['/']), ..Incoming::default() }
    }

    fn fields(&self) -> Vec<Field> {
        let cell = |names: &[&str]| self.cell(names);
        let usual = [
            known("manufacturer", cell(&["manufacturer"])),
            known("model", cell(&["model_number"])),
            known("serial_number", cell(&["serial_number"])),
            known("bought_from", cell(&["purchase_from"])),
            known("bought_on", &day(cell(&["purchase_date", "purchase_time"]))),
            self.price("price", "Price", cell(&["purchase_price"])),
            known("warranty_until", &day(cell(&["warranty_expires"]))),
            is_true(cell(&["lifetime_warranty"])).then(|| own_field("Lifetime warranty", "yes")).flatten(),
            own_field("Warranty details", cell(&["warranty_details"])),
            known("quantity", quantity(cell(&["quantity"]))),
            known("asset_id", asset_id(cell(&["asset_id"]))),
            is_true(cell(&["insured"])).then(|| own_field("Insured", "yes")).flatten(),
            own_field("Part of", self.names.get(cell(&["parent_import_ref"])).copied().unwrap_or_default()),
            own_field("Sold to", cell(&["sold_to"])),
            own_field("Sold on", &day(cell(&["sold_date", "sold_time"]))),
            self.price("", "Sold for", cell(&["sold_price"])),
            own_field("Sale notes", cell(&["sold_notes"])),
            own_field("Import reference", cell(&["import_ref"])),
        ];
        let own = self.table.heads.iter().enumerate().filter_map(|(column, head)| {
            let label = head
                .get(..FIELD.len())
                .filter(|start| start.eq_ignore_ascii_case(FIELD))
                .map(|_| &head[FIELD.len()..])?;
            own_field(label, self.row.cell(column))
        });
        usual.into_iter().flatten().chain(own).collect()
    }

    /// Returns the cell of a column that may have several names.
    fn cell(&self, names: &[&str]) -> &str {
        let column = names.iter().find_map(|name| self.table.column(&format!("{OWN}{name}")));
        column.map_or("", |column| self.row.cell(column))
    }

    fn price(&self, key: &str, label: &str, text: &str) -> Option<Field> {
        amount(key, label, text, self.currency)
    }
}

/// Returns an amount of money as a field: as money where the currency is known, else as it is written.
pub(super) fn amount(key: &str, label: &str, text: &str, currency: Option<&str>) -> Option<Field> {
    if is_zero(text) {
        return None;
    }
    let key = suggestion(key).map(|suggestion| suggestion.key.to_owned());
    let field = Field { key, ..own_field(label, text)? };
    Some(match currency.and_then(|currency| Money::parse(text, Some(currency)).ok()) {
        Some(money) => Field { value: String::new(), money: Some(money), ..field },
        None => field,
    })
}

/// Returns a field that things usually have, unless it says nothing.
pub(super) fn known(key: &str, value: &str) -> Option<Field> {
    let suggestion = suggestion(key)?;
    Some(Field { key: Some(suggestion.key.to_owned()), ..own_field(suggestion.label, value)? })
}

/// Returns a day without its time. The year 1 stands for none. Homebox takes 02/03/2024 for the third of February.
pub(super) fn day(text: &str) -> String {
    let numbers: Vec<_> = text.trim().split('/').collect();
    let text = match numbers[..] {
        [month, day, year] if year.len() == 4 => format!("{year}-{month:0>2}-{day:0>2}"),
        _ => numbers.join("-"),
    };
    match text.get(..10).unwrap_or_default().parse::<Day>() {
        Ok(_) if text.starts_with("0001-") => String::new(),
        Ok(day) => day.to_string(),
        Err(_) => text,
    }
}

/// One thing is not worth a word.
pub(super) fn quantity(text: &str) -> &str {
    if is_zero(text) || text.trim().parse() == Ok(1.0_f64) { "" } else { text }
}

/// An asset id of nothing but zeros is none.
pub(super) fn asset_id(text: &str) -> &str {
    let is_set = text.chars().any(|c| c.is_ascii_digit() && c != '0') && !text.trim_start().starts_with('-');
    if is_set { text } else { "" }
}

fn is_zero(text: &str) -> bool {
    text.trim().is_empty() || text.trim().parse() == Ok(0.0_f64)
}

fn is_true(text: &str) -> bool {
    matches!(text.trim().to_ascii_lowercase().as_str(), "true" | "t" | "yes" | "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str, currency: Option<&str>) -> Reading {
        let table = Table::read(text.as_bytes()).unwrap();
        assert!(is_homebox(&table));
        read(&table, currency)
    }

    fn fields(record: &Incoming) -> Vec<(String, String)> {
        let value = |field: &Field| field.money.as_ref().map_or_else(|| field.value.clone(), |money| money.in_form());
        record.draft.fields.iter().flatten().map(|field| (field.label.clone(), value(field))).collect()
    }

    #[test]
    fn an_item_of_an_old_version_becomes_a_thing() {
        let text = "HB.import_ref\tHB.location\tHB.labels\tHB.asset_id\tHB.archived\tHB.url\tHB.name\tHB.quantity\tHB.description\tHB.insured\tHB.notes\tHB.purchase_price\tHB.purchase_from\tHB.purchase_time\tHB.manufacturer\tHB.model_number\tHB.serial_number\tHB.lifetime_warranty\tHB.warranty_expires\tHB.warranty_details\tHB.sold_to\tHB.sold_price\tHB.sold_time\tHB.sold_notes\tHB.field.Colour\n\
            a1\tHome / Cellar\tTools; Power\t000-042\tfalse\thttp://hb/item/1\tDrill\t2\tCordless\ttrue\tBits are blue\t129.5\tShop\t2024-02-03T00:00:00Z\tBosch\tX1\t00123\ttrue\t0001-01-01T00:00:00Z\t\t\t0\t0001-01-01\t\tgreen\n";
        let reading = records(text, Some("EUR"));
        assert_eq!(reading.left_out, []);
        let drill = &reading.records[0];
        assert_eq!((drill.what.as_str(), &*drill.place), ("Row 2", &["Home".to_owned(), "Cellar".to_owned()][..]));
        assert_eq!(drill.draft.title.as_deref(), Some("Drill"));
        assert_eq!(drill.draft.kind, Some(Kind::Thing));
        assert_eq!(drill.draft.notes.as_deref(), Some("Cordless\n\nBits are blue"));
        assert_eq!(drill.draft.tags.clone().unwrap(), ["Power", "Tools"]);
        let expected = [
            ("Manufacturer", "Bosch"),
            ("Model", "X1"),
            ("Serial number", "00123"),
            ("Bought from", "Shop"),
            ("Bought on", "2024-02-03"),
            ("Price", "129.50 EUR"),
            ("Lifetime warranty", "yes"),
            ("Quantity", "2"),
            ("Asset id", "000-042"),
            ("Insured", "yes"),
            ("Import reference", "a1"),
            ("Colour", "green"),
        ];
        assert_eq!(fields(drill), expected.map(|(label, value)| (label.to_owned(), value.to_owned())));
    }

    #[test]
    fn an_item_of_a_newer_version_is_read_by_its_newer_names() {
        let text = "HB.purchase_date,HB.warranty_expires,HB.import_ref,HB.parent_import_ref,HB.name,HB.tags,HB.asset_id,HB.quantity,HB.purchase_price,HB.archived\n\
            2024-02-03,2026-02-03,a1,,Toolbox,,000-000,1,0,true\n,,a2,a1,Hammer,Tools,,0,9.99,false\n";
        let reading = records(text, None);
        assert_eq!(reading.records[0].draft.tags.clone().unwrap(), ["archived"]);
        assert_eq!(
            fields(&reading.records[0]).iter().map(|(label, _)| label.as_str()).collect::<Vec<_>>(),
            ["Bought on", "Warranty until", "Import reference"]
        );
        assert!(fields(&reading.records[1]).contains(&("Part of".to_owned(), "Toolbox".to_owned())));
        // Without a currency an amount is a text.
        assert!(fields(&reading.records[1]).contains(&("Price".to_owned(), "9.99".to_owned())));
    }

    #[test]
    fn a_row_that_is_not_taken_is_named_with_the_reason() {
        let text =
            format!("HB.name,HB.location\n,Home\n{},Home\nok,Home\nok,{}\na,b,c\n", "x".repeat(201), "a/".repeat(9));
        let reading = records(&text, None);
        let left_out: Vec<_> = reading.left_out.iter().map(|left| format!("{}: {}", left.what, left.why)).collect();
        assert_eq!(
            left_out,
            [
                "Row 2: title must not be empty",
                "Row 3: title must be at most 200 characters long, not 201",
                "Row 5: place is 9 deep, and places go 8 deep at most",
                "Row 6: it has more cells than the table has columns",
            ]
        );
        assert_eq!(reading.records.len(), 1);
    }

    #[test]
    fn a_day_is_read_as_homebox_reads_it() {
        for (text, read) in [
            ("2024-02-03", "2024-02-03"),
            ("2024/02/03", "2024-02-03"),
            ("02/03/2024", "2024-02-03"),
            ("2024-02-03T10:00:00+01:00", "2024-02-03"),
            ("0001-01-01T00:00:00Z", ""),
            ("", ""),
            ("last summer", "last summer"),
        ] {
            assert_eq!(day(text), read);
        }
    }

    #[test]
    fn zero_means_unset() {
        for (text, id) in [("000-000", ""), ("0", ""), ("", ""), ("-1", ""), ("000-010", "000-010"), ("7", "7")] {
            assert_eq!(asset_id(text), id, "{text}");
        }
    }
}
