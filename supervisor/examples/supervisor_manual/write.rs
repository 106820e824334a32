//! Writes a program's man pages and shell completions below the directory that the command line names.

use std::{env, fs, io, path::PathBuf};

use clap::Command;
use clap_complete::{Shell, generate_to};

/// Writes `man/<name>[-<command>…].1`, and below `completions/` those of bash, zsh and fish for each of these names of the program.
pub(crate) fn write(command: &Command, names: &[&str]) -> io::Result<()> {
    let directory = env::args_os().nth(1).map(PathBuf::from);
    let directory = directory.ok_or_else(|| io::Error::other("which directory are they to be written to?"))?;
    let [pages, completions] = ["man", "completions"].map(|name| directory.join(name));
    fs::create_dir_all(&pages)?;
    fs::create_dir_all(&completions)?;
    // Each command has a page, and `help` is none.
    clap_mangen::generate_to(command.clone().disable_help_subcommand(true), &pages)?;
    for page in fs::read_dir(&pages)? {
        let page = page?.path();
        fs::write(&page, as_it_stands(&fs::read_to_string(&page)?))?;
    }
    for name in names {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            generate_to(shell, &mut command.clone(), *name, &completions)?;
        }
    }
    Ok(())
}

/// Has a page show the examples below a command line by line, as `--help` does. What was done already is not done again.
fn as_it_stands(page: &str) -> String {
    const EXTRA: &str = "\n.SH EXTRA\n";
    let Some((before, extra)) = page.split_once(EXTRA).filter(|(_, extra)| !extra.starts_with(".nf")) else {
        return page.to_owned();
    };
    let (extra, after) = extra.split_at(extra.find("\n.SH ").map_or(extra.len(), |end| end + 1));
    format!("{before}{EXTRA}.nf\n{extra}.fi\n{after}")
}
