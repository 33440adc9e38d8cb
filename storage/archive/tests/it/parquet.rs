//! Parquet, read back by the reader of the Arrow project.

use bytes::Bytes;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use proptest::prelude::*;
use sentrypeer_archive::export::columns::{COLUMNS, Kind};
use sentrypeer_archive::export::{Format, Writer};
use sentrypeer_archive::limits::GROUP_BYTES;
use sentrypeer_storage::log::StoredEvent;

use crate::support::{any_event, event, producer, written};

fn reader(bytes: Vec<u8>) -> SerializedFileReader<Bytes> {
    SerializedFileReader::new(Bytes::from(bytes)).unwrap()
}

fn rows(bytes: Vec<u8>) -> Vec<Vec<(String, Field)>> {
    let reader = reader(bytes);
    let rows = reader.get_row_iter(None).unwrap();
    let owned = |row: parquet::record::Row| {
        row.get_column_iter().map(|(name, field)| (name.clone(), field.clone())).collect()
    };
    rows.map(|row| owned(row.unwrap())).collect()
}

fn value<'a>(row: &'a [(String, Field)], name: &str) -> &'a Field {
    &row.iter().find(|(column, _)| column == name).unwrap().1
}

fn text(bytes: &[u8]) -> Field {
    if bytes.is_empty() { Field::Null } else { Field::Str(String::from_utf8_lossy(bytes).into()) }
}

#[test]
fn columns_have_types() {
    let reader = reader(written(Format::Parquet, &[event(1)]));
    let schema = reader.metadata().file_metadata().schema_descr().columns().to_vec();
    assert_eq!(schema.len(), COLUMNS.len());
    for (found, column) in schema.iter().zip(COLUMNS) {
        assert_eq!(found.name(), column.name);
        let info = found.self_type().get_basic_info();
        let needed = if column.always { Repetition::REQUIRED } else { Repetition::OPTIONAL };
        assert_eq!(info.repetition(), needed);
        let nanoseconds = |unit: &TimeUnit| matches!(unit, TimeUnit::NANOS);
        let right = match (column.kind, found.physical_type(), info.logical_type_ref()) {
            (Kind::Text, Type::BYTE_ARRAY, Some(LogicalType::String)) => true,
            (Kind::Time, Type::INT64, Some(LogicalType::Timestamp(time))) => {
                time.is_adjusted_to_u_t_c && nanoseconds(&time.unit)
            }
            (Kind::Port, Type::INT32, Some(LogicalType::Integer(port))) => {
                port.bit_width == 16 && !port.is_signed
            }
            _ => false,
        };
        assert!(right, "{}: {info:?}", column.name);
    }
    let group = reader.metadata().row_group(0);
    assert!(group.columns().iter().all(|c| matches!(c.compression(), Compression::ZSTD(_))));
}

#[test]
fn a_row_has_everything_that_an_event_has() {
    let row = &rows(written(Format::Parquet, &[event(1)]))[0];
    let expected = [
        ("event_uuid", event(1).id.to_string()),
        ("created_by_node_id", producer().node_id.to_string()),
        ("collected_method", "responsive".into()),
        ("transport_type", "UDP".into()),
        ("verification", "return-path".into()),
        ("source_ip", "203.0.113.1".into()),
        ("destination_ip", "198.51.100.2".into()),
        ("called_number", "+46500729221".into()),
        ("called_number_kind", "called".into()),
        ("called_number_e164", "+46500729221".into()),
        ("called_number_country", "SE".into()),
        ("sip_method", "INVITE".into()),
        ("sip_user_agent", "friendly-scanner".into()),
        ("anomalies_observed", "folded".into()),
        ("anomalies_invalid", "angle-open".into()),
    ];
    for (name, expected) in expected {
        assert_eq!(*value(row, name), Field::Str(expected), "{name}");
    }
    assert_eq!(*value(row, "source_port"), Field::UShort(5066));
    assert_eq!(*value(row, "destination_port"), Field::UShort(5060));
    assert_eq!(*value(row, "event_timestamp"), nanoseconds(&event(1)));
}

/// The reader has no type for nanoseconds, and gives the number.
fn nanoseconds(event: &StoredEvent) -> Field {
    Field::Long(event.time.0.cast_signed())
}

#[test]
fn a_file_without_events_is_a_file() {
    let reader = reader(written(Format::Parquet, &[]));
    assert_eq!(reader.metadata().file_metadata().num_rows(), 0);
    assert_eq!(reader.num_row_groups(), 0);
}

#[test]
fn a_long_export_is_written_in_groups_and_pages_of_bounded_size() {
    let mut out = Vec::new();
    let mut writer = Writer::new(Format::Parquet, &mut out, producer()).unwrap();
    let noise: Vec<u8> =
        (0..60_000u32).map(|n| b'0' + (n.wrapping_mul(2_654_435_761) >> 27) as u8).collect();
    let count = 2 * GROUP_BYTES / noise.len() + 100;
    for seq in 1..=count as u64 {
        writer.write(&StoredEvent { message: noise.as_slice().into(), ..event(seq) }).unwrap();
    }
    assert_eq!(writer.finish().unwrap(), count as u64);
    let reader = reader(out);
    assert_eq!(reader.num_row_groups(), 3);
    for group in reader.metadata().row_groups() {
        assert!(group.total_byte_size() < 2 * GROUP_BYTES as i64);
    }
    let messages = reader.get_row_iter(None).unwrap().filter(|row| {
        let row = row.as_ref().unwrap();
        row.get_column_iter().any(|(_, field)| *field == text(&noise))
    });
    assert_eq!(messages.count(), count);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_events_come_back(events in prop::collection::vec(any_event(), 0..40)) {
        let rows = rows(written(Format::Parquet, &events));
        prop_assert_eq!(rows.len(), events.len());
        for (row, event) in rows.iter().zip(&events) {
            prop_assert_eq!(value(row, "event_timestamp"), &nanoseconds(event));
            prop_assert_eq!(value(row, "event_uuid"), &Field::Str(event.id.to_string()));
            prop_assert_eq!(value(row, "source_ip"), &Field::Str(event.source.ip().to_string()));
            prop_assert_eq!(value(row, "called_number"), &text(&event.number));
            prop_assert_eq!(value(row, "sip_user_agent"), &text(&event.user_agent));
            prop_assert_eq!(value(row, "sip_message"), &text(&event.message));
            let port = event.source.port();
            let expected = if port == 0 { Field::Null } else { Field::UShort(port) };
            prop_assert_eq!(value(row, "source_port"), &expected);
        }
    }
}
