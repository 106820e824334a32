//! What does the rest have to know of a feature?
//!
//! Each feature is one folder and says all of it in one constant, `FEATURE`; `app` has the list of them.

use std::pin::Pin;

#[cfg(feature = "developer")]
use sea_orm::{
    DbBackend, Schema,
    sea_query::{IndexCreateStatement, TableCreateStatement},
};
use sea_orm::{EntityTrait, IdenStatic, Iterable};

use crate::db::Database;
pub(crate) use crate::{
    auth::access::{Operation, Page, Rule},
    html::Entry,
};

/// Everything that the rest has to know of a feature.
pub(crate) struct Feature<A = ()> {
    /// Its API.
    pub(crate) api: A,
    /// The operations of its API, each with its rule.
    pub(crate) operations: &'static [Operation],
    /// Its pages and forms, each with its rule.
    pub(crate) pages: &'static [Page],
    /// Its entry in the navigation, for those who may see the page.
    pub(crate) navigation: Option<Entry>,
    /// Its tables.
    pub(crate) tables: &'static [Table],
    /// Reads through each of its queries, before this version may serve a database.
    pub(crate) self_test: SelfTest,
}

/// A self-test; what it returns says what could not be read.
pub(crate) type SelfTest = for<'a> fn(&'a Database) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

impl<A> Feature<A> {
    /// Returns it without its API, whose type is its own.
    pub(crate) const fn without_api(&self) -> Feature {
        Feature {
            api: (),
            operations: self.operations,
            pages: self.pages,
            navigation: self.navigation,
            tables: self.tables,
            self_test: self.self_test,
        }
    }
}

/// A table, with the columns that this version knows.
pub(crate) struct Table {
    columns: fn() -> (String, Vec<&'static str>),
    #[cfg(feature = "developer")]
    pub(crate) statements: fn() -> (TableCreateStatement, Vec<IndexCreateStatement>),
}

impl Table {
    /// Returns the table of an entity.
    pub(crate) const fn of<E: EntityTrait>() -> Self {
        Self {
            columns: || {
                let columns = E::Column::iter().map(|column| IdenStatic::as_str(&column));
                (E::default().table_name().to_owned(), columns.collect())
            },
            #[cfg(feature = "developer")]
            statements: || {
                let schema = Schema::new(DbBackend::Sqlite);
                (schema.create_table_from_entity(E::default()), schema.create_index_from_entity(E::default()))
            },
        }
    }

    /// Returns its name and its columns.
    pub(crate) fn columns(&self) -> (String, Vec<&'static str>) {
        (self.columns)()
    }
}
