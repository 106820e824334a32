//! What an entity says, and the sentence for each difference.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

use rusqlite::Connection;

use super::*;
use crate::developer::tables::Tables;

#[allow(unreachable_pub, reason = "SeaORM's macros make public types")]
mod shelf {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "shelf")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        #[sea_orm(unique)]
        pub name: String,
        #[sea_orm(default_value = "it's")]
        pub place: String,
        #[sea_orm(default_value = true)]
        pub is_open: bool,
        #[sea_orm(default_expr = "Expr::val(0.5)")]
        pub width: f64,
        #[sea_orm(indexed)]
        pub owner_id: Option<i64>,
        pub picture: Option<Vec<u8>>,
        #[sea_orm(extra = "CHECK (level > 0)")]
        pub level: i32,
        pub kind: Kind,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "String(StringLen::None)", rename_all = "snake_case")]
    pub enum Kind {
        Wood,
        Steel,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(belongs_to = "Entity", from = "Column::OwnerId", to = "Column::Id", on_delete = "SetNull")]
        Owner,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

#[allow(unreachable_pub, reason = "SeaORM's macros make public types")]
mod price {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "price")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub shop: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub day: String,
        #[sea_orm(column_type = "Decimal(Some((10, 2)))")]
        pub amount: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

fn tables(sql: &str) -> Tables {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(sql).unwrap();
    Tables::read(&connection).unwrap()
}

fn said(sql: &str) -> Vec<String> {
    let shelf = Entity::of::<shelf::Entity>().unwrap();
    differences(&[shelf], &tables(sql)).iter().map(ToString::to_string).collect()
}

const SHELF: &str = "CREATE TABLE shelf (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, place TEXT NOT NULL DEFAULT 'it''s',
        is_open INTEGER NOT NULL DEFAULT TRUE, width REAL NOT NULL DEFAULT (0.25 + 0.25), owner_id INTEGER REFERENCES shelf (id),
        picture BLOB, level INTEGER NOT NULL DEFAULT 1, kind TEXT NOT NULL, more TEXT, half INTEGER AS (level / 2)
    ) STRICT; CREATE UNIQUE INDEX shelf_name ON shelf (name); ";

#[test]
fn an_entity_is_data() {
    let shelf = Entity::of::<shelf::Entity>().unwrap();
    let lines: Vec<String> = shelf
        .columns
        .iter()
        .map(|one| {
            let flags = [
                (one.nullable, "null"),
                (one.primary_key, "key"),
                (one.auto_increment, "auto"),
                (one.unique, "unique"),
            ];
            let flags: String = flags.iter().filter(|(is, _)| *is).map(|(_, word)| format!(" {word}")).collect();
            let more =
                [&one.default, &one.extra].into_iter().flatten().map(|more| format!(" {more}")).collect::<String>();
            format!("{} {}{flags}{more}", one.name, one.affinity)
        })
        .collect();
    assert_eq!(
        lines,
        [
            "id INTEGER key auto",
            "name TEXT unique",
            "place TEXT 'it''s'",
            "is_open INTEGER 1",
            "width REAL 0.5",
            "owner_id INTEGER null",
            "picture BLOB null",
            "level INTEGER CHECK (level > 0)",
            "kind TEXT",
        ]
    );
    assert_eq!(shelf.indexes, [Index { columns: vec!["owner_id".to_owned()], unique: false }]);
    let [key] = shelf.foreign_keys.as_slice() else { panic!("{:?}", shelf.foreign_keys) };
    assert_eq!((key.table.as_str(), key.on_delete.as_deref()), ("shelf", Some("SET NULL")));
    let json = serde_json::to_string(&shelf).unwrap();
    assert_eq!(serde_json::from_str::<Entity>(&json).unwrap(), shelf);
}

#[test]
fn a_type_that_strict_refuses_is_an_error_that_says_what_to_write() {
    let problem = Entity::of::<price::Entity>().unwrap_err();
    assert_eq!(
        problem.message,
        "column amount of table price is Decimal(Some((10, 2))), which a STRICT table cannot have"
    );
    assert!(problem.hint.unwrap().contains("BigInteger"));
}

#[test]
fn a_table_may_have_more_than_its_entity_says() {
    assert_eq!(said(SHELF), [""; 0]);
}

#[test]
fn each_difference_is_a_sentence() {
    assert_eq!(said(""), ["table shelf of an entity is not in the database"]);
    for (from, to, sentence) in [
        ("picture BLOB, ", "", "column picture of the entity of table shelf is not in the table"),
        ("width REAL", "width INTEGER", "column width of table shelf is INTEGER, and REAL in the entity"),
        ("kind TEXT NOT NULL", "kind TEXT", "column kind of table shelf may be null, and in the entity it may not"),
        (
            "picture BLOB",
            "picture BLOB NOT NULL DEFAULT x''",
            "column picture of table shelf may not be null, and in the entity it may",
        ),
        ("'it''s'", "'its'", "column place of table shelf has the default 'its', and 'it''s' in the entity"),
        (
            "TEXT NOT NULL DEFAULT 'it''s'",
            "TEXT NOT NULL",
            "column place of table shelf has no default, and 'it''s' in the entity",
        ),
        (
            "id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL",
            "id INTEGER NOT NULL, name TEXT NOT NULL PRIMARY KEY",
            "the primary key of table shelf is (name), and (id) in the entity",
        ),
        (
            "CREATE UNIQUE INDEX",
            "CREATE INDEX",
            "column name is unique in the entity of table shelf, and in the table two rows may have the same value",
        ),
        (
            "more TEXT",
            "more TEXT NOT NULL",
            "column more of table shelf may not be null, has no default and is not in the entity, so that the entity's inserts fail",
        ),
    ] {
        let sql = SHELF.replace(from, to);
        assert_ne!(sql, SHELF, "{from}");
        assert_eq!(said(&sql), [sentence]);
    }
}

#[test]
fn of_a_view_only_the_columns_are_asked_for() {
    let view = "CREATE VIEW shelf AS SELECT 1 AS id, 2 AS name, 3 AS place, 4 AS is_open, 5 AS width, 6 AS owner_id,
        7 AS picture, 8 AS level, 9 AS kind";
    assert_eq!(said(view), [""; 0]);
    assert_eq!(
        said(&view.replace(", 9 AS kind", "")),
        ["column kind of the entity of table shelf is not in the table"]
    );
}
