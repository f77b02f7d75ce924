//! One connection, and how values go to it and come from it.

use async_trait::async_trait;
use sea_orm::{Statement, Value};
use sqlx::error::DatabaseError;
use sqlx::mysql::{MySqlArguments, MySqlDatabaseError, MySqlRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection, MySql, MySqlConnection, Row as _};

use crate::shared::{Liveness, Session};
use crate::sql::{Fault, Field, Row};

/// A row with that key is there already.
const DUPLICATE: u16 = 1062;

/// What is the values' own fault: null where none may be, no such character, out of range, too
/// long.
const OF_THE_DATA: [u16; 4] = [1048, 1264, 1366, 1406];

/// A connection.
pub(crate) struct MySqlSession {
    connection: MySqlConnection,
    liveness: Liveness,
    /// Most bytes that the server takes in one message.
    packet: usize,
}

/// What a message needs beside its values.
const PACKET_OVERHEAD: usize = 64 << 10;

impl MySqlSession {
    pub(super) fn new(connection: MySqlConnection) -> Self {
        Self { connection, liveness: Liveness::default(), packet: usize::MAX }
    }

    /// Remembers how much the server takes.
    pub(super) fn takes(&mut self, packet: i64) {
        self.packet = usize::try_from(packet).unwrap_or(usize::MAX);
    }

    /// Refuses what the server would end the connection for, time and again.
    fn fits(&self, statement: &Statement) -> Result<(), sqlx::Error> {
        let texts = statement.values.iter().flat_map(|values| values.iter());
        let bytes: usize = texts
            .map(|value| match value {
                Value::String(Some(text)) => text.len(),
                _ => 0,
            })
            .sum();
        if bytes.saturating_add(PACKET_OVERHEAD + statement.sql.len()) <= self.packet {
            return Ok(());
        }
        let why = format!("{bytes} bytes do not fit into max_allowed_packet = {}", self.packet);
        Err(sqlx::Error::Encode(why.into()))
    }
}

/// The end of a session: killed, ended for being idle, by the server's own end.
fn is_end(said: &dyn DatabaseError) -> bool {
    said.try_downcast_ref::<MySqlDatabaseError>()
        .is_some_and(|said| [1053, 1079, 1927, 4031].contains(&said.number()))
}

#[async_trait]
impl Session for MySqlSession {
    async fn batch(&mut self, sql: String) -> Result<u64, sqlx::Error> {
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection).await;
        Ok(self.liveness.note(done, is_end)?.rows_affected())
    }

    async fn execute(&mut self, statement: &Statement) -> Result<u64, sqlx::Error> {
        self.fits(statement)?;
        let done = bound(statement)?.execute(&mut self.connection).await;
        Ok(self.liveness.note(done, is_end)?.rows_affected())
    }

    async fn query(&mut self, statement: &Statement) -> Result<Vec<Row>, sqlx::Error> {
        self.fits(statement)?;
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

    fn fault(error: &sqlx::Error) -> Fault {
        let why = error.to_string();
        match error {
            sqlx::Error::Database(said) => {
                let number =
                    said.try_downcast_ref::<MySqlDatabaseError>().map(|said| said.number());
                let is_of_class = |class| said.code().is_some_and(|code| code.starts_with(class));
                match number {
                    Some(DUPLICATE) => Fault::Taken(why),
                    Some(number) if OF_THE_DATA.contains(&number) => Fault::Rejected(why),
                    _ if is_of_class("22") || is_of_class("23") => Fault::Rejected(why),
                    _ if is_of_class("40") => Fault::Conflict(why),
                    _ => Fault::Again(why),
                }
            }
            sqlx::Error::Encode(_) => Fault::Rejected(why),
            _ => Fault::Again(why),
        }
    }

    async fn value(&mut self, sql: &str) -> Result<Option<Field>, sqlx::Error> {
        // Asked once, so that the server need not keep it.
        let asked = sqlx::query(AssertSqlSafe(sql.to_owned())).persistent(false);
        match asked.fetch_optional(&mut self.connection).await {
            Ok(row) => Ok(row.map(|row| field(&row, 0))),
            // A table, a column or a variable that it does not have.
            Err(sqlx::Error::Database(said))
                if said
                    .try_downcast_ref::<MySqlDatabaseError>()
                    .is_some_and(|said| [1054, 1146, 1193].contains(&said.number())) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

fn field(row: &MySqlRow, column: usize) -> Field {
    if let Ok(Some(number)) = row.try_get::<Option<i64>, _>(column) {
        return Field::Integer(number);
    }
    if let Ok(Some(number)) = row.try_get::<Option<u64>, _>(column) {
        return i64::try_from(number).map_or(Field::Other, Field::Integer);
    }
    match row.try_get::<Option<String>, _>(column) {
        Ok(Some(text)) => Field::Text(text),
        Ok(None) | Err(_) => Field::Other,
    }
}

fn bound(statement: &Statement) -> Result<Query<'_, MySql, MySqlArguments>, sqlx::Error> {
    let mut query = sqlx::query(AssertSqlSafe(statement.sql.clone()));
    for value in statement.values.iter().flat_map(|values| values.iter()) {
        query = match value {
            Value::String(text) => query.bind(text.as_deref()),
            Value::Bool(flag) => query.bind(*flag),
            Value::Int(number) => query.bind(*number),
            Value::Unsigned(number) => query.bind(number.map(i64::from)),
            Value::BigInt(number) => query.bind(*number),
            other => {
                // What it says may be secret, its kind is not.
                let kind = std::mem::discriminant(other);
                let why = format!("no statement binds values of kind {kind:?}");
                return Err(sqlx::Error::Encode(why.into()));
            }
        };
    }
    Ok(query)
}
