//! One connection, and how values go to it and come from it.

use async_trait::async_trait;
use sea_orm::sea_query::ArrayType;
use sea_orm::{Statement, Value};
use sqlx::error::DatabaseError;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres, Row as _};

use crate::shared::{Liveness, Session};
use crate::sql::{Fault, Field, Row};

/// A connection.
pub(crate) struct PostgresSession {
    pub(super) connection: PgConnection,
    liveness: Liveness,
}

impl PostgresSession {
    pub(super) fn new(connection: PgConnection) -> Self {
        Self { connection, liveness: Liveness::default() }
    }
}

/// The end of a session: by whoever runs the server, by its own end, since it was idle.
fn is_end(said: &dyn DatabaseError) -> bool {
    said.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08"))
}

#[async_trait]
impl Session for PostgresSession {
    async fn batch(&mut self, sql: String) -> Result<u64, sqlx::Error> {
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection).await;
        Ok(self.liveness.note(done, is_end)?.rows_affected())
    }

    async fn execute(&mut self, statement: &Statement) -> Result<u64, sqlx::Error> {
        let done = bound(statement)?.execute(&mut self.connection).await;
        Ok(self.liveness.note(done, is_end)?.rows_affected())
    }

    async fn query(&mut self, statement: &Statement) -> Result<Vec<Row>, sqlx::Error> {
        let rows = bound(statement)?.fetch_all(&mut self.connection).await;
        let rows = self.liveness.note(rows, is_end)?;
        Ok(rows
            .iter()
            .map(|row| (0..row.len()).map(|column| field(row, column)).collect())
            .collect())
    }

    async fn end(self) {
        // Whether it hears it or not, it is let go of.
        let _ = self.connection.close().await;
    }

    fn liveness(&mut self) -> &mut Liveness {
        &mut self.liveness
    }

    /// Data (22), and constraints (23): all else may pass. What the values do not fit into on the
    /// way is theirs too. What another transaction was in the way of (40) passes at once.
    fn fault(error: &sqlx::Error) -> Fault {
        let why = error.to_string();
        let code = match error {
            sqlx::Error::Database(said) => said.code(),
            sqlx::Error::Encode(_) => return Fault::Rejected(why),
            _ => None,
        };
        match code.as_deref().and_then(|code| code.get(..2)) {
            Some("22" | "23") => Fault::Rejected(why),
            Some("40") => Fault::Conflict(why),
            Some(_) | None => Fault::Again(why),
        }
    }

    async fn value(&mut self, sql: &str) -> Result<Option<Field>, sqlx::Error> {
        // Asked once, so that the server need not keep it.
        let asked = sqlx::query(AssertSqlSafe(sql.to_owned())).persistent(false);
        match asked.fetch_optional(&mut self.connection).await {
            Ok(row) => Ok(row.map(|row| field(&row, 0))),
            // An object, a column, a function or a setting that it does not have.
            Err(sqlx::Error::Database(said))
                if said.code().is_some_and(|code| code.starts_with("42")) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

fn field(row: &PgRow, column: usize) -> Field {
    if let Ok(Some(number)) = row.try_get::<Option<i64>, _>(column) {
        return Field::Integer(number);
    }
    if let Ok(Some(number)) = row.try_get::<Option<i32>, _>(column) {
        return Field::Integer(i64::from(number));
    }
    match row.try_get::<Option<String>, _>(column) {
        Ok(Some(text)) => Field::Text(text),
        Ok(None) | Err(_) => Field::Other,
    }
}

fn bound(statement: &Statement) -> Result<Query<'_, Postgres, PgArguments>, sqlx::Error> {
    let mut query = sqlx::query(AssertSqlSafe(statement.sql.clone()));
    for value in statement.values.iter().flat_map(|values| values.iter()) {
        query = match value {
            Value::String(text) => query.bind(text.as_deref()),
            Value::BigInt(number) => query.bind(*number),
            Value::Int(number) => query.bind(number.map(i64::from)),
            Value::Unsigned(number) => query.bind(number.map(i64::from)),
            Value::Bool(flag) => query.bind(*flag),
            Value::Array(of, Some(values)) => bind_array(query, of, values)?,
            other => return Err(unbound(other)),
        };
    }
    Ok(query)
}

/// A column of values as one array. Whole numbers are bound as the widest of them: what is too
/// wide for its column, the database says.
fn bind_array<'q>(
    query: Query<'q, Postgres, PgArguments>,
    of: &ArrayType,
    values: &'q [Value],
) -> Result<Query<'q, Postgres, PgArguments>, sqlx::Error> {
    Ok(match of {
        ArrayType::String => query.bind(all(values, |value| match value {
            Value::String(text) => Some(text.as_deref()),
            _ => None,
        })?),
        ArrayType::Bool => query.bind(all(values, |value| match value {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        })?),
        ArrayType::BigInt => query.bind(all(values, |value| match value {
            Value::BigInt(number) => Some(*number),
            Value::Int(number) => Some(number.map(i64::from)),
            Value::Unsigned(number) => Some(number.map(i64::from)),
            _ => None,
        })?),
        _ => {
            return Err(sqlx::Error::Encode(format!("no statement binds arrays of {of:?}").into()));
        }
    })
}

fn all<'q, T>(
    values: &'q [Value],
    of_one: impl Fn(&'q Value) -> Option<T>,
) -> Result<Vec<T>, sqlx::Error> {
    values.iter().map(|value| of_one(value).ok_or_else(|| unbound(value))).collect()
}

fn unbound(value: &Value) -> sqlx::Error {
    // What it says may be secret, its kind is not.
    let kind = std::mem::discriminant(value);
    sqlx::Error::Encode(format!("no statement binds values of kind {kind:?}").into())
}
