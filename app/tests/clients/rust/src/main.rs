//! Does a client made by progenitor work with a running Hearth?
//!
//! `.ci/clients rust` puts the API's document beside Cargo.toml, builds this and runs it; by hand too.

use std::{error::Error, num::NonZeroU64};

use futures::StreamExt;

mod hearth {
    progenitor::generate_api!(spec = "openapi.json", interface = Builder);
}

use hearth::{
    Client, Error as Refused,
    types::{
        NewRecord, NewRecordCategory, NewToken, NewUpload, RecordChange, RecordChangeNotes, RecordSort, Scope, SetUp,
        SignIn,
    },
};

type Outcome = Result<(), Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let url = std::env::var("HEARTH_TEST_URL")?;
    let base = format!("{url}/api/v1");
    let (secret, id) = come_in(&base).await?;
    let hearth = client(&base, &[("authorization", &format!("Bearer {secret}"))])?;
    records(&hearth).await?;
    refusals(&hearth).await?;
    attachments(&hearth).await?;
    assert_eq!(hearth.revoke_token().id(id).send().await?.status().as_u16(), 204);
    refused(hearth.list_records().send().await, 401)?;
    println!("rust: the scenario passed");
    Ok(())
}

const EMAIL: &str = "anna@example.org";
const PASSWORD: &str = "seven-green-bottles";

/// Returns a client whose requests all have these headers.
fn client(base: &str, headers: &[(&'static str, &str)]) -> Result<Client, Box<dyn Error>> {
    let mut all = reqwest::header::HeaderMap::new();
    for (name, value) in headers {
        all.insert(*name, value.parse()?);
    }
    Ok(Client::new_with_client(base, reqwest::Client::builder().default_headers(all).build()?))
}

/// Returns a client that does as the browser that got this answer: gives the cookies back, and says where it is.
fn browser(base: &str, answer: &reqwest::header::HeaderMap) -> Result<Client, Box<dyn Error>> {
    let mut cookies = Vec::new();
    for cookie in answer.get_all("set-cookie") {
        cookies.push(cookie.to_str()?.split(';').next().unwrap_or_default());
    }
    client(base, &[("cookie", &cookies.join("; ")), ("sec-fetch-site", "same-origin")])
}

/// Sets the instance up, signs in as its owner, and makes a token.
async fn come_in(base: &str) -> Result<(String, i64), Box<dyn Error>> {
    let nobody = client(base, &[])?;
    assert!(nobody.show_auth().send().await?.setup_needed);
    let code = std::env::var("HEARTH_TEST_SETUP_CODE")?;
    let set_up = SetUp::builder().code(code).name("Anna").email(EMAIL).password(PASSWORD);
    let owner = nobody.set_up().body(SetUp::try_from(set_up)?).send().await?;
    let first = browser(base, owner.headers())?;
    assert_eq!(first.show_session().send().await?.user.email.as_str(), EMAIL);
    assert_eq!(first.sign_out().send().await?.status().as_u16(), 204);
    refused(first.show_session().send().await, 401)?;

    let sign_in = |password: &'static str| SignIn::try_from(SignIn::builder().email(EMAIL).password(password));
    refused(nobody.sign_in().body(sign_in("seven-blue-bottles")?).send().await, 401)?;
    let begun = nobody.sign_in().body(sign_in(PASSWORD)?).send().await?;
    let token = NewToken::try_from(NewToken::builder().name("rust").scope(Scope::Admin))?;
    let made = browser(base, begun.headers())?.create_token().body(token).send().await?;
    Ok((made.secret.clone(), made.token.id))
}

async fn records(hearth: &Client) -> Outcome {
    let owner = hearth.show_session().send().await?.user.id;
    let people = hearth.list_people().send().await?;
    assert!(people.items.iter().any(|person| person.id == owner && person.name.as_str() == "Anna"));
    let mut ids = Vec::new();
    for title in ["Passport", "Boiler service", "Bicycle", "Insurance", "Lease"] {
        let record = NewRecord::builder()
            .title(title)
            .category(NewRecordCategory::try_from("rust")?)
            .due_date(day("2027-02-28")?);
        let body = NewRecord::try_from(record)?;
        let created = hearth.create_record().idempotency_key(title.replace(' ', "-")).body(body.clone()).send().await?;
        let location = created.headers().get("location").ok_or("no Location")?.to_str()?;
        assert_eq!(location, format!("/api/v1/records/{}", created.id));
        assert_eq!(created.due_date, Some(day("2027-02-28")?));
        // No response came, say: sent again, it creates nothing more.
        let again = hearth.create_record().idempotency_key(title.replace(' ', "-")).body(body).send().await?;
        assert_eq!(again.id, created.id);
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
        seen.extend(page.items.iter().map(|record| record.id));
        after = match page.next {
            Some(next) => Some(next),
            None => break,
        };
    }
    seen.sort_unstable();
    assert_eq!(seen, ids);

    let found = hearth.list_records().search("boiler").sort(RecordSort::Title).send().await?;
    assert!(found.items.iter().any(|record| record.title.as_str() == "Boiler service"));
    let last = hearth.list_records().category("rust").sort(RecordSort::TitleDesc).send().await?;
    assert_eq!(last.items[0].title.as_str(), "Passport");

    let change = RecordChange::builder().notes(RecordChangeNotes::try_from("the blue one")?);
    let changed = hearth.update_record().id(ids[0]).body(RecordChange::try_from(change)?).send().await?;
    assert_eq!((changed.title.as_str(), changed.notes.as_str()), ("Passport", "the blue one"));

    assert_eq!(hearth.delete_record().id(ids[0]).send().await?.status().as_u16(), 204);
    refused(hearth.get_record().id(ids[0]).send().await, 404)
}

async fn attachments(hearth: &Client) -> Outcome {
    let record: NewRecord = NewRecord::builder().title("Washing machine").try_into()?;
    let id = hearth.create_record().body(record).send().await?.id;
    let receipt = hearth.create_attachment().id(id).name("receipt.txt").body("one receipt").send().await?;
    assert_eq!(receipt.bytes, 11);
    let new: NewUpload = NewUpload::builder().name("film.bin").bytes(10_u64).try_into()?;
    let upload = hearth.create_upload().id(id).body(new).send().await?.id.clone();
    let mut film = None;
    for part in ["hello", "world"] {
        let now = hearth.get_upload().id(&upload).send().await?;
        film = hearth.append_upload().id(&upload).upload_offset(now.offset).body(part).send().await?.attachment.clone();
    }
    let film = film.ok_or("no attachment")?;
    assert_eq!(film.name.as_str(), "film.bin");
    let (mut content, mut pieces) =
        (Vec::new(), hearth.get_attachment_content().id(film.id).send().await?.into_inner());
    while let Some(piece) = pieces.next().await {
        content.extend_from_slice(&piece?);
    }
    assert_eq!(content, b"helloworld");
    Ok(())
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
