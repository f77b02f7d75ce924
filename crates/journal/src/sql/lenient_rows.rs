//! Rows read one by one, so that a value that is not even of its column's type costs its own
//! row and no other.

use sea_orm::{
    ConnectionTrait, DbErr, EntityTrait, FromQueryResult, QueryTrait, Select, Statement,
};

/// The rows of a statement, each as far as it can be read.
///
/// # Errors
/// The statement itself failed.
pub(crate) async fn each<E: EntityTrait>(
    on: &impl ConnectionTrait,
    select: Select<E>,
) -> Result<Vec<Result<E::Model, DbErr>>, DbErr> {
    each_row::<E>(on, select.build(on.get_database_backend())).await
}

async fn each_row<E: EntityTrait>(
    on: &impl ConnectionTrait,
    statement: Statement,
) -> Result<Vec<Result<E::Model, DbErr>>, DbErr> {
    let rows = on.query_all_raw(statement).await?;
    Ok(rows.iter().map(|row| E::Model::from_query_result(row, "")).collect())
}

/// The rows of a statement that can be read. Of the others the log says which table they are
/// in: what else they hold may be as damaged.
///
/// # Errors
/// As [`each`].
pub(crate) async fn readable<E: EntityTrait>(
    on: &impl ConnectionTrait,
    select: Select<E>,
) -> Result<Vec<E::Model>, DbErr> {
    readable_rows::<E>(on, select.build(on.get_database_backend())).await
}

/// The same, of a statement in a database's own words.
///
/// # Errors
/// As [`each`].
pub(crate) async fn readable_rows<E: EntityTrait>(
    on: &impl ConnectionTrait,
    statement: Statement,
) -> Result<Vec<E::Model>, DbErr> {
    let mut models = Vec::new();
    for row in each_row::<E>(on, statement).await? {
        match row {
            Ok(model) => models.push(model),
            Err(error) => {
                let table = E::default().table_name().to_owned();
                tracing::error!(event = "row_unreadable", table, %error, "a row of the journal cannot be read");
            }
        }
    }
    Ok(models)
}
