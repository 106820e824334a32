//! The places in the API.

use poem::web::Data;
use poem_openapi::{
    Object, OpenApi, Tags,
    param::{Path, Query},
    payload::Json,
    types::MaybeUndefined,
};

use super::{
    entity::Model,
    store::{self, Change, NAME_MAX, Places, no_such_place},
};
use crate::{
    auth::{authority::AuthorizedDatabase, caller::Caller, idempotency::Once},
    http::{
        After, ById, Created, Done, Found, Header, IdempotencyKey, Limit, Listed, OptionalField, ReadRefused, Text,
        Window, WriteRefused,
    },
    records::store::Viewer,
};

/// The operations on places.
pub(crate) struct PlacesApi;

#[derive(Tags)]
enum Tag {
    /// Where things are: rooms, cupboards, boxes, within one another.
    Places,
}

/// A place of the household.
#[derive(Debug, Object)]
#[oai(rename = "Place", skip_serializing_if_is_none)]
struct PlaceBody {
    /// Assigned by Hearth. Never reused.
    id: i64,
    /// The name. No other place in the same place has it, whatever its case and accents.
    name: Text<1, NAME_MAX>,
    /// The id of the place that it is in. Absent at the top.
    parent_id: Option<i64>,
    /// The names of the places that it is in and its own, from the outermost on, with ` / ` between them.
    path: String,
    /// The number of records in the place itself that the user can see.
    records: u64,
    /// The number of records in the place, and in the places within it, that the user can see.
    records_within: u64,
}

/// A place to create.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct NewPlace {
    /// The name. Surrounding white space is removed.
    name: Text<1, NAME_MAX>,
    /// The id of the place that it is in. Places go at most 8 deep.
    parent_id: OptionalField<i64>,
}

/// A change to a place. Absent fields keep their values.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct PlaceChange {
    /// The name. Surrounding white space is removed.
    name: OptionalField<Text<1, NAME_MAX>>,
    /// The id of the place to move it into. Null moves it to the top.
    #[oai(nullable)]
    parent_id: MaybeUndefined<i64>,
}

#[OpenApi]
impl PlacesApi {
    /// List places
    ///
    /// In the order in which they were added. Each names the place that it is in.
    #[oai(path = "/places", method = "get", operation_id = "list_places", tag = "Tag::Places")]
    async fn list(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        /// The maximum number of items per page.
        limit: Query<Limit>,
        /// The `next` value of the previous page.
        after: Query<After>,
    ) -> Result<Listed<PlaceBody>, ReadRefused> {
        let places =
            store::list(database.reads(), Viewer::of(&caller)).await.map_err(|error| database.failed(error))?;
        let all: Vec<Model> = places.tree.in_order().into_iter().map(|(_, place)| place.clone()).collect();
        let window = Window::new(limit.0, after.0);
        Ok(window.cut(all, ById::OldestFirst, |place| place.id, |place| body(place, &places)))
    }

    /// Create a place
    #[oai(path = "/places", method = "post", operation_id = "create_place", tag = "Tag::Places")]
    async fn create(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        /// A text of the client's choice, such as a UUID, that is new for each place to create.
        #[oai(name = "Idempotency-Key")]
        key: Header<IdempotencyKey>,
        new: Json<NewPlace>,
    ) -> Result<Created<PlaceBody>, WriteRefused> {
        let once = Once::new(key.0, "create_place", &new.0);
        let place = store::add(database, &caller, &new.0.name.0, new.0.parent_id.0, once).await?;
        Ok(Created::new(now(database, &caller, place).await?))
    }

    /// Update a place
    ///
    /// Renames or moves it, with all that is in it.
    #[oai(path = "/places/:id", method = "patch", operation_id = "update_place", tag = "Tag::Places")]
    async fn update(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        /// The place's id.
        id: Path<i64>,
        change: Json<PlaceChange>,
    ) -> Result<Found<PlaceBody>, WriteRefused> {
        let PlaceChange { name, parent_id } = change.0;
        let parent_id = match parent_id {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(None),
            MaybeUndefined::Value(id) => Some(Some(id)),
        };
        let change = Change { name: name.0.map(|name| name.0), parent_id };
        let place = store::update(database, &caller, id.0, change).await?.ok_or_else(|| no_such_place(id.0))?;
        Ok(Found::new(now(database, &caller, place).await?))
    }

    /// Delete a place
    ///
    /// Only an empty one: if there is a place or a record in it, the response is 409 and says what is.
    #[oai(path = "/places/:id", method = "delete", operation_id = "delete_place", tag = "Tag::Places")]
    async fn delete(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        /// The place's id.
        id: Path<i64>,
    ) -> Result<Done, WriteRefused> {
        let found = store::delete(database, &caller, id.0).await?;
        Ok(Done::where_found(found, || format!("There is no place with the id {}.", id.0))?)
    }
}

/// Returns a place that was just written, as its response has it.
async fn now(database: &AuthorizedDatabase, caller: &Caller, place: Model) -> Result<PlaceBody, WriteRefused> {
    let places = store::list(database.reads(), Viewer::of(caller)).await.map_err(|error| database.failed(error))?;
    Ok(body(place, &places))
}

fn body(place: Model, places: &Places) -> PlaceBody {
    PlaceBody {
        id: place.id,
        parent_id: place.parent_id,
        path: places.tree.path(place.id),
        records: places.records(place.id),
        records_within: places.records_within(place.id),
        name: Text(place.name),
    }
}
