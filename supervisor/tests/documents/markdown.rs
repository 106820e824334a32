//! Which blocks of commands and code spans does a document have?
//!
//! As much of Markdown as the documents here use: fenced blocks that begin in the first column, `#` headings, and
//! code spans of one line.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The languages of blocks that a person pastes into a terminal.
const SHELLS: &[&str] = &["sh", "bash", "shell", "console"];

/// A document of this repository.
pub(crate) struct Document {
    /// From the root of the repository: `docs/SETUP.md`.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// A fenced block of commands.
pub(crate) struct Block {
    /// The second word of its info string, else the anchor of the heading above it.
    pub(crate) name: String,
    /// What it needs that a test cannot have: from a line `<!-- needs: a tailnet account -->` right above it.
    pub(crate) needs: Option<String>,
    /// The line of its fence, from 1.
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// Returns the root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns every document for people: the README and what is in docs/.
pub(crate) fn documents() -> Vec<Document> {
    let mut paths = vec![PathBuf::from("README.md")];
    let docs = fs::read_dir(root().join("docs")).expect("docs/");
    paths.extend(docs.map(|entry| Path::new("docs").join(entry.expect("an entry").file_name())));
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.sort();
    paths.iter().map(|path| Document::read(path)).collect()
}

impl Document {
    /// Reads one.
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path: path.to_owned(), text }
    }

    /// Returns its blocks of commands.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let (mut blocks, mut open): (Vec<Block>, Option<(bool, Block)>) = (Vec::new(), None);
        let (mut heading, mut before) = (String::new(), "");
        for (index, line) in self.text.lines().enumerate() {
            match (&mut open, line.strip_prefix("```")) {
                (Some(_), Some(_)) => blocks.extend(open.take().filter(|(shell, _)| *shell).map(|(_, block)| block)),
                (Some((_, block)), None) => {
                    block.text += line;
                    block.text.push('\n');
                }
                (None, Some(info)) => {
                    let mut words = info.split_whitespace();
                    let shell = words.next().is_some_and(|language| SHELLS.contains(&language));
                    let name = words.next().unwrap_or(&heading).to_owned();
                    let needs = before.strip_prefix("<!-- needs: ").and_then(|rest| rest.strip_suffix(" -->"));
                    let needs = needs.map(str::to_owned);
                    open = Some((shell, Block { name, needs, line: index + 1, text: String::new() }));
                }
                (None, None) => {
                    if let Some(title) = title(line) {
                        heading = slug(title);
                    }
                }
            }
            before = line;
        }
        blocks
    }

    /// Returns the block of commands with this name.
    pub(crate) fn block(&self, name: &str) -> Block {
        let mut found = self.blocks().into_iter().filter(|block| block.name == name);
        let block = found.next().unwrap_or_else(|| panic!("{} has no block {name}", self.path.display()));
        assert!(found.next().is_none(), "{} has two blocks {name}: name them apart", self.path.display());
        block
    }

    /// Returns its lines outside of fenced blocks, numbered from 1.
    pub(crate) fn prose(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut fenced = false;
        self.text.lines().enumerate().filter_map(move |(index, line)| {
            let fence = line.starts_with("```");
            fenced ^= fence;
            (!fence && !fenced).then_some((index + 1, line))
        })
    }

    /// Returns its code spans with their lines.
    pub(crate) fn spans(&self) -> Vec<(usize, &str)> {
        self.prose()
            .flat_map(|(number, line)| line.split('`').skip(1).step_by(2).map(move |span| (number, span)))
            .collect()
    }
}

fn title(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches('#');
    (rest.len() < line.len()).then(|| rest.strip_prefix(' ')).flatten()
}

fn slug(title: &str) -> String {
    let kept = title.trim().chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn a_document_is_read_as_a_person_reads_it() {
    let text = "# One: `two`\n```sh\na # b\n```\n## Again\n<!-- needs: luck -->\n```sh roll\nc\n```\n## Again\n`d e`\n```toml\n`f`\n```\n";
    let document = Document { path: "x.md".into(), text: text.into() };
    let blocks = document.blocks();
    let names: Vec<_> = blocks.iter().map(|block| (block.name.as_str(), block.needs.as_deref(), block.line)).collect();
    assert_eq!(names, [("one-two", None, 2), ("roll", Some("luck"), 7)]);
    assert_eq!(blocks[0].text, "a # b\n");
    assert_eq!(document.spans(), [(1, "two"), (11, "d e")]);
}
