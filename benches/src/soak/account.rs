//! Whether every datagram and every event is accounted for, and whether memory stays where it is.

/// What the node's metrics say at some moment of its life.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Books {
    /// Datagrams that it took from the kernel.
    pub datagrams: f64,
    /// Datagrams that the kernel dropped at its sockets.
    pub dropped: f64,
    /// Events that its shards handed on, whole or as a count.
    pub recorded: f64,
    /// Events that its shards gave up.
    pub shed: f64,
    /// Messages that came on connections.
    pub stream_messages: f64,
    /// Events that the writer stored, of this life.
    pub stored: f64,
    /// Events that the writer lost.
    pub lost: f64,
    /// Commits that failed and were made again.
    pub commit_errors: f64,
}

impl Books {
    /// Everything that is wrong with them, for a life in which `sent` datagrams were sent.
    #[must_use]
    pub fn faults(&self, sent: f64) -> Vec<String> {
        let mut faults = Vec::new();
        let arrived = self.datagrams + self.dropped;
        if arrived != sent {
            faults.push(format!(
                "{sent} datagrams were sent, and {arrived} are accounted for ({} taken, {} dropped by the kernel)",
                self.datagrams, self.dropped
            ));
        }
        // What came on a connection and was no message is an event too, so there may be more.
        let events = self.recorded + self.shed;
        if events < self.datagrams + self.stream_messages {
            faults.push(format!(
                "{} datagrams and {} messages gave only {events} events",
                self.datagrams, self.stream_messages
            ));
        }
        let written = self.stored + self.lost;
        if written != self.recorded {
            faults.push(format!(
                "{} events were handed to the writer, and {written} are accounted for ({} stored, {} lost)",
                self.recorded, self.stored, self.lost
            ));
        }
        faults
    }
}

/// Part by which the last life's most may be over that of the life it is compared with.
const GROWTH_MAX: f64 = 0.10;
/// What is not looked at: an allocator's own ups and downs, in MB.
const GROWTH_MB: f64 = 8.0;

/// Lives that come again and again: one that ends by being killed, and one that is stopped in order soon
/// after.
const CYCLE: usize = 2;

/// What is wrong with the memory: `lives` has the most that each life of the node took, in MB. The last is
/// held against one of its kind; those of the first cycle are left out, for they began with nothing.
#[must_use]
pub fn growth(lives: &[f64]) -> Option<String> {
    let last = lives.len().checked_sub(1)?;
    let first = CYCLE + last % CYCLE;
    if first >= last {
        return None;
    }
    let (first, last) = (lives[first], lives[last]);
    let bound = (first * (1.0 + GROWTH_MAX)).max(first + GROWTH_MB);
    (last > bound).then(|| format!("memory grew from {first:.0} MB to {last:.0} MB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: Books = Books {
        datagrams: 90.0,
        dropped: 10.0,
        recorded: 100.0,
        shed: 5.0,
        stream_messages: 15.0,
        stored: 98.0,
        lost: 2.0,
        commit_errors: 0.0,
    };

    #[test]
    fn right_books_have_no_faults() {
        assert_eq!(RIGHT.faults(100.0), Vec::<String>::new());
        let more = Books { recorded: 101.0, stored: 99.0, ..RIGHT };
        assert_eq!(more.faults(100.0), Vec::<String>::new(), "garbage on a connection is an event");
    }

    #[test]
    fn whatever_is_uncounted_is_a_fault() {
        assert_eq!(RIGHT.faults(101.0).len(), 1);
        assert_eq!(RIGHT.faults(99.0).len(), 1, "counted twice");
        assert_eq!(Books { shed: 4.0, ..RIGHT }.faults(100.0).len(), 1);
        assert_eq!(Books { stored: 97.0, ..RIGHT }.faults(100.0).len(), 1);
        assert_eq!(Books { stored: 99.0, ..RIGHT }.faults(100.0).len(), 1);
    }

    #[test]
    fn memory_that_grows_from_life_to_life_is_a_fault() {
        assert_eq!(growth(&[10.0, 5.0, 100.0, 50.0, 104.0, 52.0, 107.0]), None);
        assert!(growth(&[10.0, 5.0, 100.0, 50.0, 104.0, 52.0, 120.0]).is_some());
        assert!(growth(&[10.0, 5.0, 100.0, 50.0, 104.0, 62.0]).is_some(), "one of its kind");
        assert_eq!(growth(&[10.0, 5.0, 40.0, 30.0, 47.0]), None, "an allocator's ups and downs");
        assert_eq!(growth(&[10.0, 5.0, 100.0]), None, "there is nothing to compare");
    }
}
