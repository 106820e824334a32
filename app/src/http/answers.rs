//! How does the API respond when a request succeeds?
//!
//! With one of a few responses, the same for every feature. Every list is a page: `items`, and `next` while there are more.

use std::borrow::Cow;

use poem_openapi::{
    ApiResponse,
    payload::Json,
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{ParseError, ParseResult, ToJSON, Type},
};
use serde_json::{Value, json};

use super::{parameter::optional_parameter, problem::Problem};

/// 200, with a page of a list.
#[derive(ApiResponse)]
pub(crate) enum Listed<T: ToJSON> {
    /// A page of the list.
    #[oai(status = 200)]
    Page(Json<Page<T>>),
}

/// 200, with the requested or updated resource.
#[derive(ApiResponse)]
pub(crate) enum Found<T: ToJSON> {
    /// The current state.
    #[oai(status = 200)]
    Found(Json<T>),
}

/// 201, with what was created.
#[derive(ApiResponse)]
pub(crate) enum Created<T: ToJSON> {
    /// Created.
    #[oai(status = 201)]
    Created(Json<T>),
}

/// 204.
#[derive(ApiResponse)]
pub(crate) enum Done {
    /// Done.
    #[oai(status = 204)]
    Done,
}

impl Done {
    /// Returns the response to what was done where it was `found`, else that something is `missing`.
    pub(crate) fn where_found(found: bool, missing: impl FnOnce() -> String) -> Result<Self, Problem> {
        if found { Ok(Self::Done) } else { Err(Problem::not_found(missing())) }
    }
}

impl<T: ToJSON> Listed<T> {
    /// Returns a page, and where the next one begins.
    pub(crate) fn page(items: Vec<T>, next: Option<String>) -> Self {
        Self::Page(Json(Page { items, next }))
    }
}

impl<T: ToJSON> Found<T> {
    pub(crate) fn new(body: impl Into<T>) -> Self {
        Self::Found(Json(body.into()))
    }
}

impl<T: ToJSON> Created<T> {
    pub(crate) fn new(body: impl Into<T>) -> Self {
        Self::Created(Json(body.into()))
    }
}

/// A page of any list. In the API's document it is called after its items: `RecordPage`.
#[derive(Debug)]
pub(crate) struct Page<T> {
    items: Vec<T>,
    next: Option<String>,
}

impl<T: Type> Type for Page<T> {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        format!("{}Page", T::name()).into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference(Self::name().into_owned())
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
        registry.create_schema::<Self, _>(Self::name().into_owned(), |_| {
            let described = |schema: MetaSchemaRef, description| {
                schema.merge(MetaSchema { description: Some(description), ..MetaSchema::ANY })
            };
            MetaSchema {
                description: Some("A page of a list."),
                required: vec!["items"],
                properties: vec![
                    ("items", described(Vec::<T>::schema_ref(), "The items, in the order of the list.")),
                    (
                        "next",
                        described(
                            String::schema_ref(),
                            "Pass it as `after` to get the next page. Absent on the last page.",
                        ),
                    ),
                ],
                ..MetaSchema::new("object")
            }
        });
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl<T: ToJSON> ToJSON for Page<T> {
    fn to_json(&self) -> Option<Value> {
        let mut page = json!({ "items": self.items.to_json() });
        if let Some(next) = &self.next {
            page["next"] = next.as_str().into();
        }
        Some(page)
    }
}

/// The parameter `limit` of every list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit(pub(crate) u64);

impl Limit {
    const DEFAULT: u64 = 50;
    const MAX: u64 = 200;

    fn read(value: &str) -> ParseResult<Self> {
        match value.parse() {
            Ok(limit) if (1..=Self::MAX).contains(&limit) => Ok(Self(limit)),
            _ => Err(ParseError::custom(format!("it must be a whole number from 1 to {}", Self::MAX))),
        }
    }
}

optional_parameter!(
    Limit,
    "integer(uint64)",
    MetaSchema {
        default: Some(Self::DEFAULT.into()),
        minimum: Some(1.0),
        maximum: Some(Self::MAX as f64),
        ..MetaSchema::new_with_format("integer", "uint64")
    },
    Self(Self::DEFAULT)
);

/// The parameter `after` of a list that is ordered by id: the last id of the page before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct After(Option<i64>);

impl After {
    /// What the API's document says of it, so that whatever fits the document is taken.
    const PATTERN: &str = "^i[0-9]{1,18}$";

    fn read(value: &str) -> ParseResult<Self> {
        let digits = value
            .strip_prefix('i')
            .filter(|digits| (1..=18).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit()));
        let id = digits.and_then(|digits| digits.parse().ok());
        id.map(|id| Self(Some(id))).ok_or_else(|| ParseError::custom("it is not a cursor of this list"))
    }
}

optional_parameter!(
    After,
    "string(cursor)",
    MetaSchema { pattern: Some(Self::PATTERN.to_owned()), ..MetaSchema::new_with_format("string", "cursor") },
    Self(None)
);

/// Which part of a list that is ordered by id a page shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) limit: u64,
    /// The last id of the page before.
    pub(crate) after: Option<i64>,
}

/// In which direction ids run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ById {
    OldestFirst,
    NewestFirst,
}

impl Window {
    /// Returns the part that the parameters `limit` and `after` ask for.
    pub(crate) fn new(limit: Limit, after: After) -> Self {
        Self { limit: limit.0, after: after.0 }
    }

    /// Returns the cursor of the page behind an item.
    pub(crate) fn cursor(id: i64) -> String {
        format!("i{id}")
    }

    /// Cuts this part out of a whole list, which is short.
    pub(crate) fn cut<M, T: ToJSON>(
        self,
        mut all: Vec<M>,
        direction: ById,
        id: impl Fn(&M) -> i64,
        body: impl Fn(M) -> T,
    ) -> Listed<T> {
        all.sort_by_key(&id);
        if direction == ById::NewestFirst {
            all.reverse();
        }
        all.retain(|item| match (self.after, direction) {
            (None, _) => true,
            (Some(after), ById::OldestFirst) => id(item) > after,
            (Some(after), ById::NewestFirst) => id(item) < after,
        });
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let has_more = all.len() > limit;
        all.truncate(limit);
        let next = all.last().filter(|_| has_more).map(|last| Self::cursor(id(last)));
        Listed::page(all.into_iter().map(body).collect(), next)
    }
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::ParseFromParameter;

    use super::*;

    fn page(limit: u64, after: Option<&str>, direction: ById) -> (Vec<i64>, Option<String>) {
        let after = After::parse_from_parameters(after).unwrap();
        let window = Window::new(Limit(limit), after);
        let Listed::Page(Json(Page { items, next })) = window.cut(vec![3, 1, 9], direction, |id| *id, |id| id);
        (items, next)
    }

    #[test]
    fn a_whole_list_is_cut_into_pages_in_either_direction() {
        for (direction, order) in [(ById::OldestFirst, [1, 3, 9]), (ById::NewestFirst, [9, 3, 1])] {
            for limit in [1, 2, 3, 50] {
                let (mut seen, mut after) = (Vec::new(), None);
                loop {
                    let (items, next) = page(limit, after.as_deref(), direction);
                    assert!(items.len() as u64 <= limit);
                    seen.extend(items);
                    after = next;
                    if after.is_none() {
                        break;
                    }
                }
                assert_eq!(seen, order, "{limit}");
            }
        }
        // The item that a cursor names may be gone.
        assert_eq!(page(5, Some(&Window::cursor(2)), ById::OldestFirst).0, [3, 9]);
        assert_eq!(page(5, Some(&Window::cursor(4)), ById::NewestFirst).0, [3, 1]);
        for cursor in ["", "7", "x", "aQ", "!!"] {
            assert!(After::parse_from_parameter(cursor).is_err(), "{cursor}");
        }
    }
}
