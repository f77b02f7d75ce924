//! What is judged is what is connected to.

use std::sync::Arc;

use tercet_wire::{CallRules, NotAllowed};
use url::Url;

use super::super::connect::ConnectError;
use super::super::connections::Connections;
use super::{Hand, connector};
use std::time::Duration;
use tercet_testing::{RawParticipant, soon};

#[tokio::test]
async fn a_name_that_is_rebound_is_judged_anew_at_each_connection() {
    let participant = RawParticipant::start().await;
    let url = participant.url("/pay").replace("127.0.0.1", "rebound.example");
    let url: Url = url.parse().expect("a URL");
    let deny = vec!["127.0.0.2".parse().expect("an address")];
    let ruled = connector(&Arc::new(Hand::default()));
    let rules = Arc::new(CallRules::new(Vec::new(), deny, true));
    let connections = Connections::new(ruled.within(rules), Duration::ZERO);
    for (address, denied) in [
        ("127.0.0.1", None),
        ("127.0.0.2", Some("127.0.0.2")),
        ("127.0.0.1", None),
        ("169.254.169.254", Some("169.254.0.0/16")),
        ("::ffff:169.254.169.254", Some("169.254.0.0/16")),
        ("::ffff:127.0.0.2", Some("127.0.0.2")),
    ] {
        ruled.rebind("rebound.example", address.parse().expect(address));
        match (soon("a connection", connections.connect(&url)).await, denied) {
            (Ok(_), None) => {}
            (Err(ConnectError::NotAllowed(why)), Some(network)) => {
                let (NotAllowed::Denied(by) | NotAllowed::DeniedByDefault(by)) = why else {
                    panic!("{address}: {why}")
                };
                assert_eq!(by, network, "{address}");
            }
            (Ok(_), Some(_)) => panic!("{address} was connected to"),
            (Err(error), _) => panic!("{address}: {error}"),
        }
    }
    // The operator's own receivers are not ruled.
    ruled.rebind("rebound.example", "127.0.0.1".parse().expect("an address"));
    let unruled = Connections::new(ruled, Duration::ZERO);
    assert!(soon("a connection", unruled.connect(&url)).await.is_ok());
}
