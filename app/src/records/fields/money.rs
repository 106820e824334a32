//! How much money does a text say?
//!
//! People write amounts as they know them, "1.234,56 €" or "CHF 1'234.50". An amount is kept in the smallest unit of its
//! currency, as a whole number, so that nothing is rounded.
//!
//! Of a point and a comma in one amount, the last one begins the decimals. One alone begins the decimals if the currency has
//! as many as follow: "1.234" are 1234 euros, which have two decimals, and 1.234 dinars of Kuwait, which have three.

use std::fmt;

use super::{AMOUNT_MAX, Money};

/// Why a text is no amount of money. The words read on from the name of the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadMoney {
    #[error("is not an amount of money, such as 12.50 EUR")]
    Unreadable,
    #[error("needs a currency, such as 12.50 EUR")]
    NoCurrency,
    #[error("must have a currency of three letters, such as EUR")]
    Currency,
    #[error("has more decimals than the {decimals} of {currency}")]
    Decimals { currency: String, decimals: u32 },
    #[error("is too large")]
    TooLarge,
}

/// The currencies whose number of decimals is not two (ISO 4217, list one, 2026).
const DECIMALS: [(u32, &[&str]); 3] = [
    (
        0,
        &[
            "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF",
            "XOF", "XPF",
        ],
    ),
    (3, &["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"]),
    (4, &["CLF", "UYW"]),
];

/// What people write in the place of a code. `kr` is not among them: it is money of three countries.
const SIGNS: [(&str, &str); 20] = [
    ("€", "EUR"),
    ("$", "USD"),
    ("US$", "USD"),
    ("A$", "AUD"),
    ("C$", "CAD"),
    ("NZ$", "NZD"),
    ("R$", "BRL"),
    ("£", "GBP"),
    ("¥", "JPY"),
    ("₹", "INR"),
    ("₩", "KRW"),
    ("₺", "TRY"),
    ("₴", "UAH"),
    ("₪", "ILS"),
    ("₫", "VND"),
    ("₱", "PHP"),
    ("zł", "PLN"),
    ("Kč", "CZK"),
    ("Fr.", "CHF"),
    ("SFr.", "CHF"),
];

impl Money {
    /// Returns the amount that a text says; `usual` is the currency where it names none.
    pub(crate) fn parse(text: &str, usual: Option<&str>) -> Result<Self, BadMoney> {
        let first = text.find(|c: char| c.is_ascii_digit()).ok_or(BadMoney::Unreadable)?;
        let end = text.rfind(|c: char| c.is_ascii_digit()).map_or(text.len(), |last| last + 1);
        let (before, number, behind) = (text[..first].trim(), &text[first..end], text[end..].trim_end());
        if !number.chars().all(|c| c.is_ascii_digit() || is_point(c) || is_blank(c)) {
            return Err(BadMoney::Unreadable);
        }
        let unsigned = before.strip_prefix(is_dash).or(before.strip_suffix(is_dash));
        let (before, is_negative) = (unsigned.unwrap_or(before).trim(), unsigned.is_some());
        // "12,-" and "12.–" are a whole number.
        let behind = behind.strip_prefix(is_point).map_or(behind, |rest| rest.trim_start_matches(is_dash)).trim();
        let currency = match (before, behind) {
            ("", "") => code(usual.ok_or(BadMoney::NoCurrency)?)?,
            (name, "") | ("", name) => named(name)?,
            _ => return Err(BadMoney::Unreadable),
        };
        let amount = smallest_units(number, &currency)?;
        if amount > AMOUNT_MAX {
            return Err(BadMoney::TooLarge);
        }
        Ok(Self { amount: if is_negative { -amount } else { amount }, currency })
    }

    /// Returns it as a form has it: [`parse`](Self::parse) makes the same of it.
    pub(crate) fn in_form(&self) -> String {
        let (sign, whole, decimals) = self.parts();
        format!("{sign}{whole}{decimals} {}", self.currency)
    }

    /// Returns its sign, its digits before the decimals, and its decimals with their point.
    fn parts(&self) -> (&'static str, String, String) {
        let places = decimals(&self.currency);
        let unit = 10_u64.pow(places);
        let amount = self.amount.unsigned_abs();
        let width = places as usize;
        let decimals = if places == 0 { String::new() } else { format!(".{:0width$}", amount % unit) };
        (if self.amount < 0 { "-" } else { "" }, (amount / unit).to_string(), decimals)
    }
}

/// As people read it: the code, which is the same in every country, and the number in the way of English texts.
impl fmt::Display for Money {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, whole, decimals) = self.parts();
        let mut grouped = String::new();
        for (place, digit) in whole.chars().enumerate() {
            if place > 0 && (whole.len() - place) % 3 == 0 {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        // A no-break space, so that no line ends between the two.
        write!(out, "{}\u{a0}{sign}{grouped}{decimals}", self.currency)
    }
}

/// Returns how many decimals a currency has.
pub(crate) fn decimals(currency: &str) -> u32 {
    DECIMALS.iter().find(|(_, currencies)| currencies.contains(&currency)).map_or(2, |(decimals, _)| *decimals)
}

/// Returns the code of a currency in capital letters. Which three letters are one changes every year, so any three are.
fn code(text: &str) -> Result<String, BadMoney> {
    let is_code = text.len() == 3 && text.chars().all(|c| c.is_ascii_alphabetic());
    if is_code { Ok(text.to_ascii_uppercase()) } else { Err(BadMoney::Currency) }
}

/// Returns the code of the currency that people name so beside an amount.
fn named(text: &str) -> Result<String, BadMoney> {
    let lower = text.to_lowercase();
    match SIGNS.iter().find(|(sign, _)| sign.to_lowercase() == lower) {
        Some((_, code)) => Ok((*code).to_owned()),
        // Longer than any name of a currency: a sentence.
        None if text.chars().count() > 5 => Err(BadMoney::Unreadable),
        None => code(text),
    }
}

/// Returns the amount that digits, points, commas and blanks say.
fn smallest_units(number: &str, currency: &str) -> Result<i64, BadMoney> {
    let places = decimals(currency);
    let (whole, fraction) = match number.rfind(is_point).map(|at| (&number[..at], &number[at + 1..])) {
        Some((whole, behind)) if begins_decimals(number, whole, behind, places) => (whole, behind),
        _ => (number, ""),
    };
    let (kept, rest) = fraction.split_at_checked(places as usize).unwrap_or((fraction, ""));
    if fraction.contains(is_blank) {
        return Err(BadMoney::Unreadable);
    }
    if rest.chars().any(|c| c != '0') {
        return Err(BadMoney::Decimals { currency: currency.to_owned(), decimals: places });
    }
    let digits = format!("{}{kept:0<width$}", ungrouped(whole)?, width = places as usize);
    digits.parse().map_err(|_| BadMoney::TooLarge)
}

/// Whether the last point or comma of a number, which stands between `whole` and `behind`, begins its decimals.
fn begins_decimals(number: &str, whole: &str, behind: &str, places: u32) -> bool {
    let mark = number[whole.len()..].chars().next();
    match whole.rfind(is_point) {
        // "1.234.567" has groups alone; "1.234,56" has another mark at last.
        Some(at) => whole[at..].chars().next() != mark,
        None => {
            let groups = !whole.contains(is_blank) && behind.len() == 3 && whole.len() <= 3 && !whole.starts_with('0');
            behind.len() <= places as usize || !groups
        }
    }
}

/// Returns the digits of a whole number. If it is in groups, then all by one mark: three digits in the last one, and two (as in
/// India) or three in those between.
fn ungrouped(whole: &str) -> Result<String, BadMoney> {
    let mut marks = whole.chars().filter(|c| !c.is_ascii_digit());
    let mark = marks.next();
    if mark.is_some_and(|mark| marks.any(|other| other != mark)) {
        return Err(BadMoney::Unreadable);
    }
    let groups: Vec<&str> = whole.split(|c: char| !c.is_ascii_digit()).collect();
    let (Some(first), Some(last)) = (groups.first(), groups.last()) else { return Err(BadMoney::Unreadable) };
    let between = groups.get(1..groups.len() - 1).unwrap_or_default();
    let fits =
        (1..=3).contains(&first.len()) && last.len() == 3 && between.iter().all(|group| matches!(group.len(), 2 | 3));
    if groups.len() > 1 && !fits { Err(BadMoney::Unreadable) } else { Ok(groups.concat()) }
}

fn is_point(c: char) -> bool {
    matches!(c, '.' | ',')
}

/// What stands between groups of digits beside points and commas: blanks, also narrow ones, and apostrophes.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{2009}' | '\u{202f}' | '\'' | '’')
}

fn is_dash(c: char) -> bool {
    matches!(c, '-' | '−' | '–' | '—')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn money(amount: i64, currency: &str) -> Result<Money, BadMoney> {
        Ok(Money { amount, currency: currency.to_owned() })
    }

    #[test]
    fn amounts_are_read_as_people_write_them() {
        for (text, amount, currency) in [
            ("1.234,56", 123_456, "EUR"),
            ("1,234.56", 123_456, "EUR"),
            ("1234", 123_400, "EUR"),
            (" 1234.5 ", 123_450, "EUR"),
            ("1.234", 123_400, "EUR"),
            ("0.5", 50, "EUR"),
            ("12,500", 1_250_000, "EUR"),
            ("12.000000", 1200, "EUR"),
            ("1.234.567", 123_456_700, "EUR"),
            ("1 234,56 €", 123_456, "EUR"),
            ("1\u{202f}234\u{a0}€", 123_400, "EUR"),
            ("€ 12", 1200, "EUR"),
            ("€12,-", 1200, "EUR"),
            ("12,— €", 1200, "EUR"),
            ("-€ 12", -1200, "EUR"),
            ("€ −12", -1200, "EUR"),
            ("CHF 12.50", 1250, "CHF"),
            ("CHF 1'234.50", 123_450, "CHF"),
            ("Fr. 1’234.–", 123_400, "CHF"),
            ("12 Fr.", 1200, "CHF"),
            ("12.50 EUR", 1250, "EUR"),
            ("12.50 eur", 1250, "EUR"),
            ("us$ 3", 300, "USD"),
            ("¥1,200", 1200, "JPY"),
            ("1200.00 JPY", 1200, "JPY"),
            ("KWD 1.234", 1234, "KWD"),
            ("KWD 1,234.5", 1_234_500, "KWD"),
            ("CLF 1.2345", 12_345, "CLF"),
            ("₹ 12,34,567.80", 123_456_780, "INR"),
            ("1,000,000,000,000,000 JPY", AMOUNT_MAX, "JPY"),
        ] {
            assert_eq!(Money::parse(text, Some("EUR")), money(amount, currency), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused_with_a_sentence() {
        for (text, sentence) in [
            ("", "is not an amount of money, such as 12.50 EUR"),
            ("twelve", "is not an amount of money, such as 12.50 EUR"),
            ("about 12 EUR", "is not an amount of money, such as 12.50 EUR"),
            ("EUR 12 EUR", "is not an amount of money, such as 12.50 EUR"),
            ("12 EUR 50", "is not an amount of money, such as 12.50 EUR"),
            ("1,23,4 EUR", "is not an amount of money, such as 12.50 EUR"),
            ("1.234,567.8 EUR", "is not an amount of money, such as 12.50 EUR"),
            ("1..2 EUR", "is not an amount of money, such as 12.50 EUR"),
            ("12", "needs a currency, such as 12.50 EUR"),
            ("12 kr", "must have a currency of three letters, such as EUR"),
            ("1.2345 EUR", "has more decimals than the 2 of EUR"),
            ("1.5 JPY", "has more decimals than the 0 of JPY"),
            ("10000000000000.01 EUR", "is too large"),
            ("999999999999999999999999 EUR", "is too large"),
        ] {
            assert_eq!(Money::parse(text, None).map_err(|bad| bad.to_string()), Err(sentence.to_owned()), "{text}");
        }
    }

    #[test]
    fn an_amount_reads_as_its_currency_has_it() {
        for (amount, currency, read, in_form) in [
            (123_456, "EUR", "EUR 1,234.56", "1234.56 EUR"),
            (-5, "CHF", "CHF -0.05", "-0.05 CHF"),
            (1_234_567, "JPY", "JPY 1,234,567", "1234567 JPY"),
            (1234, "KWD", "KWD 1.234", "1.234 KWD"),
            (1, "CLF", "CLF 0.0001", "0.0001 CLF"),
        ] {
            let money = Money { amount, currency: currency.to_owned() };
            assert_eq!(
                (money.to_string().replace('\u{a0}', " "), money.in_form()),
                (read.to_owned(), in_form.to_owned())
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_the_same(
            amount in -AMOUNT_MAX..=AMOUNT_MAX,
            small in -2_000_000_i64..=2_000_000,
            currency in "EUR|JPY|KWD|CLF|[A-Z]{3}",
        ) {
            for amount in [amount, small] {
                let money = Money { amount, currency: currency.clone() };
                prop_assert_eq!(&Money::parse(&money.to_string(), None), &Ok(money.clone()));
                prop_assert_eq!(Money::parse(&money.in_form(), Some("USD")), Ok(money));
            }
        }

        #[test]
        fn no_text_is_too_odd(text in ".*", number in "[-0-9., '€A-Z]{0,12}") {
            for text in [text, number] {
                if let Ok(money) = Money::parse(&text, Some("EUR")) {
                    prop_assert_eq!(Money::parse(&money.in_form(), None), Ok(money));
                }
            }
        }
    }
}
