//! How is a header read on which it hangs whether something is written?
//!
//! All of it: every line, and bytes that are no text as well. The framework's parameter of the same name takes the first line
//! and passes over one that is not ASCII, so that a change would be carried out as if it had no condition.

use poem::{Request, RequestBody, Result};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    error::ParseParamError,
    registry::{MetaParamIn, MetaSchemaRef, Registry},
    types::ParseFromParameter,
};

/// A parameter in a header. Several lines are one list (RFC 9110, 5.3); bytes that are not UTF-8 come as U+FFFD.
pub(crate) struct Header<T>(pub(crate) T);

impl<'a, T: ParseFromParameter> ApiExtractor<'a> for Header<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];
    const PARAM_IS_REQUIRED: bool = T::IS_REQUIRED;

    type ParamType = T;
    type ParamRawType = T::RawValueType;

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Header)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(T::schema_ref())
    }

    fn param_raw_type(&self) -> Option<&Self::ParamRawType> {
        self.0.as_raw_value()
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        options: ExtractParamOptions<T>,
    ) -> Result<Self> {
        let lines = request.headers().get_all(options.name).iter();
        let lines: Vec<_> = lines.map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
        let whole = (!lines.is_empty()).then(|| lines.join(", "));
        T::parse_from_parameters(whole)
            .map(Self)
            .map_err(|error| ParseParamError { name: options.name, reason: error.into_message() }.into())
    }
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    async fn read(lines: &[&[u8]]) -> Option<String> {
        let mut request = Request::builder().finish();
        for line in lines {
            request.headers_mut().append("If-Match", HeaderValue::from_bytes(line).unwrap());
        }
        let options = ExtractParamOptions { name: "If-Match", ..Default::default() };
        let header = Header::<Option<String>>::from_request(&request, &mut RequestBody::default(), options).await;
        header.ok().unwrap().0
    }

    #[tokio::test]
    async fn nothing_of_a_header_is_passed_over() {
        assert_eq!(read(&[]).await, None);
        assert_eq!(read(&[b""]).await.as_deref(), Some(""));
        assert_eq!(read(&[b"\"1\"", b"\"2\""]).await.as_deref(), Some("\"1\", \"2\""));
        assert_eq!(read(&["\"\u{e9}\"".as_bytes()]).await.as_deref(), Some("\"\u{e9}\""));
        assert_eq!(read(&[b"\"\xff\"", b"\"2\""]).await.as_deref(), Some("\"\u{fffd}\", \"2\""));
    }
}
