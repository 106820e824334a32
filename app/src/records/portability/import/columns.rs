//! What is each column of a table for?
//!
//! The person who imports it says so; how the columns are called says what they are asked first. What is for nothing else becomes a
//! field of its own, under the name of the column.

use super::{
    Incoming, Reading, homebox_csv, own_field, parts,
    table::{Row, Table},
};
use crate::{
    datetime::Day,
    records::{
        draft::Draft,
        fields::Field,
        fold::fold,
        kind::{Entry, Kind, Suggestion},
    },
};

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Use {
    Title,
    Notes,
    Category,
    DueDate,
    Kind,
    Place,
    Tags,
    Field,
    LeftOut,
}

impl Use {
    /// All uses, in the order in which people choose.
    pub(in super::super) const ALL: [Self; 9] = [
        Self::Title,
        Self::Notes,
        Self::Category,
        Self::DueDate,
        Self::Kind,
        Self::Place,
        Self::Tags,
        Self::Field,
        Self::LeftOut,
    ];

    /// Returns its name in a form.
    pub(in super::super) fn name(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Notes => "notes",
            Self::Category => "category",
            Self::DueDate => "due_date",
            Self::Kind => "kind",
            Self::Place => "place",
            Self::Tags => "tags",
            Self::Field => "field",
            Self::LeftOut => "left_out",
        }
    }

    /// Returns its name for people.
    pub(in super::super) fn label(self) -> &'static str {
        match self {
            Self::Title => "Title",
            Self::Notes => "Notes",
            Self::Category => "Category",
            Self::DueDate => "Due date",
            Self::Kind => "Kind",
            Self::Place => "Place",
            Self::Tags => "Tags",
            Self::Field => "A field of its own",
            Self::LeftOut => "Leave out",
        }
    }

    /// Returns the use with this name.
    pub(in super::super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// Whether several columns may have it.
    fn may_repeat(self) -> bool {
        matches!(self, Self::Notes | Self::Tags | Self::Field | Self::LeftOut)
    }
}

/// Returns what the columns of a table seem to be for.
pub(in super::super) fn guesses(table: &Table) -> Vec<Use> {
    let mut uses: Vec<Use> = Vec::new();
    for head in &table.heads {
        let guess = guess(&fold(head));
        let is_taken = !guess.may_repeat() && uses.contains(&guess);
        uses.push(if is_taken { Use::Field } else { guess });
    }
    // Something has to be the title.
    if !uses.contains(&Use::Title)
        && let Some(first) = uses.iter_mut().find(|guess| matches!(guess, Use::Field))
    {
        *first = Use::Title;
    }
    uses
}

fn guess(head: &str) -> Use {
    match head.trim().replace('_', " ").as_str() {
        "title" | "name" | "item" | "titel" | "bezeichnung" | "nom" | "titre" | "nombre" => Use::Title,
        "notes" | "note" | "description" | "comment" | "comments" | "notizen" | "beschreibung" | "bemerkung" => {
            Use::Notes
        }
        "category" | "kategorie" | "categorie" | "categoria" => Use::Category,
        "due" | "due date" | "fallig" | "faellig" | "fallig am" => Use::DueDate,
        "kind" | "type" | "art" => Use::Kind,
        "place" | "location" | "room" | "ort" | "standort" | "raum" | "lieu" => Use::Place,
        "tags" | "tag" | "labels" | "schlagworte" => Use::Tags,
        // Of Hearth's own table, what is given anew.
        "id" | "visibility" | "added by" | "created at" | "updated at" | "attachments" | "" => Use::LeftOut,
        _ => Use::Field,
    }
}

/// Reads a table whose columns are for this. The error is for who chose.
pub(in super::super) fn read(
    table: &Table,
    uses: &[Use],
    usual_kind: Kind,
    currency: Option<&str>,
) -> Result<Reading, String> {
    for one in Use::ALL.into_iter().filter(|one| !one.may_repeat()) {
        if uses.iter().filter(|other| **other == one).count() > 1 {
            return Err(format!("Two columns are for “{}”. Only one can be.", one.label()));
        }
    }
    if !uses.contains(&Use::Title) {
        return Err("No column is for “Title”. Each record needs one.".to_owned());
    }
    let mut reading = Reading::default();
    for row in &table.rows {
        let what = format!("Row {}", row.number);
        if row.is_too_long(table.heads.len()) {
            reading.leave_out(what, "it has more cells than the table has columns");
            continue;
        }
        match record(table, row, uses, usual_kind, currency) {
            Ok(record) => drop(reading.take(Incoming { what, ..record })),
            Err(why) => reading.leave_out(what, why),
        }
    }
    Ok(reading)
}

fn record(
    table: &Table,
    row: &Row,
    uses: &[Use],
    usual_kind: Kind,
    currency: Option<&str>,
) -> Result<Incoming, String> {
    let mut record = Incoming::default();
    let (mut notes, mut tags, mut fields) = (Vec::new(), Vec::new(), Vec::new());
    let mut draft = Draft { kind: Some(usual_kind), ..Draft::default() };
    for (column, (head, one)) in table.heads.iter().zip(uses).enumerate() {
        let cell = row.cell(column);
        match one {
            Use::Title => draft.title = Some(cell.to_owned()),
            _ if cell.is_empty() => {}
            Use::Notes => notes.push(cell),
            Use::Category => draft.category = Some(cell.to_owned()),
            Use::DueDate => draft.due_date = Some(Some(day(cell)?)),
            Use::Kind => draft.kind = Some(kind(cell)?),
            Use::Place => record.place = parts(cell, &['/']),
            Use::Tags => tags.extend(parts(cell, &[',', ';'])),
            Use::Field => fields.extend(field(head, cell, currency)),
            Use::LeftOut => {}
        }
    }
    // A key stands once in a record; the second column of the same name is one of the household's own.
    let mut keys = Vec::new();
    for field in &mut fields {
        if keys.contains(&field.key) {
            field.key = None;
        }
        keys.extend(field.key.is_some().then(|| field.key.clone()));
    }
    draft.notes = Some(notes.join("\n\n"));
    draft.tags = Some(tags);
    draft.fields = Some(fields);
    Ok(Incoming { draft, ..record })
}

fn field(head: &str, cell: &str, currency: Option<&str>) -> Option<Field> {
    let head = if head.is_empty() { "Column without a name" } else { head };
    let usual = Kind::ALL.iter().flat_map(|kind| kind.suggestions()).find(|usual| is_called(usual, head));
    match usual {
        Some(usual) if usual.entry == Entry::Money => homebox_csv::amount(usual.key, usual.label, cell, currency),
        Some(usual) => homebox_csv::known(usual.key, cell),
        None => own_field(head, cell),
    }
}

fn is_called(usual: &Suggestion, head: &str) -> bool {
    let head = fold(head);
    head == fold(usual.label) || head == usual.key
}

/// Returns the day that a cell says: as data have it, or as most of Europe writes it. In 03/04/2026 nobody knows which is the month.
fn day(cell: &str) -> Result<Day, String> {
    let numbers: Vec<_> = cell.split('.').map(str::trim).collect();
    let turned = match numbers[..] {
        [day, month, year] if year.len() == 4 => format!("{year}-{month:0>2}-{day:0>2}"),
        _ => cell.get(..10).unwrap_or(cell).replace('/', "-"),
    };
    turned.parse().map_err(|_| format!("the due date “{cell}” is not written as 2026-11-24 or 24.11.2026"))
}

fn kind(cell: &str) -> Result<Kind, String> {
    let cell = fold(cell);
    let is_it =
        |kind: &Kind| cell == kind.name() || cell == fold(kind.label()) || cell == kind.name().replace('_', " ");
    let kinds: Vec<_> = Kind::ALL.iter().map(|kind| kind.label()).collect();
    Kind::ALL.into_iter().find(is_it).ok_or_else(|| format!("the kind “{cell}” is none of: {}", kinds.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        Table::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_names_of_columns_say_what_they_are_for() {
        let guess = |text: &str| guesses(&table(text));
        assert_eq!(guess("Name;Ort;Fällig am;Kaufpreis"), [Use::Title, Use::Place, Use::DueDate, Use::Field]);
        assert_eq!(guess("Serial,Colour"), [Use::Title, Use::Field]);
        assert_eq!(guess("id,title,Title,tags"), [Use::LeftOut, Use::Title, Use::Field, Use::Tags]);
    }

    #[test]
    fn a_row_becomes_a_record() {
        let table = table(
            "Name,Place,Due,Type,Serial number,Price,Colour,Tags,Description,Comment\n\
            Car,Home / Garage,24.3.2027,Vehicle,007,\"12,50\",red,a; b,One,Two\n",
        );
        let reading = read(&table, &guesses(&table), Kind::Note, Some("EUR")).unwrap();
        assert_eq!(reading.left_out, []);
        let car = &reading.records[0];
        assert_eq!(car.place, ["Home", "Garage"]);
        assert_eq!(car.draft.due_date, Some(Some("2027-03-24".parse().unwrap())));
        assert_eq!(car.draft.kind, Some(Kind::Vehicle));
        assert_eq!(car.draft.tags.clone().unwrap(), ["a", "b"]);
        assert_eq!(car.draft.notes.as_deref(), Some("One\n\nTwo"));
        let fields = car.draft.fields.clone().unwrap();
        let keys: Vec<_> = fields.iter().map(|field| field.key.as_deref().unwrap_or(&field.label)).collect();
        assert_eq!(keys, ["serial_number", "price", "Colour"]);
        assert_eq!(fields[1].money.as_ref().unwrap().amount, 1250);
    }

    #[test]
    fn what_is_no_day_and_no_kind_is_left_out_with_its_row() {
        let table = table("Name,Due,Kind\na,03/04/2026,\nb,,Dream\nc,2026-02-30,\nd,2026-02-03,note\n");
        let reading = read(&table, &guesses(&table), Kind::Thing, None).unwrap();
        let left_out: Vec<_> = reading.left_out.iter().map(|left| left.what.as_str()).collect();
        assert_eq!(left_out, ["Row 2", "Row 3", "Row 4"]);
        assert!(reading.left_out[1].why.contains("dream"), "{:?}", reading.left_out);
        assert_eq!(reading.records.len(), 1);
    }

    #[test]
    fn one_column_is_the_title() {
        let table = table("a,b\n1,2\n");
        for (uses, words) in [([Use::Title, Use::Title], "Two columns"), ([Use::Field, Use::Notes], "No column")] {
            assert!(read(&table, &uses, Kind::Note, None).unwrap_err().starts_with(words));
        }
        for one in Use::ALL {
            assert_eq!(Use::named(one.name()), Some(one));
        }
    }
}
