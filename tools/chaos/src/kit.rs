//! The SDK's test kit, at a participant that is under load meanwhile.

use std::time::Duration;

use serde_json::json;
use tercet_participant::test_kit::{Balances, TestKit};
use tokio::task::JoinHandle;

use crate::books::KIT;
use crate::load::Endpoints;

/// What the kit says, in words, and whether a rule is broken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) words: String,
    pub(crate) broken: bool,
}

/// Begins to check the inventory's guard, for at most so long. The kit has an article of its
/// own, since it goes by the sums.
pub(crate) fn begin(at: &Endpoints, at_most: Duration) -> JoinHandle<Finding> {
    let endpoint = at.inventory.clone();
    tokio::spawn(async move {
        match check(&endpoint, at_most).await {
            Ok(finding) => finding,
            Err(why) => Finding { words: format!("could not check: {why}"), broken: true },
        }
    })
}

async fn check(endpoint: &str, at_most: Duration) -> Result<Finding, String> {
    let stock = match endpoint.strip_suffix("/inventory") {
        Some(base) => format!("{base}/stock"),
        None => return Err(format!("{endpoint} is no inventory")),
    };
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build();
    let http = http.map_err(|error| error.to_string())?;
    let report = TestKit::new(endpoint, &json!({"sku": KIT, "quantity": 1}))
        .and_then(|kit| kit.refused_payload(&json!({"sku": KIT, "quantity": 2_000_000_000})))
        .map_err(|error| error.to_string())?
        .probe(move || own_row(http.clone(), stock.clone()))
        .reserved("reserved")
        // Under load, and late: what was answered may take a while to be seen.
        .settling(Duration::from_secs(3))
        .rounds(2)
        .at_most(at_most)
        .run()
        .await
        .map_err(|error| error.to_string())?;
    let (checked, calls) = (report.checked.len(), report.calls);
    let broken: Vec<&str> = report.broken.iter().map(|breach| breach.rule.as_str()).collect();
    let mut words = format!("{checked} rules checked with {calls} calls, ");
    if broken.is_empty() {
        words.push_str("none broken");
    } else {
        words.push_str(&format!("BROKEN: {}; {}", broken.join(", "), report.broken[0].seen));
    }
    if !report.unchecked.is_empty() {
        words.push_str(&format!(", {} not reached in time", report.unchecked.len()));
    }
    Ok(Finding { words, broken: !broken.is_empty() })
}

/// The balances of the kit's own article, without those of the load's.
async fn own_row(http: reqwest::Client, stock: String) -> Result<Balances, String> {
    let answer = http.get(&stock).send().await.map_err(|error| error.to_string())?;
    let rows: serde_json::Value = answer.json().await.map_err(|error| error.to_string())?;
    let own = rows.as_array().and_then(|rows| rows.iter().find(|row| row["sku"] == KIT));
    Balances::from_json(own.ok_or("the kit's article is not in stock")?, &[])
}
