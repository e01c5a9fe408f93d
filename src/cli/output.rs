//! Where results go: text for people, or one JSON document for scripts.

use std::io::{self, Write};

use serde::Serialize;

use super::{failure::Failure, table::Table};

/// The printer of one command.
pub(super) struct Output<'a> {
    out: &'a mut dyn Write,
    json: bool,
}

impl<'a> Output<'a> {
    pub(super) fn new(out: &'a mut dyn Write, json: bool) -> Self {
        Self { out, json }
    }

    /// Prints the document, or what `text` prints instead of it.
    pub(super) fn print(
        &mut self,
        document: &impl Serialize,
        text: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), Failure> {
        if self.json {
            serde_json::to_writer_pretty(&mut *self.out, document).map_err(io::Error::from)?;
            writeln!(self.out)?;
        } else {
            text(self.out)?;
        }
        Ok(())
    }

    /// Returns whether a document is wanted.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a text as it is.
    pub(super) fn raw(&mut self, text: impl AsRef<[u8]>) -> Result<(), Failure> {
        self.out.write_all(text.as_ref())?;
        Ok(writeln!(self.out)?)
    }
}

/// Prints a list: the table, or a sentence when there is nothing, and how to go on.
pub(super) fn list(out: &mut dyn Write, table: &Table, nothing: &str, next: Option<i64>) -> io::Result<()> {
    if table.is_empty() {
        return writeln!(out, "{nothing}");
    }
    table.print(out)?;
    match next {
        Some(place) => writeln!(out, "there are more: --after {place}"),
        None => Ok(()),
    }
}

/// Returns a number of bytes as people read it.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut amount = bytes as f64 / 1024.0;
    let mut unit = 0;
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{amount:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_in_the_largest_unit_that_fits() {
        for (bytes, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (5 << 20, "5.0 MiB"),
            (3 << 40, "3.0 TiB"),
            (5000 << 40, "5000.0 TiB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
    }
}
