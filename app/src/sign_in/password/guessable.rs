//! Would somebody guess this password who knows the commonest ones, or the person?
//!
//! A list alone lets `Sunshine2024!` through, which is in every attacker's rules; so a password is also looked at without
//! the decoration that people put around a word: capitals, figures and signs before and after it, figures for
//! letters, the word twice.

/// See there for what is in it and where it comes from.
const LIST: &str = include_str!("common-passwords.txt");

/// So many characters around a word are decoration; more may be a secret of their own. A date has eight.
const DECORATION: usize = 8;
/// Shorter words are not in the list without their decoration.
const SHORTEST_WORD: usize = 6;
/// Fewer different characters than this make nothing that is hard to guess.
const FEWEST_DIFFERENT: usize = 5;

/// Says whether a password is among the commonest, or one of them with trivial decoration.
pub(crate) fn is_common(password: &str) -> bool {
    let folded = password.to_lowercase();
    if is_monotonous(&folded) || is_listed(repeated(&folded)) {
        return true;
    }
    let length = folded.chars().count();
    let word = folded.trim_matches(|c: char| !c.is_alphabetic());
    // A sign before the word may stand for its first letter.
    let disguised = undisguised(folded.trim_end_matches(|c: char| !c.is_alphabetic()));
    [word, &disguised].into_iter().any(|word| {
        let letters = word.chars().count();
        letters + DECORATION >= length && is_listed(repeated(word))
    })
}

/// Says whether a password is made of nothing but the person's e-mail or name, or the word hearth, with trivial
/// decoration.
pub(crate) fn is_about(password: &str, email: &str, name: &str) -> bool {
    let (password, email, name) = (password.to_lowercase(), email.to_lowercase(), name.to_lowercase());
    if password == email || password == name {
        return true;
    }
    let local = email.split('@').next().unwrap_or_default();
    let parts = |text: &'static str| move |c: char| text.contains(c) || c.is_whitespace();
    let mut words: Vec<_> = [email.as_str(), local, name.as_str(), "hearth"]
        .into_iter()
        .chain(email.split(parts("@.+_-")))
        .chain(name.split(parts(".-'’")))
        .map(letters)
        .filter(|word| word.chars().count() > 1)
        .collect();
    // The longest first, so that a name goes before the shorter one in it.
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let length = password.chars().count();
    let disguised = undisguised(password.trim_end_matches(|c: char| !c.is_alphabetic()));
    [letters(&password), letters(&disguised)].into_iter().any(|mut rest| {
        let decoration = length - rest.chars().count();
        for word in &words {
            rest = rest.replace(word, "");
        }
        rest.is_empty() && decoration <= DECORATION
    })
}

/// Says whether the list has this, without making anything of the list that takes memory.
fn is_listed(word: &str) -> bool {
    if word.len() < SHORTEST_WORD || word.starts_with('#') {
        return false;
    }
    let (mut low, mut high) = (0, LIST.len());
    while low < high {
        // The line around the middle. Every line is ASCII, so each byte is a character.
        let middle = low + (high - low) / 2;
        let start = LIST[..middle].rfind('\n').map_or(0, |end| end + 1);
        let end = LIST[middle..].find('\n').map_or(LIST.len(), |length| middle + length);
        let line = &LIST[start..end];
        // The notice comes before all words.
        match if line.starts_with('#') { std::cmp::Ordering::Less } else { line.cmp(word) } {
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = start,
            std::cmp::Ordering::Equal => return true,
        }
    }
    false
}

/// Says whether it is a few characters again and again, or goes up or down the alphabet or the figures.
fn is_monotonous(text: &str) -> bool {
    let mut different: Vec<_> = text.chars().collect();
    let steps: Vec<_> =
        different.windows(2).map(|pair| i64::from(u32::from(pair[1])) - i64::from(u32::from(pair[0]))).collect();
    let even = steps.iter().all(|step| step.abs() == 1 && Some(step) == steps.first());
    different.sort_unstable();
    different.dedup();
    even || different.len() < FEWEST_DIFFERENT || repeated(text).chars().count() < SHORTEST_WORD
}

/// Returns the shortest text that, written once or more, makes this one.
fn repeated(text: &str) -> &str {
    (1..=text.len() / 2)
        .filter(|length| text.len().is_multiple_of(*length) && text.is_char_boundary(*length))
        .map(|length| &text[..length])
        .find(|unit| unit.repeat(text.len() / unit.len()) == text)
        .unwrap_or(text)
}

/// Returns it with letters in place of the figures and signs that are written for them.
fn undisguised(text: &str) -> String {
    let letter = |c| match c {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' | '+' => 't',
        other => other,
    };
    text.chars().map(letter).collect()
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphabetic()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> impl Iterator<Item = &'static str> {
        LIST.lines().skip_while(|line| line.starts_with('#'))
    }

    #[test]
    fn the_list_is_sorted_lower_case_and_small() {
        assert!(words().zip(words().skip(1)).all(|(one, next)| one < next));
        assert!(words().all(|word| word.len() >= SHORTEST_WORD && !word.starts_with('#')));
        assert!(LIST.is_ascii() && LIST.len() < 120_000 && words().count() > 5_000);
        assert!(words().all(|word| word == word.to_lowercase()));
    }

    #[test]
    fn each_word_of_the_list_is_found_and_its_neighbours_are_not() {
        for word in words() {
            assert!(is_listed(word), "{word}");
            assert!(!is_listed(&format!("{word}\u{1}")) && !is_listed(&format!("\u{1}{word}")));
        }
        assert!(!is_listed("") && !is_listed("~~~~~~~~~~~") && !is_listed("# Copyright (c) 2021 @zxcvbn-ts"));
    }

    #[test]
    fn common_passwords_and_their_decorations_are_refused() {
        for password in [
            "1234567890",
            "qwertyuiop",
            "1q2w3e4r5t",
            "password123",
            "Password2024!",
            "P@ssw0rd2024",
            "sunshine99",
            "$unshine2024",
            "!!Dragon1985!!",
            "dragondragon",
            "monkeymonkey12",
            "aaaaaaaaaa",
            "abababababab",
            "abcdefghijkl",
            "9876543210",
            "hellohello",
            "letmein2025",
            "Welcome12345",
            "ＰＡＳＳＷＯＲＤ12".to_lowercase().as_str(),
        ] {
            let password = icu_normalizer::ComposingNormalizerBorrowed::new_nfkc().normalize(password);
            assert!(is_common(&password), "{password}");
        }
    }

    #[test]
    fn what_a_person_makes_up_or_a_manager_makes_is_taken() {
        for password in [
            "correct horse battery",
            "blue wrens",
            "Kjell eats 3 apples",
            "x7Q-mm2p-9dKw",
            "monkey 83749!287#4",
            "pancakes on sunday",
            "青い鳥は庭で歌っている",
            "zwölf Boxkämpfer",
        ] {
            assert!(!is_common(password), "{password}");
            assert!(!is_about(password, "anna.svensson@example.org", "Anna Svensson"), "{password}");
        }
    }

    #[test]
    fn the_persons_own_words_are_refused() {
        let about = |password: &str| is_about(password, "anna.svensson+home@example.org", "Anna Lindström-Svensson");
        for password in [
            "anna.svensson+home@example.org",
            "Anna.Svensson",
            "annasvensson1",
            "SvenssonAnna!",
            "lindström1985",
            "4nna2024!!!",
            "hearth2025",
            "Hearth-Hearth",
            "hearthanna12",
            "h34rth2025!",
            "annaanna11",
            "example.org1",
        ] {
            assert!(about(password), "{password}");
        }
        for password in ["annas seven cats", "hearth and home fire", "svensson 8294 6610 7745"] {
            assert!(!about(password), "{password}");
        }
        assert!(!is_about("plenty of bread", "", ""), "no name, no e-mail");
    }
}
