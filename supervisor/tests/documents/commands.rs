//! Is a command in a document one that the programs take?
//!
//! Asked of the programs themselves: each subcommand's `--help` says which subcommands, flags and arguments it has.

use std::{collections::BTreeMap, process::Command, sync::Mutex};

use crate::harness::program;

const PROGRAMS: &[&str] = &["supervisor", "migrator", "app"];
/// What goes before a command in a container, up to the service's name.
const IN_A_CONTAINER: &[&[&str]] = &[&["docker", "compose", "exec"], &["docker", "compose", "run"]];
const SERVICE: &str = "web";
/// docs/systemd/hearth runs commands under systemd.
const WRAPPER: &str = "hearth";

/// Splits a script into simple commands and those into words, without comments, quotes and redirections.
pub(crate) fn split(script: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words) = (Vec::new(), Vec::new());
    let (mut word, mut begun): (String, bool) = (String::new(), false);
    let mut letters = script.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' | '"' => {
                begun = true;
                word.extend(letters.by_ref().take_while(|&next| next != letter));
            }
            '\\' if letters.peek() == Some(&'\n') => {
                letters.next();
            }
            '#' if !begun => while letters.next_if(|&next| next != '\n').is_some() {},
            '<' | '>' => {
                // The number of a descriptor before it belongs to it, as does the file's name behind it.
                (word, begun) = (String::new(), false);
                while letters.next_if_eq(&' ').is_some() {}
                while letters.next_if(|next| !" \n|&;".contains(*next)).is_some() {}
            }
            ' ' | '\n' | '|' | '&' | ';' | '(' | ')' => {
                if std::mem::take(&mut begun) {
                    words.push(std::mem::take(&mut word));
                }
                if letter != ' ' && !words.is_empty() {
                    commands.push(std::mem::take(&mut words));
                }
            }
            _ => {
                begun = true;
                word.push(letter);
            }
        }
    }
    if begun {
        words.push(word);
    }
    commands.extend(Some(words).filter(|words| !words.is_empty()));
    commands
}

/// Returns the program of ours that these words start, and its arguments.
pub(crate) fn ours<'a>(words: &'a [&'a str]) -> Option<(&'a str, &'a [&'a str])> {
    let words = match words.iter().position(|word| !word.contains('=')) {
        Some(first) => &words[first..],
        None => return None,
    };
    if IN_A_CONTAINER.iter().any(|start| words.starts_with(start)) {
        let service = words.iter().position(|&word| word == SERVICE)?;
        return Some(named(&words[service + 1..]));
    }
    let words = match words {
        ["sudo", "-u", _, rest @ ..] | ["sudo", rest @ ..] => rest,
        _ => words,
    };
    if words.starts_with(&["docker", "exec"]) {
        let start = words.iter().position(|word| PROGRAMS.contains(word))?;
        return Some((words[start], &words[start + 1..]));
    }
    let (&first, rest) = words.split_first()?;
    if first == WRAPPER {
        return Some(named(rest));
    }
    let name = first.rsplit('/').next()?;
    let path = first.len() == name.len() || first.starts_with("./") || first.starts_with("/usr/");
    PROGRAMS.iter().find(|&&program| program == name && path).map(|&program| (program, rest))
}

/// Returns the program that the first word names, in the image or after [`WRAPPER`]: what is no program's name is the
/// supervisor's own subcommand.
fn named<'a>(words: &'a [&'a str]) -> (&'a str, &'a [&'a str]) {
    match words.split_first() {
        Some((&program, rest)) if PROGRAMS.contains(&program) => (program, rest),
        _ => ("supervisor", words),
    }
}

/// Checks the arguments of one of our programs.
///
/// # Errors
/// A sentence that says which word it does not take.
pub(crate) fn check(program: &str, arguments: &[&str]) -> Result<(), String> {
    let mut path = vec![program.to_owned()];
    let mut words = arguments.iter().map(|word| word.trim_matches(['[', ']']));
    while let Some(word) = words.next() {
        match word {
            "" => continue,
            // Left open, so what follows cannot be told.
            "…" => return Ok(()),
            _ => {}
        }
        let help = help(&path);
        let here = path.join(" ");
        if let Some(flag) = word.strip_prefix("--") {
            let (flag, value) = flag.split_once('=').map_or((flag, None), |(flag, value)| (flag, Some(value)));
            match flag_of(&help, flag) {
                None => return Err(format!("`{here}` has no flag --{flag}")),
                Some(true) if value.is_none() => {
                    words.next().ok_or_else(|| format!("`{here} --{flag}` lacks its value"))?;
                }
                Some(_) => {}
            }
        } else if has_subcommand(&help, word) {
            path.push(word.to_owned());
        } else if !help.contains("\nArguments:\n") {
            return Err(format!("`{here}` has no subcommand and takes no argument `{word}`"));
        }
    }
    Ok(())
}

/// Returns what `--help` of a subcommand prints; asked once.
fn help(path: &[String]) -> String {
    static KNOWN: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().expect("no test panics here");
    let ask = || {
        let output = Command::new(program(&path[0])).args(&path[1..]).arg("--help").output().expect("it starts");
        String::from_utf8(output.stdout).expect("text")
    };
    known.entry(path.join(" ")).or_insert_with(ask).clone()
}

/// Whether there is this flag, and whether it takes a value.
fn flag_of(help: &str, flag: &str) -> Option<bool> {
    let options = help.split_once("\nOptions:\n")?.1;
    options.lines().find_map(|line| {
        let (_, rest) = line.split_once(&format!("--{flag}"))?;
        // Else it is the beginning of another, or a flag that a description names.
        let own = line.trim_start().starts_with('-') && (rest.is_empty() || rest.starts_with(' '));
        own.then(|| rest.starts_with(" <"))
    })
}

fn has_subcommand(help: &str, word: &str) -> bool {
    let Some((_, commands)) = help.split_once("\nCommands:\n") else { return false };
    let commands = commands.lines().take_while(|line| line.starts_with("  "));
    commands.into_iter().any(|line| line.split_whitespace().next() == Some(word))
}

#[test]
fn a_script_is_split_as_a_shell_does() {
    let commands = split("a 'b c' # d\nA=1 e \\\n  \"f\" && g 2>/dev/null | h > x\n");
    assert_eq!(commands, [vec!["a", "b c"], vec!["A=1", "e", "f"], vec!["g"], vec!["h"]]);
}

#[test]
fn our_programs_are_found_behind_what_starts_them() {
    assert_eq!(
        ours(&["docker", "compose", "exec", "-T", "web", "migrator", "status"]),
        Some(("migrator", &["status"][..]))
    );
    assert_eq!(ours(&["docker", "compose", "run", "--rm", "web", "backup"]), Some(("supervisor", &["backup"][..])));
    assert_eq!(ours(&["A=1", "./target/release/supervisor"]), Some(("supervisor", &[][..])));
    assert_eq!(ours(&["sudo", "-u", "hearth", "supervisor", "status"]), Some(("supervisor", &["status"][..])));
    assert_eq!(ours(&["hearth", "status"]), Some(("supervisor", &["status"][..])));
    assert_eq!(ours(&["hearth", "app", "setup-code"]), Some(("app", &["setup-code"][..])));
    let in_another = ["sudo", "docker", "exec", "-it", "hearth", "supervisor", "status"];
    assert_eq!(ours(&in_another), Some(("supervisor", &["status"][..])));
    assert_eq!(ours(&["docker", "compose", "logs", "web"]), None);
}

#[test]
fn what_a_program_does_not_take_is_found() {
    assert_eq!(check("supervisor", &["backup", "verify", "--identity", "key.txt", "--all"]), Ok(()));
    assert_eq!(check("supervisor", &["restore", "latest", "--yes"]), Ok(()));
    assert_eq!(check("migrator", &["up", "--database", "x.db"]), Ok(()));
    assert_eq!(check("supervisor", &["status", "--colour"]).unwrap_err(), "`supervisor status` has no flag --colour");
    assert!(check("supervisor", &["snapshots"]).unwrap_err().contains("no subcommand"));
    assert!(check("app", &["serve", "now"]).unwrap_err().contains("`app serve`"));
}
