//! The tables, and how files of earlier versions get them.

use rusqlite::Connection;

use super::error::JournalError;

/// Marks a file as a journal: `actg` in the `application_id` of SQLite's header.
pub(crate) const APPLICATION_ID: i64 = 0x6163_7467;

/// Version that this program writes; it is stored in `user_version`.
pub(crate) const VERSION: i64 = MIGRATIONS.len() as i64;

/// Steps from an empty file to [`VERSION`]; step `n` (counted from 1) leads to version `n`. A step that was released is
/// never changed.
const MIGRATIONS: &[&str] = &[
    include_str!("schema_1.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
];

/// Returns the SQL of the check over the columns that change. It is computed where they are set, because setting some
/// of them must not need the others in the program. The steps stay below 2^53, so that SQLite calculates in integers.
macro_rules! mark_of {
    ($state:literal, $attempt:literal, $waits:literal, $crashes:literal, $retry_at:literal) => {
        concat!(
            "((((",
            $state,
            " * 1000003 + ",
            $attempt,
            ") % 2147483647 * 1000003 + ",
            $waits,
            ") % 2147483647 * 1000003 + ",
            $crashes,
            ") % 2147483647 * 1000003 + coalesce(",
            $retry_at,
            ", -1)) % 2147483647"
        )
    };
}
/// SQL that is true when the check of a row matches.
macro_rules! mark_matches {
    () => {
        concat!(
            "mark IS ",
            $crate::queue::store::schema::mark_of!("state", "attempt", "waits", "crashes", "retry_at")
        )
    };
}
pub(crate) use {mark_matches, mark_of};

/// Brings a file to [`VERSION`].
pub(crate) fn migrate(conn: &Connection) -> Result<(), JournalError> {
    migrate_with(conn, MIGRATIONS)
}

/// Runs the steps that are still missing, each in one transaction with its version.
fn migrate_with(conn: &Connection, steps: &[&str]) -> Result<(), JournalError> {
    for (step, version) in steps.iter().zip(1_i64..) {
        if version <= self::version(conn)? {
            continue;
        }
        let applied = conn.execute_batch(&format!(
            "BEGIN IMMEDIATE; {step}; PRAGMA user_version = {version}; COMMIT;"
        ));
        if let Err(error) = applied {
            if !conn.is_autocommit() {
                conn.execute_batch("ROLLBACK")?;
            }
            return Err(error.into());
        }
    }
    Ok(())
}

/// Returns the version of a file.
pub(crate) fn version(conn: &Connection) -> Result<i64, JournalError> {
    Ok(conn.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Connection {
        Connection::open_in_memory().unwrap()
    }

    fn tables(conn: &Connection) -> Vec<String> {
        let mut statement = conn
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
            .unwrap();
        let names = statement.query_map([], |row| row.get(0)).unwrap();
        names.map(Result::unwrap).collect()
    }

    #[test]
    fn an_empty_file_gets_every_table() {
        let conn = empty();

        migrate(&conn).unwrap();

        assert_eq!(version(&conn).unwrap(), VERSION);
        assert_eq!(
            tables(&conn),
            [
                "broadcast_chats",
                "broadcasts",
                "dead",
                "last_ids",
                "meta",
                "moved_lanes",
                "seen",
                "set_aside",
                "sqlite_sequence",
                "updates"
            ]
        );
    }

    #[test]
    fn only_missing_steps_are_run() {
        let conn = empty();
        migrate_with(&conn, &["CREATE TABLE a (x)"]).unwrap();

        migrate_with(
            &conn,
            &["CREATE TABLE a (x)", "CREATE TABLE b (x)", "CREATE TABLE c (x)"],
        )
        .unwrap();

        assert_eq!(tables(&conn), ["a", "b", "c"]);
        assert_eq!(version(&conn).unwrap(), 3);
    }

    #[test]
    fn a_step_that_fails_leaves_nothing_and_the_steps_before_it() {
        let conn = empty();
        let steps = ["CREATE TABLE a (x)", "CREATE TABLE b (x); CREATE TABLE a (x)"];

        migrate_with(&conn, &steps).unwrap_err();

        assert_eq!(tables(&conn), ["a"]);
        assert_eq!(version(&conn).unwrap(), 1);
        assert!(conn.is_autocommit());
    }

    #[test]
    fn the_check_of_the_marks_notices_every_flipped_bit() {
        let conn = empty();
        conn.execute_batch("CREATE TABLE t (state, attempt, waits, crashes, retry_at, mark)")
            .unwrap();
        conn.execute(
            concat!(
                "INSERT INTO t VALUES (1, 3, 2, 4, 1767261600000, ",
                mark_of!("1", "3", "2", "4", "1767261600000"),
                ")"
            ),
            [],
        )
        .unwrap();
        let matches = || -> bool {
            conn.query_row(concat!("SELECT ", mark_matches!(), " FROM t"), [], |row| {
                row.get(0)
            })
            .unwrap()
        };
        assert!(matches());

        for column in ["state", "attempt", "waits", "crashes", "retry_at", "mark"] {
            for bit in 0..62_i64 {
                // There is no exclusive or in SQLite.
                let flip = format!("UPDATE t SET {column} = ({column} | ?1) - ({column} & ?1)");
                conn.execute(&flip, [1_i64 << bit]).unwrap();
                assert!(!matches(), "bit {bit} of {column}");
                conn.execute(&flip, [1_i64 << bit]).unwrap();
                assert!(matches());
            }
        }
        conn.execute("UPDATE t SET retry_at = NULL", []).unwrap();
        assert!(!matches());
    }
}
