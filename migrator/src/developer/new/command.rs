//! What does `cargo migration new` say?

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::{Wishes, Written};
use crate::Release;
use crate::developer::entity::of_app;
use crate::developer::releases::root;
use crate::developer::{Problem, new};

/// The arguments of `cargo migration new`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo migration new colour_of_records
  cargo migration new sizes --back-fill \"record.size=length(notes)\" --index \"record(size)\"
  cargo migration new remarks --rename record.notes=remarks
  cargo migration new chores --search \"chore(name, notes)\"

Exit status: 0 written, or nothing to do; 1 a change that cannot be made; 2 wrong usage.")]
pub struct Arguments {
    /// What it does, in a few words: colour_of_records
    name: String,
    #[command(flatten)]
    wishes: Wishes,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Writes the next migration of this repository.
///
/// # Errors
///
/// Each change that cannot be made, and what to write instead.
pub fn run(arguments: &Arguments, release: &Release) -> Result<ExitCode, Problem> {
    let entities = if arguments.wishes.empty { Vec::new() } else { of_app()? };
    let former = new::former()?;
    let written = new::write(release, &new::directory(), &arguments.name, &entities, &former, &arguments.wishes)?;
    let text = match (&written, arguments.json) {
        (written, true) => serde_json::to_string(written).unwrap_or_default() + "\n",
        (None, false) => {
            "Nothing to migrate: the entities say what the migrations make. (--empty writes a frame to fill by hand.)\n"
                .to_owned()
        }
        (Some(written), false) => described(written),
    };
    io::stdout().lock().write_all(text.as_bytes()).map_or(Ok(ExitCode::FAILURE), |()| Ok(ExitCode::SUCCESS))
}

fn described(written: &Written) -> String {
    let mut text = format!("{}\n", written.migration);
    for step in &written.plan.steps {
        text.push_str(&format!("  {}\n", step.line()));
    }
    for note in &written.plan.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    for file in &written.files {
        let root = root();
        let file: &Path = file.strip_prefix(&root).unwrap_or(file);
        text.push_str(&format!("written: {}\n", file.display()));
    }
    text + &format!("next: read it; cargo test -p migrator {}; cargo migration check\n", written.migration)
}
