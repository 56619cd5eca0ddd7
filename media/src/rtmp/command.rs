//! Commands (RTMP 1.0, 7.2): a name, a transaction, an object and arguments, in AMF0.

use super::limits::NAME_BYTES_MAX;
use crate::amf0::{self, Limits, Value};
use bytes::Bytes;

/// A command, read leniently: what an encoder leaves out at the end is null.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Command {
    /// Empty if the first value is no string: such a command has no answer.
    pub(super) name: String,
    /// 0 if there is none.
    pub(super) transaction: f64,
    pub(super) object: Value,
    pub(super) arguments: Vec<Value>,
}

impl Command {
    pub(super) fn parse(body: &[u8]) -> Result<Self, amf0::Error> {
        let mut values = amf0::read_all(body, Limits::CONTROL)?.into_iter();
        let name = match values.next() {
            Some(Value::String(name)) => name,
            _ => String::new(),
        };
        let transaction = values.next().and_then(|value| value.as_number()).unwrap_or(0.0);
        let object = values.next().unwrap_or(Value::Null);
        Ok(Self { name, transaction, object, arguments: values.collect() })
    }

    /// The argument at `index` as text.
    pub(super) fn text(&self, index: usize) -> Option<&str> {
        self.arguments.get(index).and_then(Value::as_str)
    }

    /// The first argument as a message stream id.
    pub(super) fn stream_id(&self) -> Option<u32> {
        let number = self.arguments.first()?.as_number()?;
        (number >= 0.0 && number <= f64::from(u32::MAX) && number.fract() == 0.0).then_some(number as u32)
    }
}

/// The payload of a command.
pub(super) fn payload(name: &str, transaction: f64, object: Value, arguments: &[Value]) -> Bytes {
    let head = [Value::from(name), Value::Number(transaction), object];
    let mut out = bytes::BytesMut::with_capacity(128);
    for value in head.iter().chain(arguments) {
        amf0::write(&mut out, value);
    }
    out.freeze()
}

/// The argument of `onStatus` and `_error` (7.2.2).
pub(super) fn status(level: &str, code: &str, description: &str) -> Value {
    Value::Object(vec![
        ("level".to_owned(), Value::from(level)),
        ("code".to_owned(), Value::from(code)),
        ("description".to_owned(), Value::from(description)),
    ])
}

/// Name and query of `NAME?QUERY`, the name without slashes at its ends. `None` if it is longer than
/// [`NAME_BYTES_MAX`].
pub(super) fn split_query(text: &str) -> Option<(&str, Option<&str>)> {
    if text.len() > NAME_BYTES_MAX {
        return None;
    }
    let (name, query) = match text.split_once('?') {
        Some((name, query)) => (name, Some(query)),
        None => (text, None),
    };
    Some((name.trim_matches('/'), query))
}

/// The first string of a data message's payload, and what follows it.
pub(super) fn leading_string(payload: &[u8]) -> Option<(&[u8], usize)> {
    let (&[0x02, high, low], rest) = payload.split_first_chunk::<3>()? else { return None };
    let length = usize::from(u16::from_be_bytes([high, low]));
    Some((rest.get(..length)?, 3 + length))
}
