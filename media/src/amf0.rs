//! AMF0: the values inside RTMP commands and data messages, read within limits.
//!
//! Specification: Action Message Format, AMF 0 (Adobe, 2007). Every marker that can occur in a stream is read. What
//! is only passed on (metadata) is never rewritten: the bytes go through as they came.

mod reader;
mod writer;

pub use reader::{Error, Limits, Reader, read_all};
pub use writer::{write, write_all};

/// One value. Object properties keep the order in which they were sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// 2.2, an IEEE 754 double.
    Number(f64),
    /// 2.3.
    Boolean(bool),
    /// 2.4 and 2.14, short and long strings. Bytes that are no UTF-8 are replaced.
    String(String),
    /// 2.5.
    Object(Properties),
    /// 2.7.
    Null,
    /// 2.8.
    Undefined,
    /// 2.9: the index of an object sent before.
    Reference(u16),
    /// 2.10: properties too; the count that is sent with it is a hint and is not kept.
    EcmaArray(Properties),
    /// 2.12.
    StrictArray(Vec<Value>),
    /// 2.13.
    Date {
        /// Milliseconds since 1970.
        unix_ms: f64,
        /// Reserved by the specification, 0; some encoders send minutes.
        zone: i16,
    },
    /// 2.15.
    Unsupported,
    /// 2.17.
    Xml(String),
    /// 2.18.
    TypedObject {
        /// The class.
        class: String,
        /// As in an object.
        properties: Properties,
    },
}

/// Names and values in order.
pub type Properties = Vec<(String, Value)>;

impl Value {
    /// The text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The properties of an object, a typed object or an ECMA array.
    #[must_use]
    pub fn properties(&self) -> Option<&[(String, Value)]> {
        match self {
            Self::Object(properties) | Self::EcmaArray(properties) | Self::TypedObject { properties, .. } => {
                Some(properties)
            }
            _ => None,
        }
    }

    /// A property by name; the last one if it was sent twice.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.properties()?.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

/// Markers (2.1).
mod marker {
    pub const NUMBER: u8 = 0x00;
    pub const BOOLEAN: u8 = 0x01;
    pub const STRING: u8 = 0x02;
    pub const OBJECT: u8 = 0x03;
    pub const NULL: u8 = 0x05;
    pub const UNDEFINED: u8 = 0x06;
    pub const REFERENCE: u8 = 0x07;
    pub const ECMA_ARRAY: u8 = 0x08;
    pub const OBJECT_END: u8 = 0x09;
    pub const STRICT_ARRAY: u8 = 0x0a;
    pub const DATE: u8 = 0x0b;
    pub const LONG_STRING: u8 = 0x0c;
    pub const UNSUPPORTED: u8 = 0x0d;
    pub const XML: u8 = 0x0f;
    pub const TYPED_OBJECT: u8 = 0x10;
}

#[cfg(test)]
mod tests;
