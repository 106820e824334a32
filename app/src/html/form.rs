//! How does a form show what was typed, and what was wrong with it?
//!
//! What was wrong is said twice: together at the top, where a screen reader says it at once, and by each field. The
//! first wrong field has the focus, so that a phone scrolls to it, unless the form's address leads to its part.

use std::borrow::Cow;

use maud::{Markup, html};

use crate::http::{FieldError, Problem};

/// The fields of a form of which a page may have several, and why it was refused.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    /// Tells its fields from those of other forms on the page.
    form: Cow<'static, str>,
    refusal: Option<&'a Problem>,
    /// Whether the first wrong field has the focus.
    focused: bool,
    /// What fields are called that are not known here, by their names.
    labels: Vec<(String, String)>,
}

/// A field of one line.
#[derive(Debug, Clone)]
pub(crate) struct Input<'a> {
    name: &'static str,
    label: &'a str,
    kind: &'static str,
    value: &'a str,
    autocomplete: &'static str,
    hint: &'a str,
    required: bool,
    /// The least and the most characters; none is said where it is none.
    shortest: Option<usize>,
    longest: Option<usize>,
    numeric: bool,
}

impl<'a> Input<'a> {
    /// Returns a field of this type that has to be filled in.
    pub(crate) fn new(kind: &'static str, name: &'static str, label: &'a str) -> Self {
        Self {
            name,
            label,
            kind,
            value: "",
            autocomplete: "off",
            hint: "",
            required: true,
            shortest: None,
            longest: None,
            numeric: false,
        }
    }

    /// Returns a field for a password that is chosen. How long it may be at most is said by the server alone: browsers
    /// cut what is pasted without a word.
    pub(crate) fn new_password(name: &'static str, label: &'a str) -> Self {
        let field = Self::new("password", name, label).autocomplete("new-password");
        Self {
            shortest: Some(10),
            hint: "At least 10 characters. Several unrelated words are easy to remember.",
            ..field
        }
    }

    /// Returns the field with what was typed.
    pub(crate) fn value(self, value: &'a str) -> Self {
        Self { value, ..self }
    }

    /// Returns the field with what browsers and password managers fill in.
    pub(crate) fn autocomplete(self, autocomplete: &'static str) -> Self {
        Self { autocomplete, ..self }
    }

    /// Returns the field with a sentence that helps.
    pub(crate) fn hint(self, hint: &'a str) -> Self {
        Self { hint, ..self }
    }

    /// Returns the field as one that may stay empty.
    pub(crate) fn optional(self) -> Self {
        Self { required: false, ..self }
    }

    /// Returns the field with the most characters that it takes.
    pub(crate) fn longest(self, longest: usize) -> Self {
        Self { longest: Some(longest), ..self }
    }

    /// Returns the field as one for digits.
    pub(crate) fn numeric(self) -> Self {
        Self { numeric: true, ..self }
    }
}

impl<'a> Fields<'a> {
    /// Returns the fields of a form, refused or not.
    pub(crate) fn new(form: impl Into<Cow<'static, str>>, refusal: Option<&'a Problem>) -> Self {
        Self { form: form.into(), refusal, focused: true, labels: Vec::new() }
    }

    /// Returns the fields of a form to which the fragment of its address leads: browsers go there and ask for no focus.
    pub(crate) fn unfocused(self) -> Self {
        Self { focused: false, ..self }
    }

    /// Returns the fields with what those are called that people have made up.
    pub(crate) fn labelled(self, labels: Vec<(String, String)>) -> Self {
        Self { labels, ..self }
    }

    /// Returns why the form was refused; `what` says what did not happen.
    pub(crate) fn summary(&self, what: &str) -> Markup {
        html! {
            @if let Some(problem) = self.refusal {
                div.alert role="alert" {
                    p {
                        strong { (what) }
                        @if problem.errors().is_empty() { " " (problem.sentence()) }
                    }
                    @if !problem.errors().is_empty() {
                        ul {
                            @for error in problem.errors() {
                                li { a href={ "#" (self.id(error.name())) } { (self.sentence(error)) } }
                            }
                        }
                    }
                }
            }
        }
    }

    /// Returns a field with its label and what is wrong with it.
    pub(crate) fn input(&self, input: &Input<'_>) -> Markup {
        let Input { name, label, kind, value, autocomplete, hint, required, shortest, longest, numeric } = *input;
        let id = self.id(name);
        let hint_id = (!hint.is_empty()).then(|| format!("{id}-hint"));
        let described: Vec<_> = [hint_id.clone(), self.described(name)].into_iter().flatten().collect();
        let described = (!described.is_empty()).then(|| described.join(" "));
        html! {
            div.field {
                label for=(id) { (label) @if !required { span.optional { "optional" } } }
                @if let Some(id) = &hint_id { p.hint id=(id) { (hint) } }
                input id=(id) name=(name) type=(kind) value=[(!value.is_empty()).then_some(value)]
                    autocomplete=(autocomplete) required[required] minlength=[shortest] maxlength=[longest]
                    inputmode=[numeric.then_some("numeric")] autocapitalize=[(kind == "email").then_some("none")]
                    aria-invalid=[self.invalid(name)] aria-describedby=[described] autofocus[self.is_first(name)];
                (self.error(name))
            }
        }
    }

    /// Returns the id of a field.
    pub(crate) fn id(&self, name: &str) -> String {
        format!("{}-{name}", self.form)
    }

    /// Returns what is wrong with a field, to stand below it.
    pub(crate) fn error(&self, name: &str) -> Markup {
        html! {
            @if let Some(error) = self.wrong(name) {
                p.error id={ (self.id(name)) "-error" } { (self.sentence(error)) }
            }
        }
    }

    fn sentence(&self, error: &FieldError) -> String {
        match self.labels.iter().find(|(name, _)| name == error.name()) {
            Some((_, label)) => format!("{label} {}.", error.message()),
            None => sentence(error),
        }
    }

    /// Returns `aria-describedby` of a field that is wrong.
    pub(crate) fn described(&self, name: &str) -> Option<String> {
        self.wrong(name).map(|_| format!("{}-error", self.id(name)))
    }

    /// Returns `aria-invalid` of a field that is wrong.
    pub(crate) fn invalid(&self, name: &str) -> Option<&'static str> {
        self.wrong(name).map(|_| "true")
    }

    /// Whether a field is the first wrong one, and to have the focus.
    pub(crate) fn is_first(&self, name: &str) -> bool {
        let first = self.refusal.and_then(|problem| problem.errors().first());
        self.focused && first.is_some_and(|error| error.name() == name)
    }

    /// Whether the form was refused.
    pub(crate) fn is_refused(&self) -> bool {
        self.refusal.is_some()
    }

    fn wrong(&self, name: &str) -> Option<&'a FieldError> {
        self.refusal?.errors().iter().find(|error| error.name() == name)
    }
}

/// Returns the title of a page with a form. That it was refused comes first: a screen reader says the title before all else
/// (GOV.UK Design System, error summary).
pub(crate) fn title_of(title: &str, refusal: Option<&Problem>) -> String {
    if refusal.is_some() { format!("Error: {title}") } else { title.to_owned() }
}

/// What is wrong, as a sentence: the errors' words read on from the field.
fn sentence(error: &FieldError) -> String {
    let field = match error.name() {
        "category" => "The category",
        "code" => "The code",
        "current_password" => "The current password",
        "due_date" => "The due date",
        "email" => "The e-mail",
        "fields" => "Fields",
        "kind" => "The kind",
        "name" => "The name",
        "new_password" => "The new password",
        "notes" => "Notes",
        "parent_id" => "The place that it is in",
        "password" => "The password",
        "place_id" => "The place",
        "role" => "The role",
        "tags" => "Tags",
        "tailscale_login" => "The Tailscale login",
        "title" => "The title",
        "visibility" => "The visibility",
        other => other,
    };
    format!("{field} {}.", error.message())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::for_tests::{EVIL, assert_harmless};

    #[test]
    fn what_is_wrong_stands_by_its_field_and_at_the_top() {
        let problem = Problem::fields(vec![FieldError::new("name", "must not be empty")]);
        let fields = Fields::new("profile", Some(&problem));
        let page = html! {
            (fields.summary("Not saved."))
            (fields.input(&Input::new("text", "name", "Name").hint("What to be called.")))
            (fields.input(&Input::new("email", "email", "E-mail").value("a@b").optional()))
        };
        let text = page.into_string();
        assert!(
            text.contains(r##"role="alert""##)
                && text.contains(r##"href="#profile-name">The name must not be empty."##)
        );
        assert!(text.contains(r#"aria-describedby="profile-name-hint profile-name-error" autofocus"#), "{text}");
        assert_eq!(text.matches("aria-invalid").count(), 1, "{text}");
        assert_eq!(text.matches("required").count(), 1, "{text}");
    }

    #[test]
    fn each_field_has_a_name_that_people_know() {
        for (field, message, words) in [
            ("notes", "must be at most 5 characters long, not 6", "Notes must be at most 5 characters long, not 6."),
            ("role", "must be one of those", "The role must be one of those."),
        ] {
            assert_eq!(sentence(&FieldError::new(field, message)), words);
        }
    }

    #[test]
    fn the_title_says_first_that_a_form_was_refused() {
        assert_eq!(title_of("People", None), "People");
        assert_eq!(title_of("People", Some(&Problem::conflict("No."))), "Error: People");
    }

    #[test]
    fn text_of_people_is_never_taken_for_html() {
        let problem = Problem::fields(vec![FieldError::new("name", EVIL)]);
        let fields = Fields::new("form", Some(&problem));
        let field = Input::new("text", "name", EVIL).value(EVIL).hint(EVIL);
        assert_harmless(&html! { (fields.summary(EVIL)) (fields.input(&field)) });
    }
}
