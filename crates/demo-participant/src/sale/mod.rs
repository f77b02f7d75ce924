//! A sale: many orders for the same article at once, begun as any initiator would.

mod end;
mod order;

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use tercet_participant::{Client, ClientError, WaitFor};
use tokio::task::JoinSet;

use self::end::End;

/// The sale's command line.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// The coordinator, such as http://127.0.0.1:7200
    #[arg(long, value_name = "URL")]
    coordinator: String,
    /// The endpoint of the order service, such as http://127.0.0.1:7300/order
    #[arg(long, value_name = "URL")]
    order: String,
    /// The endpoint of the inventory service.
    #[arg(long, value_name = "URL")]
    inventory: String,
    /// The endpoint of the payment service.
    #[arg(long, value_name = "URL")]
    payment: String,
    /// The endpoint of the loyalty service, where there is one: each order earns one point.
    #[arg(long, value_name = "URL")]
    loyalty: Option<String>,
    /// Orders, of one piece each.
    #[arg(long, value_name = "N", default_value = "3000")]
    orders: NonZeroU32,
    /// How many of them wait for their decision at a time.
    #[arg(long, value_name = "N", default_value = "200")]
    at_once: NonZeroUsize,
    /// The article.
    #[arg(long, value_name = "SKU", default_value = "B2")]
    sku: String,
    /// Its price in cents.
    #[arg(long, value_name = "CENTS", default_value = "1900")]
    price: NonZeroU32,
    /// Who pays, and earns the points.
    #[arg(long, value_name = "NAME", default_value = "crowd")]
    account: String,
    /// After the last decision, how long all participants together have to acknowledge.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience_s: u64,
}

/// What is known of each order, by its number.
type Ends = BTreeMap<u32, End>;

/// Runs the sale and prints how the orders ended.
pub(crate) async fn run(arguments: Arguments) -> Result<(), ClientError> {
    let (orders, at_once) = (arguments.orders.get(), arguments.at_once.get());
    println!("{orders} orders, {at_once} at a time:");
    let tercet = Client::new(&arguments.coordinator)?;
    let mut ends = Ends::new();

    let decided = tercet.clone().waiting_for(WaitFor::Decided);
    let place = |number| order::place(decided.clone(), arguments.clone(), number);
    at_a_time(at_once, (1..=orders).collect(), place, &mut ends).await;

    let unfinished = ends.iter().filter(|(_, end)| !end.is_final()).map(|(number, _)| *number);
    let follow = |number| order::follow(tercet.clone(), number);
    let finished = at_a_time(at_once, unfinished.collect(), follow, &mut ends);
    // Whoever is not finished by then is counted as it was last seen.
    let _ = tokio::time::timeout(Duration::from_secs(arguments.patience_s), finished).await;

    let mut counts = BTreeMap::<String, u32>::new();
    for end in ends.values() {
        *counts.entry(end.to_string()).or_default() += 1;
    }
    for (end, count) in counts {
        println!("{count:>6} {end}");
    }
    Ok(())
}

/// Does something for each of these orders, so many at a time, and keeps what is known as it comes.
async fn at_a_time<F>(at_once: usize, orders: Vec<u32>, act: impl Fn(u32) -> F, ends: &mut Ends)
where
    F: Future<Output = End> + Send + 'static,
{
    let mut orders = orders.into_iter();
    let mut acting = JoinSet::new();
    let begin = |number| {
        let acting = act(number);
        async move { (number, acting.await) }
    };
    for number in orders.by_ref().take(at_once) {
        acting.spawn(begin(number));
    }
    while let Some(done) = acting.join_next().await {
        match done {
            Ok((number, end)) => drop(ends.insert(number, end)),
            Err(error) => tracing::error!(%error, "an order broke off"),
        }
        if let Some(number) = orders.next() {
            acting.spawn(begin(number));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn no_more_orders_than_allowed_are_under_way_and_none_is_lost() {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let act = |_| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                now.fetch_sub(1, Ordering::SeqCst);
                End::Unknown
            }
        };
        let mut ends = Ends::new();
        at_a_time(7, (1..=100).collect(), act, &mut ends).await;
        assert_eq!(most.load(Ordering::SeqCst), 7);
        assert_eq!(ends.into_keys().collect::<Vec<_>>(), (1..=100).collect::<Vec<_>>());
    }
}
