//! How do notes in Markdown become part of a page?
//!
//! As a tree of the few elements that are known here, which a template writes. A text of people gets no further than that: HTML
//! in it is text, a picture is the text that describes it, and a link leads only where [`SCHEMES`] says. Line breaks are kept
//! as they were typed.

#[cfg(test)]
mod tests;

use maud::{Markup, html};
use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag, TextMergeStream};

/// What a link may begin with.
const SCHEMES: [&str; 4] = ["http://", "https://", "mailto:", "tel:"];

/// Elements within elements; what is deeper joins the last of them.
const DEPTH_MAX: usize = 16;

/// A text that makes more elements than this is shown as it was typed: a hundred kilobytes can ask for millions of cells.
const NODES_MAX: usize = 50_000;

/// A part of a text.
#[derive(Debug)]
enum Node<'a> {
    Text(CowStr<'a>),
    Code(CowStr<'a>),
    Break,
    Rule,
    Done(bool),
    Element(Element<'a>, Vec<Self>),
}

#[derive(Debug)]
enum Element<'a> {
    /// Is none: its parts are its parent's.
    Plain,
    Paragraph,
    Heading(usize),
    Quote,
    Preformatted,
    List(Option<u64>),
    Item,
    Table,
    Head,
    Row,
    HeadCell,
    Cell,
    Emphasis,
    Strong,
    Deleted,
    Link(CowStr<'a>),
    /// A link that leads where none may; the address follows it as text.
    Refused(CowStr<'a>),
}

/// Returns a text of people, written in Markdown.
pub(crate) fn markdown(text: &str) -> Markup {
    match Tree::read(text) {
        Some(nodes) => nodes_of(&nodes),
        None => html! { p.typed { (text) } },
    }
}

/// A tree that grows.
struct Tree<'a> {
    /// The elements that are open, and what they have so far.
    open: Vec<(Element<'a>, Vec<Node<'a>>)>,
    nodes: Vec<Node<'a>>,
    number: usize,
}

impl<'a> Tree<'a> {
    fn read(text: &'a str) -> Option<Vec<Node<'a>>> {
        let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
        let mut tree = Self { open: Vec::new(), nodes: Vec::new(), number: 0 };
        for event in TextMergeStream::new(Parser::new_ext(text, options)) {
            tree.number += 1;
            if tree.number > NODES_MAX {
                return None;
            }
            match event {
                Event::Start(tag) => tree.start(tag),
                Event::End(_) => tree.end(),
                Event::Text(text) => tree.text(text),
                Event::Code(text) => tree.add(Node::Code(text)),
                Event::Html(text) => {
                    if !tree.siblings().is_empty() {
                        tree.add(Node::Break);
                    }
                    tree.lines(&text);
                }
                Event::InlineHtml(text) => tree.lines(&text),
                Event::SoftBreak | Event::HardBreak => tree.add(Node::Break),
                Event::Rule => tree.add(Node::Rule),
                Event::TaskListMarker(done) => tree.add(Node::Done(done)),
                Event::InlineMath(text) | Event::DisplayMath(text) | Event::FootnoteReference(text) => {
                    tree.add(Node::Text(text));
                }
            }
        }
        Some(tree.nodes)
    }

    fn start(&mut self, tag: Tag<'a>) {
        let in_head = matches!(self.open.last(), Some((Element::Head, _)));
        let element = match tag {
            _ if self.open.len() >= DEPTH_MAX => Element::Plain,
            Tag::Paragraph | Tag::HtmlBlock => Element::Paragraph,
            // The page has h1 and h2 of its own.
            Tag::Heading { level, .. } => Element::Heading((level as usize + 2).min(6)),
            Tag::BlockQuote(_) => Element::Quote,
            Tag::CodeBlock(_) => Element::Preformatted,
            Tag::List(first) => Element::List(first),
            Tag::Item => Element::Item,
            Tag::Table(_) => Element::Table,
            Tag::TableHead => Element::Head,
            Tag::TableRow => Element::Row,
            Tag::TableCell if in_head => Element::HeadCell,
            Tag::TableCell => Element::Cell,
            Tag::Emphasis => Element::Emphasis,
            Tag::Strong => Element::Strong,
            Tag::Strikethrough => Element::Deleted,
            Tag::Link { link_type: LinkType::Email, dest_url, .. } => link(format!("mailto:{dest_url}").into()),
            Tag::Link { dest_url, .. } => link(dest_url),
            _ => Element::Plain,
        };
        self.open.push((element, Vec::new()));
    }

    fn end(&mut self) {
        let Some((element, nodes)) = self.open.pop() else { return };
        match element {
            Element::Plain => self.siblings().extend(nodes),
            Element::Refused(address) => {
                self.siblings().extend(nodes);
                self.add(Node::Text(format!(" ({address})").into()));
            }
            element => self.add(Node::Element(element, nodes)),
        }
    }

    fn siblings(&mut self) -> &mut Vec<Node<'a>> {
        self.open.last_mut().map_or(&mut self.nodes, |(_, nodes)| nodes)
    }

    fn add(&mut self, node: Node<'a>) {
        self.siblings().push(node);
    }

    /// Adds text, in which an address of the web is a link as it stands.
    fn text(&mut self, text: CowStr<'a>) {
        let takes_links =
            !self.open.iter().any(|(element, _)| matches!(element, Element::Link(_) | Element::Preformatted));
        let mut rest = &*text;
        while takes_links && let Some((before, address, after)) = find_address(rest) {
            self.add(Node::Text(before.to_owned().into()));
            let shown = vec![Node::Text(address.to_owned().into())];
            self.add(Node::Element(Element::Link(address.to_owned().into()), shown));
            self.number += 2;
            rest = after;
        }
        if rest.len() == text.len() { self.add(Node::Text(text)) } else { self.add(Node::Text(rest.to_owned().into())) }
    }

    /// Adds text of several lines.
    fn lines(&mut self, text: &str) {
        for (index, line) in text.trim_end().lines().enumerate() {
            if index > 0 {
                self.add(Node::Break);
            }
            self.add(Node::Text(line.to_owned().into()));
        }
    }
}

/// Returns a link, if it leads where one may.
fn link(address: CowStr<'_>) -> Element<'_> {
    let begins = |scheme: &&str| address.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    if SCHEMES.iter().any(begins) { Element::Link(address) } else { Element::Refused(address) }
}

/// Returns the first address of the web in a text, with what stands before and after it.
fn find_address(text: &str) -> Option<(&str, &str, &str)> {
    let start = ["https://", "http://"].iter().filter_map(|scheme| text.find(scheme)).min()?;
    let (before, rest) = text.split_at(start);
    let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"')).unwrap_or(rest.len());
    // The end of a sentence is none of the address.
    let address = rest[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '\'', '”', '“', '»']);
    (address.len() > "https://".len()).then(|| (before, address, &rest[address.len()..]))
}

fn nodes_of(nodes: &[Node<'_>]) -> Markup {
    html! { @for node in nodes { (node_of(node)) } }
}

fn node_of(node: &Node<'_>) -> Markup {
    html! {
        @match node {
            Node::Text(text) => { (**text) }
            Node::Code(text) => { code { (**text) } }
            Node::Break => { br; }
            Node::Rule => { hr; }
            Node::Done(true) => { span role="img" aria-label="Done:" { "☑" } " " }
            Node::Done(false) => { span role="img" aria-label="To do:" { "☐" } " " }
            Node::Element(element, nodes) => { (element_of(element, nodes)) }
        }
    }
}

fn element_of(element: &Element<'_>, nodes: &[Node<'_>]) -> Markup {
    let content = if matches!(element, Element::Table) {
        html! {}
    } else {
        nodes_of(nodes)
    };
    html! {
        @match element {
            Element::Plain | Element::Refused(_) => { (content) }
            Element::Paragraph => { p { (content) } }
            Element::Heading(3) => { h3 { (content) } }
            Element::Heading(4) => { h4 { (content) } }
            Element::Heading(5) => { h5 { (content) } }
            Element::Heading(_) => { h6 { (content) } }
            Element::Quote => { blockquote { (content) } }
            Element::Preformatted => { pre { code { (content) } } }
            Element::List(None) => { ul { (content) } }
            Element::List(Some(1)) => { ol { (content) } }
            Element::List(Some(first)) => { ol start=(first) { (content) } }
            Element::Item => { li { (content) } }
            Element::Table => { (table(nodes)) }
            Element::Head | Element::Row => { tr { (content) } }
            Element::HeadCell => { th scope="col" { (content) } }
            Element::Cell => { td { (content) } }
            Element::Emphasis => { em { (content) } }
            Element::Strong => { strong { (content) } }
            Element::Deleted => { del { (content) } }
            Element::Link(address) => { a href=(**address) rel="noreferrer nofollow" { (content) } }
        }
    }
}

fn table(nodes: &[Node<'_>]) -> Markup {
    let is_head = |node: &&Node<'_>| matches!(node, Node::Element(Element::Head, _));
    html! {
        table {
            thead { @for node in nodes.iter().filter(is_head) { (node_of(node)) } }
            tbody { @for node in nodes.iter().filter(|node| !is_head(node)) { (node_of(node)) } }
        }
    }
}
