//! The rule *older-programs*, by running them: can the releases that a lowered floor leaves in service go on?
//!
//! That takes minutes ([`older`]), so it is done where it is asked for, as before a release.

use super::Subject;
use super::bases::Base;
use super::chain::Chain;
use super::findings::Findings;
use super::reading;
use super::report::Rule;
use super::schema::Finding;
use crate::developer::{Problem, older};

pub(crate) fn check(
    subject: &Subject<'_>,
    bases: &[Base],
    chain: &Chain,
    findings: &mut Findings,
) -> Result<(), Problem> {
    let name = findings.last();
    for version in &subject.left_in_service {
        if !subject.options.older_programs {
            let note =
                format!("the programs of {version} were not run, which `cargo migration check --older-programs` does");
            findings.note(Rule::OlderPrograms, note);
            continue;
        }
        let verdict = older::judge(subject.release, version)?;
        // Whatever the app tried with, its statements tell by what it chooses rows.
        if let Some(base) = bases.iter().find(|base| base.version == version.to_string()) {
            let (was, is) = (&chain.before.listing, &chain.after.listing);
            for finding in reading::narrowing(was, is, &base.statements, &verdict.statements) {
                findings.breach(Rule::OlderPrograms, &name, finding, Some(&base.version));
            }
        }
        for what in verdict.breaches {
            let finding = Finding {
                object: format!("migration {name}"),
                what: format!("run on an upgraded database, {version} shows that it cannot go on: {what}"),
                instead: "do not lower the floor (FLOOR in migrator/src/migrations/mod.rs), or leave what this test needs as it was"
                    .to_owned(),
            };
            findings.breach(Rule::OlderPrograms, &name, finding, Some(&version.to_string()));
        }
    }
    Ok(())
}
