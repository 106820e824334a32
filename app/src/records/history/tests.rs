//! Is nothing lost of what a record said, and shown to nobody else?

use std::{path::PathBuf, sync::Arc};

use tempfile::TempDir;
use time::Duration;

use super::{emptying, parts::Part, restore, trash, versions};
use crate::{
    auth::{
        authority::AuthorizedDatabase,
        caller::{Caller, Credential},
        users,
    },
    datetime::Timestamp,
    db::{
        Access, Database,
        for_tests::{in_one_transaction, migrated},
    },
    http::Precondition,
    records::{
        begin_epoch,
        draft::Draft,
        entity::Visibility,
        fields::Field,
        history::restore::LeftOut,
        kind::Kind,
        store::{self, Viewer},
    },
};

const PEOPLE: &str = "
    INSERT INTO user (id, name, email, role, created_at, updated_at) VALUES
        (1, 'Anna', 'anna@example.org', 'owner', '2026-11-24T12:00:00.000Z', '2026-11-24T12:00:00.000Z'),
        (2, 'Ben', 'ben@example.org', 'member', '2026-11-24T12:00:00.000Z', '2026-11-24T12:00:00.000Z');
    INSERT INTO account (user_id, provider, provider_id, created_at, updated_at)
        SELECT id, 'tailscale', email, created_at, updated_at FROM user;
    INSERT INTO place (id, name, name_key) VALUES (1, 'Attic', 'attic');
    INSERT INTO file (hash, bytes, media_type, text) VALUES ('aa', 1, 'image/png', ''), ('bb', 1, 'image/png', '');";

/// A household of two.
struct Household {
    _directory: TempDir,
    path: PathBuf,
    database: Arc<Database>,
    writes: AuthorizedDatabase,
    anna: Caller,
    ben: Caller,
}

impl Household {
    async fn new() -> Self {
        let (directory, path) = migrated(PEOPLE).await;
        let database = Arc::new(Database::open(&path, Access::Write).await.unwrap());
        let mut callers = Vec::new();
        for id in [1, 2] {
            let user = users::get(database.reads(), id).await.unwrap().unwrap();
            callers.push(Caller { user, by: Credential::Tailscale, client: Default::default() });
        }
        let (ben, anna) = (callers.pop().unwrap(), callers.pop().unwrap());
        let writes = AuthorizedDatabase::new(database.clone());
        Self { _directory: directory, path, database, writes, anna, ben }
    }

    fn sql(&self, sql: &str) {
        let connection = rusqlite::Connection::open(&self.path).unwrap();
        connection.execute_batch("PRAGMA foreign_keys = ON").unwrap();
        connection.execute_batch(sql).unwrap();
    }

    fn count(&self, sql: &str) -> i64 {
        rusqlite::Connection::open(&self.path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Adds a record of Anna's that has everything.
    async fn add(&self) -> i64 {
        let draft = Draft {
            title: Some("Boiler".to_owned()),
            category: Some("house".to_owned()),
            notes: Some("one\ntwo".to_owned()),
            due_date: Some("2027-01-31".parse().ok()),
            kind: Some(Kind::Thing),
            place_id: Some(Some(1)),
            guests_see_attachments: Some(true),
            fields: Some(vec![Field { label: "Model".to_owned(), value: "X".to_owned(), ..Field::default() }]),
            tags: Some(vec!["attic".to_owned(), "Öl".to_owned()]),
            ..Draft::default()
        };
        let id = store::create(&self.writes, &self.anna, draft, None).await.unwrap().row.id;
        self.sql(&format!(
            "INSERT INTO attachment (id, record_id, hash, name, role, position, added_by, added_at) VALUES
                (7, {id}, 'aa', 'a.png', 'photo', 1, 1, '2026-11-24T12:00:00.000Z'),
                (8, {id}, 'bb', 'b.png', 'receipt', 0, 2, '2026-11-24T12:00:00.000Z')"
        ));
        id
    }

    async fn change(&self, caller: &Caller, id: i64, draft: Draft) {
        store::update(&self.writes, caller, id, draft, Precondition::Any).await.unwrap().unwrap();
    }

    async fn delete(&self, caller: &Caller, id: i64) {
        assert!(trash::delete(&self.writes, caller, id, Precondition::Any).await.unwrap());
    }

    async fn current(&self, viewer: &Caller, id: i64) -> versions::Version {
        versions::current(self.database.direct(), Viewer::of(viewer), id).await.unwrap().unwrap()
    }

    /// The numbers of the versions that somebody sees, and what was changed in each.
    async fn listed(&self, viewer: &Caller, id: i64) -> Vec<(i64, Option<Vec<Part>>)> {
        let page = versions::list(self.database.direct(), Viewer::of(viewer), id, None, 50).await.unwrap().unwrap();
        assert_eq!(page.next, None);
        page.versions.into_iter().map(|version| (version.number, version.changed)).collect()
    }

    async fn in_trash(&self, viewer: &Caller) -> Vec<i64> {
        let page = trash::list(self.database.direct(), Viewer::of(viewer), None, 50).await.unwrap();
        page.records.iter().map(|record| record.id).collect()
    }

    async fn look(&self, at: Timestamp) -> usize {
        emptying::look_through(&self.database, at).await.unwrap()
    }
}

fn titled(title: &str) -> Draft {
    Draft { title: Some(title.to_owned()), ..Draft::default() }
}

fn seen_by(visibility: Visibility) -> Draft {
    Draft { visibility: Some(visibility), ..Draft::default() }
}

#[tokio::test]
async fn what_a_record_says_now_reads_as_a_trigger_keeps_it() {
    let household = Household::new().await;
    let id = household.add().await;
    let before = household.current(&household.anna, id).await;
    assert_eq!((before.number, before.by, before.content.attachments.len()), (1, Some(1), 2));
    assert_eq!(before.content.attachments[0].name, "b.png", "by their position");
    household.change(&household.ben, id, titled("Stove")).await;
    let kept = versions::find(household.database.direct(), Viewer::of(&household.ben), id, 1).await.unwrap().unwrap();
    assert_eq!(kept, before);
    assert_eq!(household.count("SELECT count(*) FROM version_file"), 2);
    assert_eq!(household.listed(&household.anna, id).await, [(2, Some(vec![Part::Title])), (1, None)]);
    let current = household.current(&household.anna, id).await;
    assert_eq!((current.number, current.by), (2, Some(2)));
    household.database.close().await;
}

#[tokio::test]
async fn each_change_is_one_version_and_what_changes_nothing_is_none() {
    let household = Household::new().await;
    let id = household.add().await;
    for draft in [
        Draft { notes: Some("three".to_owned()), kind: Some(Kind::Note), ..Draft::default() },
        Draft { fields: Some(Vec::new()), ..Draft::default() },
        Draft { fields: Some(Vec::new()), ..Draft::default() },
        Draft { tags: Some(vec!["attic".to_owned()]), place_id: Some(None), ..Draft::default() },
    ] {
        household.change(&household.anna, id, draft).await;
    }
    // As 0.6.0 writes it, and as 0.4.0 does, which knows no versions.
    household.sql("UPDATE record SET title = 'Oven', updated_at = '2026-12-01T12:00:00.000Z', version = version + 1");
    household.sql("UPDATE record SET title = 'Range', updated_at = '2026-12-02T12:00:00.000Z'");
    let listed = household.listed(&household.anna, id).await;
    let expected = [
        (6, vec![Part::Title]),
        (5, vec![Part::Title]),
        (4, vec![Part::Place, Part::Tags]),
        (3, vec![Part::Fields]),
        (2, vec![Part::Kind, Part::Notes]),
    ];
    assert_eq!(listed[..5], expected.map(|(number, parts)| (number, Some(parts))));
    assert_eq!(listed[5..], [(1, None)]);
    let by_older = versions::find(household.database.direct(), Viewer::of(&household.anna), id, 5).await.unwrap();
    assert_eq!(by_older.unwrap().by, None, "an older program does not say who");
    household.database.close().await;
}

#[tokio::test]
async fn versions_come_page_by_page_each_compared_with_the_one_before_it() {
    let household = Household::new().await;
    let id = household.add().await;
    for number in 0..7 {
        household.change(&household.anna, id, titled(&format!("{number}"))).await;
    }
    let all = household.listed(&household.anna, id).await;
    assert_eq!(all.len(), 8);
    for limit in 1..=9 {
        let (mut walked, mut after) = (Vec::new(), None);
        loop {
            let page = versions::list(household.database.direct(), Viewer::of(&household.anna), id, after, limit);
            let page = page.await.unwrap().unwrap();
            assert!(page.versions.len() as u64 <= limit);
            walked.extend(page.versions.into_iter().map(|version| (version.number, version.changed)));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(walked, all, "{limit}");
    }
    household.database.close().await;
}

#[tokio::test]
async fn what_a_record_was_while_it_was_private_stays_its_owners() {
    let household = Household::new().await;
    let id = household.add().await;
    household.change(&household.anna, id, seen_by(Visibility::Private)).await;
    household.change(&household.anna, id, titled("My secret")).await;
    let of_ben = versions::list(household.database.direct(), Viewer::of(&household.ben), id, None, 50).await.unwrap();
    assert!(of_ben.is_none(), "the record is not there for him, nor is what it was");
    household.change(&household.anna, id, titled("Boiler")).await;
    household.change(&household.anna, id, seen_by(Visibility::Household)).await;
    let of =
        async |viewer| -> Vec<i64> { household.listed(viewer, id).await.iter().map(|(number, _)| *number).collect() };
    assert_eq!(of(&household.anna).await, [5, 4, 3, 2, 1]);
    // He learns of what he sees alone: against the first version, nothing was changed.
    assert_eq!(household.listed(&household.ben, id).await, [(5, Some(Vec::new())), (1, None)]);
    for number in 2..=4 {
        let found = versions::find(household.database.direct(), Viewer::of(&household.ben), id, number).await.unwrap();
        assert_eq!(found, None);
        let restored = restore::restore(&household.writes, &household.ben, id, number, Precondition::Any).await;
        assert!(restored.unwrap().is_none());
    }
    let before = versions::before(household.database.direct(), Viewer::of(&household.ben), id, 5).await.unwrap();
    assert_eq!(before.unwrap().number, 1);
    household.database.close().await;
}

#[tokio::test]
async fn a_restored_version_says_all_that_it_said_and_what_came_since_is_kept() {
    let household = Household::new().await;
    let id = household.add().await;
    let first = household.current(&household.anna, id).await.content;
    let emptied = Draft {
        title: Some("x".to_owned()),
        category: Some(String::new()),
        notes: Some(String::new()),
        due_date: Some(None),
        kind: Some(Kind::Note),
        place_id: Some(None),
        guests_see_attachments: Some(false),
        fields: Some(Vec::new()),
        tags: Some(Vec::new()),
        ..Draft::default()
    };
    household.change(&household.anna, id, emptied).await;
    household.sql(
        "DELETE FROM attachment WHERE id = 7;
         INSERT INTO attachment (id, record_id, hash, name, role, position, added_at)
             VALUES (9, 1, 'aa', 'new.png', 'photo', 2, '2026-11-25T12:00:00.000Z')",
    );
    let stale = restore::restore(&household.writes, &household.ben, id, 1, Precondition::version(1)).await;
    assert_eq!(stale.unwrap_err().status(), 412);
    let restored = restore::restore(&household.writes, &household.ben, id, 1, Precondition::version(2)).await;
    let restored = restored.unwrap().unwrap();
    assert_eq!((restored.record.row.version, restored.left_out), (3, Vec::new()));
    let mut now = household.current(&household.anna, id).await;
    assert_eq!((now.number, now.by), (3, Some(2)));
    let added = now.content.attachments.pop().unwrap();
    assert_eq!((added.id, now.content), (9, first));
    // The search knows it again.
    let found = household.count("SELECT count(*) FROM record WHERE folded LIKE 'boiler%' AND fold_version > 0");
    assert_eq!(found, 1);
    assert_eq!(household.count("SELECT count(*) FROM record_text WHERE folded LIKE '%a.png%'"), 1);
    let kept = versions::find(household.database.direct(), Viewer::of(&household.anna), id, 2).await.unwrap().unwrap();
    assert_eq!(kept.content.title, "x");
    // Once more changes nothing; what is not there is not restored.
    let again = restore::restore(&household.writes, &household.anna, id, 1, Precondition::Any).await.unwrap().unwrap();
    assert_eq!(again.record.row.version, 3);
    for (id, number) in [(id, 9), (id, 0), (99, 1)] {
        let none = restore::restore(&household.writes, &household.anna, id, number, Precondition::Any).await;
        assert!(none.unwrap().is_none());
    }
    household.database.close().await;
}

#[tokio::test]
async fn attachments_alone_are_a_version_and_what_cannot_be_restored_is_named() {
    let household = Household::new().await;
    let id = household.add().await;
    household.change(&household.anna, id, titled("Boiler 2")).await;
    household.change(&household.anna, id, Draft { place_id: Some(None), ..titled("Boiler") }).await;
    household.sql("DELETE FROM attachment; DELETE FROM file WHERE hash = 'bb'; DELETE FROM place");
    let restored = restore::restore(&household.writes, &household.anna, id, 1, Precondition::Any).await;
    let restored = restored.unwrap().unwrap();
    let left_out = [LeftOut::Place("Attic".to_owned()), LeftOut::Attachment("b.png".to_owned())];
    assert_eq!((restored.record.row.version, &restored.left_out[..]), (4, &left_out[..]));
    let now = household.current(&household.anna, id).await;
    let attachments: Vec<_> = now.content.attachments.iter().map(|attachment| attachment.id).collect();
    assert_eq!((now.number, attachments, now.content.place), (4, vec![7], None));
    let kept = versions::find(household.database.direct(), Viewer::of(&household.anna), id, 3).await.unwrap().unwrap();
    assert!(kept.content.attachments.is_empty());
    household.database.close().await;
}

#[tokio::test]
async fn only_its_owner_restores_who_sees_a_record() {
    let household = Household::new().await;
    let id = household.add().await;
    household.change(&household.anna, id, Draft { visibility: Some(Visibility::Private), ..titled("Mine") }).await;
    household.change(&household.anna, id, Draft { visibility: Some(Visibility::Household), ..titled("Ours") }).await;
    let mine = restore::restore(&household.writes, &household.anna, id, 2, Precondition::Any).await.unwrap().unwrap();
    assert_eq!(mine.record.row.visibility, Visibility::Private);
    household.change(&household.anna, id, seen_by(Visibility::Household)).await;
    let ours = restore::restore(&household.writes, &household.ben, id, 1, Precondition::Any).await.unwrap().unwrap();
    assert_eq!((&*ours.record.row.title, ours.record.row.visibility), ("Boiler", Visibility::Household));
    assert_eq!(household.count("SELECT count(*) FROM audit_event WHERE kind = 'record_visibility_changed'"), 4);
    household.database.close().await;
}

#[tokio::test]
async fn what_is_put_back_is_what_was_deleted() {
    let household = Household::new().await;
    let id = household.add().await;
    household.change(&household.anna, id, titled("Boiler 2")).await;
    let before = household.current(&household.anna, id).await;
    household.delete(&household.ben, id).await;
    let trashed = trash::find(household.database.direct(), Viewer::of(&household.anna), id).await.unwrap().unwrap();
    assert_eq!((&*trashed.title, trashed.by, trashed.is_private), ("Boiler 2", Some(2), false));
    assert_eq!(trashed.kept_until().unwrap().unix() - trashed.at.unwrap().unix(), 30 * 24 * 3600);
    for table in ["record", "record_field", "record_tag", "attachment", "record_text"] {
        assert_eq!(household.count(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
    let restored = trash::put_back(&household.writes, &household.anna, id).await.unwrap().unwrap();
    assert_eq!((restored.record.row.id, restored.left_out), (id, Vec::new()));
    let after = household.current(&household.ben, id).await;
    assert_eq!((after.number, after.by, &after.content), (3, Some(1), &before.content));
    assert!(household.in_trash(&household.anna).await.is_empty());
    assert_eq!(household.listed(&household.anna, id).await.len(), 3);
    assert_eq!(household.count("SELECT count(*) FROM record_text WHERE folded LIKE '%a.png%'"), 1);
    // It is not in the trash any more, and goes there again.
    assert!(trash::put_back(&household.writes, &household.anna, id).await.unwrap().is_none());
    assert!(!trash::erase(&household.writes, &household.anna, id).await.unwrap());
    household.delete(&household.anna, id).await;
    assert_eq!(household.in_trash(&household.ben).await, [id]);
    household.database.close().await;
}

#[tokio::test]
async fn of_two_who_put_a_record_back_at_once_one_does() {
    let household = Household::new().await;
    let id = household.add().await;
    household.delete(&household.anna, id).await;
    let (one, other) = in_one_transaction(&household.database, async {
        tokio::join!(
            trash::put_back(&household.writes, &household.anna, id),
            trash::put_back(&household.writes, &household.ben, id)
        )
    })
    .await;
    assert_eq!((one.unwrap().is_some(), other.unwrap().is_some()), (true, false));
    // What is in the way is left alone, and so is what is in the trash.
    household.delete(&household.anna, id).await;
    household.sql(
        "INSERT INTO record (id, title, category, notes, created_at, updated_at)
             VALUES (1, 'By hand', '', '', '2026-11-24T12:00:00.000Z', '2026-11-24T12:00:00.000Z')",
    );
    let refused = trash::put_back(&household.writes, &household.anna, id).await.unwrap_err();
    assert_eq!(refused.status(), 409);
    assert!(refused.sentence().contains("stays in the trash"), "{refused:?}");
    assert_eq!(household.in_trash(&household.anna).await, [id]);
    household.database.close().await;
}

#[tokio::test]
async fn the_trash_is_for_those_who_saw_what_is_in_it() {
    let household = Household::new().await;
    let id = household.add().await;
    household.change(&household.anna, id, seen_by(Visibility::Private)).await;
    household.delete(&household.anna, id).await;
    assert_eq!(household.in_trash(&household.anna).await, [id]);
    assert!(household.in_trash(&household.ben).await.is_empty());
    let viewer = Viewer::of(&household.ben);
    assert_eq!(trash::find(household.database.direct(), viewer, id).await.unwrap(), None);
    assert!(trash::put_back(&household.writes, &household.ben, id).await.unwrap().is_none());
    assert!(!trash::erase(&household.writes, &household.ben, id).await.unwrap());
    assert!(trash::erase(&household.writes, &household.anna, id).await.unwrap());
    let named = "SELECT count(*) FROM audit_event WHERE subject LIKE '%Boiler%'";
    assert_eq!(household.count(named), 0, "the audit log names nobody's private records");
    assert_eq!(household.count("SELECT count(*) FROM audit_event WHERE kind = 'record_erased'"), 1);
    for table in ["trash", "record_version", "version_file"] {
        assert_eq!(household.count(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
    household.database.close().await;
}

#[tokio::test]
async fn what_was_deleted_goes_after_thirty_days_and_not_before() {
    let household = Household::new().await;
    let id = household.add().await;
    household.change(&household.anna, id, titled("Boiler 2")).await;
    household.delete(&household.anna, id).await;
    let now = Timestamp::now();
    for day in 0..30 {
        // Some days the app looks several times.
        for hours in [0, 1].into_iter().take(1 + day % 2) {
            let at = now.after(Duration::days(day as i64) + Duration::minutes(hours));
            assert_eq!(household.look(at).await, 0, "{day}");
        }
    }
    assert_eq!(household.in_trash(&household.anna).await, [id]);
    assert_eq!(household.look(now.after(Duration::days(30) + Duration::minutes(1))).await, 1);
    assert!(household.in_trash(&household.anna).await.is_empty());
    for table in ["trash", "record_version", "version_file"] {
        assert_eq!(household.count(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
    let by_hearth =
        "SELECT count(*) FROM audit_event WHERE kind = 'record_erased' AND who = 'Hearth' AND user_id IS NULL
        AND subject = 'record 1 “Boiler 2”'";
    assert_eq!(household.count(by_hearth), 1);
    assert_eq!(household.count("SELECT count(*) FROM record_change WHERE is_gone"), 1, "copies learn of it still");
    household.database.close().await;
}

#[tokio::test]
async fn a_clock_that_jumps_or_stands_still_empties_nothing() {
    let household = Household::new().await;
    let id = household.add().await;
    household.delete(&household.anna, id).await;
    let now = Timestamp::now();
    let far: Timestamp = "2099-01-01T00:00:00.000Z".parse().unwrap();
    // To 2099 and back, for a week there, and back again.
    for at in [now, far, now, far] {
        assert_eq!(household.look(at).await, 0);
    }
    for hour in 0..24 * 7 {
        assert_eq!(household.look(far.after(Duration::hours(hour))).await, 0);
    }
    // A clock that begins in 1970 at each start.
    let past: Timestamp = "1970-01-01T00:00:00.000Z".parse().unwrap();
    for _ in 0..100 {
        assert_eq!(household.look(past).await, 0);
    }
    for day in 0..100 {
        assert_eq!(household.look(past.after(Duration::days(day))).await, 0);
    }
    assert_eq!(household.in_trash(&household.anna).await, [id]);
    household.database.close().await;
}

#[tokio::test]
async fn what_was_deleted_by_a_clock_that_was_behind_stays_thirty_days() {
    let household = Household::new().await;
    let id = household.add().await;
    household.delete(&household.anna, id).await;
    household.sql("UPDATE trash SET deleted_at = '1970-01-01T00:00:05.000Z'");
    let now = Timestamp::now();
    for day in 0..30 {
        assert_eq!(household.look(now.after(Duration::days(day))).await, 0, "{day}");
    }
    assert_eq!(household.look(now.after(Duration::days(30))).await, 1);
    household.database.close().await;
}

#[tokio::test]
async fn what_an_older_program_deleted_gets_its_time_and_stays_thirty_days_from_then() {
    let household = Household::new().await;
    let id = household.add().await;
    household.sql("DELETE FROM record WHERE id = 1");
    let trashed = trash::find(household.database.direct(), Viewer::of(&household.ben), id).await.unwrap().unwrap();
    assert_eq!((trashed.at, trashed.by), (None, None));
    let now = Timestamp::now();
    assert_eq!(household.look(now).await, 0);
    let trashed = trash::find(household.database.direct(), Viewer::of(&household.ben), id).await.unwrap().unwrap();
    assert_eq!(trashed.at, Some(now));
    // A look that has nothing to write writes nothing.
    let other = rusqlite::Connection::open(&household.path).unwrap();
    let data_version = || other.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0)).unwrap();
    let before = data_version();
    assert_eq!(household.look(now).await, 0);
    assert_eq!(data_version(), before);
    // A restored backup counts anew.
    household.sql("UPDATE trash SET days = 30, deleted_at = '2026-01-01T00:00:00.000Z'");
    begin_epoch(&household.database).await.unwrap();
    assert_eq!(household.look(Timestamp::now()).await, 0);
    assert_eq!(household.count("SELECT count(*) FROM trash WHERE days = 0 AND deleted_at > '2026-01-02'"), 1);
    household.database.close().await;
}

#[tokio::test]
async fn what_goes_step_by_step_can_be_put_back_until_the_last_step() {
    let household = Household::new().await;
    let id = household.add().await;
    for number in 0..150 {
        household.sql(&format!("UPDATE record SET title = '{number}', version = version + 1"));
    }
    household.delete(&household.anna, id).await;
    household.sql("UPDATE trash SET days = 30, deleted_at = '2026-01-01T00:00:00.000Z'");
    // Killed after the first step, say.
    let last = household.count("SELECT version_id FROM trash");
    let erased = household.database.write_content(async move |tx| Ok(trash::erase_some(tx, 1, last).await?)).await;
    assert!(!erased.map_err(|error: crate::db::DbError| error).unwrap());
    assert_eq!(household.count("SELECT count(*) FROM record_version"), 51);
    let restored = trash::put_back(&household.writes, &household.anna, id).await.unwrap().unwrap();
    assert_eq!((&*restored.record.row.title, restored.record.row.version), ("149", 152));
    assert_eq!(household.count("SELECT count(*) FROM record_version"), 51);
    household.delete(&household.anna, id).await;
    household.sql("UPDATE trash SET days = 30, deleted_at = '2026-01-01T00:00:00.000Z'");
    assert_eq!(household.look(Timestamp::now()).await, 1);
    for table in ["trash", "record_version", "version_file"] {
        assert_eq!(household.count(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
    household.database.close().await;
}
