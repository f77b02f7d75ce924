//! What a page in a browser on the daemon's own machine can do: nothing that it is not let do.

use http::Method;
use tercet_testing::{Client, Response, Tercet};

use crate::access::{as_variable, made};
use crate::bodies::begin_open;
use crate::expected::problem;

async fn asked(client: &Client, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = client.http().request(method, client.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.expect("a body");
    let json = serde_json::from_str(&text).unwrap_or_default();
    Response { status, headers, text, json }
}

#[tokio::test]
async fn a_page_of_another_site_decides_nothing() {
    let outer = "https://tercet.example";
    let allowed = format!("[\"{outer}\"]");
    let tercet = Tercet::start_with(&[("SERVER__ALLOWED_ORIGINS", &allowed)]).await;
    let client = tercet.client();
    client.begin("", &begin_open("order-1", &[])).await;
    let own = format!("http://{}", tercet.address());
    let confirm = "/v1/transactions/order-1/confirm";
    for headers in [
        &[("origin", "http://evil.example")][..],
        &[("origin", "null")],
        &[("origin", "http://127.0.0.1:1")],
        &[("sec-fetch-site", "cross-site")],
        &[("origin", outer), ("sec-fetch-site", "cross-site")],
    ] {
        let refused = asked(&client, Method::POST, confirm, headers).await;
        problem(&refused, "cross-origin", None);
        // Before a browser sends what it may not, it asks, and is not told that it may.
        let preflight = asked(&client, Method::OPTIONS, confirm, headers).await;
        problem(&preflight, "cross-origin", None);
        assert_eq!(preflight.header("access-control-allow-origin"), "");
        assert_eq!(asked(&client, Method::GET, "/v1/stats", headers).await.status, 200);
    }
    assert_eq!(client.get("order-1").await.word("status"), "trying", "nothing was decided");
    let metrics = client.send(Method::GET, "/metrics", None).await.text;
    assert!(metrics.contains("route=\"unmatched\",status=\"403\"} 10"), "{metrics}");
    assert_eq!(asked(&client, Method::POST, confirm, &[("origin", &own)]).await.status, 200);
    let again = [("origin", outer), ("sec-fetch-site", "same-origin")];
    assert_eq!(asked(&client, Method::POST, confirm, &again).await.status, 200);
}

#[tokio::test]
async fn a_token_does_not_make_another_site_a_friend() {
    let ops = made("ops", "operator").await;
    let tercet = Tercet::start_with(&[("AUTH__TOKENS", &as_variable(&[&ops]))]).await;
    let bearer = format!("Bearer {}", ops.token);
    let evil = [("authorization", bearer.as_str()), ("origin", "http://evil.example")];
    let refused = asked(&tercet.client(), Method::POST, "/v1/retry", &evil).await;
    problem(&refused, "cross-origin", None);
    assert_eq!(asked(&tercet.client(), Method::POST, "/v1/retry", &evil[..1]).await.status, 200);
}

#[tokio::test]
async fn a_name_that_was_made_to_lead_to_loopback_leads_nowhere() {
    let tercet = Tercet::start_with(&[("SERVER__ALLOWED_HOSTS", "[\"tercet.example\"]")]).await;
    let client = tercet.client();
    let port = tercet.address().port();
    for host in ["evil.example".to_owned(), format!("evil.example:{port}"), "10.0.0.1".to_owned()] {
        for path in ["/v1/stats", "/livez", "/docs", "/nowhere"] {
            let refused = asked(&client, Method::GET, path, &[("host", &host)]).await;
            problem(&refused, "host-not-allowed", None);
        }
    }
    for host in
        [format!("localhost:{port}"), format!("127.0.0.1:{port}"), "tercet.example".to_owned()]
    {
        let told = asked(&client, Method::GET, "/v1/stats", &[("host", &host)]).await;
        assert_eq!(told.status, 200, "{host}: {}", told.text);
    }
}
