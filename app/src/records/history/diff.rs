//! Which lines did a text lose and gain?
//!
//! The longest common subsequence of the lines, between what both texts begin and end with. Texts of thousands of changed lines are
//! not compared line by line: all of the old ones are lost then, and all of the new ones gained.

/// A line of two texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    Same(&'a str),
    Lost(&'a str),
    Gained(&'a str),
}

/// The most pairs of lines that are compared.
const PAIRS: usize = 1_000_000;

/// Returns the lines of both texts, in their order.
pub(crate) fn lines<'a>(before: &'a str, after: &'a str) -> Vec<Line<'a>> {
    let (old, new): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let start = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let end = old[start..].iter().rev().zip(new[start..].iter().rev()).take_while(|(old, new)| old == new).count();
    let (old_middle, new_middle) = (&old[start..old.len() - end], &new[start..new.len() - end]);
    let mut lines: Vec<_> = old[..start].iter().map(|line| Line::Same(line)).collect();
    if old_middle.len() * new_middle.len() > PAIRS {
        lines.extend(old_middle.iter().map(|line| Line::Lost(line)));
        lines.extend(new_middle.iter().map(|line| Line::Gained(line)));
    } else {
        compare(old_middle, new_middle, &mut lines);
    }
    lines.extend(old[old.len() - end..].iter().map(|line| Line::Same(line)));
    lines
}

fn compare<'a>(old: &[&'a str], new: &[&'a str], lines: &mut Vec<Line<'a>>) {
    // How many lines are common to what is left of both from each pair of lines on.
    let width = new.len() + 1;
    let mut common = vec![0_u32; (old.len() + 1) * width];
    for (at_old, old_line) in old.iter().enumerate().rev() {
        for (at_new, new_line) in new.iter().enumerate().rev() {
            let at = at_old * width + at_new;
            common[at] = match old_line == new_line {
                true => common[at + width + 1] + 1,
                false => common[at + width].max(common[at + 1]),
            };
        }
    }
    let (mut at_old, mut at_new) = (0, 0);
    loop {
        let at = at_old * width + at_new;
        match (old.get(at_old), new.get(at_new)) {
            (Some(old_line), Some(new_line)) if old_line == new_line => {
                lines.push(Line::Same(old_line));
                (at_old, at_new) = (at_old + 1, at_new + 1);
            }
            (Some(old_line), new_line) if new_line.is_none() || common[at + width] >= common[at + 1] => {
                lines.push(Line::Lost(old_line));
                at_old += 1;
            }
            (_, Some(new_line)) => {
                lines.push(Line::Gained(new_line));
                at_new += 1;
            }
            (_, None) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn marked(before: &str, after: &str) -> String {
        let line = |line: &Line<'_>| match line {
            Line::Same(text) => format!(" {text}"),
            Line::Lost(text) => format!("-{text}"),
            Line::Gained(text) => format!("+{text}"),
        };
        lines(before, after).iter().map(line).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn lines_that_stayed_are_told_from_those_that_changed() {
        assert_eq!(marked("", ""), "");
        assert_eq!(marked("a\nb\nc", "a\nb\nc"), " a, b, c");
        assert_eq!(marked("a\nb\nc", "a\nx\nc"), " a,-b,+x, c");
        assert_eq!(marked("a\nb\nc\nd", "a\nc\ne\nd"), " a,-b, c,+e, d");
        assert_eq!(marked("", "a\nb"), "+a,+b");
        assert_eq!(marked("a\na", "a\na\na"), " a, a,+a");
    }

    proptest! {
        #[test]
        fn both_texts_are_in_the_lines(before in "([abc]\n){0,12}", after in "([abc]\n){0,12}") {
            let compared = lines(&before, &after);
            let of = |wanted: fn(&Line<'_>) -> bool| -> Vec<String> {
                let text = |line: &Line<'_>| match line {
                    Line::Same(text) | Line::Lost(text) | Line::Gained(text) => (*text).to_owned(),
                };
                compared.iter().filter(|line| wanted(line)).map(text).collect()
            };
            prop_assert_eq!(of(|line| !matches!(line, Line::Gained(_))), before.lines().collect::<Vec<_>>());
            prop_assert_eq!(of(|line| !matches!(line, Line::Lost(_))), after.lines().collect::<Vec<_>>());
        }
    }
}
