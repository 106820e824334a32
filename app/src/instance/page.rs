//! Is all well? The page for those who look after the instance: its backups, where they are kept, newer versions, and an upgrade that
//! failed.

use maud::{Markup, html};
use poem::{Response, handler, http::StatusCode, web::Data};

use super::{
    News,
    backup_report::{BackupReport, Storage},
};
use crate::html::{Frame, Newer, Notice, answer, timestamp};

#[handler]
pub(crate) async fn show(frame: Frame, Data(news): Data<&News>) -> Response {
    answer(StatusCode::OK, page(&frame, news.backups().as_ref(), news.newer().as_ref(), news.notice().as_ref()))
}

fn page(frame: &Frame, report: Option<&BackupReport>, newer: Option<&Newer>, notice: Option<&Notice>) -> Markup {
    let content = html! {
        h1 { "Status" }
        div.stack {
            section.card aria-labelledby="backups" { h2 #backups { "Backups" } (backups(report)) }
            section.card aria-labelledby="version" { h2 #version { "Version" } (version(newer, notice)) }
        }
    };
    frame.page("Status", &content)
}

fn backups(report: Option<&BackupReport>) -> Markup {
    let Some(report) = report else {
        return html! { p { "Nothing is known about backups, because the supervisor does not report any." } };
    };
    // What is wrong with a place stands by that place.
    let is_of_a_place = |trouble: &&String| {
        report.storage.iter().filter_map(|storage| storage.trouble.as_ref()).any(|own| trouble.ends_with(own.as_str()))
    };
    let problems: Vec<_> = report.trouble.iter().filter(|trouble| !is_of_a_place(trouble)).collect();
    html! {
        p {
            @match report.last_at() {
                Some(at) => { "The last backup was created " (timestamp(at)) ". " }
                None => { "No backup has been created yet. " }
            }
            @match report.next_at() {
                Some(at) => { "The next one is due " (timestamp(at)) "." }
                None => { "No backups are scheduled." }
            }
        }
        @if let Some(since) = report.overdue_since() {
            div.alert { p { "A backup is overdue since " (timestamp(since)) "." } }
        }
        @if !problems.is_empty() {
            div.alert { p { "Problems:" } ul { @for problem in problems { li { (problem) } } } }
        }
        h3 { "Where backups are kept" }
        ul.things { @for storage in &report.storage { (place(storage)) } }
        @if report.storage.iter().all(Storage::is_local) {
            p.note {
                "There are no copies elsewhere: if the disk with these backups fails, they are lost. The setting "
                code { "backup.destinations" } " names a NAS or an S3 bucket that gets a copy of each backup."
            }
        }
        @if report.needs_attention() {
            p { "When the problem is fixed, create a backup on the server to see that it works:" }
            p { code.secret { "docker compose exec web supervisor backup" } }
            p.hint { "Without Docker: " code { "supervisor backup" } ". More details: " code { "supervisor status" } "." }
        }
    }
}

fn place(storage: &Storage) -> Markup {
    html! {
        li {
            div {
                h4 {
                    code { (storage.name) }
                    span.mark { @if storage.is_local() { "backups" } @else { "copies" } }
                    @if storage.trouble.is_some() { span.mark.off { "not working" } }
                }
                @match (&storage.trouble, storage.since(), storage.tried_at()) {
                    (Some(trouble), since, _) => {
                        p.error {
                            "Backups cannot be written here" @if let Some(since) = since { " (noticed " (timestamp(since)) ")" } ": " (trouble)
                        }
                    }
                    (None, _, Some(at)) => { p.quiet { "Backups can be written here (tested " (timestamp(at)) ")." } }
                    (None, _, None) => { p.quiet { "Not tried yet." } }
                }
            }
        }
    }
}

fn version(newer: Option<&Newer>, notice: Option<&Notice>) -> Markup {
    html! {
        p { "This is Hearth " (env!("CARGO_PKG_VERSION")) "." }
        @if let Some(notice) = notice {
            div.alert {
                p { (notice.message) }
                @if let Some(since) = notice.since { p { "It was noticed " (timestamp(since)) "." } }
            }
            p { "Nothing is lost: Hearth serves as before. To see what was tried, and to try it again, run on the server:" }
            p { code.secret { "docker compose exec web supervisor status" br; "docker compose exec web supervisor resume" } }
        }
        @if let Some(newer) = newer {
            p {
                "Hearth " (newer.version) " is available. "
                @if let Some(notes) = &newer.notes { a href=(notes) rel="noreferrer" { "Release notes" } }
            }
            p { "To upgrade, run these two commands on the server. Your data stays as it is if the upgrade fails." }
            p { code.secret { "docker compose pull" br; "docker compose up -d" } }
            p.hint { "If " code { ".env" } " names a version, change it first. Without Docker, install the new programs and restart Hearth." }
        } @else {
            p.quiet { "No newer version is known." }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        html::for_tests::{EVIL, assert_harmless},
        instance::backup_report::tests::golden,
    };

    fn text(report: Option<&BackupReport>, newer: Option<&Newer>) -> String {
        page(&Frame::default(), report, newer, None).into_string()
    }

    #[test]
    fn text_of_others_is_never_taken_for_html() {
        let mut report = golden();
        report.trouble.push(EVIL.to_owned());
        for storage in &mut report.storage {
            storage.name = EVIL.to_owned();
            storage.trouble = Some(EVIL.to_owned());
        }
        let newer = Newer { version: EVIL.to_owned(), notes: Some(EVIL.to_owned()) };
        let notice = Notice { message: EVIL.to_owned(), since: None };
        assert_harmless(&page(&Frame::default(), Some(&report), Some(&newer), Some(&notice)));
    }

    #[test]
    fn it_says_what_is_wrong_where_since_when_and_what_helps() {
        let mut report = golden();
        report.trouble.push("backup: the disk is full".to_owned());
        let shown = text(Some(&report), None);
        for words in [
            "The last backup was created ",
            "The next one is due ",
            "/mnt/nas",
            "Backups cannot be written here (noticed ",
            "is it mounted?",
            "backup: the disk is full",
            "docker compose exec web supervisor backup",
            "/app/backups",
            "Backups can be written here (tested ",
        ] {
            assert!(shown.contains(words), "{words}: {shown}");
        }
        assert_eq!(shown.matches("is not there").count(), 1, "it is said once: {shown}");
        assert!(!shown.contains("no copies elsewhere") && shown.contains("No newer version is known"), "{shown}");
    }

    #[test]
    fn that_an_upgrade_failed_is_said_with_its_reason_and_what_helps() {
        let notice = crate::instance::notice::tests::golden();
        let shown = page(&Frame::default(), None, None, Some(&notice)).into_string();
        assert!(shown.contains("m0009_rooms") && shown.contains("It was noticed <time "), "{shown}");
        assert!(shown.contains("supervisor status") && shown.contains("supervisor resume"), "{shown}");
        assert!(!text(None, None).contains("supervisor resume"));
    }

    #[test]
    fn where_all_is_well_nothing_is_to_be_done() {
        let mut report = golden();
        report.trouble.clear();
        report.storage.retain(Storage::is_local);
        let shown = text(Some(&report), None);
        assert!(shown.contains("There are no copies elsewhere") && !shown.contains("supervisor backup"), "{shown}");
        assert!(text(None, None).contains("Nothing is known about backups"));
        let newer = Newer { version: "9.1.0".to_owned(), notes: None };
        let shown = text(None, Some(&newer));
        assert!(shown.contains("Hearth 9.1.0 is available") && shown.contains("docker compose pull"), "{shown}");
    }
}
