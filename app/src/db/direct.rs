//! How is the household's content read fast?
//!
//! SeaORM's driver has a thread for each connection: a statement goes to it through a channel, and each row comes back through
//! one. A record is read in some ten microseconds, and two threads that wake each other cost more than that. So what a household
//! reads all the time is read by rusqlite, on the thread that asks: SeaORM builds the statement, and its model takes the
//! values. All other reads, of accounts and at the start, are few and go SeaORM's own way.
//!
//! There are a few connections, opened when they are first needed. The runtime has one thread more (`serve`): a disk that
//! hangs does not hold up what needs no record.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rusqlite::{
    OpenFlags, Row, ToSql,
    config::DbConfig,
    types::{ToSqlOutput, ValueRef},
};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnAcquireErr, DbBackend, DbErr, EntityTrait, Iterable, QuerySelect, QueryTrait,
    Select, Statement, TryIntoModel, Value, sea_query::ColumnType,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::{ACQUIRE_TIMEOUT, BUSY_TIMEOUT, READER_CACHE_KIB, STATEMENTS, error::query};

/// Connections that read content. More than this only wait for the processor on a small server.
pub(crate) const READERS: usize = 3;

/// The connections that read content.
#[derive(Debug)]
pub(crate) struct DirectReads {
    path: PathBuf,
    idle: Mutex<Vec<rusqlite::Connection>>,
    free: Semaphore,
}

impl DirectReads {
    /// Returns the readers of the database at `path`, which opens them.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), idle: Mutex::default(), free: Semaphore::new(READERS) }
    }

    /// Reads models until `take` returns `false`.
    pub(crate) async fn each<E>(
        &self,
        select: Select<E>,
        mut take: impl FnMut(E::Model) -> bool + Send,
    ) -> Result<(), DbErr>
    where
        E: EntityTrait,
        E::ActiveModel: TryIntoModel<E::Model>,
    {
        let columns: Vec<_> = E::Column::iter().map(|column| (column, ColumnKind::of(&column))).collect();
        let statement = select.build(DbBackend::Sqlite);
        self.reader().await?.each(&statement, |row| Ok(take(model::<E>(row, &columns)?)))
    }

    /// Returns all models that a query finds.
    pub(crate) async fn all<E>(&self, select: Select<E>) -> Result<Vec<E::Model>, DbErr>
    where
        E: EntityTrait,
        E::ActiveModel: TryIntoModel<E::Model>,
    {
        let mut found = Vec::new();
        self.each(select, |model| {
            found.push(model);
            true
        })
        .await?;
        Ok(found)
    }

    /// Returns the one model that a query finds, or the first. The statement is SeaORM's for the same: a transaction prepares it
    /// too.
    pub(crate) async fn one<E>(&self, select: Select<E>) -> Result<Option<E::Model>, DbErr>
    where
        E: EntityTrait,
        E::ActiveModel: TryIntoModel<E::Model>,
    {
        let mut found = None;
        self.each(select.limit(1), |model| {
            found = Some(model);
            false
        })
        .await?;
        Ok(found)
    }

    /// Returns what `read` makes of each row.
    pub(crate) async fn rows<T>(
        &self,
        statement: &Statement,
        mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<T> + Send,
    ) -> Result<Vec<T>, DbErr> {
        let mut found = Vec::new();
        self.reader().await?.each(statement, |row| {
            found.push(read(row).map_err(query)?);
            Ok(true)
        })?;
        Ok(found)
    }

    /// Closes all that are in; one that is still out is closed when it comes back.
    pub(super) fn close(&self) {
        self.free.close();
        self.idle().clear();
    }

    async fn reader(&self) -> Result<Reader<'_>, DbErr> {
        let permit = match timeout(ACQUIRE_TIMEOUT, self.free.acquire()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)),
            Err(_) => return Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)),
        };
        let idle = self.idle().pop();
        let connection = idle.map_or_else(|| open(&self.path).map_err(query), Ok)?;
        Ok(Reader { reads: self, connection: Some(connection), _permit: permit })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<rusqlite::Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(path: &Path) -> rusqlite::Result<rusqlite::Connection> {
    // SQLite needs no lock of its own: a connection is one thread's at a time.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = rusqlite::Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    // A plan hangs on the statement alone. Otherwise SQLite plans anew whenever a value changes that a plan might use.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// A connection that is out. It comes back whatever happens, before another one may be taken.
struct Reader<'a> {
    reads: &'a DirectReads,
    connection: Option<rusqlite::Connection>,
    _permit: SemaphorePermit<'a>,
}

impl Reader<'_> {
    /// Reads rows until `take` returns `false`.
    fn each(&self, statement: &Statement, mut take: impl FnMut(&Row<'_>) -> Result<bool, DbErr>) -> Result<(), DbErr> {
        let Some(connection) = &self.connection else { return Ok(()) };
        #[cfg(feature = "faults")]
        super::record::saw(&statement.sql);
        let mut prepared = connection.prepare_cached(&statement.sql).map_err(query)?;
        for (place, value) in statement.values.iter().flat_map(|values| &values.0).enumerate() {
            prepared.raw_bind_parameter(place + 1, Bound(value)).map_err(query)?;
        }
        let mut rows = prepared.raw_query();
        while let Some(row) = rows.next().map_err(query)? {
            if !take(row)? {
                break;
            }
        }
        Ok(())
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if !self.reads.free.is_closed() {
            self.reads.idle().extend(self.connection.take());
        }
    }
}

/// A value of a statement, as SQLite takes it.
struct Bound<'a>(&'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let none = ValueRef::Null;
        let unfit = |what: String| rusqlite::Error::ToSqlConversionFailure(what.into());
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Bool(value) => value.map_or(none, |value| ValueRef::Integer(value.into())),
            Value::Int(value) => value.map_or(none, |value| ValueRef::Integer(value.into())),
            Value::BigInt(value) => value.map_or(none, ValueRef::Integer),
            Value::BigUnsigned(Some(value)) => {
                ValueRef::Integer(i64::try_from(*value).map_err(|error| unfit(error.to_string()))?)
            }
            Value::Double(value) => value.map_or(none, ValueRef::Real),
            Value::String(value) => value.as_ref().map_or(none, |text| ValueRef::Text(text.as_bytes())),
            Value::Bytes(value) => value.as_ref().map_or(none, |bytes| ValueRef::Blob(bytes)),
            other => return Err(unfit(format!("SQLite has no type for {other:?}"))),
        }))
    }
}

/// What SeaORM calls that which a column holds; SQLite knows integers, reals, texts and blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ColumnKind {
    Bool,
    Int,
    BigInt,
    Double,
    Bytes,
    Text,
}

impl ColumnKind {
    fn of(column: &impl ColumnTrait) -> Self {
        match column.def().get_column_type() {
            ColumnType::Boolean => Self::Bool,
            ColumnType::Integer => Self::Int,
            ColumnType::BigInteger => Self::BigInt,
            ColumnType::Double => Self::Double,
            ColumnType::Blob | ColumnType::Binary(_) | ColumnType::VarBinary(_) => Self::Bytes,
            _ => Self::Text,
        }
    }

    fn read(self, row: &Row<'_>, place: usize) -> rusqlite::Result<Value> {
        Ok(match self {
            Self::Bool => Value::Bool(row.get(place)?),
            Self::Int => Value::Int(row.get(place)?),
            Self::BigInt => Value::BigInt(row.get(place)?),
            Self::Double => Value::Double(row.get(place)?),
            Self::Bytes => Value::Bytes(row.get(place)?),
            Self::Text => Value::String(row.get(place)?),
        })
    }
}

/// Returns the model that a row holds. A select of an entity has the entity's columns, in their order.
fn model<E>(row: &Row<'_>, columns: &[(E::Column, ColumnKind)]) -> Result<E::Model, DbErr>
where
    E: EntityTrait,
    E::ActiveModel: TryIntoModel<E::Model>,
{
    let mut model = E::ActiveModel::default();
    for (place, (column, kind)) in columns.iter().enumerate() {
        model.try_set(*column, kind.read(row, place).map_err(query)?)?;
    }
    model.try_into_model()
}

#[cfg(test)]
mod tests;
