use proptest::prelude::*;

use super::*;
use crate::html::for_tests::EVIL;

fn html_of(text: &str) -> String {
    markdown(text).into_string()
}

/// Reads the HTML as strictly as nothing else does: each `<` must begin a tag that is written here, and each tag must end.
fn assert_harmless(html: &str, source: &str) {
    const ALONE: [&str; 2] = ["<br>", "<hr>"];
    const PAIRS: [&str; 26] = [
        "<p>",
        "<p class=\"typed\">",
        "<h3>",
        "<h4>",
        "<h5>",
        "<h6>",
        "<blockquote>",
        "<pre>",
        "<code>",
        "<ul>",
        "<ol>",
        "<li>",
        "<table>",
        "<thead>",
        "<tbody>",
        "<tr>",
        "<th scope=\"col\">",
        "<td>",
        "<em>",
        "<strong>",
        "<del>",
        "<span role=\"img\" aria-label=\"Done:\">",
        "<span role=\"img\" aria-label=\"To do:\">",
        "<ol start=",
        "<a href=",
        "</",
    ];
    let mut open: Vec<String> = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        assert!(!rest[..at].contains('>'), "{source:?} gives {html}");
        let end = rest[at..].find('>').unwrap_or_else(|| panic!("{source:?} gives {html}")) + at + 1;
        let tag = &rest[at..end];
        rest = &rest[end..];
        if let Some(name) = tag.strip_prefix("</") {
            assert_eq!(open.pop().as_deref(), Some(&name[..name.len() - 1]), "{source:?} gives {html}");
        } else if let Some(attributes) = tag.strip_prefix("<a href=\"") {
            let (address, more) = attributes.split_once('"').unwrap();
            let address = address.to_ascii_lowercase();
            assert!(SCHEMES.iter().any(|scheme| address.starts_with(scheme)), "{source:?} gives {html}");
            assert_eq!(more, " rel=\"noreferrer nofollow\">", "{source:?} gives {html}");
            assert!(!open.contains(&"a".to_owned()), "a link in a link: {source:?} gives {html}");
            open.push("a".to_owned());
        } else if let Some(first) = tag.strip_prefix("<ol start=\"") {
            assert!(first.strip_suffix("\">").unwrap().parse::<u64>().is_ok(), "{source:?} gives {html}");
            open.push("ol".to_owned());
        } else if !ALONE.contains(&tag) {
            assert!(PAIRS.contains(&tag), "{tag}: {source:?} gives {html}");
            open.push(tag[1..tag.len() - 1].split(' ').next().unwrap().to_owned());
        }
        assert!(open.len() <= 2 * DEPTH_MAX + 4, "{source:?} gives {html}");
    }
    assert!(open.is_empty() && !rest.contains('>'), "{source:?} gives {html}");
}

#[test]
fn what_people_write_is_formatted() {
    for (text, html) in [
        ("one\ntwo", "<p>one<br>two</p>"),
        ("# Boiler\n**yearly** and _soon_", "<h3>Boiler</h3><p><strong>yearly</strong> and <em>soon</em></p>"),
        (
            "- [x] paid\n- [ ] filed",
            "<ul><li><span role=\"img\" aria-label=\"Done:\">☑</span> paid</li><li><span role=\"img\" aria-label=\"To do:\">☐</span> filed</li></ul>",
        ),
        ("3. three\n4. four", "<ol start=\"3\"><li>three</li><li>four</li></ol>"),
        (
            "| a | b |\n|---|---|\n| 1 | 2 |",
            "<table><thead><tr><th scope=\"col\">a</th><th scope=\"col\">b</th></tr></thead><tbody><tr><td>1</td><td>2</td></tr></tbody></table>",
        ),
        ("`a < b`", "<p><code>a &lt; b</code></p>"),
        ("```sh\nls\n```", "<pre><code>ls\n</code></pre>"),
        ("> said", "<blockquote><p>said</p></blockquote>"),
        ("~~old~~\n\n---", "<p><del>old</del></p><hr>"),
        (
            "[shop](https://example.org/a?b&c)",
            "<p><a href=\"https://example.org/a?b&amp;c\" rel=\"noreferrer nofollow\">shop</a></p>",
        ),
        (
            "See https://example.org/a_b_c.",
            "<p>See <a href=\"https://example.org/a_b_c\" rel=\"noreferrer nofollow\">https://example.org/a_b_c</a>.</p>",
        ),
        (
            "<anna@example.org>",
            "<p><a href=\"mailto:anna@example.org\" rel=\"noreferrer nofollow\">anna@example.org</a></p>",
        ),
        ("[call](tel:+49-30-1)", "<p><a href=\"tel:+49-30-1\" rel=\"noreferrer nofollow\">call</a></p>"),
        ("![the plate](https://example.org/plate.jpg)", "<p>the plate</p>"),
        ("[x](javascript:alert(1))", "<p>x (javascript:alert(1))</p>"),
        ("<div>\n<b>bold\n</div>", "<p>&lt;div&gt;<br>&lt;b&gt;bold<br>&lt;/div&gt;</p>"),
        ("a <b>bold</b>", "<p>a &lt;b&gt;bold&lt;/b&gt;</p>"),
    ] {
        assert_eq!(html_of(text), html, "{text}");
        assert_harmless(html, text);
    }
}

#[test]
fn nothing_hostile_is_more_than_text() {
    let deep = ["> ".repeat(20_000), "- ".repeat(20_000), "*a ".repeat(20_000), "[".repeat(50_000)];
    let wide = [
        format!("{}\n{}\n{}", "|a".repeat(9_000), "|-".repeat(9_000), "|\n".repeat(20_000)),
        format!("[a]: https://example.org/{}\n\n{}", "x".repeat(50_000), "[a] ".repeat(10_000)),
        format!("{}{}", "**a _b ".repeat(7_000), "_ **".repeat(7_000)),
        "<!--".repeat(25_000),
        "<a ".repeat(30_000),
        "`a".repeat(40_000),
        "https://x ".repeat(9_000),
        "![".repeat(40_000) + &"](x)".repeat(5_000),
    ];
    let short = [
        EVIL,
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<svg/onload=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](java\nscript:alert(1))",
        "[x](\u{1}javascript:alert(1))",
        "[x](&#x6A;avascript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "[x](vbscript:x)",
        "[x](//evil.example)",
        "[x](/sign-out)",
        "[x](http:/sign-out)",
        "[x](https://a\"onmouseover=\"alert(1))",
        "[x](<https://a b\" onclick=alert(1)>)",
        "[x](https://a 'title\" onclick=\"alert(1)')",
        "<javascript:alert(1)>",
        "<https://a\"><script>",
        "https://a\"onclick=alert(1)",
        "https://a'><script>alert(1)</script>",
        "![x](javascript:alert(1))",
        "![\"><script>](x \"\\\" onerror=alert(1)\")",
        "[![a](b)](javascript:x)",
        "[a https://b c](https://d)",
        "[a]: javascript:alert(1)\n\n[a]",
        "```\"><script>\nx\n```",
        "<pre>\n<script>\n</pre>\n<style>",
        "<!-- --!> <script>alert(1)</script> -->",
        "| <script> |\n|---|\n| <img onerror=x> |",
        "&lt;script&gt; &#60;script&#62;",
        "- [x]<script>",
        "99999999999999999999. x\n000. y",
        "\u{202e}txt.exe\0",
        "# [x](javascript:x) {#id .class onclick=x}",
        "[^1]\n\n[^1]: <script>",
        "$$\\href{javascript:x}{y}$$",
    ];
    for text in deep.iter().chain(&wide).map(String::as_str).chain(short) {
        let started = std::time::Instant::now();
        let html = html_of(text);
        assert_harmless(&html, &text.chars().take(100).collect::<String>());
        assert!(html.len() < 20 * text.len() + 1000, "{} bytes of {}", html.len(), text.len());
        assert!(started.elapsed().as_secs() < 5, "{:?} takes {:?}", &text[..20.min(text.len())], started.elapsed());
    }
}

proptest! {
    #[test]
    fn whatever_is_typed_only_known_tags_come_of_it(text in "\\PC{0,200}") {
        assert_harmless(&html_of(&text), &text);
    }

    #[test]
    fn whatever_is_built_of_marks_only_known_tags_come_of_it(
        parts in prop::collection::vec(prop::sample::select(vec![
            "*", "**", "_", "~~", "`", "```\n", "> ", "- ", "1. ", "    ", "\n", "\n\n", "[", "](", ")", "![", "<", ">",
            "</", "<a href=\"", "<script>", "<!--", "-->", "\"", "'", "javascript:", "https://", "http://a", "mailto:", "data:",
            "|", "|-|\n", "---\n", "# ", "[x]: ", "[ ] ", "[x] ", "&lt;", "&#0;", "\\", "a", "é", "\t", "\r", "\0", " onclick=x ",
        ]), 0..60)
    ) {
        let text = parts.concat();
        assert_harmless(&html_of(&text), &text);
    }
}
