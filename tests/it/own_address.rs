//! A coordinator never works for itself: a branch that leads back to it is refused by name when
//! it is known, and where its call arrives when it is not.

use http::Method;
use serde_json::json;
use tercet_testing::Tercet;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::bodies::begin;
use crate::expected::{problem, transaction};

#[tokio::test]
async fn a_url_that_names_the_coordinator_is_refused_when_the_transaction_begins() {
    let tercet = Tercet::start().await;
    let (client, port) = (tercet.client(), tercet.address().port());
    for host in ["127.0.0.1", "localhost", "LocalHost.", "[::1]", "0.0.0.0", "127.1", "2130706433"]
    {
        let leg = json!({ "id": "b1", "confirm": format!("http://{host}:{port}/v1/transactions") });
        let refused = client.begin("", &begin("order-1", &[leg])).await;
        problem(&refused, "invalid-request", None);
        assert!(refused.word("detail").contains("own address"), "{host}: {}", refused.text);
    }
}

#[tokio::test]
async fn a_call_that_comes_back_to_the_coordinator_by_another_name_is_refused_where_it_arrives() {
    let tercet = Tercet::start().await;
    let client = tercet.client();
    // As a proxy, a port mapping or a name in somebody's DNS might lead back.
    let detour = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let detour_at = detour.local_addr().expect("an address");
    let coordinator = tercet.address();
    tokio::spawn(async move {
        while let Ok((mut from, _)) = detour.accept().await {
            let mut to = TcpStream::connect(coordinator).await.expect("the daemon listens");
            tokio::spawn(async move { copy_bidirectional(&mut from, &mut to).await });
        }
    });
    client.begin("", r#"{"gid":"victim","open":true}"#).await;
    // A host name, since an address in digits never meets a resolver.
    let url = format!("http://localhost:{}/v1/transactions/victim/confirm", detour_at.port());
    let body = begin("order-1", &[json!({ "id": "b1", "try": url })]);
    let ended = client.begin("", &body).await;
    transaction(&ended, 201, "cancelled");
    assert_eq!(ended.word("reason"), "try-refused", "{}", ended.text);
    let answer = ended.branch("b1")["answer"].to_string();
    assert!(answer.contains("Tercet-Op"), "it says why: {}", ended.text);
    transaction(&client.get("victim").await, 200, "trying");
    // By the same way, a request that is no call of ours is served.
    let direct = client.http().get(format!("http://{detour_at}/livez")).send().await;
    assert_eq!(direct.expect("an answer").status().as_u16(), 200);
    assert_eq!(client.send(Method::GET, "/livez", None).await.status, 200);
}
