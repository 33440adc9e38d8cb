//! What goes wrong, and when.

/// What happens in the middle of a round, while traffic comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// Nothing: such rounds are what others are compared with.
    None,
    /// The node is told to read its configuration again.
    Hangup,
    /// The receiver of the webhook goes away, and comes back at the end of the round.
    ReceiverGone,
    /// The disk is full until the end of the round.
    DiskFull,
    /// The JSON log is moved away.
    LogMoved,
    /// The clock is an hour ahead from now on.
    ClockAhead,
    /// The clock is right again, so it jumps back.
    ClockBack,
    /// The node is killed, and started again.
    Killed,
    /// When the round is over, the node is stopped in order and started again.
    Restarted,
}

/// The order in which they happen, again and again. A clock that went ahead comes back in the round
/// after.
const ORDER: [Mishap; 10] = [
    Mishap::None,
    Mishap::Hangup,
    Mishap::ReceiverGone,
    Mishap::DiskFull,
    Mishap::None,
    Mishap::LogMoved,
    Mishap::ClockAhead,
    Mishap::ClockBack,
    Mishap::Killed,
    Mishap::Restarted,
];

/// What happens in a round.
#[must_use]
pub fn mishap(round: usize) -> Mishap {
    ORDER[round % ORDER.len()]
}

/// Rounds that fit into so many minutes, at least one of each kind.
#[must_use]
pub fn rounds(minutes: f64, round_seconds: f64) -> usize {
    ((minutes * 60.0 / round_seconds) as usize).max(ORDER.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mishap_happens_however_short_the_time() {
        let all: Vec<Mishap> = (0..rounds(0.0, 30.0)).map(mishap).collect();
        for wanted in ORDER {
            assert!(all.contains(&wanted), "{wanted:?}");
        }
        assert_eq!(rounds(30.0, 30.0), 60);
    }

    #[test]
    fn a_clock_that_went_ahead_comes_back_in_the_next_round() {
        for round in (0..50).filter(|&round| mishap(round) == Mishap::ClockAhead) {
            assert_eq!(mishap(round + 1), Mishap::ClockBack);
        }
    }
}
