//! What does a font's ToUnicode table say?
//!
//! A program in PostScript's syntax of which only the lists count: `beginbfchar`, `beginbfrange` and `begincodespacerange`. Read
//! leniently: what is not understood is passed over. Ranges stay ranges, so that a table cannot grow in memory.

use std::collections::BTreeMap;

/// Which codes mean what.
#[derive(Debug, Default)]
pub(super) struct CMap {
    /// By the first code of a range: its last one, and the UTF-16 of the first.
    ranges: BTreeMap<u32, (u32, Vec<u16>)>,
    /// Ranges of codes, with their length in bytes.
    spaces: Vec<(u32, u32, usize)>,
}

/// One word of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    /// A string in hexadecimal digits.
    Hex(&'a [u8]),
    Open,
    Close,
    Word(&'a [u8]),
}

impl CMap {
    /// Reads a table.
    pub(super) fn parse(program: &[u8]) -> Self {
        let mut cmap = Self::default();
        let mut list = Vec::new();
        for token in Tokens(program) {
            match token {
                Token::Word(b"endbfchar") => {
                    cmap.characters(&list);
                    list.clear();
                }
                Token::Word(b"endbfrange") => {
                    cmap.ranges(&list);
                    list.clear();
                }
                Token::Word(b"endcodespacerange") => {
                    cmap.code_spaces(&list);
                    list.clear();
                }
                Token::Word(word) if word.starts_with(b"begin") => list.clear(),
                token => list.push(token),
            }
        }
        cmap
    }

    /// Returns what a code means.
    pub(super) fn get(&self, code: u32) -> Option<String> {
        let (first, (last, units)) = self.ranges.range(..=code).next_back()?;
        if code > *last {
            return None;
        }
        let mut units = units.clone();
        let unit = units.last_mut()?;
        *unit = unit.wrapping_add((code - first) as u16);
        Some(char::decode_utf16(units).filter_map(Result::ok).collect())
    }

    /// Returns the first code of these bytes, and its length.
    pub(super) fn next_code(&self, bytes: &[u8]) -> (u32, usize) {
        for length in 1..=bytes.len().min(4) {
            let code = number(&bytes[..length]);
            // Each byte has a range of its own (ISO 32000-1, 9.7.6.2).
            let is_in = |first: u32, last: u32| {
                (0..length).all(|place| {
                    let byte = |code: u32| (code >> (8 * place)) & 0xff;
                    (byte(first)..=byte(last)).contains(&byte(code))
                })
            };
            if self.spaces.iter().any(|(first, last, bytes)| *bytes == length && is_in(*first, *last)) {
                return (code, length);
            }
        }
        let length =
            if self.spaces.iter().all(|(_, _, length)| *length == 1) && !self.spaces.is_empty() { 1 } else { 2 };
        let length = length.min(bytes.len());
        (number(&bytes[..length]), length)
    }

    fn characters(&mut self, list: &[Token]) {
        let strings: Vec<&[u8]> = list.iter().filter_map(hex).collect();
        for pair in strings.chunks_exact(2) {
            let code = number(&bytes(pair[0]));
            self.insert(code, code, pair[1]);
        }
    }

    fn ranges(&mut self, list: &[Token]) {
        let mut list = list.iter();
        while let Some(token) = list.next() {
            let Some(first) = hex(token) else { continue };
            let Some(last) = list.next().and_then(hex) else { continue };
            let (first, last) = (number(&bytes(first)), number(&bytes(last)));
            match list.next() {
                Some(Token::Hex(meaning)) => self.insert(first, last, meaning),
                Some(Token::Open) => {
                    let meanings: Vec<_> = list.by_ref().take_while(|token| **token != Token::Close).collect();
                    for (code, meaning) in (first..=last).zip(meanings.into_iter().filter_map(hex)) {
                        self.insert(code, code, meaning);
                    }
                }
                _ => {}
            }
        }
    }

    fn code_spaces(&mut self, list: &[Token]) {
        let strings: Vec<&[u8]> = list.iter().filter_map(hex).collect();
        // A font has a few; a hostile one must not make each code a search.
        for pair in strings.chunks_exact(2).take(64) {
            let (first, last) = (bytes(pair[0]), bytes(pair[1]));
            if (1..=4).contains(&first.len()) && first.len() == last.len() {
                self.spaces.push((number(&first), number(&last), first.len()));
            }
        }
    }

    fn insert(&mut self, first: u32, last: u32, meaning: &[u8]) {
        let bytes = bytes(meaning);
        // A meaning of one byte is one of a careless producer's; UTF-16 has two.
        let units: Vec<u16> = match bytes.as_slice() {
            [one] => vec![u16::from(*one)],
            more => more.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect(),
        };
        if first <= last && !units.is_empty() {
            self.ranges.insert(first, (last, units));
        }
    }
}

fn hex<'a>(token: &Token<'a>) -> Option<&'a [u8]> {
    match token {
        Token::Hex(digits) => Some(digits),
        _ => None,
    }
}

/// Returns the number that bytes are, by their last four.
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| (number << 8) | u32::from(*byte))
}

/// Returns the bytes that hexadecimal digits are; a missing last digit is 0.
fn bytes(digits: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> =
        digits.iter().filter_map(|digit| char::from(*digit).to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4) | pair.get(1).unwrap_or(&0)).collect()
}

/// The words of a program.
struct Tokens<'a>(&'a [u8]);

impl<'a> Tokens<'a> {
    /// Takes this many bytes off.
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Takes off what comes before the first byte of which this is true.
    fn take_until(&mut self, is_end: impl Fn(u8) -> bool) -> &'a [u8] {
        self.take(self.0.iter().position(|byte| is_end(*byte)).unwrap_or(self.0.len()))
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            match *self.0.first()? {
                b'%' => drop(self.take_until(|byte| matches!(byte, b'\n' | b'\r'))),
                b'<' if self.0.get(1) != Some(&b'<') => {
                    self.take(1);
                    let digits = self.take_until(|byte| byte == b'>');
                    self.take(1);
                    return Some(Token::Hex(digits));
                }
                b'[' => {
                    self.take(1);
                    return Some(Token::Open);
                }
                b']' => {
                    self.take(1);
                    return Some(Token::Close);
                }
                byte if is_word(byte) => return Some(Token::Word(self.take_until(|byte| !is_word(byte)))),
                _ => drop(self.take(1)),
            }
        }
    }
}

fn is_word(byte: u8) -> bool {
    !byte.is_ascii_whitespace() && !b"\0<>[]%(){}/".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn characters_ranges_and_lists_are_read() {
        let cmap = CMap::parse(
            b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapType 2 def\n\
              1 begincodespacerange <0000> <FFFF> endcodespacerange % a remark\n\
              2 beginbfchar <0003> <0020> <0010><D83DDE00> endbfchar\n\
              3 beginbfrange <0024> <003D> <0041> <0050> <0052> [<00660069> <00E4>] <0060> <0061> <0391>\n endbfrange\n\
              1 beginbfchar <41> <42> endbfchar endcmap",
        );
        for (code, meaning) in [
            (0x03, Some(" ")),
            (0x10, Some("😀")),
            (0x24, Some("A")),
            (0x3d, Some("Z")),
            (0x3e, None),
            (0x41, Some("B")),
            (0x50, Some("fi")),
            (0x51, Some("ä")),
            (0x52, None),
            (0x61, Some("Β")),
        ] {
            assert_eq!(cmap.get(code).as_deref(), meaning, "{code:#x}");
        }
        assert_eq!(cmap.next_code(&[0, 0x24, 0]), (0x24, 2));
    }

    #[test]
    fn a_table_of_all_codes_takes_no_memory_and_no_time() {
        let cmap = CMap::parse(b"1 beginbfrange <00000000> <FFFFFFFF> <0041> endbfrange");
        assert_eq!(cmap.get(1).as_deref(), Some("B"));
        assert_eq!(cmap.get(u32::MAX).as_deref(), Some("@"));
    }

    #[test]
    fn codes_have_the_length_that_the_table_says() {
        let mixed = CMap::parse(b"begincodespacerange <00> <80> <8140> <9ffc> endcodespacerange");
        assert_eq!(mixed.next_code(b"A"), (0x41, 1));
        assert_eq!(mixed.next_code(&[0x81, 0x40]), (0x8140, 2));
        assert_eq!(CMap::default().next_code(&[1, 2, 3]), (0x102, 2));
        assert_eq!(CMap::default().next_code(&[1]), (1, 1));
    }

    proptest! {
        #[test]
        fn any_program_is_read_without_a_panic(
            words in proptest::collection::vec(
                prop_oneof![
                    Just("beginbfchar"), Just("endbfchar"), Just("beginbfrange"), Just("endbfrange"), Just("["), Just("]"),
                    Just("endcodespacerange"), Just("<00>"), Just("<ffffffff>"), Just("<"), Just("<<"), Just("<0041"),
                    Just("<>"), Just("%"), Just("<1>")
                ],
                0..60,
            ),
            code: u32,
            bytes in proptest::collection::vec(any::<u8>(), 1..6),
        ) {
            let cmap = CMap::parse(words.join(" ").as_bytes());
            let _ = cmap.get(code);
            prop_assert!(cmap.next_code(&bytes).1 > 0);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let _ = CMap::parse(&bytes).get(0);
        }
    }
}
