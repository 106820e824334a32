//! What does a page draw, and where?
//!
//! Its content is a list of operations. Those that place and show text are followed, and those that draw a part kept elsewhere
//! (a form); everything else is passed over. Parts can name one another in circles and in multitudes, so all of a file
//! together has a budget.

use std::{collections::HashMap, rc::Rc};

use lopdf::{
    Dictionary, Document, Object, ObjectId,
    content::{Content, Operation},
};

use super::{
    font::Font,
    text::{Place, Text},
};

/// How many operations are followed in a file. A dense page has 20,000.
const MOST_OPERATIONS: usize = 8_000_000;
/// What reading a font or beginning a part counts as.
const PART: usize = 1000;
/// How many bytes of content are unpacked in a file, and of one page or part.
const MOST_CONTENT: usize = 256 * 1024 * 1024;
const LARGEST_CONTENT: usize = 16 * 1024 * 1024;
/// How deep parts are followed into one another, and states and the page tree.
const DEEPEST: usize = 12;
const MOST_STATES: usize = 256;
const HIGHEST: usize = 64;

/// A matrix as PDF writes it: `[a b c d e f]`.
type Matrix = [f32; 6];

const UNCHANGED: Matrix = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];

/// Returns the matrix that does first `first`, then `second`.
fn product(first: Matrix, second: Matrix) -> Matrix {
    let [a, b, c, d, e, f] = first;
    let [p, q, r, s, t, u] = second;
    [a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u]
}

/// Reads pages of a document, one after the other.
pub(super) struct Pages<'a> {
    document: &'a Document,
    /// By where their dictionaries are, which do not move.
    fonts: HashMap<*const Dictionary, Rc<Font>>,
    operations: usize,
    content: usize,
}

/// What `q` saves and `Q` brings back.
#[derive(Clone)]
struct State {
    matrix: Matrix,
    font: Option<Rc<Font>>,
    size: f32,
    between_characters: f32,
    between_words: f32,
    stretch: f32,
    leading: f32,
}

/// One content, while it is followed.
struct Part<'a> {
    resources: Option<&'a Dictionary>,
    depth: usize,
    state: State,
    saved: Vec<State>,
    /// Where the next glyph goes, and where its line began.
    position: Matrix,
    line: Matrix,
}

impl<'a> Pages<'a> {
    pub(super) fn new(document: &'a Document) -> Self {
        Self { document, fonts: HashMap::new(), operations: MOST_OPERATIONS, content: MOST_CONTENT }
    }

    /// Whether the file has used up what it may cost.
    pub(super) fn is_exhausted(&self) -> bool {
        self.operations == 0 || self.content == 0
    }

    /// Adds the text of a page, and of the fields that are filled in on it.
    pub(super) fn read(&mut self, page: ObjectId, text: &mut Text) {
        let Ok(dictionary) = self.document.get_dictionary(page) else { return };
        let resources = self.inherited_resources(dictionary);
        let most = LARGEST_CONTENT.min(self.content);
        if let Ok(content) = self.document.get_page_content_with_limit(page, most) {
            self.follow(&content, Part::new(resources, State::new(), 0), text);
        }
        for annotation in self.document.get_page_annotations(page).unwrap_or_default() {
            self.appearance(annotation, text);
        }
    }

    /// Adds the text that an annotation shows.
    fn appearance(&mut self, annotation: &'a Dictionary, text: &mut Text) {
        let appearances = annotation.get_deref(b"AP", self.document).and_then(Object::as_dict);
        let Ok(normal) = appearances.and_then(|appearances| appearances.get_deref(b"N", self.document)) else { return };
        text.end_page();
        self.form(normal, None, State::new(), 0, text);
    }

    /// Returns the resources of a page, or of the nearest node above it that has some.
    fn inherited_resources(&self, page: &'a Dictionary) -> Option<&'a Dictionary> {
        let mut node = page;
        for _ in 0..HIGHEST {
            if let Ok(resources) = node.get_deref(b"Resources", self.document).and_then(Object::as_dict) {
                return Some(resources);
            }
            node = node.get_deref(b"Parent", self.document).and_then(Object::as_dict).ok()?;
        }
        None
    }

    /// Adds the text of a form.
    fn form(
        &mut self,
        form: &'a Object,
        resources: Option<&'a Dictionary>,
        mut state: State,
        depth: usize,
        text: &mut Text,
    ) {
        let Ok(form) = form.as_stream() else { return };
        if depth > DEEPEST || form.dict.get(b"Subtype").and_then(Object::as_name).is_ok_and(|kind| kind == b"Image") {
            return;
        }
        let Ok(content) = form.get_plain_content_with_limit(LARGEST_CONTENT.min(self.content)) else { return };
        let matrix = form.dict.get_deref(b"Matrix", self.document).and_then(Object::as_array);
        if let Some(matrix) = matrix.ok().and_then(|matrix| numbers(matrix)) {
            state.matrix = product(matrix, state.matrix);
        }
        let own = form.dict.get_deref(b"Resources", self.document).and_then(Object::as_dict).ok();
        self.follow(&content, Part::new(own.or(resources), state, depth), text);
    }

    fn follow(&mut self, content: &[u8], mut part: Part<'a>, text: &mut Text) {
        self.content = self.content.saturating_sub(content.len());
        self.spend(PART);
        for operation in Content::decode_iter(content) {
            // What comes after something that cannot be read is not read.
            let Ok(operation) = operation else { return };
            self.spend(1);
            if self.is_exhausted() || text.is_full() {
                return;
            }
            self.operation(&operation, &mut part, text);
        }
    }

    fn spend(&mut self, operations: usize) {
        self.operations = self.operations.saturating_sub(operations);
    }

    fn operation(&mut self, operation: &Operation, part: &mut Part<'a>, text: &mut Text) {
        let operands = operation.operands.as_slice();
        let number = |place: usize| operands.get(place).and_then(|operand| operand.as_float().ok()).unwrap_or(0.0);
        match operation.operator.as_str() {
            "q" if part.saved.len() < MOST_STATES => part.saved.push(part.state.clone()),
            "Q" => {
                if let Some(state) = part.saved.pop() {
                    part.state = state;
                }
            }
            "cm" => {
                if let Some(matrix) = numbers(operands) {
                    part.state.matrix = product(matrix, part.state.matrix);
                }
            }
            "BT" => part.begin_line(UNCHANGED),
            "Tf" => {
                let name = operands.first().and_then(|name| name.as_name().ok());
                part.state.font = name.and_then(|name| self.font(part.resources, name));
                part.state.size = number(1);
            }
            "Tc" => part.state.between_characters = number(0),
            "Tw" => part.state.between_words = number(0),
            "Tz" => part.state.stretch = number(0) / 100.0,
            "TL" => part.state.leading = number(0),
            "Td" => part.next_line(number(0), number(1)),
            "TD" => {
                part.state.leading = -number(1);
                part.next_line(number(0), number(1));
            }
            "Tm" => {
                if let Some(matrix) = numbers(operands) {
                    part.begin_line(matrix);
                }
            }
            "T*" => part.next_line(0.0, -part.state.leading),
            "Tj" => part.show(operands.first(), text),
            "'" => {
                part.next_line(0.0, -part.state.leading);
                part.show(operands.first(), text);
            }
            "\"" => {
                part.state.between_words = number(0);
                part.state.between_characters = number(1);
                part.next_line(0.0, -part.state.leading);
                part.show(operands.get(2), text);
            }
            "TJ" => {
                for element in operands.first().and_then(|list| list.as_array().ok()).into_iter().flatten() {
                    match element.as_float() {
                        Ok(back) => part.advance(-back / 1000.0 * part.state.size * part.state.stretch),
                        Err(_) => part.show(Some(element), text),
                    }
                }
            }
            "Do" => {
                let name = operands.first().and_then(|name| name.as_name().ok());
                if let Some(form) = name.and_then(|name| self.resource(part.resources, b"XObject", name)) {
                    self.form(form, part.resources, part.state.clone(), part.depth + 1, text);
                }
            }
            _ => {}
        }
    }

    /// Returns a resource of this kind and name.
    fn resource(&self, resources: Option<&'a Dictionary>, kind: &[u8], name: &[u8]) -> Option<&'a Object> {
        let of_kind = resources?.get_deref(kind, self.document).and_then(Object::as_dict).ok()?;
        of_kind.get_deref(name, self.document).ok()
    }

    fn font(&mut self, resources: Option<&'a Dictionary>, name: &[u8]) -> Option<Rc<Font>> {
        let font = self.resource(resources, b"Font", name)?.as_dict().ok()?;
        if let Some(known) = self.fonts.get(&std::ptr::from_ref(font)) {
            return Some(known.clone());
        }
        self.spend(PART);
        let read = Rc::new(Font::read(font, self.document));
        self.fonts.insert(font, read.clone());
        Some(read)
    }
}

impl State {
    fn new() -> Self {
        Self {
            matrix: UNCHANGED,
            font: None,
            size: 0.0,
            between_characters: 0.0,
            between_words: 0.0,
            stretch: 1.0,
            leading: 0.0,
        }
    }
}

impl<'a> Part<'a> {
    fn new(resources: Option<&'a Dictionary>, state: State, depth: usize) -> Self {
        Self { resources, depth, state, saved: Vec::new(), position: UNCHANGED, line: UNCHANGED }
    }

    fn begin_line(&mut self, matrix: Matrix) {
        self.line = matrix;
        self.position = matrix;
    }

    fn next_line(&mut self, x: f32, y: f32) {
        self.begin_line(product([1.0, 0.0, 0.0, 1.0, x, y], self.line));
    }

    /// Moves on in the direction of the text.
    fn advance(&mut self, by: f32) {
        self.position = product([1.0, 0.0, 0.0, 1.0, by, 0.0], self.position);
    }

    /// Returns where the next glyph goes.
    fn place(&self) -> Place {
        let [a, b, c, d, x, y] = product(self.position, self.state.matrix);
        Place { x, y, direction: (a, b), size: c.hypot(d) * self.state.size.abs() }
    }

    /// Adds the text of a string.
    fn show(&mut self, string: Option<&Object>, text: &mut Text) {
        let Some(bytes) = string.and_then(|string| string.as_str().ok()) else { return };
        let Some(font) = self.state.font.clone() else { return };
        for glyph in font.glyphs(bytes) {
            let begin = self.place();
            let spacing = if glyph.is_blank { self.state.between_words } else { 0.0 };
            // A word in spaced letters is one: the space between them belongs to each.
            let width = glyph.width * self.state.size + self.state.between_characters + spacing;
            self.advance(width * self.state.stretch);
            // A glyph that means nothing leaves a gap.
            if !glyph.meaning.is_empty() {
                text.add(&glyph.meaning, begin, self.place());
            }
        }
    }
}

/// Returns the six numbers of a matrix.
fn numbers(operands: &[Object]) -> Option<Matrix> {
    let mut matrix = UNCHANGED;
    if operands.len() != matrix.len() {
        return None;
    }
    for (number, operand) in matrix.iter_mut().zip(operands) {
        *number = operand.as_float().ok()?;
    }
    Some(matrix)
}
