//! What does `config --env` print?
//!
//! What is wrong in the `.env` of compose, line by line. It starts nothing, and reads no data.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use serde_json::json;

use super::{say, talk};
use crate::{
    config::{
        self,
        env_file::{self, Checked},
    },
    data::state::FORMAT,
    failure::{Cause, Failure},
    operations::alone,
};

/// The longest file that is read, in bytes.
const LONGEST: u64 = 256 << 10;

pub(super) fn check(file: &Path, as_json: bool) -> Result<u8, Failure> {
    let standard_input = file == Path::new("-");
    let name = if standard_input { "standard input".to_owned() } else { file.display().to_string() };
    let unreadable = |error: io::Error| Failure::reading(file, format!("cannot read {name}"), &error);
    let mut bytes = Vec::new();
    let mut reader: Box<dyn Read> =
        if standard_input { Box::new(io::stdin()) } else { Box::new(File::open(file).map_err(unreadable)?) };
    reader.by_ref().take(LONGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST {
        return Err(Failure::new(Cause::Configuration, format!("{name} is longer than {LONGEST} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| {
        Failure::new(Cause::Configuration, format!("{name} is not UTF-8 text")).hint("save it as UTF-8")
    })?;
    let program =
        std::env::current_exe().map_err(|error| Failure::io("cannot tell where this program lies", &error))?;
    let Checked { set, mut wrong, warnings, loaded } =
        env_file::check(&text, &name, program.parent().unwrap_or(Path::new("/")));
    if let Some(loaded) = loaded.filter(|_| wrong.is_empty()) {
        // What only a library or the app can tell.
        wrong.extend(alone::check_settings(loaded.config).err());
    }
    if as_json {
        say(&json!({"format": FORMAT, "file": name, "set": set, "mistakes": wrong, "warnings": warnings}).to_string());
    } else {
        warnings.iter().for_each(|warning| talk(&format!("warning: {warning}")));
    }
    match (wrong.is_empty(), as_json) {
        (true, true) => Ok(0),
        (true, false) => {
            say(&format!("{name}: {set} variables, and no mistake in them"));
            Ok(0)
        }
        (false, true) => Ok(2),
        (false, false) => Err(config::all_in(wrong, &name)),
    }
}
