//! Which rows are awkward for a migration, and such as a release's API accepts all the same?
//!
//! NULL wherever it may be, texts that are empty, as long as they may be and in several scripts, many that are alike, days and
//! moments at the ends of the calendar, a clock that was wrong, numbers that were given and deleted, rows that an older program
//! wrote, people who may not sign in, and many of each. The limits are those of `app/src/records/draft.rs` and
//! `app/src/auth/profile.rs`; a test of the app lets its API accept every record again.

use std::path::Path;

use rusqlite::{Connection, Result, params};

use super::Problem;
use crate::fold::{FOLD_VERSION, Folded};

/// How many records are added.
const MANY: usize = 480;

/// Titles: one line, not blank, no invisible characters, at most 200 characters. Some differ in case, accents or width only.
const TITLES: [&str; 24] = [
    "Insurance",
    "insurance",
    "INSURANCE",
    "Insurance",
    "Straße und Maß",
    "STRASSE UND MASS",
    "Ünïcödé — “quoted” ‘twice’ … №1",
    "Cafe\u{301} bill",
    "Café bill",
    "Договор о ремонте",
    "Ασφάλεια σπιτιού",
    "عقد الإيجار",
    "חוזה שכירות",
    "火災保険の証明書",
    "건물 등기부 등본",
    "สัญญาเช่าบ้าน",
    "ｆｕｌｌ　ｗｉｄｔｈ １２３",
    "👩‍👩‍👧‍👦 family 🏠",
    "O'Brien; DROP TABLE record; --",
    "\"double\" 'single' `back` \\slash %percent _under",
    "NULL",
    "0",
    "1e400",
    "-",
];

/// Categories: one line, may be empty, at most 100 characters.
const CATEGORIES: [&str; 9] = ["", "Home", "home", "HOME", "Versicherung", "保険", "a, b; c", "🏠", "ça — «là»"];

/// Notes: several lines and tabs, not trimmed, at most 100,000 characters.
const NOTES: [&str; 10] = [
    "",
    " ",
    "\n",
    "  blanks at both ends  ",
    "line\r\nline\n\n\ttab",
    "{\"json\": [null, 1.5, \"x\"]}",
    "<b>not bold</b> &amp; <script>alert(1)</script>",
    "القاهرة and ירושלים and 東京 in one line",
    "2026-02-30T25:61:00Z is no moment",
    "ends with a backslash \\",
];

/// Days from the first to the last that the API takes.
const DAYS: [Option<&str>; 12] = [
    None,
    Some("0000-01-01"),
    Some("0001-12-31"),
    Some("1582-10-10"),
    Some("1900-02-28"),
    Some("1970-01-01"),
    None,
    Some("2000-02-29"),
    Some("2024-02-29"),
    Some("2026-11-29"),
    Some("2038-01-19"),
    Some("9999-12-31"),
];

/// Moments, also of a machine whose clock was wrong.
const MOMENTS: [&str; 7] = [
    "1970-01-01T00:00:03.004Z",
    "2026-03-29T01:59:59.999Z",
    "2026-10-25T02:30:00.000Z",
    "2026-11-29T12:00:00.000Z",
    "2026-11-29T12:00:00.000Z",
    "2038-01-19T03:14:08.000Z",
    "2099-12-31T23:59:59.999Z",
];

const NAMES: [&str; 6] = ["Anna", "anna", "Zoë O’Neill-Łukasz", "李小龍", "محمد", "🙂"];

const EMAILS: [&str; 6] = [
    "o'brien+tag@sub.example.org",
    "jürgen@example.org",
    "иван@example.org",
    "a@b",
    "%_@example.org",
    "x.y.z@bücher.example",
];

/// Adds awkward rows to the database of a release at `path`.
///
/// # Errors
///
/// SQLite's: the release's database does not take them.
pub fn fill(path: &Path) -> std::result::Result<(), Problem> {
    Connection::open(path)
        .and_then(|mut connection| {
            connection.execute_batch("PRAGMA foreign_keys = ON; PRAGMA synchronous = OFF")?;
            let transaction = connection.transaction()?;
            if has(&transaction, "user", "email")? {
                people(&transaction)?;
            }
            records(&transaction)?;
            transaction.commit()?;
            connection.close().map_err(|(_, error)| error)
        })
        .map_err(|error| Problem::new(format!("cannot add awkward rows to {}: {error}", path.display())))
}

fn has(connection: &Connection, table: &str, column: &str) -> Result<bool> {
    let sql = "SELECT count(*) FROM pragma_table_xinfo(?) WHERE name = ?";
    connection.query_row(sql, [table, column], |row| row.get::<_, i64>(0)).map(|count| count > 0)
}

fn records(connection: &Connection) -> Result<()> {
    let has_owners = has(connection, "record", "owner_id")?;
    let is_folded = has(connection, "record", "fold_version")?;
    let owners: Vec<i64> = if has_owners {
        let mut statement = connection.prepare("SELECT id FROM user ORDER BY id")?;
        statement.query_map([], |row| row.get(0))?.collect::<Result<_>>()?
    } else {
        Vec::new()
    };
    for number in 0..MANY {
        let (title, category, notes) = texts(number);
        let created = MOMENTS[number % MOMENTS.len()];
        // Now and then updated before it was created: the clock was put back in between.
        let updated = MOMENTS[number / 3 % MOMENTS.len()];
        connection.execute(
            "INSERT INTO record (title, category, notes, due_date, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
            params![title, category, notes, DAYS[number % DAYS.len()], created, updated],
        )?;
        let id = connection.last_insert_rowid();
        let owner = owners.get(number % (owners.len() * 2).max(1));
        let is_private = owner.is_some() && number % 3 == 0;
        if let Some(owner) = owner {
            let visibility = if is_private { "private" } else { "household" };
            let sql = "UPDATE record SET owner_id = ?, visibility = ? WHERE id = ?";
            connection.execute(sql, params![owner, visibility, id])?;
        }
        // The others are as an older program leaves them: in no search until the next start.
        if is_folded && number % 7 != 0 {
            let scope = owner.filter(|_| is_private).copied().unwrap_or(0);
            fold(connection, id, scope, &Folded::new(&title, category, &notes))?;
        }
    }
    // The highest number was given, and is not there any more.
    connection.execute("DELETE FROM record WHERE id = (SELECT max(id) FROM record)", []).map(|_| ())
}

fn fold(connection: &Connection, id: i64, scope: i64, folded: &Folded) -> Result<()> {
    connection.execute(
        "UPDATE record SET folded = ?, category_key = ?, title_key = ?, fold_version = ? WHERE id = ?",
        params![folded.text, folded.category_key, folded.title_key, FOLD_VERSION, id],
    )?;
    let tokens = folded.tokens(scope);
    connection.execute("INSERT INTO record_search (rowid, title) VALUES (?, ?)", params![id, tokens]).map(|_| ())
}

/// Title, category and notes of one record.
fn texts(number: usize) -> (String, &'static str, String) {
    let title = match number {
        // As long as it may be, of one byte and of four for each character.
        5 => "x".repeat(200),
        6 => "𠮷".repeat(200),
        _ => TITLES[number % TITLES.len()].to_owned(),
    };
    let notes = match number {
        7 => "Füße 1 ".repeat(14_285) + "bye! ",
        8 => "契約".repeat(5_000),
        _ if number.is_multiple_of(2) => NOTES[number / 2 % NOTES.len()].to_owned(),
        _ => format!("{}\n\nNumber {number}: {}", NOTES[number % NOTES.len()], TITLES[number * 7 % TITLES.len()]),
    };
    (title, CATEGORIES[number % CATEGORIES.len()], notes)
}

fn people(connection: &Connection) -> Result<()> {
    let mut ids = Vec::new();
    for (number, (name, email)) in NAMES.iter().zip(EMAILS).enumerate() {
        let role = if number % 2 == 0 { "member" } else { "guest" };
        let moment = MOMENTS[number % MOMENTS.len()];
        connection.execute(
            "INSERT INTO user (name, email, role, disabled, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
            params![name, email, role, number % 3 == 2, moment, moment],
        )?;
        ids.push(connection.last_insert_rowid());
    }
    let hash = |what: &str, number: usize| blake3::hash(format!("{what} {number}").as_bytes()).to_hex().to_string();
    for (number, id) in ids.iter().enumerate() {
        let (from, to) = (MOMENTS[number % MOMENTS.len()], MOMENTS[(number + 3) % MOMENTS.len()]);
        let agent = if number == 0 { String::new() } else { "Mozilla/5.0 (X11; Ünïx) ".repeat(number * 2) };
        let address = ["", "::1", "fe80::1%eth0", "203.0.113.7"][number % 4];
        connection.execute(
            "INSERT INTO session (user_id, token_hash, method, address, user_agent, created_at, last_seen_at, expires_at)
             VALUES (?, ?, 'password', ?, ?, ?, ?, ?)",
            params![id, hash("session", number), address, agent, from, from, to],
        )?;
        let (expires, used) = (Some(to).filter(|_| number % 2 == 0), Some(from).filter(|_| number % 3 == 0));
        let scope = if number % 2 == 0 { "read" } else { "write" };
        connection.execute(
            "INSERT INTO api_token (user_id, name, token_hash, scope, created_at, expires_at, last_used_at)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![id, TITLES[number], hash("token", number), scope, from, expires, used],
        )?;
        connection.execute(
            "INSERT INTO verification (kind, token_hash, user_id, role, email, created_by, created_at, expires_at, used_at)
             VALUES ('invitation', ?, NULL, 'guest', NULL, ?, ?, ?, ?)",
            params![hash("invitation", number), id, from, to, used],
        )?;
    }
    let kinds: Vec<String> = connection
        .prepare("SELECT DISTINCT kind FROM audit_event ORDER BY kind")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_>>()?;
    for number in 0..MANY / 2 {
        let Some(kind) = kinds.get(number % kinds.len().max(1)) else { break };
        // Also of somebody who is no longer there: events refer to nobody.
        let who = [None, ids.get(number % ids.len()).copied(), Some(9_999)][number % 3];
        connection.execute(
            "INSERT INTO audit_event (at, kind, user_id, who, subject) VALUES (?, ?, ?, ?, ?)",
            params![
                MOMENTS[number % MOMENTS.len()],
                kind,
                who,
                EMAILS[number % EMAILS.len()],
                TITLES[number % TITLES.len()]
            ],
        )?;
    }
    if has(connection, "idempotency_key", "key")? {
        for (number, key) in ["0", "'", "!#$%&()*+,-./", "8e03978e-40d5-43dd-bc93-6894a57f9324", &"k".repeat(255)]
            .into_iter()
            .enumerate()
        {
            connection.execute(
                "INSERT INTO idempotency_key (user_id, key, request_hash, created_id, created_at) VALUES (?, ?, ?, 1, ?)",
                params![ids[number % ids.len()], key, hash("request", number), MOMENTS[number]],
            )?;
        }
    }
    Ok(())
}
