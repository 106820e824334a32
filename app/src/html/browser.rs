//! Which browser is that, in words that people know?
//!
//! What a browser says of itself is long and mostly about others that it is like. Here a few words are looked for, in
//! the order in which they tell the most; the whole text stays at hand as a title.

/// Words of browsers, the more special first: Edge says that it is Chrome, and Chrome that it is Safari.
const BROWSERS: [(&str, &str); 10] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("Trident/", "Internet Explorer"),
];

/// Words of systems, the more special first: Android says that it is Linux, an iPhone that it is like macOS.
const SYSTEMS: [(&str, &str); 8] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
    ("BSD", "BSD"),
];

/// The longest name of a program that is none of these, in characters.
const LONGEST: usize = 30;

/// Returns the words for a browser or program.
pub(crate) fn words(user_agent: &str) -> String {
    let find = |words: &[(&str, &'static str)]| {
        words.iter().find(|(word, _)| user_agent.contains(word)).map(|(_, name)| *name)
    };
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, system) => {
            let program: String =
                user_agent.split(['/', ' ']).next().unwrap_or_default().chars().take(LONGEST).collect();
            match (program.as_str(), system) {
                ("" | "Mozilla", Some(system)) => format!("Unknown browser on {system}"),
                ("" | "Mozilla", None) => "Unknown browser".to_owned(),
                _ => program,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_and_its_system_are_named() {
        let webkit = "AppleWebKit/537.36 (KHTML, like Gecko)";
        for (said, name) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".to_owned(), "Firefox on Linux"),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 Version/18.5 Mobile/15E148 Safari/604.1"
                    .to_owned(),
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 CriOS/138.0 Mobile/15E148 Safari/604.1"
                    .to_owned(),
                "Chrome on iPhone",
            ),
            (
                format!("Mozilla/5.0 (Linux; Android 10; K) {webkit} Chrome/138.0.0.0 Mobile Safari/537.36"),
                "Chrome on Android",
            ),
            (
                format!("Mozilla/5.0 (Windows NT 10.0; Win64; x64) {webkit} Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0"),
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 \
                 Safari/605.1.15"
                    .to_owned(),
                "Safari on macOS",
            ),
            (
                format!("Mozilla/5.0 (Linux; Android 14; SM-S911B) {webkit} SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36"),
                "Samsung Internet on Android",
            ),
            (format!("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {webkit} Chrome/138.0.0.0 Safari/537.36"), "Chrome on ChromeOS"),
            ("curl/8.14.1".to_owned(), "curl"),
            ("Mozilla/5.0 (X11; Linux x86_64)".to_owned(), "Unknown browser on Linux"),
            ("Mozilla/5.0".to_owned(), "Unknown browser"),
            (String::new(), "Unknown browser"),
            ("x".repeat(200), "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
        ] {
            assert_eq!(words(&said), name, "{said}");
        }
    }
}
