//! The transaction the load is made of: order, inventory and payment, as in the demo.

use super::Body;
use crate::books::{ACCOUNT, PRICE, SKU};

/// Where the participants of a transaction are, as endpoints.
#[derive(Debug, Clone)]
pub(crate) struct Endpoints {
    pub(crate) order: String,
    pub(crate) inventory: String,
    pub(crate) payment: String,
}

/// The body that begins an order of one piece, by gid.
pub(crate) fn order(at: &Endpoints) -> Body {
    let Endpoints { order, inventory, payment } = at.clone();
    Box::new(move |gid| {
        format!(
            r#"{{"gid":"{gid}","timeout_ms":60000,"branches":[
{{"id":"order","endpoint":"{order}","payload":{{"order":"{gid}","account":"{ACCOUNT}","sku":"{SKU}","quantity":1}}}},
{{"id":"inventory","endpoint":"{inventory}","payload":{{"sku":"{SKU}","quantity":1}}}},
{{"id":"payment","endpoint":"{payment}","payload":{{"account":"{ACCOUNT}","amount":{PRICE}}}}}]}}"#
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_json_with_its_gid_and_three_branches() {
        let at = |name: &str| format!("http://127.0.0.1:1/{name}");
        let at = Endpoints { order: at("o"), inventory: at("i"), payment: at("p") };
        let body = order(&at)("load-1");
        let json: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(json["gid"], "load-1");
        let ids: Vec<_> = json["branches"].as_array().into_iter().flatten().collect();
        assert_eq!(ids.len(), 3);
        assert_eq!(ids[1]["endpoint"], "http://127.0.0.1:1/i");
    }
}
