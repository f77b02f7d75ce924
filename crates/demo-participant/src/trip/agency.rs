//! The agency: an initiator with books of its own. A mail goes out exactly if a trip was written into them.
//!
//! ```text
//!   begin, open, "check": us ──▶ own SQL transaction: the trip, and that it was done ──▶ confirm ──▶ mail
//!                         die: before-commit ✗                    die: after-commit ✗
//! ```
//!
//! Whoever dies between is asked at the deadline (`POST /check`), and answers from its books.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use sea_orm::ActiveValue::Set;
use sea_orm::QueryOrder;
use sea_orm::TransactionTrait as _;
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tercet_participant::{
    Checked, Client, ClientError, NewBranch, NewTransaction, NotRecorded, Outcome,
};

use super::mail::NewMail;
use crate::coordinator::client;
use crate::database::create_table;
use crate::mischief;

/// The agency's command line.
#[derive(Debug, clap::Args)]
#[group(id = "agency")]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) service: crate::service::Arguments,
    /// The coordinator, such as http://127.0.0.1:7200
    #[arg(long, value_name = "URL")]
    pub(crate) coordinator: String,
    /// Where mails go out, such as http://127.0.0.1:7304/mail
    #[arg(long, value_name = "URL")]
    pub(crate) mail: String,
}

/// A trip in the agency's books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, DeriveEntityModel)]
#[sea_orm(table_name = "trips")]
pub(crate) struct Model {
    /// Its number, which is the gid.
    #[sea_orm(primary_key, auto_increment = false)]
    trip: String,
    /// Who travels.
    traveller: String,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Who wants to travel.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewTrip {
    trip: String,
    traveller: String,
    /// When we are asked, in milliseconds, if we have not asked for confirm by then.
    timeout_ms: u64,
    /// Where this process ends, on purpose.
    die: Option<Death>,
}

/// Where an initiator can die with something begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Death {
    BeforeCommit,
    AfterCommit,
}

/// Why a trip is not in the books, or nobody knows what became of its mail.
#[derive(Debug, thiserror::Error)]
enum NotBooked {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    NotRecorded(#[from] NotRecorded),
    #[error(transparent)]
    Database(#[from] DbErr),
}

struct Agency {
    db: DatabaseConnection,
    checked: Checked,
    tercet: Client,
    /// Where we are asked.
    check: String,
    /// Where a mail is confirmed.
    mail: String,
}

/// `POST /check`, which only a coordinator asks, with its tables made where they are not.
pub(crate) async fn checked(db: &DatabaseConnection) -> Result<(Checked, Router), DbErr> {
    create_table(db, Entity, &[]).await?;
    let checked = Checked::new(db.clone());
    checked.migrate().await?;
    let router = checked.router();
    Ok((checked, router))
}

/// `POST /trips` and `GET /trips`
pub(crate) fn trips(
    db: DatabaseConnection,
    checked: Checked,
    coordinator: &str,
    check: String,
    mail: &str,
) -> Result<Router, ClientError> {
    let mail = format!("{mail}/confirm");
    let agency = Agency { db, checked, tercet: client(coordinator)?, check, mail };
    let read = |State(agency): State<Arc<Agency>>| async move {
        crate::read::rows(Entity::find().order_by_asc(Column::Trip).all(&agency.db).await)
    };
    Ok(Router::new().route("/trips", post(book).get(read)).with_state(Arc::new(agency)))
}

async fn book(State(agency): State<Arc<Agency>>, Json(new): Json<NewTrip>) -> Response {
    match agency.book(new).await {
        Ok(outcome) => {
            let status = outcome.transaction().summary.status;
            Json(json!({"gid": outcome.gid(), "status": status})).into_response()
        }
        Err(NotBooked::NotRecorded(error @ (NotRecorded::TooLate(_) | NotRecorded::Before(_)))) => {
            let body = json!({"code": "not-booked", "status": 409, "detail": error.to_string()});
            (StatusCode::CONFLICT, Json(body)).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a trip broke off");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

impl Agency {
    async fn book(&self, new: NewTrip) -> Result<Outcome, NotBooked> {
        let NewTrip { trip, traveller, timeout_ms, die } = new;
        let mail = NewBranch::new("mail")
            .confirm_url(&self.mail)
            .payload(&NewMail { to: traveller.clone() })?;
        let open = NewTransaction::new()
            .gid(&trip)
            .timeout(Duration::from_millis(timeout_ms))
            .check(&self.check)
            .branch(mail);
        let begun = self.tercet.open(open).await?;

        let tx = self.db.begin().await?;
        let row = ActiveModel { trip: Set(trip), traveller: Set(traveller) };
        Entity::insert(row).exec_without_returning(&tx).await?;
        // Last of all, and in the same SQL transaction: both are there, or neither.
        self.checked.record(&tx, begun.gid()).await?;
        if die == Some(Death::BeforeCommit) {
            mischief::die("before-commit");
        }
        tx.commit().await?;
        if die == Some(Death::AfterCommit) {
            mischief::die("after-commit");
        }

        Ok(begun.confirm().await?)
    }
}
