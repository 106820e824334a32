//! How is a field of a request left out?
//!
//! By not being there. The framework's `Option` takes null for that too, of which the document knows nothing, and in a
//! change null could as well mean "take it away".

use std::borrow::Cow;

use poem_openapi::{
    registry::{MetaSchemaRef, Registry},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde_json::Value;

/// A field of a request that may be absent, and is never null.
#[derive(Debug)]
pub(crate) struct OptionalField<T>(pub(crate) Option<T>);

impl<T: Type> Type for OptionalField<T> {
    const IS_REQUIRED: bool = false;
    type RawValueType = T::RawValueType;
    type RawElementValueType = T::RawElementValueType;

    fn name() -> Cow<'static, str> {
        T::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self::RawValueType> {
        self.0.as_ref()?.as_raw_value()
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
        match &self.0 {
            Some(value) => value.raw_element_iter(),
            None => Box::new(std::iter::empty()),
        }
    }
}

impl<T: ParseFromJSON> ParseFromJSON for OptionalField<T> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            None => Ok(Self(None)),
            Some(Value::Null) => Err(ParseError::custom("a field without a value must be omitted instead of null")),
            given => T::parse_from_json(given).map(|value| Self(Some(value))).map_err(ParseError::propagate),
        }
    }
}

// The framework wants it of every object; requests are not written.
impl<T: ToJSON> ToJSON for OptionalField<T> {
    fn to_json(&self) -> Option<Value> {
        self.0.to_json()
    }
}
