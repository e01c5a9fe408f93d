//! Checking a whole journal without changing it.

use std::{collections::HashMap, fmt, path::Path, time::Duration};

use rusqlite::{Connection, Row};

use super::{
    broadcast_chats,
    columns::{self, header_columns},
    connection,
    dead::{self, dead_columns},
    entry::{Damage, RowId},
    error::JournalError,
    files, load,
    schema::{self, mark_matches},
    transaction::Counts,
};

/// Findings that are kept; the rest is counted.
const MAX_FINDINGS: usize = 100;

/// What a verification has found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Version of the schema.
    pub(crate) version: i64,
    /// Unfinished updates that were checked.
    pub(crate) updates: u64,
    /// Dead letters that were checked.
    pub(crate) dead: u64,
    /// Rows that were set aside before; they are damaged by definition.
    pub(crate) set_aside: u64,
    /// What is wrong, at most 100 of it.
    pub(crate) findings: Vec<Finding>,
    /// Further findings that are not in the list.
    pub(crate) more: u64,
}

/// Something that is wrong with a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// SQLite's own words.
    Structure(String),
    /// A row does not match its checksums.
    Row {
        table: &'static str,
        row: RowId,
        damage: Damage,
    },
    /// A row does not lie behind the one before it, or lies behind the last place that was given away.
    Order { table: &'static str, row: RowId },
    /// There are more or fewer rows, or bytes, than were counted.
    Count {
        what: &'static str,
        counted: i64,
        found: i64,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Structure(words) => write!(f, "structure: {words}"),
            Self::Row { table, row, damage } => write!(f, "row {row} of {table}: {damage}"),
            Self::Order { table, row } => write!(f, "row {row} of {table} is out of order"),
            Self::Count { what, counted, found } => {
                write!(f, "{what}: {counted} were counted, {found} were found")
            }
        }
    }
}

impl Report {
    /// Returns true if nothing is wrong.
    pub(crate) fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    fn add(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        } else {
            self.more += 1;
        }
    }
}

/// Checks the structure of the file and the checksums, order and number of its rows. Changes nothing; the owner may be
/// at work, though its write-ahead log grows until this ends.
///
/// # Errors
///
/// When the file cannot be opened, is no journal, or has another version. Damage is no error but a [`Finding`].
pub(crate) fn verify(path: &Path, busy_timeout: Duration) -> Result<Report, JournalError> {
    let path = files::resolve(path)?;
    let conn = connection::open_read_only(&path, busy_timeout)?;
    let version = schema::version(&conn)?;
    if version < schema::VERSION {
        return Err(JournalError::OlderVersion {
            path,
            found: version,
            known: schema::VERSION,
        });
    }
    let mut report = Report {
        version,
        ..Report::default()
    };
    // One transaction, so that everything is seen at one moment.
    conn.execute_batch("BEGIN")?;
    for step in STEPS {
        match step(&conn, &mut report) {
            Ok(()) => {}
            // The rest of this step cannot be read; the others may.
            Err(JournalError::Corrupt { source }) => report.add(Finding::Structure(source.to_string())),
            Err(error) => return Err(error),
        }
    }
    Ok(report)
}

type Step = fn(&Connection, &mut Report) -> Result<(), JournalError>;

const STEPS: [Step; 5] = [structure, updates, dead_letters, broadcasts, others];

fn structure(conn: &Connection, report: &mut Report) -> Result<(), JournalError> {
    let mut statement = conn.prepare(&format!("PRAGMA integrity_check({MAX_FINDINGS})"))?;
    let mut lines = statement.query([])?;
    while let Some(line) = lines.next()? {
        let words: String = line.get(0)?;
        if words != "ok" {
            report.add(Finding::Structure(words));
        }
    }
    Ok(())
}

fn updates(conn: &Connection, report: &mut Report) -> Result<(), JournalError> {
    let mut lanes = HashMap::new();
    let select = concat!(
        "SELECT ",
        header_columns!(),
        ", state, attempt, waits, crashes, retry_at, ",
        mark_matches!(),
        ", errors, raw FROM updates ORDER BY seq"
    );
    let (rows, bytes) = scan(conn, report, "updates", select, |row| {
        load::stored(row, &mut lanes).map(drop)
    })?;
    report.updates = rows.unsigned_abs();
    let counts = Counts::load(conn)?;
    count(report, "unfinished updates", counts.rows, rows);
    count(report, "bytes of unfinished updates", counts.bytes, bytes);
    Ok(())
}

fn dead_letters(conn: &Connection, report: &mut Report) -> Result<(), JournalError> {
    let select = concat!("SELECT ", dead_columns!(), ", raw FROM dead ORDER BY seq");
    let (rows, _) = scan(conn, report, "dead", select, |row| {
        dead::with_update(row).map(drop)
    })?;
    report.dead = rows.unsigned_abs();
    count(report, "dead letters", Counts::load(conn)?.dead, rows);
    Ok(())
}

fn broadcasts(conn: &Connection, report: &mut Report) -> Result<(), JournalError> {
    let (damaged, more) = broadcast_chats::damaged(conn, MAX_FINDINGS)?;
    for (chat, damage) in damaged {
        report.add(Finding::Row {
            table: "broadcast_chats",
            row: RowId(chat),
            damage,
        });
    }
    report.more += more;
    Ok(())
}

fn others(conn: &Connection, report: &mut Report) -> Result<(), JournalError> {
    let seen = conn.query_row("SELECT count(*) FROM seen NOT INDEXED", [], |row| row.get(0))?;
    count(report, "ids in the dedup window", Counts::load(conn)?.seen, seen);
    let set_aside: i64 = conn.query_row("SELECT count(*) FROM set_aside", [], |row| row.get(0))?;
    report.set_aside = set_aside.unsigned_abs();
    Ok(())
}

/// Checks every row of a table; returns how many there are and the bytes of their payloads.
fn scan(
    conn: &Connection,
    report: &mut Report,
    table: &'static str,
    select: &str,
    mut check: impl FnMut(&Row<'_>) -> Result<(), Damage>,
) -> Result<(i64, i64), JournalError> {
    let given: i64 = conn.query_row(
        "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'updates'",
        [],
        |row| row.get(0),
    )?;
    let (mut count, mut bytes, mut last) = (0, 0_i64, i64::MIN);
    let mut statement = conn.prepare(select)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let place: i64 = row.get(0)?;
        if place <= last || place > given {
            report.add(Finding::Order {
                table,
                row: RowId(place),
            });
        }
        if let Err(damage) = check(row) {
            report.add(Finding::Row {
                table,
                row: RowId(place),
                damage,
            });
        }
        last = place;
        count += 1;
        bytes = bytes.saturating_add(columns::integer(row, 6).unwrap_or(0));
    }
    Ok((count, bytes))
}

fn count(report: &mut Report, what: &'static str, counted: i64, found: i64) {
    if counted != found {
        report.add(Finding::Count { what, counted, found });
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::{
        DeadReason,
        testing::{NOW, Place, updates},
    };
    use super::*;

    fn check(place: &Place) -> Report {
        verify(&place.path(), Duration::from_secs(1)).unwrap()
    }

    /// A journal with five unfinished updates and a dead letter, meddled with.
    fn meddled(sql: &str) -> Report {
        let place = Place::new();
        let mut store = place.open();
        let rows = store.push_new(&updates(6));
        store.run(|work| work.bury(rows[5], DeadReason::Failed, &[], NOW));
        drop(store);
        place.meddle(sql);
        check(&place)
    }

    #[test]
    fn a_journal_in_use_is_sound_and_stays_as_it_is() {
        let place = Place::new();
        let mut store = place.open();
        let rows = store.push_new(&updates(6));
        store.run(|work| work.bury(rows[5], DeadReason::Failed, &[], NOW));
        store.run(|work| work.start(rows[0], 2));

        let report = check(&place);

        assert!(report.is_sound(), "{report:?}");
        assert_eq!(
            (report.version, report.updates, report.dead, report.set_aside),
            (schema::VERSION, 5, 1, 0)
        );
        assert!(store.intact(rows[0]).started);
        store.run(|work| work.finish(rows[0]));
        assert_eq!(check(&place).updates, 4);
    }

    #[test]
    fn a_journal_nobody_uses_is_not_changed() {
        let place = Place::new();
        place.open().push_new(&updates(6));
        let before = fs::read(place.path()).unwrap();

        assert!(check(&place).is_sound());

        assert_eq!(fs::read(place.path()).unwrap(), before);
    }

    #[test]
    fn damaged_rows_are_named() {
        let row = |table, row, damage| Finding::Row {
            table,
            row: RowId(row),
            damage,
        };
        for (sql, finding) in [
            (
                "UPDATE updates SET raw = replace(raw, 'text', 'test') WHERE seq = 3",
                row("updates", 3, Damage::Payload),
            ),
            (
                "UPDATE updates SET lane = 'chat:9' WHERE seq = 3",
                row("updates", 3, Damage::Header),
            ),
            (
                "UPDATE updates SET attempt = 9 WHERE seq = 3",
                row("updates", 3, Damage::Marks),
            ),
            (
                "UPDATE dead SET raw = replace(raw, 'text', 'test')",
                row("dead", 6, Damage::Payload),
            ),
            ("UPDATE dead SET update_id = 1", row("dead", 6, Damage::Header)),
            (
                "INSERT INTO broadcast_chats VALUES (1, 42, 1, 0, NULL, NULL, 7)",
                row("broadcast_chats", 42, Damage::Header),
            ),
        ] {
            assert_eq!(meddled(sql).findings, [finding], "{sql}");
        }
    }

    #[test]
    fn rows_that_are_missing_or_out_of_place_are_named() {
        let report = meddled("DELETE FROM updates WHERE seq = 2; DELETE FROM seen WHERE update_id = 1");
        let words: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
        assert_eq!(words[0], "unfinished updates: 5 were counted, 4 were found");
        assert!(words[1].starts_with("bytes of unfinished updates: "), "{words:?}");
        assert_eq!(words[2], "ids in the dedup window: 6 were counted, 5 were found");

        let report = meddled("UPDATE sqlite_sequence SET seq = 4");
        assert_eq!(
            report.findings,
            [("updates", 5), ("dead", 6)].map(|(table, row)| Finding::Order {
                table,
                row: RowId(row)
            })
        );

        let report = meddled("UPDATE updates SET seq = 7 WHERE seq = 2; DELETE FROM dead");
        assert!(report.findings.contains(&Finding::Row {
            table: "updates",
            row: RowId(7),
            damage: Damage::Header
        }));
        assert!(report.findings.contains(&Finding::Count {
            what: "dead letters",
            counted: 1,
            found: 0
        }));
    }

    #[test]
    fn a_broken_structure_is_told_in_the_words_of_sqlite() {
        let report = meddled(
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 3 WHERE name = 'seen_at'",
        );

        assert!(
            report
                .findings
                .iter()
                .any(|finding| matches!(finding, Finding::Structure(_))),
            "{report:?}"
        );
    }

    #[test]
    fn findings_are_bounded() {
        let place = Place::new();
        place.open().push_new(&updates(300));
        place.meddle("UPDATE updates SET kind = ''");

        let report = check(&place);

        assert_eq!((report.findings.len(), report.more), (MAX_FINDINGS, 200));
    }

    #[test]
    fn what_is_no_journal_is_not_verified() {
        let place = Place::new();
        fs::write(place.path(), "text".repeat(1000)).unwrap();

        let refused = verify(&place.path(), Duration::ZERO).unwrap_err();

        assert!(matches!(refused, JournalError::NotAJournal { .. }), "{refused}");
    }
}
