//! Connections: which file they accept, and the settings the promises of the journal rest on.
//!
//! SQLite ignores a setting it cannot or will not take without an error, so each one is read back. Settings are executed
//! when their statement is *compiled*: they are never kept prepared.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, config::DbConfig, ffi, types::Value};

use super::{entry::Durability, error::JournalError, files, schema};

/// Prepared statements that are kept; there are fewer.
const STATEMENTS: usize = 64;

/// Size to which the write-ahead log is cut back after a checkpoint has emptied it. Large enough that steady work
/// overwrites the same blocks, which is faster than appending.
const WAL_BYTES: i64 = 16 * 1024 * 1024;

/// Creates an empty journal at a path that leads to nothing, or to an empty file.
pub(crate) fn create(database: &Path) -> Result<(), JournalError> {
    files::create(database, |draft| {
        let conn = Connection::open_with_flags(draft, flags(OpenFlags::SQLITE_OPEN_READ_WRITE))?;
        // Must be set before the first table. The rollback journal is used here, so that the file is complete when
        // the transaction is.
        set(&conn, "auto_vacuum", 2)?;
        set(&conn, "synchronous", 2)?;
        set(&conn, "fullfsync", 1)?;
        set(&conn, "application_id", schema::APPLICATION_ID)?;
        schema::migrate(&conn)?;
        conn.close().map_err(|(_, error)| error.into())
    })
}

/// Opens an existing journal for reading and writing, in whatever version it is.
pub(crate) fn open(database: &Path, busy_timeout: Duration) -> Result<Connection, JournalError> {
    let conn = Connection::open_with_flags(database, flags(OpenFlags::SQLITE_OPEN_READ_WRITE))?;
    identify(&conn, database)?;
    conn.busy_timeout(busy_timeout)?;
    set_text(&conn, "journal_mode", "wal")?;
    set_durability(&conn, Durability::Power)?;
    // F_FULLFSYNC, which is what makes an fsync of macOS survive a power cut. Without effect elsewhere.
    set(&conn, "fullfsync", 1)?;
    set(&conn, "checkpoint_fullfsync", 1)?;
    // A checkpoint inside a commit makes that commit wait for it; the writer chooses the moment instead.
    set(&conn, "wal_autocheckpoint", 0)?;
    set(&conn, "journal_size_limit", WAL_BYTES)?;
    set(&conn, "temp_store", 2)?;
    // A read error of mapped memory would end the process.
    set(&conn, "mmap_size", 0)?;
    set(&conn, "cell_size_check", 1)?;
    expect(&conn, "auto_vacuum", "2")?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(conn)
}

/// Opens an existing journal for reading only; its owner may be alive.
pub(crate) fn open_read_only(database: &Path, busy_timeout: Duration) -> Result<Connection, JournalError> {
    let conn = Connection::open_with_flags(database, flags(OpenFlags::SQLITE_OPEN_READ_ONLY))?;
    identify(&conn, database)?;
    conn.busy_timeout(busy_timeout)?;
    set(&conn, "temp_store", 2)?;
    set(&conn, "mmap_size", 0)?;
    set(&conn, "cell_size_check", 1)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(conn)
}

fn flags(access: OpenFlags) -> OpenFlags {
    access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE
}

/// Refuses a file that is no journal, before anything is written to it.
fn identify(conn: &Connection, database: &Path) -> Result<(), JournalError> {
    let foreign = || JournalError::NotAJournal {
        path: database.to_owned(),
    };
    let id = conn.query_row("PRAGMA application_id", [], |row| row.get::<_, i64>(0));
    match id {
        Ok(schema::APPLICATION_ID) => {}
        Ok(_) => return Err(foreign()),
        Err(error)
            if error
                .sqlite_error()
                .is_some_and(|error| error.extended_code == ffi::SQLITE_NOTADB) =>
        {
            return Err(foreign());
        }
        Err(error) => return Err(error.into()),
    }
    let found = schema::version(conn)?;
    if found > schema::VERSION {
        return Err(JournalError::NewerVersion {
            path: database.to_owned(),
            found,
            known: schema::VERSION,
        });
    }
    Ok(())
}

/// Sets what the next transactions must survive.
pub(crate) fn set_durability(conn: &Connection, durability: Durability) -> Result<(), JournalError> {
    let level = match durability {
        Durability::Power => 2, // FULL
        Durability::Kill => 1,  // NORMAL
    };
    set(conn, "synchronous", level)
}

/// Keeps the connection from writing anything more when it is closed.
pub(crate) fn give_up(conn: &Connection) -> Result<(), JournalError> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(())
}

fn set(conn: &Connection, name: &'static str, wanted: i64) -> Result<(), JournalError> {
    set_text(conn, name, &wanted.to_string())
}

fn set_text(conn: &Connection, name: &'static str, wanted: &str) -> Result<(), JournalError> {
    // To its end: the new journal mode is written after the row that announces it, and an error would come then.
    let mut statement = conn.prepare(&format!("PRAGMA {name} = {wanted}"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    expect(conn, name, wanted)
}

fn expect(conn: &Connection, name: &'static str, wanted: &str) -> Result<(), JournalError> {
    let found = match conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))? {
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => text,
        Value::Null | Value::Real(_) | Value::Blob(_) => "something else".to_owned(),
    };
    if found == wanted {
        return Ok(());
    }
    Err(JournalError::PragmaIgnored {
        name,
        wanted: wanted.to_owned(),
        found,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Place;
    use super::*;

    #[test]
    fn every_setting_is_what_the_promises_rest_on() {
        let place = Place::new();
        drop(place.open());

        let conn = open(&place.path(), Duration::from_millis(1234)).unwrap();

        for (name, wanted) in [
            ("journal_mode", "wal"),
            ("synchronous", "2"),
            ("fullfsync", "1"),
            ("checkpoint_fullfsync", "1"),
            ("wal_autocheckpoint", "0"),
            ("journal_size_limit", "16777216"),
            ("temp_store", "2"),
            ("mmap_size", "0"),
            ("cell_size_check", "1"),
            ("auto_vacuum", "2"),
            ("busy_timeout", "1234"),
            ("trusted_schema", "0"),
        ] {
            expect(&conn, name, wanted).unwrap();
        }
    }

    #[test]
    fn a_setting_that_is_not_taken_is_an_error_that_names_it() {
        let conn = Connection::open_in_memory().unwrap();

        let ignored = set_text(&conn, "journal_mode", "wal").unwrap_err();

        assert_eq!(
            ignored.to_string(),
            "sqlite ignored journal_mode = wal, it is memory; use a local disk and the bundled sqlite"
        );
    }
}
