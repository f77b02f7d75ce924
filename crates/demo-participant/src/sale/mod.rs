//! A sale: many orders for the same article at once, begun as any initiator would.

mod crowd;
mod end;
mod order;

use std::collections::{BTreeMap, VecDeque};
use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::RangeInclusive;
use std::time::Duration;

use tercet_participant::{Client, ClientError, WaitFor};

use self::crowd::{Crowd, Ends, Goal};
use self::end::End;
use crate::coordinator::client;

/// How many rounds of a sale may bring nothing before it is taken to be over.
const ROUNDS_IN_VAIN: u32 = 10;

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
    /// Goes on with more orders until so many pieces are sold: those whose transaction was cancelled for any
    /// other reason than the stock have given theirs back.
    #[arg(long, value_name = "N")]
    until_sold: Option<NonZeroU32>,
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
    /// How long it goes on while no order gets anywhere. As long as it moves, however slowly, it goes on.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    patience_s: u64,
}

/// Runs the sale and prints how the orders ended.
pub(crate) async fn run(arguments: Arguments) -> Result<(), ClientError> {
    let (orders, at_once) = (arguments.orders.get(), arguments.at_once.get());
    println!("{orders} orders, {at_once} at a time:");
    let tercet = client(&arguments.coordinator)?;
    let mut sale = Sale { arguments, tercet, ends: Ends::new() };
    let mut goes_on = sale.place(1..=orders).await;
    let (mut next, mut in_vain) = (orders + 1, 0);
    while goes_on && in_vain < ROUNDS_IN_VAIN {
        let (sold, left) = (sale.sold(), sale.left());
        if left == 0 {
            break;
        }
        println!("  ...  {left} pieces are not sold: as many orders more");
        goes_on = sale.place(next..=next.saturating_add(left - 1)).await;
        next = next.saturating_add(left);
        in_vain = if sale.sold() == sold { in_vain + 1 } else { 0 };
    }
    let mut counts = BTreeMap::<String, u32>::new();
    for end in sale.ends.values() {
        *counts.entry(end.to_string()).or_default() += 1;
    }
    for (end, count) in counts {
        println!("{count:>6} {end}");
    }
    Ok(())
}

/// A sale under way.
struct Sale {
    arguments: Arguments,
    tercet: Client,
    ends: Ends,
}

impl Sale {
    /// Places these orders and waits for the end of each. Whether all have come to it.
    async fn place(&mut self, numbers: RangeInclusive<u32>) -> bool {
        self.ends.extend(numbers.clone().map(|number| (number, End::Unknown)));
        let decided = Goal { word: "decided", is_reached: End::is_decided };
        let finished = Goal { word: "finished", is_reached: End::is_final };
        if !self.see_to(numbers.clone().collect(), decided, WaitFor::Decided).await {
            return false;
        }
        let of_these = self.ends.range(numbers);
        let unfinished = of_these.filter(|(_, end)| !end.is_final()).map(|(number, _)| *number);
        self.see_to(unfinished.collect(), finished, WaitFor::Finished).await
    }

    /// Begins the orders' transactions. A repeat begins nothing and waits for the one that was begun.
    async fn see_to(&mut self, orders: VecDeque<u32>, goal: Goal, wait_for: WaitFor) -> bool {
        let patience = Duration::from_secs(self.arguments.patience_s);
        let at_once = self.arguments.at_once.get();
        let crowd = Crowd { at_once, patience: || tokio::time::sleep(patience) };
        let tercet = self.tercet.clone().waiting_for(wait_for);
        let place = |number| order::place(tercet.clone(), self.arguments.clone(), number);
        crowd.see_to(orders, goal, place, &mut self.ends).await
    }

    /// Pieces that are sold.
    fn sold(&self) -> u32 {
        let sold = self.ends.values().filter(|end| end.is_sold()).count();
        u32::try_from(sold).unwrap_or(u32::MAX)
    }

    /// Pieces that are still to be sold.
    fn left(&self) -> u32 {
        let wanted = self.arguments.until_sold.map_or(0, NonZeroU32::get);
        wanted.saturating_sub(self.sold())
    }
}
