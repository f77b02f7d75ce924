//! Uses a coupon: `buy SPRING`, with the coordinator's URL and the participant's if they are others.
use serde_json::json;
use tercet_participant::{Client, NewBranch, NewTransaction};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let said = |nth, usual: &str| std::env::args().nth(nth).unwrap_or(usual.into());
    let tercet = Client::new(&said(2, "http://127.0.0.1:7200"))?;
    let coupon = NewBranch::new("coupon").endpoint(said(3, "http://127.0.0.1:7310/coupon"));
    let coupon = coupon.payload(&json!({"code": said(1, "SPRING")}))?;
    let outcome = tercet.begin(NewTransaction::new().branch(coupon)).await?;
    println!("{} is confirmed", outcome.confirmed()?.summary.gid);
    Ok(())
}
