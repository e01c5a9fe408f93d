//! One page of a list, for people and for scripts.

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{
    DONE, NOTHING,
    arguments::{Journal, Page},
    failure::Failure,
    output::{self, Output},
    table::Table,
};
use crate::queue::store::{Checked, DamagedRow};

/// What can be listed.
pub(super) trait Item: Serialize {
    /// Name of the list in the document.
    const MEMBER: &'static str;
    /// Head of the table.
    const HEAD: &'static [&'static str];
    /// What is said when there is none.
    const NOTHING: &'static str;
    /// Whether some may turn out to be damaged, and are listed apart.
    const MAY_BE_DAMAGED: bool = true;

    /// Where the list goes on behind this item.
    fn place(&self) -> i64;

    /// Its row in the table.
    fn cells(&self) -> Vec<String>;
}

/// A row that cannot be trusted.
#[derive(Serialize)]
pub(super) struct Damaged {
    pub(super) place: i64,
    pub(super) damage: &'static str,
}

impl From<DamagedRow> for Damaged {
    fn from(damaged: DamagedRow) -> Self {
        Self {
            place: damaged.row.0,
            damage: damaged.damage.as_str(),
        }
    }
}

struct Document<T> {
    journal: String,
    items: Vec<T>,
    damaged: Vec<Damaged>,
    next: Option<i64>,
}

impl<T: Item> Serialize for Document<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("journal", &self.journal)?;
        map.serialize_entry(T::MEMBER, &self.items)?;
        if T::MAY_BE_DAMAGED {
            map.serialize_entry("damaged", &self.damaged)?;
        }
        map.serialize_entry("next", &self.next)?;
        map.end()
    }
}

/// Returns how many rows to ask for: one more than wanted tells whether there are more.
pub(super) fn wanted(page: &Page) -> u32 {
    page.limit.saturating_add(1)
}

/// Prints what was found when [`wanted`] rows were asked for.
pub(super) fn print<T: Item>(
    journal: &Journal,
    page: &Page,
    mut found: Vec<Checked<T>>,
    output: &mut Output<'_>,
) -> Result<u8, Failure> {
    let more = found.len() > page.limit as usize;
    found.truncate(page.limit as usize);
    let last = found.last().map(|row| match row {
        Ok(item) => item.place(),
        Err(damaged) => damaged.row.0,
    });
    let mut table = Table::new(T::HEAD);
    let mut document = Document {
        journal: journal.name(),
        items: Vec::new(),
        damaged: Vec::new(),
        next: last.filter(|_| more),
    };
    for row in found {
        match row {
            Ok(item) => {
                table.row(item.cells());
                document.items.push(item);
            }
            Err(row) => {
                let damaged = Damaged::from(row);
                table.row([damaged.place.to_string(), format!("damaged: {}", damaged.damage)]);
                document.damaged.push(damaged);
            }
        }
    }

    output.print(&document, |out| {
        output::list(out, &table, T::NOTHING, document.next)
    })?;
    Ok(if table.is_empty() { NOTHING } else { DONE })
}
