//! The man pages and shell completions of a release, which no shipped program carries.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use harness::program;

/// Every command of a program as its `--help` lists them, with the words that lead to it.
fn commands(name: &str, words: &[String]) -> Vec<Vec<String>> {
    let output = Command::new(program(name)).args(words).arg("--help").stdin(Stdio::null()).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let listed = help.split_once("Commands:\n").map(|(_, rest)| rest.split("\n\n").next().unwrap_or_default());
    let mut found = Vec::new();
    for line in listed.unwrap_or_default().lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
        let word = line.split_whitespace().next().unwrap();
        if word != "help" {
            let words = [words, &[word.to_owned()]].concat();
            found.extend(commands(name, &words));
            found.push(words);
        }
    }
    found
}

fn manual() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in ["supervisor", "migrator", "app"] {
        let writes = program(&format!("examples/{name}_manual"));
        assert!(Command::new(writes).arg(directory.path()).status().unwrap().success());
    }
    directory
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{error}: {}", path.display()))
}

#[test]
fn each_command_has_a_man_page_and_is_completed_by_each_shell() {
    let directory = manual();
    for name in ["supervisor", "migrator", "app"] {
        let commands = commands(name, &[]);
        assert!(commands.len() > 2, "{name}: {commands:?}");
        let completions = ["{}.bash", "_{}", "{}.fish"]
            .map(|file| read(&directory.path().join("completions").join(file.replace("{}", name))));
        for words in commands {
            let page = read(&directory.path().join("man").join(format!("{name}-{}.1", words.join("-"))));
            assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{words:?}: {page}");
            let last = words.last().unwrap();
            assert!(completions.iter().all(|script| script.contains(last.as_str())), "{name} {words:?}");
        }
        let page = read(&directory.path().join("man").join(format!("{name}.1")));
        assert!(page.contains(env!("CARGO_PKG_VERSION")), "{page}");
        // The examples stand line by line, as in `--help`.
        assert!(page.contains(".SH EXTRA\n.nf\nExamples:\n  ") && page.contains("\n.fi\n.SH VERSION\n"), "{page}");
    }
    // The command of docs/systemd is the supervisor's.
    assert!(read(&directory.path().join("completions/hearth.bash")).contains("resume"));
}

#[test]
fn the_shells_read_the_completions() {
    let directory = manual();
    let completions = directory.path().join("completions");
    let complete = |words: &str| {
        let script = format!(
            "source '{}/supervisor.bash'; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _supervisor supervisor \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; echo \"${{COMPREPLY[@]}}\"",
            completions.display()
        );
        let output = Command::new("bash").args(["--norc", "-c", &script]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(complete("supervisor res"), "restart resume restore\n");
    assert!(complete("supervisor backup ''").contains("remove"));
    for (shell, file) in [("zsh", "_supervisor"), ("fish", "supervisor.fish")] {
        // Only where it is installed: what they say is the generator's matter.
        if let Ok(checked) = Command::new(shell).arg("-n").arg(completions.join(file)).status() {
            assert!(checked.success(), "{shell}");
        }
    }
}
