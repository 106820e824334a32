//! What belongs to a record beside its own row: its fields and its tags.

use std::collections::HashMap;

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, Select,
    sea_query::{Expr, SimpleExpr},
};

use super::{
    fields::{Field, entity as field},
    fold::category_key,
    tag,
};
use crate::db::{DirectReads, Tx};

/// The fields and the tags of a record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Details {
    /// In their order.
    pub(crate) fields: Vec<Field>,
    /// Their names, in the order of the alphabet.
    pub(crate) tags: Vec<String>,
}

/// Returns the details of these records.
pub(crate) async fn of(reads: &DirectReads, ids: &[i64]) -> Result<HashMap<i64, Details>, DbErr> {
    let mut found: HashMap<i64, Details> = HashMap::new();
    if ids.is_empty() {
        return Ok(found);
    }
    for field in reads.all(fields(ids)).await? {
        found.entry(field.record_id).or_default().fields.push(field.into());
    }
    for tag in reads.all(tags(ids)).await? {
        found.entry(tag.record_id).or_default().tags.push(tag.name);
    }
    Ok(found)
}

/// Returns the details of a record, within a transaction.
pub(crate) async fn read(tx: &Tx, id: i64) -> Result<Details, DbErr> {
    let fields = fields(&[id]).all(tx).await?.into_iter().map(Field::from).collect();
    let tags = tags(&[id]).all(tx).await?.into_iter().map(|tag| tag.name).collect();
    Ok(Details { fields, tags })
}

/// The ids as one value, so that a statement is the same for any number of them.
fn list(ids: &[i64]) -> String {
    format!("[{}]", ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
}

fn of_these(ids: &[i64]) -> SimpleExpr {
    Expr::cust_with_values(r#""record_id" IN (SELECT "value" FROM json_each(?))"#, [list(ids)])
}

fn fields(ids: &[i64]) -> Select<field::Entity> {
    field::Entity::find().filter(of_these(ids)).order_by_asc(field::Column::Position).order_by_asc(field::Column::Id)
}

fn tags(ids: &[i64]) -> Select<tag::Entity> {
    tag::Entity::find().filter(of_these(ids)).order_by_asc(tag::Column::NameKey)
}

/// Writes the details of a record in the place of those that it had. The record itself was changed before, so that its version is
/// kept (`store::begin_change`).
pub(super) async fn write(tx: &Tx, id: i64, before: &Details, after: &Details) -> Result<(), DbErr> {
    if before.fields != after.fields {
        if !before.fields.is_empty() {
            field::Entity::delete_many().filter(field::Column::RecordId.eq(id)).exec(tx).await?;
        }
        if !after.fields.is_empty() {
            let rows = after.fields.iter().zip(0..).map(|(field, position)| row(id, position, field.clone()));
            field::Entity::insert_many(rows).exec_without_returning(tx).await?;
        }
    }
    if before.tags != after.tags {
        if !before.tags.is_empty() {
            tag::Entity::delete_many().filter(tag::Column::RecordId.eq(id)).exec(tx).await?;
        }
        if !after.tags.is_empty() {
            let rows = after.tags.iter().map(|name| tag::ActiveModel {
                record_id: Set(id),
                name_key: Set(category_key(name)),
                name: Set(name.clone()),
            });
            tag::Entity::insert_many(rows).exec_without_returning(tx).await?;
        }
    }
    Ok(())
}

fn row(record_id: i64, position: i64, Field { key, label, value, money }: Field) -> field::ActiveModel {
    let (amount, currency) = money.map(|money| (money.amount, money.currency)).unzip();
    field::ActiveModel {
        id: NotSet,
        record_id: Set(record_id),
        key: Set(key),
        label: Set(label),
        value: Set(value),
        amount: Set(amount),
        currency: Set(currency),
        position: Set(position),
    }
}
