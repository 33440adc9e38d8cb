//! The compact protocol of Apache Thrift, as far as the metadata of Parquet needs it: written, never
//! read. <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>

/// The types of the protocol that are used here.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Type {
    True = 1,
    False = 2,
    I8 = 3,
    I32 = 5,
    I64 = 6,
    Binary = 8,
    List = 9,
    Struct = 12,
}

/// A structure that is being written: fields in ascending order of their ids.
pub(super) struct Struct<'a> {
    out: &'a mut Vec<u8>,
    last: i16,
}

/// Writes one structure.
pub(super) fn structure(out: &mut Vec<u8>, fields: impl FnOnce(&mut Struct<'_>)) {
    let mut structure = Struct { out, last: 0 };
    fields(&mut structure);
    structure.out.push(0);
}

impl Struct<'_> {
    /// The header of a field: the difference to the field before, and the type.
    fn field(&mut self, id: i16, kind: Type) {
        let step = id - self.last;
        debug_assert!((1..=15).contains(&step), "ids ascend, and none is far from the next");
        self.out.push((step as u8) << 4 | kind as u8);
        self.last = id;
    }

    pub(super) fn bool(&mut self, id: i16, value: bool) {
        self.field(id, if value { Type::True } else { Type::False });
    }

    pub(super) fn i8(&mut self, id: i16, value: i8) {
        self.field(id, Type::I8);
        self.out.push(value.cast_unsigned());
    }

    pub(super) fn i32(&mut self, id: i16, value: i32) {
        self.field(id, Type::I32);
        varint(self.out, zigzag(value.into()));
    }

    pub(super) fn i64(&mut self, id: i16, value: i64) {
        self.field(id, Type::I64);
        varint(self.out, zigzag(value));
    }

    pub(super) fn binary(&mut self, id: i16, value: &[u8]) {
        self.field(id, Type::Binary);
        binary(self.out, value);
    }

    pub(super) fn structure(&mut self, id: i16, fields: impl FnOnce(&mut Struct<'_>)) {
        self.field(id, Type::Struct);
        structure(self.out, fields);
    }

    pub(super) fn structures<T>(
        &mut self,
        id: i16,
        items: &[T],
        fields: impl Fn(&mut Struct<'_>, &T),
    ) {
        self.list(id, Type::Struct, items.len());
        for item in items {
            structure(self.out, |structure| fields(structure, item));
        }
    }

    pub(super) fn i32s(&mut self, id: i16, items: &[i32]) {
        self.list(id, Type::I32, items.len());
        for item in items {
            varint(self.out, zigzag((*item).into()));
        }
    }

    pub(super) fn binaries(&mut self, id: i16, items: &[&[u8]]) {
        self.list(id, Type::Binary, items.len());
        for item in items {
            binary(self.out, item);
        }
    }

    fn list(&mut self, id: i16, kind: Type, length: usize) {
        self.field(id, Type::List);
        match u8::try_from(length) {
            Ok(short @ 0..15) => self.out.push(short << 4 | kind as u8),
            _ => {
                self.out.push(0xf0 | kind as u8);
                varint(self.out, length as u64);
            }
        }
    }
}

fn binary(out: &mut Vec<u8>, value: &[u8]) {
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Small numbers of either sign become small numbers.
fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
pub(super) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_either_sign_are_short_when_they_are_small() {
        let written = |value: i64| {
            let mut out = Vec::new();
            varint(&mut out, zigzag(value));
            out
        };
        assert_eq!(written(0), [0]);
        assert_eq!(written(-1), [1]);
        assert_eq!(written(1), [2]);
        assert_eq!(written(64), [0x80, 1]);
        assert_eq!(written(i64::MIN), [[0xff; 9].as_slice(), &[1]].concat());
    }

    #[test]
    fn a_structure_is_its_fields_and_a_stop() {
        let mut out = Vec::new();
        structure(&mut out, |s| {
            s.i32(1, -1);
            s.bool(2, true);
            s.binary(5, b"ab");
            s.structure(6, |s| s.bool(1, false));
            s.i32s(7, &[3; 20]);
        });
        let list = [[0x19, 0xf5, 20].as_slice(), &[6; 20]].concat();
        let expected =
            [[0x15, 1, 0x11, 0x38, 2, b'a', b'b', 0x1c, 0x12, 0].as_slice(), &list, &[0]];
        assert_eq!(out, expected.concat());
    }
}
