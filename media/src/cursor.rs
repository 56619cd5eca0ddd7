//! Reading big-endian fields from a slice, with the position in every error.

/// The bytes ended inside a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {position} needs {needed} bytes, {left} are left")]
pub struct Short {
    /// The field.
    pub what: &'static str,
    /// Where it begins.
    pub position: usize,
    /// Its length in bytes.
    pub needed: usize,
    /// Bytes there are from `position` on.
    pub left: usize,
}

/// A read position in a slice.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Bytes read so far.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// The bytes not read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.position..).unwrap_or_default()
    }

    /// True when nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`Short`] if there are fewer; the position stays.
    pub fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], Short> {
        let rest = self.rest();
        let taken =
            rest.get(..count).ok_or(Short { what, position: self.position, needed: count, left: rest.len() })?;
        self.position += count;
        Ok(taken)
    }

    /// A fixed number of bytes.
    ///
    /// # Errors
    /// [`Short`] if there are fewer bytes; the position stays.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Short> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N, what)?);
        Ok(out)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`Short`].
    pub fn u8(&mut self, what: &'static str) -> Result<u8, Short> {
        Ok(self.array::<1>(what)?[0])
    }

    /// Two bytes.
    ///
    /// # Errors
    /// [`Short`].
    pub fn u16(&mut self, what: &'static str) -> Result<u16, Short> {
        Ok(u16::from_be_bytes(self.array(what)?))
    }

    /// Three bytes.
    ///
    /// # Errors
    /// [`Short`].
    pub fn u24(&mut self, what: &'static str) -> Result<u32, Short> {
        let [a, b, c] = self.array(what)?;
        Ok(u32::from_be_bytes([0, a, b, c]))
    }

    /// Three bytes, two's complement: the composition time of FLV.
    ///
    /// # Errors
    /// [`Short`].
    pub fn i24(&mut self, what: &'static str) -> Result<i32, Short> {
        let [a, b, c] = self.array(what)?;
        Ok(i32::from_be_bytes([a, b, c, 0]) >> 8)
    }

    /// Four bytes.
    ///
    /// # Errors
    /// [`Short`].
    pub fn u32(&mut self, what: &'static str) -> Result<u32, Short> {
        Ok(u32::from_be_bytes(self.array(what)?))
    }

    /// Eight bytes, IEEE 754.
    ///
    /// # Errors
    /// [`Short`].
    pub fn f64(&mut self, what: &'static str) -> Result<f64, Short> {
        Ok(f64::from_be_bytes(self.array(what)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_big_endian_and_signed_where_they_should_be() {
        let mut cursor = Cursor::new(&[1, 0, 2, 0, 0, 3, 0xff, 0xff, 0xfe, 0, 0, 0, 4]);
        assert_eq!(cursor.u8("a"), Ok(1));
        assert_eq!(cursor.u16("b"), Ok(2));
        assert_eq!(cursor.u24("c"), Ok(3));
        assert_eq!(cursor.i24("d"), Ok(-2));
        assert_eq!(cursor.u32("e"), Ok(4));
        assert!(cursor.is_empty());
    }

    #[test]
    fn a_short_field_says_where_it_is_and_moves_nothing() {
        let mut cursor = Cursor::new(&[9, 1, 2]);
        assert_eq!(cursor.u8("marker"), Ok(9));
        assert_eq!(cursor.u32("count"), Err(Short { what: "count", position: 1, needed: 4, left: 2 }));
        assert_eq!(cursor.rest(), &[1, 2]);
    }
}
