//! What was found so far, one verdict for each rule?

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::report::{Breach, Rule, Verdict};
use super::schema::Finding;
use crate::developer::releases::root;

pub(crate) struct Findings {
    sources: PathBuf,
    unreleased: Vec<String>,
    verdicts: BTreeMap<Rule, Verdict>,
}

impl Findings {
    pub(crate) fn new(unreleased: &[String], sources: &Path) -> Findings {
        let verdict = |rule| Verdict { rule, skipped: None, breaches: Vec::new(), notes: Vec::new() };
        Findings {
            sources: sources.to_owned(),
            unreleased: unreleased.to_vec(),
            verdicts: Rule::ALL.into_iter().map(|rule| (rule, verdict(rule))).collect(),
        }
    }

    /// Notes a breach. One that is known of another release already is the same one.
    pub(crate) fn breach(&mut self, rule: Rule, migration: &str, finding: Finding, release: Option<&str>) {
        let file = self.sources.join(format!("{migration}.rs"));
        let line = line_of(&file, &finding.object);
        let Some(verdict) = self.verdicts.get_mut(&rule) else { return };
        let same = |breach: &&mut Breach| {
            let is_same = |one: &str, other: &str| one == other || release.is_some() && kind(one) == kind(other);
            breach.migration == migration && breach.object == finding.object && is_same(&breach.what, &finding.what)
        };
        if let Some(breach) = verdict.breaches.iter_mut().find(same) {
            breach.releases.extend(
                release.filter(|release| !breach.releases.iter().any(|known| known == release)).map(str::to_owned),
            );
            return;
        }
        verdict.breaches.push(Breach {
            migration: migration.to_owned(),
            file: file.strip_prefix(root()).unwrap_or(&file).display().to_string(),
            line,
            object: finding.object,
            what: finding.what,
            instead: finding.instead,
            releases: release.map(str::to_owned).into_iter().collect(),
        });
    }

    pub(crate) fn note(&mut self, rule: Rule, note: String) {
        if let Some(verdict) = self.verdicts.get_mut(&rule)
            && !verdict.notes.contains(&note)
        {
            verdict.notes.push(note);
        }
    }

    pub(crate) fn skip(&mut self, rules: &[Rule], why: &str) {
        for rule in rules {
            if let Some(verdict) = self.verdicts.get_mut(rule)
                && verdict.breaches.is_empty()
            {
                verdict.skipped = Some(why.to_owned());
            }
        }
    }

    /// Skips all but what the list of migrations is held to.
    pub(crate) fn skip_others(&mut self, why: &str) {
        let all = Rule::ALL.into_iter().filter(|rule| !matches!(rule, Rule::Order | Rule::Released));
        self.skip(&all.collect::<Vec<_>>(), why);
    }

    pub(crate) fn has(&self, rule: Rule) -> bool {
        self.verdicts.get(&rule).is_some_and(|verdict| !verdict.breaches.is_empty())
    }

    pub(crate) fn any(&self) -> bool {
        Rule::ALL.into_iter().any(|rule| self.has(rule))
    }

    /// Who is to blame where it is not known which of the unreleased migrations it was.
    pub(crate) fn last(&self) -> String {
        self.unreleased.last().cloned().unwrap_or_default()
    }

    pub(crate) fn verdicts(self) -> Vec<Verdict> {
        self.verdicts.into_values().collect()
    }
}

/// What a sentence says without the numbers and the example, which differ from database to database.
fn kind(what: &str) -> String {
    what.split([':', '(']).next().unwrap_or_default().chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

/// The line of a migration's file that names what it is about: the last word of `table record: column title` that it has. Where none
/// does, what it does begins.
fn line_of(file: &Path, object: &str) -> Option<usize> {
    let text = fs::read_to_string(file).ok()?;
    let code = || text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    let names = object.split([' ', ':', ',', '(', ')']).filter(|name| name.len() > 1).rev();
    let mut places = names.filter_map(|name| {
        code().find(|(_, line)| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name))
    });
    let begin = || code().find(|(_, line)| line.contains("fn up(") || line.starts_with("up!("));
    places.next().or_else(begin).map(|(index, _)| index + 1)
}
