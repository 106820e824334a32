//! The pages of export and import.

use maud::{Markup, html};
use poem::{
    Body, IntoResponse, Response, Result, handler,
    http::StatusCode,
    web::{Data, Form, Multipart, Query},
};
use serde::Deserialize;

use super::{
    api::Archive,
    export::Exports,
    import::{
        LeftOut,
        addition::{self, Report},
        columns::{self, Use},
        table::Table,
    },
    take_in::{self, Found},
};
use crate::{
    auth::{authority::AuthorizedDatabase, caller::Visitor, role::Role},
    html::{Frame, answer, refused},
    http::{Code, IdempotencyKey, Pieces, Problem},
    records::{attachments::Attachments, kind::Kind},
    secret::random,
};

/// Rows of a table that are shown before it is imported.
const PREVIEW: usize = 5;
/// Letters of a cell that are shown.
const SHOWN: usize = 60;

#[handler]
pub(in crate::records) async fn show_export(frame: Frame, visitor: Visitor) -> Response {
    let content = html! {
        div.narrow {
            p.back { a href="/" { "Back to Records" } }
            h1 { "Export" }
            section.card {
                p { "The whole binder as one zip archive: each record as a text in a folder with its files, and all of them as a table. \
                     It is readable without Hearth, and Hearth can import it again." }
                p.quiet { "It has what you can see: your private records, and not those of others. It has no earlier versions and no \
                     accounts; for these, the operator makes backups." }
                a.button.main href="/export/archive" download { "Download" }
            }
            @if visitor.role() >= Role::Admin { p { a href="/import" { "Import an archive or a table" } } }
        }
    };
    answer(StatusCode::OK, frame.page("Export", &content))
}

#[handler]
pub(in crate::records) async fn download(
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Data(attachments): Data<&Attachments>,
    Data(exports): Data<&Exports>,
) -> Result<Response> {
    Ok(Archive::of(database, attachments, exports, &visitor).await?.into_response())
}

#[handler]
pub(in crate::records) async fn show_import(frame: Frame) -> Response {
    answer(StatusCode::OK, import_page(&frame, None))
}

/// What the address of the form says: a text that is new for each time that it is shown, so that nothing is imported twice.
#[derive(Deserialize)]
pub(in crate::records) struct FormQuery {
    #[serde(default)]
    key: String,
    #[serde(default)]
    currency: String,
}

#[handler]
pub(in crate::records) async fn import(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Data(attachments): Data<&Attachments>,
    Query(query): Query<FormQuery>,
    mut form: Multipart,
) -> Result<Response> {
    let outcome = async {
        let unreadable = || take_in::refused("The file did not arrive as a form sends it.");
        let mut currency = query.currency.clone();
        loop {
            let field = form.next_field().await.map_err(|_| unreadable())?;
            let field = field.ok_or_else(|| take_in::refused("No file was chosen."))?;
            if field.name() == Some("currency") {
                currency = text(field.into_async_read()).await?;
                continue;
            }
            if field.name() != Some("file") || field.file_name().is_none_or(str::is_empty) {
                continue;
            }
            let pieces = Pieces::of(Body::from_async_read(field.into_async_read()));
            let mut spooled = attachments.spool(pieces, u64::MAX).await?;
            let _turn = take_in::turn().await;
            let found = take_in::look(&spooled).await?;
            if let Found::Table(table) = found {
                let id = spooled.stay().await?.to_owned();
                let uses = columns::guesses(&table);
                let choice = Choice { file: id, currency, ..Choice::default() };
                return Ok::<_, Problem>(columns_page(&frame, &table, &uses, &choice, None));
            }
            let currency = checked_currency(&currency)?;
            let key = IdempotencyKey(Some(query.key.clone()));
            let once = take_in::once(key, "import", &spooled, currency.as_deref());
            return Ok(match take_in::take_in(database, attachments, &visitor, found, currency, once).await? {
                Ok(report) => report_page(&frame, &report),
                // A table was taken out above.
                Err(_) => import_page(&frame, None),
            });
        }
    };
    match outcome.await {
        Ok(page) => Ok(answer(StatusCode::OK, page)),
        Err(problem) if problem.has_code(Code::IdempotencyKeyReused) => {
            let problem = take_in::refused("This page was used for another import already. Choose the file again.");
            Ok(refused(&problem, import_page(&frame, Some(&problem))))
        }
        Err(problem) => Ok(refused(&problem, import_page(&frame, Some(&problem)))),
    }
}

/// Reads a short text of a form.
async fn text(field: impl tokio::io::AsyncRead + Send + 'static) -> Result<String, Problem> {
    let mut pieces = Pieces::of(Body::from_async_read(field));
    let piece = pieces.next().await?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&piece).chars().take(10).collect())
}

fn checked_currency(text: &str) -> Result<Option<String>, Problem> {
    match text.trim().to_ascii_uppercase() {
        text if text.is_empty() => Ok(None),
        text if text.len() == 3 && text.bytes().all(|letter| letter.is_ascii_uppercase()) => Ok(Some(text)),
        _ => Err(take_in::refused("The currency must be a code of three letters, such as EUR.")),
    }
}

/// What was chosen for the columns of a table.
#[derive(Debug, Default, Deserialize)]
pub(in crate::records) struct Choice {
    /// The file that stays at the server meanwhile.
    #[serde(default)]
    file: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    currency: String,
    /// The uses of the columns, by their numbers.
    #[serde(flatten)]
    columns: std::collections::HashMap<String, String>,
}

#[handler]
pub(in crate::records) async fn import_columns(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Data(attachments): Data<&Attachments>,
    Form(choice): Form<Choice>,
) -> Result<Response> {
    let gone = || take_in::refused("The table is not at the server any more. Choose the file again.");
    let spooled = match attachments.spooled(&choice.file).await {
        Ok(Some(spooled)) => spooled,
        Ok(None) => return Ok(refused(&gone(), import_page(&frame, Some(&gone())))),
        Err(problem) => return Ok(refused(&problem, import_page(&frame, Some(&problem)))),
    };
    let _turn = take_in::turn().await;
    let table = match take_in::look(&spooled).await {
        Ok(Found::Table(table)) => table,
        Ok(_) => return Ok(refused(&gone(), import_page(&frame, Some(&gone())))),
        Err(problem) => return Ok(refused(&problem, import_page(&frame, Some(&problem)))),
    };
    let of = |column: usize| choice.columns.get(&format!("column{column}")).and_then(|name| Use::named(name));
    let uses: Vec<_> = (0..table.heads.len()).map(|column| of(column).unwrap_or(Use::LeftOut)).collect();
    let outcome = async {
        let currency = checked_currency(&choice.currency)?;
        let reading = columns::read(&table, &uses, choice.kind, currency.as_deref()).map_err(take_in::refused)?;
        // Whatever was chosen for its columns: somebody who goes back and chooses again has imported it already.
        let once = take_in::once(IdempotencyKey(Some(choice.key.clone())), "import_columns", &spooled, None);
        addition::add(database, &visitor, attachments, reading, "a table", once).await
    };
    match outcome.await {
        // The file goes after a day: whoever sends the form again learns that it was done.
        Ok(report) => Ok(answer(StatusCode::OK, report_page(&frame, &report))),
        Err(problem) => Ok(refused(&problem, columns_page(&frame, &table, &uses, &choice, Some(&problem)))),
    }
}

fn alert(problem: Option<&Problem>) -> Markup {
    html! { @if let Some(problem) = problem { div.alert role="alert" { p { (problem.sentence()) } } } }
}

fn import_page(frame: &Frame, problem: Option<&Problem>) -> Markup {
    let content = html! {
        div.narrow {
            p.back { a href="/" { "Back to Records" } }
            h1 { "Import" }
            section.card {
                (alert(problem))
                p { "Hearth reads its own exports, exports of Homebox (the archive of a collection, or a CSV file), and any table as a CSV \
                     file, whose columns you match in the next step." }
                p.quiet { "Records are added as yours. Nothing that is in the binder already is changed." }
                form method="post" action={ "/import?key=" (new_key()) } enctype="multipart/form-data" {
                    div.field {
                        label for="import-currency" { "Currency of prices" span.optional { "optional" } }
                        p.hint #import-currency-hint { "A code such as EUR, for prices of Homebox and of tables." }
                        input #import-currency name="currency" maxlength="3" autocapitalize="characters" autocomplete="off"
                            aria-describedby="import-currency-hint";
                    }
                    div.field {
                        label for="import-file" { "File" }
                        input #import-file type="file" name="file" required accept=".zip,.csv,.tsv,.txt,application/zip,text/csv";
                    }
                    button.main { "Import" }
                }
            }
            p { a href="/export" { "Export the binder" } }
        }
    };
    frame.page(if problem.is_some() { "Error: Import" } else { "Import" }, &content)
}

fn columns_page(frame: &Frame, table: &Table, uses: &[Use], choice: &Choice, problem: Option<&Problem>) -> Markup {
    let rows = table.rows.len();
    let content = html! {
        p.back { a href="/import" { "Back to Import" } }
        h1 { "Match columns" }
        section.card {
            (alert(problem))
            p { "The table has " (rows) @if rows == 1 { " row." } @else { " rows." } " Choose what each column is for." }
            form method="post" action="/import/columns" {
                input type="hidden" name="file" value=(choice.file);
                input type="hidden" name="key" value=(new_key());
                @for (column, head) in table.heads.iter().enumerate() {
                    div.field {
                        label for={ "column" (column) } {
                            @if head.is_empty() { "Column " (column + 1) } @else { (shortened(head)) }
                        }
                        p.hint id={ "column" (column) "-hint" } {
                            @let examples = examples(table, column);
                            @if examples.is_empty() { "Empty in the first rows." } @else { "Such as " (examples) }
                        }
                        select id={ "column" (column) } name={ "column" (column) } aria-describedby={ "column" (column) "-hint" } {
                            @for one in Use::ALL {
                                option value=(one.name()) selected[uses.get(column) == Some(&one)] { (one.label()) }
                            }
                        }
                    }
                }
                div.field {
                    label for="kind" { "Kind of the records" }
                    p.hint #kind-hint { "Where the table has no column for it." }
                    select #kind name="kind" aria-describedby="kind-hint" {
                        @for kind in Kind::ALL {
                            option value=(kind.name()) selected[kind == choice.kind] { (kind.label()) }
                        }
                    }
                }
                div.field {
                    label for="currency" { "Currency of prices" span.optional { "optional" } }
                    p.hint #currency-hint { "A code such as EUR." }
                    input #currency name="currency" maxlength="3" autocapitalize="characters" autocomplete="off"
                        value=(choice.currency) aria-describedby="currency-hint";
                }
                div.buttons {
                    button.main { "Import" }
                    a.button.plain href="/import" { "Cancel" }
                }
            }
        }
    };
    frame.page(if problem.is_some() { "Error: Match columns" } else { "Match columns" }, &content)
}

/// Returns what stands in the first rows of a column.
fn examples(table: &Table, column: usize) -> String {
    let cells = table.rows.iter().take(PREVIEW).map(|row| row.cell(column)).filter(|cell| !cell.is_empty());
    cells.map(|cell| format!("“{}”", shortened(cell))).collect::<Vec<_>>().join(", ")
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn report_page(frame: &Frame, report: &Report) -> Markup {
    let content = html! {
        h1 { "Import" }
        @if report.was_done {
            p.done role="status" { "This file was imported already. Nothing more was added." }
        } @else {
            p.done role="status" { (added(report)) }
        }
        @if !report.left_out.is_empty() {
            section.card aria-labelledby="left-out" {
                h2 #left-out { "Not imported" }
                ul.things { @for LeftOut { what, why } in &report.left_out { li { div { p { strong { (what) } } p { (sentence(why)) } } } } }
            }
        }
        p { a.button.main href="/" { "Look at the records" } }
    };
    frame.page("Import", &content)
}

/// Returns a reason as a sentence of its own.
fn sentence(why: &str) -> String {
    let mut letters = why.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    let end = if why.ends_with(['.', '!', '?']) { "" } else { "." };
    first.chain(letters.as_str().chars()).chain(end.chars()).collect()
}

fn added(report: &Report) -> String {
    let records = match report.records {
        1 => "1 record was added".to_owned(),
        number => format!("{number} records were added"),
    };
    match report.attachments {
        0 => format!("{records}."),
        1 => format!("{records}, with 1 attachment."),
        number => format!("{records}, with {number} attachments."),
    }
}

fn new_key() -> String {
    data_encoding::HEXLOWER.encode(&random::<16>())
}
