//! Tests of what the door shows.

use super::*;
use crate::{
    data::state::WayOut,
    failure::{Cause, Failure},
    status::Progress,
};

fn working() -> Notice {
    let step = |name: &str, state| Step { name: name.to_owned(), state };
    Notice {
        title: "Hearth is being upgraded".into(),
        sentence: "The work is done on a copy, so nothing can get lost.".into(),
        steps: vec![
            step("Check the data", StepState::Done),
            step("Copy it", StepState::Now),
            step("Start", StepState::Todo),
        ],
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
    let script = "printf %s \"$0\" | sha256sum | cut -c -64 | tr a-f A-F | basenc -d --base16 | base64";
    let output = std::process::Command::new("sh").args(["-c", script, STYLE]).output().unwrap();
    let expected = format!("'sha256-{}'", String::from_utf8(output.stdout).unwrap().trim());
    assert!(POLICY.contains(&expected), "the style has changed: write {expected} into POLICY");
}
