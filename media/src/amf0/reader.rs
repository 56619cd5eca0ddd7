//! Reading AMF0 values: bounded in depth, number and bytes, so that no peer can overflow a stack or a heap.

use super::{Properties, Value, marker};
use crate::cursor::{Cursor, Short};

/// How much is read of one payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Values inside values.
    pub depth: usize,
    /// Values altogether, at every depth.
    pub values: usize,
    /// Length of the payload.
    pub bytes: usize,
}

impl Limits {
    /// For commands, which every client may send. Real ones have a depth of 2 and about 20 values; a parser without a
    /// depth limit overflows its stack at some thousand levels (50 KB of input).
    pub const CONTROL: Self = Self { depth: 16, values: 64, bytes: 64 * 1024 };
    /// For metadata of an accepted publisher: some encoders list every key frame of a file in it.
    pub const METADATA: Self = Self { depth: 16, values: 4_096, bytes: 256 * 1024 };
}

/// Why bytes were not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// They end inside a value.
    #[error("AMF0 is cut short: {0}")]
    Short(Short),
    /// A marker that is reserved or belongs to AMF3.
    #[error("AMF0 marker 0x{marker:02x} at byte {position} cannot be read")]
    Marker {
        /// The byte.
        marker: u8,
        /// Where it is.
        position: usize,
    },
    /// Deeper than [`Limits::depth`].
    #[error("AMF0 is nested deeper than {limit} at byte {position}")]
    Depth {
        /// The limit.
        limit: usize,
        /// Where it is passed.
        position: usize,
    },
    /// More than [`Limits::values`].
    #[error("AMF0 has more than {limit} values, at byte {position}")]
    Values {
        /// The limit.
        limit: usize,
        /// Where it is passed.
        position: usize,
    },
    /// Longer than [`Limits::bytes`].
    #[error("AMF0 payload of {length} bytes is longer than {limit}")]
    Bytes {
        /// The length.
        length: usize,
        /// The limit.
        limit: usize,
    },
}

/// Reads one value after another from a payload.
#[derive(Debug)]
pub struct Reader<'a> {
    cursor: Cursor<'a>,
    limits: Limits,
    values: usize,
}

/// All values of a payload.
///
/// # Errors
/// As [`Reader::next_value`].
pub fn read_all(payload: &[u8], limits: Limits) -> Result<Vec<Value>, Error> {
    let mut reader = Reader::new(payload, limits)?;
    let mut values = Vec::new();
    while let Some(value) = reader.next_value()? {
        values.push(value);
    }
    Ok(values)
}

impl<'a> Reader<'a> {
    /// At the first value.
    ///
    /// # Errors
    /// [`Error::Bytes`].
    pub fn new(payload: &'a [u8], limits: Limits) -> Result<Self, Error> {
        if payload.len() > limits.bytes {
            return Err(Error::Bytes { length: payload.len(), limit: limits.bytes });
        }
        Ok(Self { cursor: Cursor::new(payload), limits, values: 0 })
    }

    /// The next value, `None` after the last.
    ///
    /// # Errors
    /// Any [`Error`]; the reader is of no use afterwards.
    pub fn next_value(&mut self) -> Result<Option<Value>, Error> {
        if self.cursor.is_empty() { Ok(None) } else { self.value(0).map(Some) }
    }

    /// The bytes after the last value read.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.cursor.rest()
    }

    /// Recursion is bounded by `limits.depth`.
    fn value(&mut self, depth: usize) -> Result<Value, Error> {
        let position = self.cursor.position();
        if depth > self.limits.depth {
            return Err(Error::Depth { limit: self.limits.depth, position });
        }
        self.values += 1;
        if self.values > self.limits.values {
            return Err(Error::Values { limit: self.limits.values, position });
        }
        let read = match self.cursor.u8("marker").map_err(Error::Short)? {
            marker::NUMBER => Value::Number(self.cursor.f64("number").map_err(Error::Short)?),
            marker::BOOLEAN => Value::Boolean(self.cursor.u8("boolean").map_err(Error::Short)? != 0),
            marker::STRING => Value::String(self.short_string("string")?),
            marker::OBJECT => Value::Object(self.properties(depth)?),
            marker::NULL => Value::Null,
            marker::UNDEFINED => Value::Undefined,
            marker::REFERENCE => Value::Reference(self.cursor.u16("reference").map_err(Error::Short)?),
            marker::ECMA_ARRAY => self.ecma_array(depth)?,
            marker::STRICT_ARRAY => self.strict_array(depth)?,
            marker::DATE => self.date()?,
            marker::LONG_STRING => Value::String(self.long_string("long string")?),
            marker::UNSUPPORTED => Value::Unsupported,
            marker::XML => Value::Xml(self.long_string("XML document")?),
            marker::TYPED_OBJECT => {
                let class = self.short_string("class name")?;
                Value::TypedObject { class, properties: self.properties(depth)? }
            }
            marker => return Err(Error::Marker { marker, position }),
        };
        Ok(read)
    }

    fn ecma_array(&mut self, depth: usize) -> Result<Value, Error> {
        // The count is often wrong; the end is what counts.
        self.cursor.u32("count of an ECMA array").map_err(Error::Short)?;
        Ok(Value::EcmaArray(self.properties(depth)?))
    }

    fn strict_array(&mut self, depth: usize) -> Result<Value, Error> {
        let count = self.cursor.u32("count of a strict array").map_err(Error::Short)?;
        // Grows with what is really there: the count is the peer's word, and `values` ends it.
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(self.value(depth + 1)?);
        }
        Ok(Value::StrictArray(items))
    }

    fn date(&mut self) -> Result<Value, Error> {
        let unix_ms = self.cursor.f64("date").map_err(Error::Short)?;
        let zone = self.cursor.u16("time zone of a date").map_err(Error::Short)?.cast_signed();
        Ok(Value::Date { unix_ms, zone })
    }

    /// Name and value until an empty name with the end marker (2.11).
    fn properties(&mut self, depth: usize) -> Result<Properties, Error> {
        let mut properties = Vec::new();
        loop {
            // Some encoders leave the end out where the payload ends anyway.
            if self.cursor.is_empty() && !properties.is_empty() {
                return Ok(properties);
            }
            let name = self.short_string("property name")?;
            if name.is_empty() && self.cursor.rest().first() == Some(&marker::OBJECT_END) {
                self.cursor.u8("object end").map_err(Error::Short)?;
                return Ok(properties);
            }
            properties.push((name, self.value(depth + 1)?));
        }
    }

    fn short_string(&mut self, what: &'static str) -> Result<String, Error> {
        let length = self.cursor.u16(what).map_err(Error::Short)?;
        self.text(usize::from(length), what)
    }

    fn long_string(&mut self, what: &'static str) -> Result<String, Error> {
        let length = self.cursor.u32(what).map_err(Error::Short)?;
        self.text(length as usize, what)
    }

    fn text(&mut self, length: usize, what: &'static str) -> Result<String, Error> {
        let bytes = self.cursor.take(length, what).map_err(Error::Short)?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
}
