//! Writing AMF0 values.

use super::{Value, marker};
use bytes::{BufMut, Bytes, BytesMut};

/// Values one after another: the payload of a command or a data message.
#[must_use]
pub fn write_all(values: &[Value]) -> Bytes {
    let mut out = BytesMut::with_capacity(128);
    for value in values {
        write(&mut out, value);
    }
    out.freeze()
}

/// Appends one value. Property and class names longer than 65,535 bytes are cut: the format has no room for more.
pub fn write(out: &mut BytesMut, value: &Value) {
    match value {
        Value::Number(number) => {
            out.put_u8(marker::NUMBER);
            out.put_f64(*number);
        }
        Value::Boolean(boolean) => out.put_slice(&[marker::BOOLEAN, u8::from(*boolean)]),
        Value::String(text) => string(out, text),
        Value::Object(properties) => {
            out.put_u8(marker::OBJECT);
            pairs(out, properties);
        }
        Value::Null => out.put_u8(marker::NULL),
        Value::Undefined => out.put_u8(marker::UNDEFINED),
        Value::Reference(index) => {
            out.put_u8(marker::REFERENCE);
            out.put_u16(*index);
        }
        Value::EcmaArray(properties) => {
            out.put_u8(marker::ECMA_ARRAY);
            out.put_u32(count(properties.len()));
            pairs(out, properties);
        }
        Value::StrictArray(items) => {
            out.put_u8(marker::STRICT_ARRAY);
            out.put_u32(count(items.len()));
            for item in items {
                write(out, item);
            }
        }
        Value::Date { unix_ms, zone } => {
            out.put_u8(marker::DATE);
            out.put_f64(*unix_ms);
            out.put_i16(*zone);
        }
        Value::Unsupported => out.put_u8(marker::UNSUPPORTED),
        Value::Xml(text) => {
            out.put_u8(marker::XML);
            long(out, text);
        }
        Value::TypedObject { class, properties } => {
            out.put_u8(marker::TYPED_OBJECT);
            name(out, class);
            pairs(out, properties);
        }
    }
}

fn string(out: &mut BytesMut, text: &str) {
    if text.len() > usize::from(u16::MAX) {
        out.put_u8(marker::LONG_STRING);
        long(out, text);
    } else {
        out.put_u8(marker::STRING);
        name(out, text);
    }
}

fn pairs(out: &mut BytesMut, properties: &[(String, Value)]) {
    for (key, value) in properties {
        name(out, key);
        write(out, value);
    }
    out.put_slice(&[0, 0, marker::OBJECT_END]);
}

fn name(out: &mut BytesMut, text: &str) {
    let mut end = text.len().min(usize::from(u16::MAX));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    out.put_u16(u16::try_from(end).unwrap_or(u16::MAX));
    out.put_slice(&text.as_bytes()[..end]);
}

fn long(out: &mut BytesMut, text: &str) {
    out.put_u32(count(text.len()));
    out.put_slice(text.as_bytes());
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
