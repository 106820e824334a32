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
    for name in names {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            generate_to(shell, &mut command.clone(), *name, &completions)?;
        }
    }
    Ok(())
}
