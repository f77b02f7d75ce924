//! Rows read one by one, so that a value that is not even of its column's type costs its own
//! row and no other.

use sea_orm::{ConnectionTrait, DbErr, EntityTrait, FromQueryResult, QueryTrait, Select};

/// The rows of a statement, each as far as it can be read.
///
/// # Errors
/// The statement itself failed.
pub(crate) async fn each<E: EntityTrait>(
    on: &impl ConnectionTrait,
    select: Select<E>,
) -> Result<Vec<Result<E::Model, DbErr>>, DbErr> {
    let rows = on.query_all_raw(select.build(on.get_database_backend())).await?;
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
    let mut models = Vec::new();
    for row in each(on, select).await? {
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
