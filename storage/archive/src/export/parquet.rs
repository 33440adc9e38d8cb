//! Apache Parquet: a file of columns that analytical programs read by themselves.
//! <https://parquet.apache.org/docs/file-format/>
//!
//! ```text
//! "PAR1"
//! row group:  for each column: pages, each a header and zstd of [levels] values
//! row group:  ...
//! metadata: the columns, and where their pages are
//! length of the metadata, four bytes, least first; "PAR1"
//! ```
//!
//! Written by hand, with the one encoding that every reader knows: values as they are (`PLAIN`), and
//! for columns whose values may be missing one bit for each row that says whether there is one. The
//! `parquet` crate would be some 0.9 MB of the program, which shall stay below 8 MB; here it reads what
//! we write, in the tests.

use std::io::{self, Write};

use sentrypeer_storage::event_json::Producer;
use sentrypeer_storage::log::StoredEvent;
use zstd::bulk::Compressor;

use super::columns::{COLUMNS, Column, Kind, Value, values};
use super::thrift::{self, Struct};
use crate::limits::{GROUP_BYTES, GROUP_ROWS, PAGE_BYTES};

const MAGIC: &[u8; 4] = b"PAR1";

/// zstd's own default: three times faster than the next that is worth it.
const ZSTD_LEVEL: i32 = 3;

/// A file that is being written.
pub(super) struct File<W> {
    out: W,
    at: i64,
    columns: Vec<Chunk>,
    rows: usize,
    bytes: usize,
    groups: Vec<Group>,
    compressor: Compressor<'static>,
}

impl<W: Write> File<W> {
    pub(super) fn new(mut out: W) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        Ok(Self {
            out,
            at: MAGIC.len() as i64,
            columns: COLUMNS.map(Chunk::new).into(),
            rows: 0,
            bytes: 0,
            groups: Vec::new(),
            compressor: Compressor::new(ZSTD_LEVEL)?,
        })
    }

    pub(super) fn write(&mut self, event: &StoredEvent, producer: &Producer) -> io::Result<()> {
        for (chunk, value) in self.columns.iter_mut().zip(values(event, producer)) {
            self.bytes += chunk.push(&value);
            if chunk.page.len() >= PAGE_BYTES {
                chunk.close_page(&mut self.compressor)?;
            }
        }
        self.rows += 1;
        if self.bytes >= GROUP_BYTES || self.rows >= GROUP_ROWS {
            self.close_group()?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        if self.rows > 0 {
            self.close_group()?;
        }
        let mut footer = Vec::new();
        metadata(&mut footer, &self.groups);
        let length = u32::try_from(footer.len()).map_err(io::Error::other)?;
        footer.extend_from_slice(&length.to_le_bytes());
        footer.extend_from_slice(MAGIC);
        self.out.write_all(&footer)?;
        self.out.flush()
    }

    fn close_group(&mut self) -> io::Result<()> {
        let mut group = Group { columns: Vec::new(), rows: self.rows as i64 };
        for (column, chunk) in COLUMNS.into_iter().zip(&mut self.columns) {
            chunk.close_page(&mut self.compressor)?;
            self.out.write_all(&chunk.pages)?;
            let size = chunk.pages.len() as i64;
            group.columns.push(Written { at: self.at, size, unpacked: chunk.unpacked });
            self.at += size;
            *chunk = Chunk::new(column);
        }
        self.groups.push(group);
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

/// One column of the row group that is being written.
struct Chunk {
    column: Column,
    /// Values of the page that is not closed.
    page: Vec<u8>,
    /// For each row of that page whether it has a value.
    levels: Vec<bool>,
    /// Closed pages.
    pages: Vec<u8>,
    /// Their bytes before compression.
    unpacked: i64,
}

impl Chunk {
    fn new(column: Column) -> Self {
        Self { column, page: Vec::new(), levels: Vec::new(), pages: Vec::new(), unpacked: 0 }
    }

    /// Adds a value; says how many bytes it has.
    fn push(&mut self, value: &Value<'_>) -> usize {
        let before = self.page.len();
        self.levels.push(*value != Value::Missing);
        match value {
            Value::Missing => {}
            Value::Time(time) => self.page.extend_from_slice(&time.0.0.to_le_bytes()),
            Value::Port(port) => self.page.extend_from_slice(&i32::from(*port).to_le_bytes()),
            Value::Text(text) => {
                // A text is an event's, which ends at 64 KiB.
                self.page.extend_from_slice(&(text.len() as u32).to_le_bytes());
                self.page.extend_from_slice(text.as_bytes());
            }
        }
        self.page.len() - before + 1
    }

    fn close_page(&mut self, compressor: &mut Compressor<'_>) -> io::Result<()> {
        if self.levels.is_empty() {
            return Ok(());
        }
        let rows = self.levels.len();
        let mut raw = Vec::with_capacity(self.page.len() + rows / 8 + 16);
        if !self.column.always {
            levels(&mut raw, &self.levels);
        }
        raw.append(&mut self.page);
        self.levels.clear();
        let packed = compressor.compress(&raw)?;
        let before = self.pages.len();
        page_header(&mut self.pages, rows, raw.len(), packed.len());
        self.unpacked += (self.pages.len() - before + raw.len()) as i64;
        self.pages.extend_from_slice(&packed);
        Ok(())
    }
}

/// Whether there are values: the hybrid encoding with one run of bits, eight a byte, the lowest first,
/// and its length before it.
fn levels(out: &mut Vec<u8>, there: &[bool]) {
    let mut run = Vec::with_capacity(there.len() / 8 + 8);
    thrift::varint(&mut run, (there.len().div_ceil(8) as u64) << 1 | 1);
    for eight in there.chunks(8) {
        run.push(eight.iter().rev().fold(0, |byte, there| byte << 1 | u8::from(*there)));
    }
    out.extend_from_slice(&(run.len() as u32).to_le_bytes());
    out.append(&mut run);
}

/// A row group that was written.
struct Group {
    columns: Vec<Written>,
    rows: i64,
}

/// A column of it.
struct Written {
    at: i64,
    size: i64,
    unpacked: i64,
}

// Numbers of the format's enumerations, from its parquet.thrift.
const PLAIN: i32 = 0;
const RLE: i32 = 3;
const ZSTD: i32 = 6;
const DATA_PAGE: i32 = 0;
const INT32: i32 = 1;
const INT64: i32 = 2;
const BYTE_ARRAY: i32 = 6;
const REQUIRED: i32 = 0;
const OPTIONAL: i32 = 1;
const CONVERTED_UTF8: i32 = 0;
const CONVERTED_UINT_16: i32 = 12;

fn page_header(out: &mut Vec<u8>, rows: usize, raw: usize, packed: usize) {
    // A page holds PAGE_BYTES and one value more, and no more rows than a group.
    let small = |number: usize| number as i32;
    thrift::structure(out, |header| {
        header.i32(1, DATA_PAGE);
        header.i32(2, small(raw));
        header.i32(3, small(packed));
        header.structure(5, |page| {
            page.i32(1, small(rows));
            page.i32(2, PLAIN);
            page.i32(3, RLE);
            page.i32(4, RLE);
        });
    });
}

/// The structure `FileMetaData`.
fn metadata(out: &mut Vec<u8>, groups: &[Group]) {
    let columns: Vec<Option<Column>> = [None].into_iter().chain(COLUMNS.map(Some)).collect();
    thrift::structure(out, |file| {
        file.i32(1, 1);
        file.structures(2, &columns, |element, column| match column {
            Some(column) => schema_of(element, column),
            None => {
                element.binary(4, b"events");
                element.i32(5, COLUMNS.len() as i32);
            }
        });
        file.i64(3, groups.iter().map(|group| group.rows).sum());
        file.structures(4, groups, row_group);
        file.binary(6, concat!("sentrypeer version ", env!("CARGO_PKG_VERSION")).as_bytes());
    });
}

/// `SchemaElement`.
fn schema_of(element: &mut Struct<'_>, column: &Column) {
    element.i32(1, physical(column.kind));
    element.i32(3, if column.always { REQUIRED } else { OPTIONAL });
    element.binary(4, column.name.as_bytes());
    match column.kind {
        Kind::Text => {
            element.i32(6, CONVERTED_UTF8);
            element.structure(10, |logical| logical.structure(1, |_| ()));
        }
        Kind::Port => {
            element.i32(6, CONVERTED_UINT_16);
            element.structure(10, |logical| {
                logical.structure(10, |integer| {
                    integer.i8(1, 16);
                    integer.bool(2, false);
                });
            });
        }
        Kind::Time => element.structure(10, |logical| {
            logical.structure(8, |timestamp| {
                timestamp.bool(1, true);
                timestamp.structure(2, |nanoseconds| nanoseconds.structure(3, |_| ()));
            });
        }),
    }
}

fn physical(kind: Kind) -> i32 {
    match kind {
        Kind::Time => INT64,
        Kind::Port => INT32,
        Kind::Text => BYTE_ARRAY,
    }
}

/// `RowGroup`.
fn row_group(out: &mut Struct<'_>, group: &Group) {
    let columns: Vec<(&Written, Column)> = group.columns.iter().zip(COLUMNS).collect();
    out.structures(1, &columns, |chunk, (written, column)| {
        chunk.i64(2, 0);
        chunk.structure(3, |data| {
            data.i32(1, physical(column.kind));
            data.i32s(2, if column.always { &[PLAIN] } else { &[PLAIN, RLE] });
            data.binaries(3, &[column.name.as_bytes()]);
            data.i32(4, ZSTD);
            data.i64(5, group.rows);
            data.i64(6, written.unpacked);
            data.i64(7, written.size);
            data.i64(9, written.at);
        });
    });
    out.i64(2, group.columns.iter().map(|written| written.unpacked).sum());
    out.i64(3, group.rows);
}
