//! Reading rows whose bytes nobody vouches for.

use rusqlite::{Row, types::ValueRef};

use super::{checksum::Header, entry::Damage};

/// The columns of a header, first in every query over `updates` and `dead`.
macro_rules! header_columns {
    () => {
        "seq, bot, update_id, kind, lane, received_at, octet_length(raw), hash, sum"
    };
}
pub(crate) use header_columns;

/// Number of columns that belong to the header.
pub(crate) const HEADER: usize = 9;

/// Returns the header of a row if it matches its checksum.
pub(crate) fn header<'a>(row: &'a Row<'_>) -> Result<Header<'a>, Damage> {
    let header = Header {
        seq: integer(row, 0)?,
        bot: integer(row, 1)?,
        update_id: integer(row, 2)?,
        kind: bytes(row, 3)?,
        lane: bytes(row, 4)?,
        received_at: integer(row, 5)?,
        bytes: integer(row, 6)?,
        hash: integer(row, 7)?,
    };
    if header.sum() == integer(row, 8)? {
        Ok(header)
    } else {
        Err(Damage::Header)
    }
}

/// Returns an integer, or what is wrong with it.
pub(crate) fn integer(row: &Row<'_>, column: usize) -> Result<i64, Damage> {
    match row.get_ref(column) {
        Ok(ValueRef::Integer(number)) => Ok(number),
        _ => Err(Damage::Types),
    }
}

/// Returns an integer that may be absent.
pub(crate) fn optional(row: &Row<'_>, column: usize) -> Result<Option<i64>, Damage> {
    match row.get_ref(column) {
        Ok(ValueRef::Null) => Ok(None),
        _ => integer(row, column).map(Some),
    }
}

/// Returns a counter.
pub(crate) fn counter(row: &Row<'_>, column: usize) -> Result<u32, Damage> {
    u32::try_from(integer(row, column)?).map_err(|_| Damage::Marks)
}

/// Returns the bytes of a text, which need not be UTF-8.
pub(crate) fn bytes<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a [u8], Damage> {
    match row.get_ref(column) {
        Ok(ValueRef::Text(bytes)) => Ok(bytes),
        _ => Err(Damage::Types),
    }
}

/// Returns a text, or what is wrong with it.
pub(crate) fn text<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a str, Damage> {
    str::from_utf8(bytes(row, column)?).map_err(|_| Damage::Types)
}

/// Returns whatever text there is.
pub(crate) fn any_text(row: &Row<'_>, column: usize) -> Option<String> {
    let Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) = row.get_ref(column) else {
        return None;
    };
    Some(String::from_utf8_lossy(bytes).into_owned())
}
