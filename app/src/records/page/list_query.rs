//! What may the address of the list ask for?

use serde::Deserialize;

use super::address;
use crate::{
    http::{FieldError, Problem},
    records::{
        kind::Kind,
        listing::{Cursor, Listing, Order},
        search::Search,
    },
};

/// Records on a page.
const LIMIT: u64 = 20;

/// What the list is narrowed by, and its order. A form sends what is not chosen as an empty text.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct ListQuery {
    #[serde(default)]
    pub(super) search: String,
    #[serde(default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) place_id: String,
    #[serde(default)]
    pub(super) tag: String,
    #[serde(default)]
    pub(super) category: String,
    #[serde(default, rename = "sort")]
    pub(super) order: Order,
    pub(super) after: Option<String>,
    /// The record that was just deleted.
    pub(super) deleted: Option<String>,
}

impl ListQuery {
    /// Returns the list that is asked for.
    pub(super) fn listing(&self) -> Result<Listing, Problem> {
        let mut errors = Vec::new();
        let after = self.after.as_deref().map(|cursor| Cursor::parse(cursor, self.order)).transpose();
        let after = after.map_err(|error| errors.push(FieldError::new("after", error.to_string()))).ok().flatten();
        let kind = self.kind();
        if kind.is_none() && !self.kind.is_empty() {
            errors.push(FieldError::new("kind", "is unknown"));
        }
        let place_id = self.place();
        if place_id.is_none() && !self.place_id.is_empty() {
            errors.push(FieldError::new("place_id", "is unknown"));
        }
        if !errors.is_empty() {
            return Err(Problem::fields(errors));
        }
        let text = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        Ok(Listing {
            search: Search::parse(&self.search),
            category: text(&self.category),
            kind,
            place_id,
            tag: text(&self.tag),
            order: self.order,
            after,
            limit: LIMIT,
            ..Listing::default()
        })
    }

    pub(super) fn kind(&self) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == self.kind)
    }

    pub(super) fn place(&self) -> Option<i64> {
        self.place_id.parse().ok()
    }

    /// Whether it asks for less than all records.
    pub(super) fn is_narrowed(&self) -> bool {
        ![&self.search, &self.kind, &self.place_id, &self.tag, &self.category].into_iter().all(|text| text.is_empty())
    }

    /// Returns the address of the list without what stands in one of its filters, or, without a name, of the same list.
    pub(super) fn without(&self, name: &str) -> String {
        self.to_address(name, None)
    }

    /// Returns the address of another page of the same list.
    pub(super) fn page_after(&self, after: Option<&str>) -> String {
        self.to_address("", after)
    }

    fn to_address(&self, without: &str, after: Option<&str>) -> String {
        let order = if self.order == Order::default() { "" } else { self.order.name() };
        let all = [
            ("search", self.search.as_str()),
            ("kind", &self.kind),
            ("place_id", &self.place_id),
            ("tag", &self.tag),
            ("category", &self.category),
            ("sort", order),
            ("after", after.unwrap_or_default()),
        ];
        let kept: Vec<_> = all.into_iter().filter(|(name, value)| *name != without && !value.is_empty()).collect();
        address(&kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_what_is_asked_for_and_no_more() {
        let query = ListQuery {
            search: "a&b".to_owned(),
            kind: "thing".to_owned(),
            tag: "Öl".to_owned(),
            order: Order::Title,
            ..ListQuery::default()
        };
        assert_eq!(query.page_after(Some("x")), "/?search=a%26b&kind=thing&tag=%C3%96l&sort=title&after=x");
        assert_eq!(query.without("kind"), "/?search=a%26b&tag=%C3%96l&sort=title");
        assert_eq!(ListQuery::default().page_after(None), "/");
    }

    #[test]
    fn what_is_unknown_is_named() {
        let query = ListQuery {
            kind: "castle".to_owned(),
            place_id: "x".to_owned(),
            after: Some("!".to_owned()),
            ..ListQuery::default()
        };
        let problem = query.listing().unwrap_err();
        let names: Vec<_> = problem.errors().iter().map(FieldError::name).collect();
        assert_eq!(names, ["after", "kind", "place_id"]);
    }
}
