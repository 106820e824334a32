//! The rule *entities*: do the app's entities see the migrated schema truly?

use std::fs;
use std::path::Path;

use super::Entities;
use super::bases::{open, unreadable};
use super::chain::Chain;
use super::findings::Findings;
use super::report::Rule;
use super::schema::Finding;
use crate::developer::Problem;
use crate::developer::entity::{self, Entity, differences};
use crate::developer::tables::Tables;

pub(crate) fn check(which: &Entities, chain: &Chain, last: &str, findings: &mut Findings) -> Result<(), Problem> {
    let entities = match which {
        Entities::OfApp => entity::of_app()?,
        Entities::Listed(file) => listed(file)?,
        Entities::LeftOut => {
            findings.skip(&[Rule::Entities], "left out");
            return Ok(());
        }
    };
    let connection = open(&chain.path).map_err(|error| unreadable(&chain.path, &error))?;
    let tables = Tables::read(&connection).map_err(|error| unreadable(&chain.path, &error))?;
    for difference in differences(&entities, &tables) {
        let object = match &difference.column {
            Some(column) => format!("table {}: column {column}", difference.table),
            None => format!("table {}", difference.table),
        };
        let finding = Finding {
            object,
            what: difference.to_string(),
            instead: "cargo migration new NAME writes the migration for what the entity has more; what it sees wrongly, correct in the entity"
                .to_owned(),
        };
        findings.breach(Rule::Entities, last, finding, None);
    }
    Ok(())
}

fn listed(file: &Path) -> Result<Vec<Entity>, Problem> {
    let failed = |error: &dyn std::fmt::Display| Problem::new(format!("cannot read {}: {error}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| failed(&error))?;
    serde_json::from_str(&text).map_err(|error| failed(&error))
}
