//! What the daemon counts of itself, read from `/metrics`.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use super::RigError;

/// What `/metrics` answered at some moment.
#[derive(Debug)]
pub(crate) struct Scrape(String);

impl Scrape {
    pub(super) fn of(address: SocketAddr) -> Result<Self, RigError> {
        let mut stream = TcpStream::connect(address)?;
        write!(stream, "GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(Self(text))
    }

    /// The sum of a metric over all its labels; none of it is zero.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        let of_it = self.0.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let (_, value) = rest.rsplit_once(' ')?;
            matches!(rest.chars().next(), Some('{' | ' ')).then_some(value)
        });
        of_it.filter_map(|value| value.parse::<f64>().ok()).sum()
    }

    /// By how much a metric has grown since.
    pub(crate) fn since(&self, before: &Self, name: &str) -> f64 {
        self.sum(name) - before.sum(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_summed_over_its_labels_and_not_taken_for_a_longer_name() {
        let scrape = Scrape(
            "# TYPE a_total counter\na_total{x=\"1\"} 2\na_total{x=\"2\"} 3\na_total_more 7\nb 4.5\n"
                .to_owned(),
        );
        assert!((scrape.sum("a_total") - 5.0).abs() < 1e-9);
        assert!((scrape.sum("b") - 4.5).abs() < 1e-9);
        assert!(scrape.sum("c").abs() < 1e-9);
    }
}
