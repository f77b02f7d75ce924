//! The transaction the load is made of: order, inventory and payment, as in the demo; or a saga of the three.

use super::Body;
use crate::books::{ACCOUNT, PRICE, SKU};

/// Where the participants of a transaction are, as endpoints.
#[derive(Debug, Clone)]
pub(crate) struct Endpoints {
    pub(crate) order: String,
    pub(crate) inventory: String,
    pub(crate) payment: String,
}

/// What the load is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Three branches with Try, Confirm and Cancel.
    Tcc,
    /// Three steps, one after the other, which are done at once and can be undone. Of ten one is refused at
    /// its end.
    Saga,
}

impl Shape {
    /// As rows are named by it; transactions of three branches go without saying.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcc => "",
            Self::Saga => "saga: ",
        }
    }

    /// Makes the body of begin of an order of one piece.
    pub(crate) fn body(self, at: &Endpoints) -> Body {
        match self {
            Self::Tcc => order(at),
            Self::Saga => steps(at),
        }
    }
}

/// The last digit of the number of those that are refused at their last step.
const REFUSED: char = '7';

fn steps(at: &Endpoints) -> Body {
    let Endpoints { order, inventory, payment } = at.clone();
    Box::new(move |gid| {
        let step = |id: &str, at: &str, deed: &str| {
            format!(r#"{{"id":"{id}","action":"{at}/{deed}","compensate":"{at}/undo"}}"#)
        };
        let last = if gid.ends_with(REFUSED) { "refuse" } else { "book" };
        format!(
            r#"{{"gid":"{gid}","pattern":"saga","timeout_ms":60000,"branches":[{},{},{}]}}"#,
            step("order", &order, "book"),
            step("inventory", &inventory, "book"),
            step("payment", &payment, last),
        )
    })
}

fn order(at: &Endpoints) -> Body {
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
        let saga: serde_json::Value =
            serde_json::from_str(&Shape::Saga.body(&at)("load-7")).expect("JSON");
        assert_eq!(saga["branches"][2]["action"], "http://127.0.0.1:1/p/refuse");
        assert_eq!(saga["branches"][1]["action"], "http://127.0.0.1:1/i/book");
        let body = Shape::Tcc.body(&at)("load-1");
        let json: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(json["gid"], "load-1");
        let ids: Vec<_> = json["branches"].as_array().into_iter().flatten().collect();
        assert_eq!(ids.len(), 3);
        assert_eq!(ids[1]["endpoint"], "http://127.0.0.1:1/i");
    }
}
