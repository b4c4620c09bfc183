//! Reads and writes consecutive fields of fixed size.

/// Takes the next field off the front of `bytes`.
pub(crate) fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (field, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(field)
}

/// Writes consecutive fields from the start of a record. The rest of it stays as it is.
pub(crate) struct Put<'a>(&'a mut [u8]);

impl<'a> Put<'a> {
    /// At the start of `record`.
    pub(crate) const fn new(record: &'a mut [u8]) -> Self {
        Self(record)
    }

    /// Writes the next field. Every caller's record fits all its fields; one that did not fit would be left out, and the
    /// record would not parse.
    pub(crate) fn field<const N: usize>(self, field: &[u8; N]) -> Self {
        match self.0.split_first_chunk_mut() {
            Some((to, rest)) => {
                *to = *field;
                Self(rest)
            }
            None => Self(&mut []),
        }
    }
}
