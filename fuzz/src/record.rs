//! Whatever another node publishes, what is read of it is within bounds.

use sentrypeer_dht::limits::{
    METHOD_BYTES_MAX, NUMBER_BYTES_MAX, PLAIN_MEMBER_BYTES_MAX, RECORD_READ_BYTES_MAX,
    USER_AGENT_BYTES_MAX,
};
use sentrypeer_dht::record::Record;

/// The oracle is the bounds.
pub fn check(data: &[u8]) {
    let Ok(record) = Record::read(data) else { return };
    assert!(data.len() <= RECORD_READ_BYTES_MAX);
    let plain =
        [&record.app_name, &record.app_version, &record.time, &record.collected, &record.transport];
    assert!(plain.into_iter().all(|member| member.len() <= PLAIN_MEMBER_BYTES_MAX));
    assert!(record.number.len() <= NUMBER_BYTES_MAX);
    assert!(record.method.len() <= METHOD_BYTES_MAX);
    assert!(record.user_agent.len() <= USER_AGENT_BYTES_MAX);
    assert_eq!(record.source, record.source.to_canonical());
}
