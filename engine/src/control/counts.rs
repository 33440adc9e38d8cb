//! How many orders there were, for `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

use sentrypeer_http::metrics::{self, Kind};

use super::order::Order;

const KINDS: usize = Order::KINDS.len();

/// Orders by kind: those that were begun, and of these those that were carried out.
#[derive(Debug, Default)]
pub struct OrderCounts {
    begun: [AtomicU64; KINDS],
    done: [AtomicU64; KINDS],
}

/// An order that was begun.
pub(super) struct Begun<'a>(&'a AtomicU64);

impl Begun<'_> {
    /// It was carried out.
    pub(super) fn done(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl OrderCounts {
    pub(super) fn begin(&self, order: &Order) -> Begun<'_> {
        self.begun[order.kind()].fetch_add(1, Ordering::Relaxed);
        Begun(&self.done[order.kind()])
    }

    /// Appends the families in Prometheus' text format.
    pub fn render(&self, out: &mut String) {
        let families = [
            ("sentrypeer_orders_total", "Orders over the control socket.", &self.begun),
            ("sentrypeer_orders_done_total", "Those of them that were carried out.", &self.done),
        ];
        for (name, help, counts) in families {
            metrics::family(out, name, Kind::Counter, help);
            for (order, count) in Order::KINDS.into_iter().zip(counts) {
                let labels = [("order", order)];
                metrics::sample(out, name, &labels, count.load(Ordering::Relaxed));
            }
        }
    }
}
