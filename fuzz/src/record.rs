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

#[test]
fn seeds_hold() {
    const RECORD: &str = r#"{"app_name":"a","app_version":"1","event_timestamp":"t",
        "event_uuid":"019ab0e4-6b8a-7c3e-8f10-2b0b6a1c9d77",
        "created_by_node_id":"7c1a3c52-5f0e-4a39-9d2b-6e0f4f1b8a10","collected_method":"passive",
        "transport_type":"UDP","source_ip":"203.0.113.7:5060","destination_ip":"","called_number":"",
        "sip_method":"OPTIONS","sip_user_agent":"é","sip_message":""}"#;
    assert!(Record::read(RECORD.as_bytes()).is_ok());
    for end in 0..=RECORD.len() {
        check(&RECORD.as_bytes()[..end]);
    }
    crate::seeds::each(check);
}
