//! What does the door show?
//!
//! People get a page that works without scripts, on a phone and in the dark, and that becomes Hearth by itself:
//! it reloads. Programs get `application/problem+json` (RFC 9457). Everything shown is escaped, and the page's
//! policy forbids everything but its own style.

use std::fmt::Write;

use serde_json::json;

use crate::{
    jobs::door::notice::{Notice, Step, StepState},
    status::Unit,
};

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
pub fn html(notice: &Notice) -> String {
    let refresh = format!("<meta http-equiv=\"refresh\" content=\"{}\">\n", notice.retry_after_seconds);
    let mut page = head(&refresh, &notice.title);
    let _ = writeln!(page, "<p>{}</p>", Escaped(&notice.sentence));
    steps(&mut page, &notice.steps);
    if let Some(progress) = &notice.progress {
        let (done, total) = (progress.done.min(progress.total), progress.total);
        let words = match progress.unit {
            Unit::Bytes | Unit::Rows => format!("{progress} ({} %)", progress.percent()),
            Unit::Migrations => progress.to_string(),
        };
        let bar = format!("<progress max=\"{}\" value=\"{done}\" aria-label=\"{words}\"></progress>", total.max(1));
        let _ = writeln!(page, "<p>{bar}\n{words}</p>");
    }
    if let Some(failure) = &notice.failure {
        page.push_str("<section role=\"alert\">\n<h2>What happened</h2>\n");
        for words in [&failure.message].into_iter().chain(&failure.hint) {
            let _ = writeln!(page, "<p>{}.</p>", Escaped(&sentence(words)));
        }
        page.push_str("</section>\n");
    }
    for detail in &notice.detail {
        let _ = writeln!(page, "<p>{}</p>", Escaped(detail));
    }
    if !notice.ways_out.is_empty() {
        page.push_str("<section>\n<h2>What to do, on the server</h2>\n<dl>\n");
        for way in &notice.ways_out {
            let _ =
                writeln!(page, "<dt><code>{}</code></dt>\n<dd>{}</dd>", Escaped(&way.command), Escaped(&way.effect));
        }
        page.push_str("</dl>\n</section>\n");
    }
    let _ = write!(page, "<footer>Hearth {}</footer>\n</main>\n</body>\n</html>\n", Escaped(&notice.version));
    page
}

/// Returns a short page that refuses, and does not come back by itself.
pub fn refusal(title: &str, why: &str) -> String {
    let mut page = head("", title);
    let _ = writeln!(page, "<p>{}</p>\n</main>\n</body>\n</html>", Escaped(why));
    page
}

/// Returns what both begin with, up to the title on the page.
fn head(refresh: &str, title: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n{refresh}\
         <title>{0}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{0}</h1>\n",
        Escaped(title),
    )
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

/// Begins a sentence with a capital letter and leaves out its full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Returns the same as `application/problem+json`: <https://www.rfc-editor.org/rfc/rfc9457>.
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
#[path = "page_tests.rs"]
mod tests;
