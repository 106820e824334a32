//! Are tags counted as records have them, whichever program writes?

use rusqlite::Connection;

use crate::db::for_tests::migrated;

const USERS: &str = "
    INSERT INTO user (id, name, email, role, created_at, updated_at) VALUES
        (1, 'Anna', 'anna', 'owner', '', ''), (2, 'Ben', 'ben', 'member', '', '')";

fn counted(connection: &Connection, sql: &str) -> Vec<(i64, String, String, i64)> {
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[tokio::test]
async fn tags_are_counted_as_the_records_of_each_scope_have_them() {
    let (_directory, path) = migrated(USERS).await;
    let connection = Connection::open(&path).unwrap();
    let mut seed = 7_u64;
    let mut below = |end: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % end
    };
    let mut most = 0;
    for _ in 0..2000 {
        let (record, owner, tag) = (1 + below(20), 1 + below(2), below(4));
        let visibility = ["household", "private"][usize::try_from(below(2)).unwrap()];
        let name = [format!("Tag {tag}"), format!("TAG {tag}")][usize::try_from(below(2)).unwrap()].clone();
        let sql = match below(10) {
            0..=1 => format!(
                "INSERT INTO record (id, title, created_at, updated_at, owner_id, visibility)
                 VALUES ({record}, 'A record', '', '', {owner}, '{visibility}') ON CONFLICT DO NOTHING"
            ),
            // As whatever program does it, an upsert of it included.
            2..=6 => format!(
                "INSERT OR IGNORE INTO record_tag (record_id, name_key, name)
                 SELECT id, 'tag {tag}', '{name}' FROM record WHERE id = {record}"
            ),
            7 => format!("DELETE FROM record_tag WHERE record_id = {record} AND name_key = 'tag {tag}'"),
            8 => format!("UPDATE record SET visibility = '{visibility}', owner_id = {owner} WHERE id = {record}"),
            _ => format!("DELETE FROM record WHERE id = {record}"),
        };
        connection.execute_batch(&sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
        let counts = counted(&connection, "SELECT scope, name_key, name, records FROM tag_count ORDER BY 1, 2, 3");
        let actual = "SELECT scope, name_key, name, count(*) FROM record_tag JOIN record ON id = record_id
            GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";
        assert_eq!(counts, counted(&connection, actual), "after {sql}");
        most = most.max(counts.len());
    }
    assert!(most > 15, "{most}");
}
