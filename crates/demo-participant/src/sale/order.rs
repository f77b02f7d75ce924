//! One order of the sale.

use std::time::Duration;

use serde_json::json;
use tercet_participant::{Client, ClientError, NewBranch, NewTransaction};

use super::Arguments;
use super::end::End;

/// How long a participant's answer is waited for before the call is made again: in a crowd one does
/// not wait long.
const CALL_TIMEOUT: Duration = Duration::from_millis(1_500);

/// How long an order may stay undecided. On a slow machine the crowd is served slowly, and nobody is to
/// be sent away for that.
const UNDECIDED_AT_MOST: Duration = Duration::from_secs(300);

/// Begins an order's transaction, or finds it begun, and waits as long as the client does.
pub(super) async fn place(tercet: Client, sale: Arguments, number: u32) -> End {
    match transaction(&sale, &gid(number)) {
        Ok(transaction) => End::of(tercet.begin(transaction).await),
        Err(error) => End::of(Err(error)),
    }
}

fn gid(number: u32) -> String {
    format!("sale-{number:05}")
}

fn transaction(sale: &Arguments, gid: &str) -> Result<NewTransaction, ClientError> {
    let Arguments { sku, account, .. } = sale;
    let branch = |id: &str, endpoint: &str, payload: serde_json::Value| {
        NewBranch::new(id).endpoint(endpoint).timeout(CALL_TIMEOUT).payload(&payload)
    };
    let order = json!({"order": gid, "account": account, "sku": sku, "quantity": 1});
    let mut transaction = NewTransaction::new()
        .gid(gid)
        .timeout(UNDECIDED_AT_MOST)
        .branch(branch("order", &sale.order, order)?)
        .branch(branch("inventory", &sale.inventory, json!({"sku": sku, "quantity": 1}))?)
        .branch(branch(
            "payment",
            &sale.payment,
            json!({"account": account, "amount": sale.price}),
        )?);
    if let Some(loyalty) = &sale.loyalty {
        let points = json!({"account": account, "points": 1});
        transaction = transaction.branch(branch("loyalty", loyalty, points)?);
    }
    Ok(transaction)
}
