//! Fields of fixed size, one after another.

/// The next field, and `bytes` moved past it.
pub(crate) fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (field, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(field)
}

/// Writes fields over a record from its start. What is not written stays.
pub(crate) struct Put<'a>(&'a mut [u8]);

impl<'a> Put<'a> {
    /// Over this record.
    pub(crate) const fn new(record: &'a mut [u8]) -> Self {
        Self(record)
    }

    /// The next field. A caller's record has room for all its fields; what would not fit is left out, and no
    /// parser would accept the result.
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
