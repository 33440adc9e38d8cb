//! Every bound of the crate, each with its reason.

use std::time::Duration;

// What an attacker writes is cut to what an event of our own may hold, so that both fit the same
// tables.
pub use sentrypeer_storage::event::{METHOD_BYTES_MAX, NUMBER_BYTES_MAX, USER_AGENT_BYTES_MAX};

// ---- What OpenDHT carries.

/// Largest value that OpenDHT takes, in bytes. Some larger ones vanish without a word.
pub const DHT_VALUE_BYTES_MAX: usize = 64 * 1024;

/// Largest value that OpenDHT sends in one packet, in bytes; a larger one goes out as an unpaced burst.
pub const INLINE_BYTES_MAX: usize = 600;

/// What is read from one key, at most, in bytes: a newcomer gets a key of 200 KB whole, and one of
/// 1.2 MB not at all.
pub const KEY_BYTES_MAX: usize = 64 * 1024;

/// Values that are read from one key, at most. OpenDHT's own cache holds 4,096 of a key.
pub const KEY_VALUES_MAX: usize = 256;

/// How long OpenDHT keeps a value that nobody announces again, in seconds.
pub const VALUE_LIFETIME_S: u64 = 600;

// ---- The record of SentryPeer 4.x.

/// Largest record that is read, in bytes.
///
/// SentryPeer 4.x puts the whole message into its record: 1,024 bytes of it, up to six times that
/// once JSON has escaped every byte, and the parts of it again in members of their own. Twice the
/// worst of that is allowed for other writers. OpenDHT itself carries no more than 64 KiB.
pub const RECORD_READ_BYTES_MAX: usize = 16 * 1024;

/// Largest record that is written, in bytes.
///
/// Our records carry no message and no user agent. What an attacker chooses in them is the number
/// and the method; the rest is less than 512 bytes. An honest one stays below 600 bytes, which
/// OpenDHT sends in one packet.
pub const RECORD_WRITTEN_BYTES_MAX: usize =
    512 + ESCAPED_MAX * (NUMBER_BYTES_MAX + METHOD_BYTES_MAX);

/// Longest `app_name`, `app_version`, `collected_method`, `transport_type`, `event_timestamp` or
/// `source_ip` that is read, in bytes. The longest honest one is an IPv6 address with its port and
/// brackets, 47 bytes.
pub const PLAIN_MEMBER_BYTES_MAX: usize = 64;

/// Bytes that JSON makes of one byte at worst: `\u0001`.
const ESCAPED_MAX: usize = 6;

/// Pause between two records of one source in the old format, in seconds: as long as one lives.
pub const RECORD_SOURCE_PAUSE_S: u64 = VALUE_LIFETIME_S;

/// Pause between two records in the old format, in seconds: so one node has at most 60 alive.
pub const RECORD_PAUSE_S: u64 = 10;

/// With so many live values on the old key we add none: one key saturates, and it is the old nodes'.
pub const RECORD_LIVE_MAX: usize = 150;

/// Old records of which the id is remembered, to tell new ones from those that are announced again:
/// more than OpenDHT's cache holds of one key.
pub const RECORD_IDS_MAX: usize = 8192;

/// Sources whose last record of ours is remembered.
pub const RECORD_SOURCES_MAX: usize = 4096;

// ---- Time.

/// Length of an epoch in seconds.
pub const EPOCH_S: u32 = 600;

/// Length of a day in seconds.
pub const DAY_S: u64 = 86_400;

/// How long what peers say is kept, by the time that they name, in seconds: 7 days.
pub const PEER_DATA_AGE_MAX_S: u64 = 7 * DAY_S;

/// The same in minutes, which is what a record tells.
pub const AGE_MINUTES_MAX: u64 = PEER_DATA_AGE_MAX_S / 60;

/// How far in the future a time may lie, in seconds. Clocks differ, and none by more than an epoch.
pub const FUTURE_MAX_S: u64 = 600;

/// A batch is put this part of an epoch after its begin, at the earliest, in percent: what is
/// learnt until then is in it.
pub const PUT_FROM_PERCENT: u64 = 50;

/// The same at the latest: what is put must have spread when the epoch ends.
pub const PUT_UNTIL_PERCENT: u64 = 90;

/// How long after the end of an epoch readers begin to ask, in seconds.
pub const READ_AFTER_S: u64 = 30;

/// How long after that they may still begin, in seconds, so that not all ask at once.
pub const READ_JITTER_S: u64 = 60;

/// How long after its first try a reader asks again for what was not there, in seconds.
pub const READ_AGAIN_S: u64 = 120;

/// How long after the end of its epoch a batch stays announced, in seconds.
pub const PUT_KEPT_S: u64 = 20 * 60;

// ---- Batches.

/// Records that a node may tell in one epoch, and so in one batch.
pub const RECORDS_MAX: usize = 2000;

/// Of those the ones that are kept for numbers, where there are so many: a flood of addresses is not to
/// silence them.
pub const NUMBERS_ROOM: usize = RECORDS_MAX / 4;

/// Bytes that a node may tell in one epoch, as put, all batches together.
pub const EPOCH_BYTES_MAX: usize = 256 * 1024;

/// Largest body of one batch before sealing: 2,000 of the longest numbers fit.
pub const BODY_BYTES_MAX: usize = 128 * 1024;

/// Batches of one node in one epoch: one of each kind, and as many again.
pub const BATCHES_MAX: usize = 8;

/// Largest chunk, sealed, in bytes: gets of such values were measured at 6 MB/s without a loss.
pub const CHUNK_BYTES_MAX: usize = 8 * 1024;

/// What sealing adds to a chunk, in bytes (RFC 8439, section 2.8).
pub const SEAL_BYTES: usize = 16;

/// Largest chunk before sealing.
pub const CHUNK_PLAIN_BYTES_MAX: usize = CHUNK_BYTES_MAX - SEAL_BYTES;

/// Chunks of one batch, at most.
pub const CHUNKS_MAX: usize = BODY_BYTES_MAX.div_ceil(CHUNK_PLAIN_BYTES_MAX);

/// Largest sealed body: what the chunks of one batch carry together.
pub const SEALED_BYTES_MAX: usize = BODY_BYTES_MAX + CHUNKS_MAX * SEAL_BYTES;

/// Most digits, `+`, `*` and `#` of a number that is told. E.164 has 15 digits; what was dialled
/// before them is seldom longer than that again.
pub const NUMBER_WIRE_BYTES_MAX: usize = 40;

/// Fewest digits of a number that is told: fewer are an extension, or a short code that many have.
pub const NUMBER_DIGITS_MIN: usize = 7;

/// Largest count that is told, as the logarithm to base 2.
pub const COUNT_LOG2_MAX: u8 = 31;

/// Numbers and sources that a batch may name for the first time again, in seconds: what is seen all
/// the time is told every six hours, so that a new reader has it within those.
pub const TOLD_AGAIN_S: u64 = 6 * 3600;

/// Pause before everything is told again because there is a new reader, in seconds.
pub const RETELL_PAUSE_S: u64 = 3600;

/// What was told, remembered so that it is not told again: about 16 MiB at worst.
pub const TOLD_MAX: usize = 200_000;

/// Epochs after its own in which a batch is still taken. Nodes keep theirs for 20 minutes.
pub const LATE_EPOCHS_MAX: u32 = 6;

/// Epochs before the one that is read of which batches are asked for too, where nothing could be read then:
/// nodes keep what they put for as long.
pub const MISSED_EPOCHS_MAX: u32 = (PUT_KEPT_S / EPOCH_S as u64) as u32;

// ---- Announcements and grants.

/// Keys that the announcements of an epoch are spread over.
pub const SHARDS: u8 = 64;

/// Announcements on one key after which writers take the next page.
pub const PAGE_VALUES: usize = 64;

/// Pages of a shard. With [`SHARDS`] and [`PAGE_VALUES`]: 16,384 nodes.
pub const PAGES: u8 = 4;

/// Grants that a node makes for one day, at most. Each is some 230 bytes that are announced all day.
pub const GRANTS_MAX: usize = 2048;

/// Strangers that are granted a day whatever else: the tenth of nothing would be nobody, and two new
/// nodes would never meet.
pub const STRANGERS_MIN: usize = 128;

/// Strangers that are granted in one epoch.
pub const STRANGERS_EPOCH_MAX: usize = 64;

/// The part of its grants, as a divisor, that a node gives to strangers.
pub const STRANGERS_SHARE: usize = 10;

/// Days for which a stranger is granted the day key: long enough that what it reads of us can be
/// confirmed by its own sensors, and we earn its grant.
pub const TRIAL_DAYS: u32 = 7;

/// Days that must pass after a trial before there is another.
pub const TRIAL_PAUSE_DAYS: u32 = 21;

/// Before a day begins its grants are put this much earlier, in seconds, so that nobody is blind at
/// midnight.
pub const GRANT_AHEAD_S: u64 = 2 * 3600;

/// Pause between two looks for grants, in seconds: 64 gets.
pub const GRANT_LOOK_PAUSE_S: u64 = 600;

/// Pause between two looks whether somebody proves that a partner lies, in seconds.
pub const PROOF_LOOK_PAUSE_S: u64 = 6 * 3600;

/// Epochs without a batch after which a partner is asked less often.
pub const SILENT_EPOCHS: u32 = 6;

/// A silent partner is asked once in so many epochs, until it announces something.
pub const SILENT_PAUSE: u32 = 6;

// ---- The ledger.

/// Nodes that are known. Beyond it those go that have earned nothing, the longest silent first.
pub const PEERS_MAX: usize = 16_384;

/// Epochs in which activity is remembered, one bit each.
pub const ACTIVE_WINDOW: u32 = 128;

/// Epochs of [`ACTIVE_WINDOW`] in which a node must have brought a batch to be one that contributes.
pub const ACTIVE_EPOCHS_MIN: u32 = 3;

/// Credit from which on a node is granted the day key: one record that our own sensors confirm.
pub const GRANT_CREDIT_MIN: f64 = 1.0;

/// Credit from which on a node confirms what others say.
pub const CONFIRMER_CREDIT_MIN: f64 = 3.0;

/// Records that a node told before everybody else and that turned out to be true, halved every four
/// weeks: so many it must have. Who only repeats what it reads has none, however much of it is true.
pub const FIRST_MIN: f64 = 0.5;

/// Credit from which on a node counts in a quorum.
pub const QUORUM_CREDIT_MIN: f64 = 10.0;

/// Age from which on a node counts in a quorum, in seconds: whoever makes a thousand keys today has
/// a thousand voices in a week at the earliest.
pub const QUORUM_AGE_MIN_S: u64 = 7 * DAY_S;

/// Credit is halved in this time, in seconds.
pub const CREDIT_HALF_LIFE_S: u64 = 7 * DAY_S;

/// Credit that a node has at most: weight stops to grow there.
pub const CREDIT_MAX: f64 = 1000.0;

/// Credit that a node earns in one epoch, at most: one lucky list does not make a name.
pub const CREDIT_EPOCH_MAX: f64 = 10.0;

/// Credit of a record that own sensors confirm.
pub const CREDIT_OWN: f64 = 1.0;

/// Credit of a record that other credited nodes confirm.
pub const CREDIT_OTHERS: f64 = 0.25;

/// Other credited nodes that confirm a record.
pub const CONFIRMERS_MIN: usize = 2;

/// Of what a node says at least this part must be confirmed for it to count in a quorum, as a
/// divisor. Most attackers visit one sensor only, so honest nodes are seldom confirmed too; a liar
/// with a hundred victims for each copied truth is not.
pub const CONFIRMED_SHARE: u64 = 50;

/// Records of one node before [`CONFIRMED_SHARE`] says anything.
pub const CONFIRMED_SHARE_FROM: u64 = 500;

/// How long a node is distrusted that has signed two batches with one sequence, in seconds.
pub const DISTRUST_S: u64 = 30 * DAY_S;

/// Headers that are kept of each node, to find two with one sequence.
pub const HEADERS_KEPT: usize = 8;

/// Proofs of lying that are kept.
pub const PROOFS_MAX: usize = 1024;

// ---- The quorum.

/// Nodes that must say so before an address is acted on, if the operator says nothing else.
pub const QUORUM_DEFAULT: usize = 3;

/// Own sightings that are remembered, so that it is known who told of them before: about 16 MiB.
pub const OWN_MAX: usize = 200_000;

/// Epochs for which they are: seven days.
pub const OWN_EPOCHS: u32 = 1008;

/// Voters that are kept for one address or number; more do not make it truer.
pub const VOTERS_MAX: usize = 12;

/// Addresses or numbers that peers may name, in all: some 150 bytes each.
pub const SUBJECTS_MAX: usize = 400_000;

/// The same for one node without credit. A liar hides nobody.
pub const SUBJECTS_PEER_MAX: u32 = 4000;

/// The same for one node that has earned credit, or is trusted.
pub const SUBJECTS_CREDITED_MAX: u32 = 40_000;

/// The part of the list, as a divisor, that would not be on it without one certain node.
pub const PIVOT_SHARE: usize = 10;

/// Entries that depend on one node whatever the size of the list, so that a small list can grow.
pub const PIVOT_MIN: usize = 64;

// ---- The node.

/// Events of OpenDHT that wait for us. Each carries a value of at most 64 KiB; the bytes are bounded
/// by [`EVENTS_BYTES_MAX`].
pub const EVENTS_MAX: usize = 4096;

/// Bytes of values that wait for us.
pub const EVENTS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Operations (gets, puts, listens) that are under way at once.
pub const OPERATIONS_MAX: usize = 65_536;

/// Gets that are under way at once. OpenDHT takes 1,024 requests a second from one address.
pub const GETS_AT_ONCE_MAX: usize = 64;

/// Gets that are begun in one second.
pub const GETS_PER_S_MAX: u32 = 100;

/// Puts that are begun in one second.
pub const PUTS_PER_S_MAX: u32 = 50;

/// Gets that a reader makes in one epoch, at most: at [`GETS_PER_S_MAX`] half of its time.
pub const GETS_EPOCH_MAX: usize = 30_000;

/// A get that has not ended after this time is given up: OpenDHT does not always say so itself.
pub const GET_TIMEOUT_S: u64 = 20;

/// A put that has not ended after this time is held to be lost, and made again.
pub const PUT_TIMEOUT_S: u64 = 60;

/// Pause before a value is put again that no node took, in seconds.
pub const PUT_RETRY_S: u64 = 15;

/// Receive buffer that is asked for, in bytes: the largest burst of a key is 200 KB, and several
/// come at once.
pub const RECEIVE_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// How long the node may take to end. OpenDHT does not always say that it has ended.
pub const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(3);

/// Pause before OpenDHT is started again after it has failed, doubled each time.
pub const RESTART_PAUSE: Duration = Duration::from_secs(5);

/// The longest such pause.
pub const RESTART_PAUSE_MAX: Duration = Duration::from_secs(300);

/// Own events that are looked at in one second, to find one for the old format.
pub const OWN_EVENTS_MAX: usize = 64;

/// Nodes to bootstrap from, at most.
pub const BOOTSTRAP_MAX: usize = 64;

/// Batches of peers that wait for whoever takes them.
pub const OUTPUT_MAX: usize = 256;

/// How often it is looked for what peers agree on now, where an epoch is not shorter.
pub const AGREED_PAUSE: Duration = Duration::from_secs(60);

/// With no peer for so long the operator is told.
pub const LONELY_AFTER: Duration = Duration::from_secs(300);

/// Largest state that is read, in bytes: a ledger of [`PEERS_MAX`] nodes is some 3 MB.
pub const STATE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Batches that are half read: their chunks are still to come.
pub const HALF_READ_MAX: usize = 64;

const _: () = {
    assert!(RECORD_WRITTEN_BYTES_MAX < RECORD_READ_BYTES_MAX, "we must be able to read our own");
    assert!(RECORD_READ_BYTES_MAX <= DHT_VALUE_BYTES_MAX, "OpenDHT refuses larger values");
    assert!(CHUNK_BYTES_MAX <= KEY_BYTES_MAX && KEY_BYTES_MAX <= DHT_VALUE_BYTES_MAX);
    assert!(SEALED_BYTES_MAX <= EPOCH_BYTES_MAX, "one whole batch must be allowed");
    assert!(CHUNKS_MAX <= u8::MAX as usize, "a byte tells how many chunks there are");
    assert!(RECORDS_MAX * (NUMBER_WIRE_BYTES_MAX + 5) <= BODY_BYTES_MAX, "numbers must fit");
    assert!(RECORDS_MAX <= u16::MAX as usize, "two bytes tell how many records there are");
    assert!(PUT_FROM_PERCENT < PUT_UNTIL_PERCENT && PUT_UNTIL_PERCENT < 100);
    assert!(READ_AFTER_S + READ_JITTER_S + READ_AGAIN_S < PUT_KEPT_S, "readers come in time");
    assert!(CONFIRMERS_MIN < VOTERS_MAX && QUORUM_DEFAULT <= VOTERS_MAX);
    assert!(STRANGERS_MIN <= GRANTS_MAX && CONFIRMER_CREDIT_MIN < QUORUM_CREDIT_MIN);
    assert!(
        GETS_AT_ONCE_MAX < OPERATIONS_MAX
            && PEERS_MAX <= SHARDS as usize * PAGE_VALUES * PAGES as usize
    );
};
