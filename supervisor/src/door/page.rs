//! What does the door show?
//!
//! People get a page that works without scripts, on a phone and in the dark, and that becomes Hearth by itself:
//! it reloads. Programs get `application/problem+json` (RFC 9457). Everything shown is escaped, and the page's
//! policy forbids everything but its own style.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    data::{size::Size, state::WayOut},
    failure::Failure,
    phase::{Progress, Unit},
};

/// What the supervisor wants to be shown; it arrives as a JSON line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The heading: "Hearth is being upgraded".
    pub title: String,
    /// What it means for who reads it, in a sentence or two.
    pub sentence: String,
    /// Further sentences, each a paragraph.
    pub detail: Vec<String>,
    /// The steps there are, in their order; none when there is nothing to count.
    pub steps: Vec<Step>,
    /// How far the present step is.
    pub progress: Option<Progress>,
    /// What went wrong.
    pub failure: Option<Failure>,
    /// The commands that lead out.
    pub ways_out: Vec<WayOut>,
    /// When to ask again: `Retry-After`, and when the page reloads.
    pub retry_after_seconds: u32,
    /// The supervisor's version.
    pub version: String,
    /// The name of the phase, as in `supervisor status`.
    pub phase: String,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What is done in it.
    pub name: String,
    /// How it is with it.
    pub state: StepState,
}

/// How it is with a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// It is done.
    Done,
    /// It is being done.
    Now,
    /// It is yet to come.
    Todo,
}

impl Default for Notice {
    /// What is shown before the supervisor has said anything.
    fn default() -> Self {
        Self {
            title: "Hearth is starting".to_owned(),
            sentence: "This page becomes Hearth by itself when it is ready.".to_owned(),
            detail: Vec::new(),
            steps: Vec::new(),
            progress: None,
            failure: None,
            ways_out: Vec::new(),
            retry_after_seconds: 5,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            phase: "starting".to_owned(),
        }
    }
}

/// The style of the page.
const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c1917;--quiet:#57534e;--ground:#fafaf9;--line:#d6d3d1;--accent:#b45309}
@media(prefers-color-scheme:dark){:root{--ink:#f5f5f4;--quiet:#a8a29e;--ground:#1c1917;--line:#44403c;--accent:#fbbf24}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:1.0625rem/1.6 system-ui,sans-serif}
main{max-width:40rem;margin:0 auto;padding:max(2rem,8vh) 1.25rem 2rem}
h1{font-size:1.75rem;line-height:1.25;margin:0 0 .75rem}
h2{font-size:1.125rem;margin:2rem 0 .5rem}
ol{list-style:none;margin:1.5rem 0;padding:0}
li{padding:.2rem 0}
.todo,dd,footer{color:var(--quiet)}
.now{font-weight:600}
progress{width:100%;height:.75rem;accent-color:var(--accent)}
section{border-top:1px solid var(--line)}
code{font:.95em/1.5 ui-monospace,monospace;overflow-wrap:anywhere}
dt{margin-top:.75rem}
dd{margin:0}
p{overflow-wrap:anywhere}
footer{margin-top:3rem;font-size:.875rem}
";

/// The only thing that the page may load or run: its style, by its hash. A fixed hash needs neither randomness for
/// each answer (a nonce) nor a second path that would have to answer 200; a test holds it to [`STYLE`].
pub(super) const POLICY: &str = "default-src 'none'; style-src 'sha256-BGdcUsv1mH+qOOK2hs75r6h5NUD6UD+6v9g0XuM3yGU='; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Returns the page.
#[must_use]
pub fn html(notice: &Notice) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"refresh\" content=\"{}\">\n<title>{}</title>\n<style>{STYLE}</style>\n</head>\n\
         <body>\n<main>\n<h1>{1}</h1>\n<p>{}</p>\n",
        notice.retry_after_seconds,
        Escaped(&notice.title),
        Escaped(&notice.sentence),
    );
    steps(&mut page, &notice.steps);
    if let Some(progress) = &notice.progress {
        let (done, total) = (progress.done.min(progress.total), progress.total);
        let words = progress_words(progress);
        let _ = write!(
            page,
            "<p><progress max=\"{}\" value=\"{done}\" aria-label=\"{words}\"></progress>\n{words}</p>\n",
            total.max(1),
        );
    }
    if let Some(failure) = &notice.failure {
        let _ = write!(page, "<section role=\"alert\">\n<h2>What happened</h2>\n<p>{}.</p>\n", Escaped(&sentence(&failure.message)));
        if let Some(hint) = &failure.hint {
            let _ = writeln!(page, "<p>{}.</p>", Escaped(&sentence(hint)));
        }
        page.push_str("</section>\n");
    }
    for detail in &notice.detail {
        let _ = writeln!(page, "<p>{}</p>", Escaped(detail));
    }
    if !notice.ways_out.is_empty() {
        page.push_str("<section>\n<h2>What to do, on the server</h2>\n<dl>\n");
        for way in &notice.ways_out {
            let _ = writeln!(page, "<dt><code>{}</code></dt>\n<dd>{}</dd>", Escaped(&way.command), Escaped(&way.effect));
        }
        page.push_str("</dl>\n</section>\n");
    }
    let _ = write!(page, "<footer>Hearth {}</footer>\n</main>\n</body>\n</html>\n", Escaped(&notice.version));
    page
}

fn steps(page: &mut String, steps: &[Step]) {
    if steps.is_empty() {
        return;
    }
    page.push_str("<ol>\n");
    for step in steps {
        let (class, attribute, mark, words) = match step.state {
            StepState::Done => ("done", "", "✓", "done"),
            StepState::Now => ("now", " aria-current=\"step\"", "→", "now"),
            StepState::Todo => ("todo", "", "·", "to come"),
        };
        // The mark is for eyes; a screen reader is told in words.
        let _ = writeln!(
            page,
            "<li class=\"{class}\"{attribute}><span role=\"img\" aria-label=\"{words}\">{mark}</span> {}</li>",
            Escaped(&step.name),
        );
    }
    page.push_str("</ol>\n");
}

/// Says how far it is: `512.0 MiB of 1.0 GiB (50 %)`.
fn progress_words(progress: &Progress) -> String {
    let done = progress.done.min(progress.total);
    let percent = u128::from(done) * 100 / u128::from(progress.total.max(1));
    match progress.unit {
        Unit::Bytes => format!("{} of {} ({percent} %)", Size(done), Size(progress.total)),
        Unit::Migrations => format!("{done} of {} migrations", progress.total),
    }
}

/// Begins a sentence with a capital letter and leaves out its full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Returns the same as `application/problem+json`: <https://www.rfc-editor.org/rfc/rfc9457>.
#[must_use]
pub fn problem(notice: &Notice) -> String {
    let kind = if notice.failure.is_some() { "held" } else { "unavailable" };
    let mut problem = json!({
        "type": format!("urn:hearth:problem:{kind}"),
        "title": notice.title,
        "status": 503,
        "detail": notice.failure.as_ref().map_or(&notice.sentence, |failure| &failure.message),
        "phase": notice.phase,
        "version": notice.version,
        "retry_after_seconds": notice.retry_after_seconds,
    });
    let mut add = |name: &str, value: serde_json::Value| problem[name] = value;
    if let Some(progress) = &notice.progress {
        add("progress", json!(progress));
    }
    if !notice.steps.is_empty() {
        add("steps", json!(notice.steps));
    }
    if let Some(failure) = &notice.failure {
        add("cause", json!(failure.cause));
        if let Some(hint) = &failure.hint {
            add("hint", json!(hint));
        }
    }
    if !notice.ways_out.is_empty() {
        add("ways_out", json!(notice.ways_out));
    }
    problem.to_string()
}

/// Text, safe between tags and in quoted attributes.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // NUL and its kind are no characters of HTML.
                letter if letter.is_control() && !letter.is_whitespace() => f.write_char('\u{fffd}')?,
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Cause;

    fn working() -> Notice {
        let step = |name: &str, state| Step { name: name.to_owned(), state };
        Notice {
            title: "Hearth is being upgraded".into(),
            sentence: "The work is done on a copy, so nothing can get lost.".into(),
            steps: vec![step("Check the data", StepState::Done), step("Copy it", StepState::Now), step("Start", StepState::Todo)],
            progress: Some(Progress { done: 512 << 20, total: 1 << 30, unit: Unit::Bytes }),
            version: "0.1.0".into(),
            phase: "staging".into(),
            ..Notice::default()
        }
    }

    fn held() -> Notice {
        Notice {
            title: "Hearth is waiting for its operator".into(),
            sentence: "Something went wrong, and nothing was lost.".into(),
            detail: vec!["This happened while upgrading 0006.".into()],
            failure: Some(
                Failure::new(Cause::Migration, "migration m0002 would lose 1 row of table \"record\" <now>")
                    .hint("nothing was changed; report this"),
            ),
            ways_out: vec![WayOut { command: "supervisor resume".into(), effect: "tries again, now".into() }],
            retry_after_seconds: 60,
            version: "0.1.0".into(),
            phase: "held".into(),
            ..Notice::default()
        }
    }

    /// The page without its head, which is the same each time.
    fn body(notice: &Notice) -> String {
        let page = html(notice);
        let (head, body) = page.split_once("<body>\n").unwrap();
        assert!(head.starts_with("<!doctype html>\n<html lang=\"en\">"));
        assert!(head.contains(&format!("<meta http-equiv=\"refresh\" content=\"{}\">", notice.retry_after_seconds)));
        body.to_owned()
    }

    #[test]
    fn the_page_of_work_shows_steps_and_progress() {
        assert_eq!(
            body(&working()),
            r#"<main>
<h1>Hearth is being upgraded</h1>
<p>The work is done on a copy, so nothing can get lost.</p>
<ol>
<li class="done"><span role="img" aria-label="done">✓</span> Check the data</li>
<li class="now" aria-current="step"><span role="img" aria-label="now">→</span> Copy it</li>
<li class="todo"><span role="img" aria-label="to come">·</span> Start</li>
</ol>
<p><progress max="1073741824" value="536870912" aria-label="512.0 MiB of 1.0 GiB (50 %)"></progress>
512.0 MiB of 1.0 GiB (50 %)</p>
<footer>Hearth 0.1.0</footer>
</main>
</body>
</html>
"#
        );
    }

    #[test]
    fn the_page_of_held_says_what_happened_and_the_ways_out() {
        assert_eq!(
            body(&held()),
            r#"<main>
<h1>Hearth is waiting for its operator</h1>
<p>Something went wrong, and nothing was lost.</p>
<section role="alert">
<h2>What happened</h2>
<p>Migration m0002 would lose 1 row of table &quot;record&quot; &lt;now&gt;.</p>
<p>Nothing was changed; report this.</p>
</section>
<p>This happened while upgrading 0006.</p>
<section>
<h2>What to do, on the server</h2>
<dl>
<dt><code>supervisor resume</code></dt>
<dd>tries again, now</dd>
</dl>
</section>
<footer>Hearth 0.1.0</footer>
</main>
</body>
</html>
"#
        );
    }

    #[test]
    fn programs_get_the_same_as_a_problem() {
        let problem = |notice: &Notice| serde_json::from_str::<serde_json::Value>(&super::problem(notice)).unwrap();
        assert_eq!(
            problem(&working()),
            json!({
                "type": "urn:hearth:problem:unavailable",
                "title": "Hearth is being upgraded",
                "status": 503,
                "detail": "The work is done on a copy, so nothing can get lost.",
                "phase": "staging",
                "version": "0.1.0",
                "retry_after_seconds": 5,
                "progress": {"done": 536_870_912, "total": 1_073_741_824, "unit": "bytes"},
                "steps": [
                    {"name": "Check the data", "state": "done"},
                    {"name": "Copy it", "state": "now"},
                    {"name": "Start", "state": "todo"}
                ]
            })
        );
        assert_eq!(
            problem(&held()),
            json!({
                "type": "urn:hearth:problem:held",
                "title": "Hearth is waiting for its operator",
                "status": 503,
                "detail": "migration m0002 would lose 1 row of table \"record\" <now>",
                "phase": "held",
                "version": "0.1.0",
                "retry_after_seconds": 60,
                "cause": "migration",
                "hint": "nothing was changed; report this",
                "ways_out": [{"command": "supervisor resume", "effect": "tries again, now"}]
            })
        );
    }

    #[test]
    fn nothing_that_is_shown_can_be_markup() {
        let evil = "<script>alert('x')</script>\" onload=\"&\0";
        let mut notice = held();
        notice.title = evil.into();
        notice.sentence = evil.into();
        notice.detail = vec![evil.into()];
        notice.steps = vec![Step { name: evil.into(), state: StepState::Now }];
        notice.failure = Some(Failure::new(Cause::Io, evil).hint(evil));
        notice.ways_out = vec![WayOut { command: evil.into(), effect: evil.into() }];
        notice.version = evil.into();
        let page = html(&notice);
        assert!(!page.contains("<script") && !page.contains("\" onload") && !page.contains('\0'), "{page}");
        assert_eq!(page.matches("&lt;script&gt;").count(), 10);
    }

    #[test]
    fn progress_beyond_its_total_or_of_nothing_is_no_trouble() {
        for (done, total) in [(5, 0), (5, 3), (u64::MAX, u64::MAX)] {
            let notice = Notice { progress: Some(Progress { done, total, unit: Unit::Bytes }), ..working() };
            assert!(html(&notice).contains("<progress max="));
        }
    }

    #[test]
    fn the_policy_allows_exactly_the_style() {
        use std::{io::Write, process::{Command, Stdio}};
        let mut sum = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        sum.stdin.take().unwrap().write_all(STYLE.as_bytes()).unwrap();
        let output = sum.wait_with_output().unwrap().stdout;
        let digits = str::from_utf8(&output[..64]).unwrap();
        let bytes: Vec<u8> = (0..64).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect();
        let expected = format!("'sha256-{}'", base64(&bytes));
        assert!(POLICY.contains(&expected), "the style has changed: write {expected} into POLICY");
    }

    fn base64(bytes: &[u8]) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for chunk in bytes.chunks(3) {
            let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
            for at in 0..4 {
                let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
                text.push(if at <= chunk.len() { letter as char } else { '=' });
            }
        }
        text
    }
}
