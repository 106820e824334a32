//! Does a client made by progenitor work with a running Hearth?
//!
//! `.ci/clients rust` puts the API's document beside Cargo.toml, builds this and runs it; by hand too.

use std::{error::Error, num::NonZeroU64};

mod hearth {
    progenitor::generate_api!(spec = "openapi.json", interface = Builder);
}

use hearth::{
    Client, Error as Refused,
    types::{NewRecord, NewRecordCategory, Order, RecordChange, RecordChangeNotes},
};

type Outcome = Result<(), Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let url = std::env::var("HEARTH_TEST_URL")?;
    // Accounts come first, so that all that follows is done by somebody.
    let hearth = Client::new(&format!("{url}/api/v1"));
    records(&hearth).await?;
    refusals(&hearth).await?;
    println!("rust: the scenario passed");
    Ok(())
}

async fn records(hearth: &Client) -> Outcome {
    let mut ids = Vec::new();
    for title in ["Passport", "Boiler service", "Bicycle", "Insurance", "Lease"] {
        let record = NewRecord::builder()
            .title(title)
            .category(NewRecordCategory::try_from("rust")?)
            .due_date(day("2027-02-28")?);
        let created = hearth.create_record().body(NewRecord::try_from(record)?).send().await?;
        let location = created.headers().get("location").ok_or("no Location")?.to_str()?;
        assert_eq!(location, format!("/api/v1/records/{}", created.id));
        assert_eq!(created.due_date, Some(day("2027-02-28")?));
        ids.push(created.id);
    }

    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let mut list = hearth.list_records().category("rust").limit(NonZeroU64::new(2).ok_or("zero")?);
        if let Some(after) = after {
            list = list.after(after);
        }
        let page = list.send().await?.into_inner();
        seen.extend(page.records.iter().map(|record| record.id));
        after = match page.next {
            Some(next) => Some(next),
            None => break,
        };
    }
    seen.sort_unstable();
    assert_eq!(seen, ids);

    let found = hearth.list_records().search("boiler").order(Order::Title).send().await?;
    assert!(found.records.iter().any(|record| record.title.as_str() == "Boiler service"));

    let change = RecordChange::builder().notes(RecordChangeNotes::try_from("the blue one")?);
    let changed = hearth.update_record().id(ids[0]).body(RecordChange::try_from(change)?).send().await?;
    assert_eq!((changed.title.as_str(), changed.notes.as_str()), ("Passport", "the blue one"));

    assert_eq!(hearth.delete_record().id(ids[0]).send().await?.status().as_u16(), 204);
    refused(hearth.get_record().id(ids[0]).send().await, 404)
}

async fn refusals(hearth: &Client) -> Outcome {
    let blank: NewRecord = NewRecord::builder().title(" ").try_into()?;
    refused(hearth.create_record().body(blank).send().await, 400)
}

/// Checks that something was refused with this status. The generator reads errors as typed only from
/// application/json, so a problem arrives as a response that it has no type for.
fn refused<T, E>(outcome: Result<T, Refused<E>>, status: u16) -> Outcome {
    match outcome {
        Ok(_) => Err(format!("done, where {status} was due").into()),
        Err(error) => {
            assert_eq!(error.status().map(|status| status.as_u16()), Some(status));
            Ok(())
        }
    }
}

fn day(text: &str) -> Result<chrono::NaiveDate, chrono::ParseError> {
    text.parse()
}
