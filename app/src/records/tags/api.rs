//! The tags in the API.

use data_encoding::BASE64URL_NOPAD;
use poem::web::Data;
use poem_openapi::{
    Object, OpenApi, Tags,
    param::{Path, Query},
    payload::Json,
};

use super::store;
use crate::{
    auth::{authority::AuthorizedDatabase, caller::Caller},
    http::{Done, FieldError, Found, Limit, Listed, Problem, ReadRefused, Text, WriteRefused},
    records::{
        draft::TAG_MAX,
        fold::{category_key, title_key},
        store::Viewer,
    },
};

/// The operations on tags.
pub(crate) struct TagsApi;

#[derive(Tags)]
enum Tag {
    /// Words that records are marked with.
    Tags,
}

/// A tag.
#[derive(Debug, Object)]
#[oai(rename = "Tag")]
struct TagBody {
    /// The tag, as the records have it.
    name: String,
    /// The number of records with it that the user can see.
    records: u64,
}

/// A new name for a tag.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields)]
struct TagChange {
    /// The new name. Surrounding white space is removed.
    name: Text<1, TAG_MAX>,
}

/// What came of a new name.
#[derive(Debug, Object)]
struct TagRenamed {
    /// The tag, as the records have it now.
    name: String,
    /// The number of records that were changed.
    changed: u64,
    /// Whether there was a tag with the new name before: the two are one now.
    merged: bool,
}

#[OpenApi]
impl TagsApi {
    /// List tags
    ///
    /// Those of the records that the user can see, in the order of the alphabet.
    #[oai(path = "/tags", method = "get", operation_id = "list_tags", tag = "Tag::Tags")]
    async fn list(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        /// The maximum number of items per page.
        limit: Query<Limit>,
        /// The `next` value of the previous page.
        #[oai(validator(max_length = 2000))]
        after: Query<Option<String>>,
    ) -> Result<Listed<TagBody>, ReadRefused> {
        let after = after.0.map(|cursor| parse(&cursor)).transpose().map_err(Problem::fields)?;
        let tags = store::list(database.reads(), Viewer::of(&caller)).await.map_err(|error| database.failed(error))?;
        let place = |tag: &store::Tag| (title_key(&tag.name), tag.key.clone());
        let mut tags = tags.into_iter().filter(|tag| after.as_ref().is_none_or(|after| place(tag) > *after)).peekable();
        let page: Vec<_> = tags.by_ref().take(usize::try_from(limit.0.0).unwrap_or(usize::MAX)).collect();
        let next = page.last().filter(|_| tags.peek().is_some()).map(|tag| cursor(&tag.name));
        let body = |tag: store::Tag| TagBody { name: tag.name, records: tag.records };
        Ok(Listed::page(page.into_iter().map(body).collect(), next))
    }

    /// Rename a tag
    ///
    /// In all records that the user can see. If there is a tag with the new name, the two become one. Each record that is changed
    /// gets a new version.
    #[oai(path = "/tags/:name", method = "patch", operation_id = "rename_tag", tag = "Tag::Tags")]
    async fn rename(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        /// The tag. Case and accents are ignored.
        name: Path<String>,
        change: Json<TagChange>,
    ) -> Result<Found<TagRenamed>, WriteRefused> {
        let new = change.0.name.0.trim().to_owned();
        let changed = store::rename(database, &caller, &name.0, &new).await?.ok_or_else(|| no_such_tag(&name.0))?;
        Ok(Found::new(TagRenamed { name: new, changed: changed.records, merged: changed.merged }))
    }

    /// Remove a tag
    ///
    /// From all records that the user can see. The records stay, and each gets a new version.
    #[oai(path = "/tags/:name", method = "delete", operation_id = "delete_tag", tag = "Tag::Tags")]
    async fn delete(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        /// The tag. Case and accents are ignored.
        name: Path<String>,
    ) -> Result<Done, WriteRefused> {
        match store::remove(database, &caller, &name.0).await? {
            true => Ok(Done::Done),
            false => Err(no_such_tag(&name.0).into()),
        }
    }
}

/// Returns the refusal of what is wanted of a tag that no record has.
pub(super) fn no_such_tag(name: &str) -> Problem {
    let name: String = name.chars().take(TAG_MAX).collect();
    Problem::not_found(format!("There is no record with the tag “{name}”."))
}

/// Returns the cursor of the page behind a tag.
fn cursor(name: &str) -> String {
    BASE64URL_NOPAD.encode(format!("t{name}").as_bytes())
}

/// Returns where a page begins: behind a tag with this order and this key.
fn parse(cursor: &str) -> Result<(Vec<u8>, String), Vec<FieldError>> {
    let text = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let name = text.as_deref().and_then(|text| text.strip_prefix('t'));
    let wrong = || vec![FieldError::new("after", "is not a cursor that this list returned as `next`")];
    name.map(|name| (title_key(name), category_key(name))).ok_or_else(wrong)
}
