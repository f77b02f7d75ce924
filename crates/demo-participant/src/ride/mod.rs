//! Rides: a seat is free, then held, then booked. The service is a participant with its seats, and
//! an initiator with its bookings.

mod booking;
#[cfg(test)]
mod booking_tests;
mod seats;

pub(crate) use booking::bookings;
pub(crate) use seats::{branch, read};

/// The ride service's command line.
#[derive(Debug, clap::Args)]
#[group(id = "ride")]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) service: crate::service::Arguments,
    /// The coordinator, such as http://127.0.0.1:7200
    #[arg(long, value_name = "URL")]
    pub(crate) coordinator: String,
    /// The endpoint of the payment service, such as http://127.0.0.1:7302/payment
    #[arg(long, value_name = "URL")]
    pub(crate) payment: String,
}
