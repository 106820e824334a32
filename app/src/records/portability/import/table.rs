//! How is a table read of which nobody says how it was written?
//!
//! It is text in UTF-8, or else in Windows-1252, which is what spreadsheets on Windows write. Its cells are parted by what parts the
//! first rows into the most cells. All of it is bounded.

use csv::{ReaderBuilder, StringRecord, Trim};

/// Bytes of a table.
pub(in super::super) const LARGEST: usize = 20 << 20;
/// Rows of a table.
const MOST_ROWS: usize = 50_000;
/// Cells of a row.
const MOST_COLUMNS: usize = 200;
/// Rows by which one sees what parts the cells.
const SAMPLE: usize = 20;

/// Why a file is no table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in super::super) enum BadTable {
    #[error("The file is empty.")]
    Empty,
    #[error("The file is larger than {} MB, which is the most for a table.", LARGEST >> 20)]
    TooLarge,
    #[error("The file is neither an archive nor a table. Save a table as CSV in UTF-8.")]
    NotText,
    #[error("The table has more than {MOST_ROWS} rows. Import it in parts.")]
    TooManyRows,
    #[error("The table has more than {MOST_COLUMNS} columns.")]
    TooManyColumns,
}

/// A table with its heads.
#[derive(Debug, Clone)]
pub(in super::super) struct Table {
    pub(in super::super) heads: Vec<String>,
    pub(in super::super) rows: Vec<Row>,
}

/// A row, with the number that spreadsheets give it: the heads are row 1.
#[derive(Debug, Clone)]
pub(in super::super) struct Row {
    pub(in super::super) number: usize,
    cells: StringRecord,
}

impl Row {
    /// Returns a cell; one that is not there is empty.
    pub(in super::super) fn cell(&self, column: usize) -> &str {
        self.cells.get(column).unwrap_or_default()
    }

    /// Returns whether it has a cell with something in it for which there is no head.
    pub(in super::super) fn is_too_long(&self, heads: usize) -> bool {
        self.cells.iter().skip(heads).any(|cell| !cell.is_empty())
    }
}

impl Table {
    /// Reads a table.
    pub(in super::super) fn read(bytes: &[u8]) -> Result<Self, BadTable> {
        if bytes.len() > LARGEST {
            return Err(BadTable::TooLarge);
        }
        let text = decoded(bytes)?;
        let mut heads = None;
        let mut rows = Vec::new();
        for (number, cells) in (1..).zip(records(&text, mark(&text))) {
            if cells.len() > MOST_COLUMNS {
                return Err(BadTable::TooManyColumns);
            }
            // Nothing but marks, as spreadsheets write them behind the last row.
            if cells.iter().all(str::is_empty) {
                continue;
            }
            match heads {
                None => heads = Some(cells.iter().map(str::to_owned).collect()),
                Some(_) if rows.len() == MOST_ROWS => return Err(BadTable::TooManyRows),
                Some(_) => rows.push(Row { number, cells }),
            }
        }
        Ok(Self { heads: heads.ok_or(BadTable::Empty)?, rows })
    }

    /// Returns the column with this head.
    pub(in super::super) fn column(&self, head: &str) -> Option<usize> {
        self.heads.iter().position(|known| known.eq_ignore_ascii_case(head))
    }
}

/// Returns the records of a text. One that cannot be read ends them, which a text cannot bring about.
fn records(text: &str, mark: u8) -> impl Iterator<Item = StringRecord> {
    let rows = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(mark)
        .trim(Trim::All)
        .from_reader(text.as_bytes());
    rows.into_records().map_while(Result::ok)
}

/// Returns what parts the cells of a table: what makes the most of the first rows, if it makes as many of most of them.
fn mark(text: &str) -> u8 {
    let score = |mark: u8| {
        let rows: Vec<_> = records(text, mark).take(SAMPLE).map(|row| row.len()).collect();
        let heads = rows.first().copied().unwrap_or_default();
        let alike = rows.iter().filter(|cells| **cells == heads).count();
        if heads > 1 { (alike * 2 > rows.len(), heads) } else { (false, 0) }
    };
    // Of those that are as good the last: in a table of one column, what is in no text of one line.
    [b';', b',', b'\t'].into_iter().max_by_key(|mark| score(*mark)).unwrap_or(b',')
}

fn decoded(bytes: &[u8]) -> Result<String, BadTable> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
        // Of UTF-16 every other byte is zero.
        Err(_) if bytes.contains(&0) => return Err(BadTable::NotText),
        Err(_) => bytes.iter().map(|byte| windows_1252(*byte)).collect(),
    };
    if text.contains('\0') { Err(BadTable::NotText) } else { Ok(text) }
}

/// Returns the letter of a byte. Five bytes have none, and are what browsers take them for.
fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘',
        '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => HIGH[usize::from(byte - 0x80)],
        byte => byte.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> (Vec<String>, Vec<(usize, Vec<String>)>) {
        let table = Table::read(bytes).unwrap();
        let columns = table.heads.len();
        let cells = |row: &Row| (row.number, (0..columns).map(|column| row.cell(column).to_owned()).collect());
        (table.heads.clone(), table.rows.iter().map(cells).collect())
    }

    #[test]
    fn what_parts_the_cells_is_found() {
        for text in [
            "name,price,note\na,1,x\nb,2,\"y, z; w\"\n",
            "name;price;note\r\na;1;x\r\nb;2;\"y, z; w\"\r\n",
            "name\tprice\tnote\na\t1\tx\nb\t2\ty, z; w\n",
            "\u{feff}name,price,note\na,1,x\n,,\nb,2,\"y, z; w\"",
        ] {
            let (heads, rows) = read(text.as_bytes());
            assert_eq!(heads, ["name", "price", "note"], "{text:?}");
            assert_eq!(rows.last().unwrap().1, ["b", "2", "y, z; w"], "{text:?}");
        }
        // With a comma as the decimal mark.
        assert_eq!(read(b"name;price\na;1,50\nb;2,50\n").1[1].1, ["b", "2,50"]);
        assert_eq!(read(b"name\na, b\n").1[0].1, ["a, b"]);
    }

    #[test]
    fn a_row_has_the_number_that_a_spreadsheet_gives_it() {
        let (_, rows) = read(b"name,note\na,\"two\nlines\"\n\n,\nb,x\n");
        assert_eq!(rows.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [2, 4]);
    }

    #[test]
    fn text_of_windows_is_read_as_such() {
        assert_eq!(read(b"name;price\nM\xfcller \x96 Gr\xf6\xdfe;5 \x80\n").1[0].1, ["Müller – Größe", "5 €"]);
        assert_eq!(Table::read(b"\xff\xfen\0a\0").unwrap_err(), BadTable::NotText);
    }

    #[test]
    fn a_table_has_bounds() {
        assert_eq!(Table::read(b"").unwrap_err(), BadTable::Empty);
        assert_eq!(Table::read(b"\n ,,\n").unwrap_err(), BadTable::Empty);
        assert_eq!(Table::read(&vec![b'a'; LARGEST + 1]).unwrap_err(), BadTable::TooLarge);
        assert_eq!(Table::read(&b"a\n".repeat(MOST_ROWS + 2)).unwrap_err(), BadTable::TooManyRows);
        assert_eq!(Table::read(",a".repeat(MOST_COLUMNS).as_bytes()).unwrap_err(), BadTable::TooManyColumns);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
            let _ = Table::read(&bytes);
        }
    }
}
