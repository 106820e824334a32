//! What does `update check` print?
//!
//! The answer of the running supervisor. Without one, the command asks the registry itself and writes nothing.

use hyper::Method;
use serde_json::{Value, json};

use super::{ask, not_running, say};
use crate::{
    config::{Flags, Loaded},
    data::{DataDir, state::FORMAT},
    failure::Failure,
    jobs::{
        Job,
        update::{self, Known, Question},
    },
    operations::alone,
    status::{Status, VERSION, update::Update},
};

pub(super) fn check(flags: &Flags, data: &DataDir, as_json: bool) -> Result<u8, Failure> {
    let (version, found) = match ask::<Value>(data, Method::POST, "/v1/update")? {
        Some(_) => {
            let status = ask::<Status>(data, Method::GET, "/v1/status")?.ok_or_else(|| not_running(data))?;
            (status.version, status.update)
        }
        None => (VERSION.to_owned(), by_itself(flags)?),
    };
    if as_json {
        say(&json!({"format": FORMAT, "version": version, "update": found}).to_string());
    } else {
        say(&found.news().unwrap_or_else(|| format!("v{version} is the newest version")));
    }
    Ok(0)
}

fn by_itself(flags: &Flags) -> Result<Update, Failure> {
    let config = Loaded::load(flags)?.config;
    let image = update::image(&config.update.image)?;
    let newest = alone::look(config, Job::Update(Question::about(&image.to_string())))?;
    Ok(Known::now(&image, newest, None).status(&image))
}
