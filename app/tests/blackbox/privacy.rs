//! What others keep to themselves is neither found nor counted: one gets the same answers, to the byte, whether it is there or not.
//!
//! That it is not felt either is tested in `src/records/tests.rs`, where the work of SQLite can be counted.

use rusqlite::{Connection, params};

use crate::harness::{App, Data, Start};

const ANNA: &str = "hearth_anna";
const BEN: &str = "hearth_ben";
const GUEST: &str = "hearth_guest";

/// The same numbers for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }

    fn one_in(&mut self, number: usize) -> bool {
        self.below(number) == 0
    }
}

const WORDS: [&str; 14] = [
    "boiler",
    "Öl",
    "保険",
    "証明書",
    "strasse",
    "Straße",
    "insurance",
    "ing",
    "a",
    "Führerschein",
    "école",
    "diary",
    "москва",
    "🦷",
];
/// In what Ben keeps to himself alone.
const SECRETS: [&str; 3] = ["geheimnis", "秘密", "xylophone"];
const CATEGORIES: [&str; 5] = ["", "House", "haus", "書類", "Ärzte"];
const SECRET_CATEGORY: &str = "hidden drawer";
const SORTS: [&str; 6] = ["updated_desc", "updated", "due", "due_desc", "title", "title_desc"];

fn day(random: &mut Random) -> Option<String> {
    let day = format!("20{:02}-{:02}-{:02}", 25 + random.below(4), 1 + random.below(12), 1 + random.below(28));
    (!random.one_in(3)).then_some(day)
}

fn moment(random: &mut Random) -> String {
    // Few, so that some are the same.
    format!("2026-11-{:02}T{:02}:00:00.000Z", 1 + random.below(28), random.below(6))
}

fn add(connection: &Connection, random: &mut Random, id: usize, owner: i64, is_private: bool, is_secret: bool) {
    let words: Vec<&str> =
        if is_secret { WORDS.into_iter().chain(SECRETS).chain(SECRETS).collect() } else { WORDS.to_vec() };
    let mut text = |most: usize| {
        let number = 1 + random.below(most);
        (0..number).map(|_| random.of(&words)).collect::<Vec<_>>().join(" ")
    };
    let (title, notes) = (text(4), text(12));
    let category = if is_secret && random.one_in(3) { SECRET_CATEGORY } else { random.of(&CATEGORIES) };
    let visibility = if is_private { "private" } else { "household" };
    let (due, moment) = (day(random), moment(random));
    connection
        .execute(
            "INSERT INTO record (id, title, category, notes, due_date, created_at, updated_at, owner_id, visibility)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8)",
            params![id as i64, title, category, notes, due, moment, owner, visibility],
        )
        .unwrap();
    let kind = random.of(&["note", "thing", "home"]);
    let place = random.one_in(3).then(|| 1 + random.below(3) as i64);
    connection
        .execute("UPDATE record SET kind = ?, place_id = ? WHERE id = ?", params![kind, place, id as i64])
        .unwrap();
    if random.one_in(3) {
        let tag = if is_secret { random.of(&SECRETS) } else { random.of(&WORDS) };
        let sql = "INSERT INTO record_tag (record_id, name_key, name) VALUES (?1, ?2, ?3)";
        connection.execute(sql, params![id as i64, tag.to_lowercase(), tag]).unwrap();
    }
    if random.one_in(3) {
        let words = if is_secret { random.of(&SECRETS) } else { random.of(&WORDS) };
        let sql = "INSERT INTO record_field (record_id, label, value, position) VALUES (?, 'Label', ?, 0)";
        connection.execute(sql, params![id as i64, words]).unwrap();
    }
}

/// A household; what Ben keeps to himself, and changes and deletes of it, is in it or not.
fn household(with_secrets: bool) -> Data {
    let data = Data::new();
    for (role, token, id) in [("member", ANNA, 2), ("member", BEN, 3), ("guest", GUEST, 4)] {
        assert_eq!(data.add_person(role, token), id);
    }
    let (mut shared, mut secret) = (Random(1), Random(2));
    let connection = Connection::open(data.database()).unwrap();
    connection.execute_batch("BEGIN; UPDATE record_state SET epoch = 'the same'").unwrap();
    let places = "INSERT INTO place (id, parent_id, name, name_key) VALUES
        (1, NULL, 'House', 'house'), (2, 1, 'Cellar', 'cellar'), (3, NULL, 'Garage', 'garage')";
    connection.execute_batch(places).unwrap();
    for id in 1..=300 {
        let owner = 1 + shared.below(3) as i64;
        let is_private = owner == 2 && shared.one_in(2);
        add(&connection, &mut shared, 3 * id, owner, is_private, false);
        if with_secrets {
            add(&connection, &mut secret, 3 * id + 1, 3, true, true);
            add(&connection, &mut secret, 3 * id + 2, 3, true, true);
            connection.execute("UPDATE record SET notes = notes || ' x' WHERE id = ?", [3 * id as i64 - 1]).unwrap();
        }
        if id % 10 == 0 {
            connection.execute("DELETE FROM record WHERE id IN (?1 - 15, ?1 - 14)", [3 * id as i64]).unwrap();
        }
    }
    connection.execute_batch("COMMIT").unwrap();
    data
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// A part of a word, a word, or several.
fn search(random: &mut Random) -> String {
    let all: Vec<&str> = WORDS.into_iter().chain(SECRETS).collect();
    let word = random.of(&all);
    let letters: Vec<char> = word.chars().collect();
    match random.below(4) {
        0 => letters[random.below(letters.len())].to_string(),
        1 => letters.iter().skip(random.below(letters.len())).take(2).collect(),
        2 => word.to_owned(),
        _ => format!("{word} {}", random.of(&all)),
    }
}

fn query(random: &mut Random) -> String {
    let mut query = format!("limit={}&sort={}", 1 + random.below(40), random.of(&SORTS));
    if !random.one_in(4) {
        query += &format!("&search={}", escaped(&search(random)));
    }
    if random.one_in(4) {
        let category = if random.one_in(4) { SECRET_CATEGORY } else { random.of(&CATEGORIES) };
        query += &format!("&category={}", escaped(category));
    }
    if random.one_in(4) {
        query += &format!("&owner_id={}", 1 + random.below(4));
    }
    if random.one_in(5) {
        query += &format!("&visibility={}", random.of(&["private", "household"]));
    }
    if random.one_in(5) {
        query += &format!("&kind={}", random.of(&["note", "thing", "home"]));
    }
    if random.one_in(5) {
        query += &format!("&place_id={}", 1 + random.below(4));
    }
    if random.one_in(5) {
        let tag = if random.one_in(2) { random.of(&SECRETS) } else { random.of(&WORDS) };
        query += &format!("&tag={}", escaped(tag));
    }
    for bound in ["due_before", "due_after"] {
        if let (true, Some(day)) = (random.one_in(4), day(random)) {
            query += &format!("&{bound}={day}");
        }
    }
    query
}

/// Reads to the end, and returns all that came, as it came.
fn read_all(app: &App, token: &str, path: &str) -> String {
    let (mut all, mut after) = (String::new(), String::new());
    loop {
        let answer = app.get_as(token, &format!("{path}{after}"));
        assert_eq!(answer.status, 200, "{path}{after}: {answer:?}");
        all += answer.text();
        let page = answer.json();
        let next = if page["has_more"] == true { &page["cursor"] } else { &page["next"] };
        let Some(next) = next.as_str() else { return all };
        after = format!("&after={next}");
    }
}

#[test]
fn answers_are_the_same_whether_others_keep_records_to_themselves_or_not() {
    let (with, without) = (household(true), household(false));
    assert_eq!(with.count("SELECT count(*) FROM record") - without.count("SELECT count(*) FROM record"), 570);
    let (more, less) = (Start::alone(&with).start(), Start::alone(&without).start());
    let mut random = Random(3);
    for number in 0..300 {
        let token = if number % 5 == 0 { GUEST } else { ANNA };
        let path = format!("/api/v1/records?{}", query(&mut random));
        assert_eq!(read_all(&more, token, &path), read_all(&less, token, &path), "{path}");
        if number % 7 < 2 {
            let path = format!("/api/v1/{}?limit={}", ["tags", "places"][number % 7], 3 + random.below(9));
            assert_eq!(read_all(&more, token, &path), read_all(&less, token, &path), "{path}");
        }
    }
    for (token, limit) in [(ANNA, 200), (ANNA, 7), (GUEST, 11)] {
        let path = format!("/api/v1/records/changes?limit={limit}");
        assert_eq!(read_all(&more, token, &path), read_all(&less, token, &path), "{token} {path}");
    }
    // The page too.
    for _ in 0..30 {
        let path = format!("/?{}", query(&mut random).replace("limit=", "x="));
        let page = |app: &App| {
            let cookie = app.session_of(ANNA);
            let answer = app.ask_as_nobody("GET", &path, &[("cookie", &*cookie), ("accept", "text/html")], b"");
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            answer.text().to_owned()
        };
        assert_eq!(page(&more), page(&less), "{path}");
    }
    // Each record that is there is not, for others.
    for (id, token) in [(4, ANNA), (5, ANNA), (4, GUEST), (4, crate::harness::OWNER)] {
        let path = format!("/api/v1/records/{id}");
        let gone = |app: &App| app.get_as(token, &path).problem(404);
        assert_eq!(gone(&more), gone(&less));
    }
    // And Ben has it all.
    let own = read_all(&more, BEN, "/api/v1/records?limit=200&search=xylophone&visibility=private");
    assert!(own.matches("\"id\":").count() > 50, "{own}");
    more.stop();
    less.stop();
}
