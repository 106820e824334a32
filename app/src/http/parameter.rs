//! How is a type an optional parameter of the API's?

/// Makes a type an optional parameter: what the document calls it and says of it, what it is when it is absent, and the function
/// `read` that reads it.
macro_rules! optional_parameter {
    ($type:ty, $name:literal, $schema:expr, $absent:expr) => {
        impl poem_openapi::types::Type for $type {
            const IS_REQUIRED: bool = false;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn schema_ref() -> poem_openapi::registry::MetaSchemaRef {
                poem_openapi::registry::MetaSchemaRef::Inline(Box::new($schema))
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(self.as_raw_value().into_iter())
            }
        }

        impl poem_openapi::types::ParseFromParameter for $type {
            fn parse_from_parameter(value: &str) -> poem_openapi::types::ParseResult<Self> {
                Self::read(value)
            }

            fn parse_from_parameters<I: IntoIterator<Item = A>, A: AsRef<str>>(
                values: I,
            ) -> poem_openapi::types::ParseResult<Self> {
                values.into_iter().next().map_or(Ok($absent), |value| Self::read(value.as_ref()))
            }
        }
    };
}

pub(crate) use optional_parameter;
