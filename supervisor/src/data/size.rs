//! How are numbers of bytes, and of things, shown to people?

use std::fmt;

/// Bytes, shown in the largest unit that leaves at least one before the point: `1.5 GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
        if self.0 < 1024 {
            return write!(f, "{} bytes", self.0);
        }
        let mut value = self.0 as f64 / 1024.0;
        let mut unit = 0;
        // 1023.95 would be shown as 1024.0.
        while value >= 1023.95 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        write!(f, "{value:.1} {}", UNITS[unit])
    }
}

/// `1 row`, `2 rows`
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        let rows = [0, 1, 2].map(|count| counted(count, "row", "rows"));
        assert_eq!(rows, ["0 rows", "1 row", "2 rows"]);
    }

    #[test]
    fn sizes_are_short() {
        let shown: Vec<_> =
            [0, 1023, 1024, 64 << 20, 1_610_612_736, (1 << 30) - 1].map(|bytes| Size(bytes).to_string()).into();
        assert_eq!(shown, ["0 bytes", "1023 bytes", "1.0 KiB", "64.0 MiB", "1.5 GiB", "1.0 GiB"]);
    }
}
