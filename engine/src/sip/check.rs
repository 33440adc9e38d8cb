//! The deep checks.

use super::anomaly::Anomalies;
use super::message::Message;

pub(super) fn message(_message: &Message<'_>) -> Anomalies {
    Anomalies::default()
}
