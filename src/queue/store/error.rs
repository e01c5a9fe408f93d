//! What can go wrong with the journal, sorted by what its owner may do next.

use std::{ffi::c_int, io, path::PathBuf};

use rusqlite::ffi;
use thiserror::Error;

/// What can go wrong with the journal.
///
/// | variant | the owner may |
/// |---|---|
/// | [`Locked`](Self::Locked), [`NewerVersion`](Self::NewerVersion), [`NotAJournal`](Self::NotAJournal), [`WithoutDatabase`](Self::WithoutDatabase), [`PragmaIgnored`](Self::PragmaIgnored) | not start |
/// | [`Full`](Self::Full), [`Busy`](Self::Busy) | repeat the transaction later; nothing of it was kept |
/// | [`Sync`](Self::Sync), [`LostOwnership`](Self::LostOwnership) | stop; never write again |
/// | [`Corrupt`](Self::Corrupt) | stop; what is readable can be listed and verified |
/// | [`Io`](Self::Io) | decide by the cause |
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum JournalError {
    /// Another process, or another bot of this process, owns the journal.
    #[error(
        "the journal {} is in use by {}; stop it, or give this bot a journal of its own",
        path.display(),
        holder.as_deref().unwrap_or("another process")
    )]
    Locked {
        /// Path of the database.
        path: PathBuf,
        /// Process id, host and start of ownership, as the holder wrote them down.
        holder: Option<String>,
    },
    /// A later version of this crate has written the file.
    #[error(
        "the journal {} has schema version {found}, this program knows up to {known}; run the newer program",
        path.display()
    )]
    NewerVersion {
        /// Path of the database.
        path: PathBuf,
        /// Version of the file.
        found: i64,
        /// Highest version that this program knows.
        known: i64,
    },
    /// The file was written by an earlier version and has not been migrated yet.
    #[error(
        "the journal {} has schema version {found}, this program needs {known}; start the bot once to migrate it",
        path.display()
    )]
    OlderVersion {
        /// Path of the database.
        path: PathBuf,
        /// Version of the file.
        found: i64,
        /// Version that this program needs.
        known: i64,
    },
    /// The file is something else; it was not touched.
    #[error("{} is not a journal; choose another path", path.display())]
    NotAJournal {
        /// Path of the file.
        path: PathBuf,
    },
    /// There is a write-ahead log, but the database it belongs to is gone. It may hold updates that exist nowhere
    /// else, so nothing was touched.
    #[error("{} belongs to a database that is gone; restore the database, or move this file away", wal.display())]
    WithoutDatabase {
        /// Path of the write-ahead log.
        wal: PathBuf,
    },
    /// The disk, or the quota of the database, is full. Nothing of the transaction was kept.
    #[error("the disk of the journal is full; free some space")]
    Full {
        /// What said so.
        source: StorageError,
    },
    /// Another connection holds the write lock. Nothing of the transaction was kept.
    #[error("another program is writing to the journal; close it")]
    Busy {
        /// What said so.
        source: StorageError,
    },
    /// What was written may or may not be on the disk, and no later success could prove that it is.
    #[error("the disk did not take what was written to the journal; check the disk, then start again")]
    Sync {
        /// What said so.
        source: StorageError,
    },
    /// A file cannot be opened or read.
    #[error("the journal cannot be used")]
    Io {
        /// What said so.
        source: StorageError,
    },
    /// The file is damaged beyond a single row.
    #[error("the journal is damaged; keep a copy of its files and run a verification")]
    Corrupt {
        /// What said so.
        source: StorageError,
    },
    /// Somebody else opened the journal for writing, or the file was replaced or deleted.
    #[error("the journal has another owner or another file now; stop the other bot, then start again")]
    LostOwnership,
    /// SQLite did not take a setting that the promises of the journal rest on.
    #[error("sqlite ignored {name} = {wanted}, it is {found}; use a local disk and the bundled sqlite")]
    PragmaIgnored {
        /// Name of the setting.
        name: &'static str,
        /// Value that was set.
        wanted: String,
        /// Value that was read back.
        found: String,
    },
}

/// Cause of a [`JournalError`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum StorageError {
    /// SQLite reported an error.
    #[error("{message} (sqlite code {code})")]
    Sqlite {
        /// Extended result code, see <https://sqlite.org/rescode.html>; 1 when there is none.
        code: i32,
        /// Text of SQLite.
        message: String,
    },
    /// A call of the operating system failed.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// What it was tried on.
        path: PathBuf,
        /// Reason.
        source: io::Error,
    },
    /// A write failed earlier, so this one was not tried.
    #[error("an earlier write to the journal failed")]
    FailedEarlier,
    /// The contents contradict themselves.
    #[error("{0}")]
    Contents(&'static str),
}

impl JournalError {
    /// Wraps a failed call of the operating system; `wrote` says whether it was one that makes data durable.
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
        source: io::Error,
        wrote: bool,
    ) -> Self {
        let full = matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        );
        let source = StorageError::File {
            action,
            path: path.into(),
            source,
        };
        match (full, wrote) {
            (true, _) => Self::Full { source },
            (false, true) => Self::Sync { source },
            (false, false) => Self::Io { source },
        }
    }

    /// Returns a [`Corrupt`](Self::Corrupt) error for contents that contradict themselves.
    pub(crate) fn contents(what: &'static str) -> Self {
        Self::Corrupt {
            source: StorageError::Contents(what),
        }
    }

    /// Returns true if nothing may be written any more, because the last write has an unknown outcome or somebody else
    /// owns the file.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Sync { .. } | Self::LostOwnership)
    }
}

impl From<rusqlite::Error> for JournalError {
    fn from(error: rusqlite::Error) -> Self {
        let code = error.sqlite_error().map(|error| error.extended_code);
        let class = code.map_or_else(|| classify_local(&error), classify);
        let source = StorageError::Sqlite {
            code: code.unwrap_or(ffi::SQLITE_ERROR),
            message: error.to_string(),
        };
        match class {
            Class::Full => Self::Full { source },
            Class::Busy => Self::Busy { source },
            Class::Sync => Self::Sync { source },
            Class::Corrupt => Self::Corrupt { source },
            Class::Moved => Self::LostOwnership,
            Class::Io => Self::Io { source },
        }
    }
}

/// What an error means for the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Full,
    Busy,
    Sync,
    Corrupt,
    Moved,
    Io,
}

/// Sorts an extended result code of SQLite.
fn classify(code: c_int) -> Class {
    match code {
        // Memory of the write-ahead log's index is reserved on the disk; that it cannot be extended means a full one.
        ffi::SQLITE_IOERR_SHMSIZE => Class::Full,
        ffi::SQLITE_IOERR_FSYNC
        | ffi::SQLITE_IOERR_DIR_FSYNC
        | ffi::SQLITE_IOERR_WRITE
        | ffi::SQLITE_IOERR_TRUNCATE
        | ffi::SQLITE_IOERR_CLOSE
        | ffi::SQLITE_IOERR_DIR_CLOSE
        | ffi::SQLITE_IOERR_COMMIT_ATOMIC => Class::Sync,
        ffi::SQLITE_IOERR_SHORT_READ | ffi::SQLITE_IOERR_CORRUPTFS | ffi::SQLITE_IOERR_DATA => Class::Corrupt,
        ffi::SQLITE_READONLY_DBMOVED => Class::Moved,
        _ => match code & 0xff {
            ffi::SQLITE_FULL => Class::Full,
            ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_PROTOCOL => Class::Busy,
            // Our statements violate no constraint of an undamaged file.
            ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB | ffi::SQLITE_CONSTRAINT | ffi::SQLITE_MISMATCH => {
                Class::Corrupt
            }
            _ => Class::Io,
        },
    }
}

/// Sorts the errors that rusqlite makes up itself: values of another type than was stored.
fn classify_local(error: &rusqlite::Error) -> Class {
    match error {
        rusqlite::Error::Utf8Error(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::QueryReturnedNoRows => Class::Corrupt,
        _ => Class::Io,
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[test]
    fn a_full_disk_is_the_only_write_error_that_may_be_repeated() {
        assert_eq!(classify(ffi::SQLITE_FULL), Class::Full);
        assert_eq!(classify(ffi::SQLITE_IOERR_SHMSIZE), Class::Full);
        for code in [
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_IOERR_DIR_FSYNC,
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_IOERR_TRUNCATE,
        ] {
            assert_eq!(classify(code), Class::Sync, "{code}");
        }
    }

    #[test]
    fn damage_is_told_from_a_disk_that_cannot_be_read() {
        for code in [
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_CORRUPT_INDEX,
            ffi::SQLITE_NOTADB,
            ffi::SQLITE_IOERR_SHORT_READ,
            ffi::SQLITE_CONSTRAINT_PRIMARYKEY,
        ] {
            assert_eq!(classify(code), Class::Corrupt, "{code}");
        }
        for code in [
            ffi::SQLITE_IOERR_READ,
            ffi::SQLITE_CANTOPEN,
            ffi::SQLITE_READONLY,
            ffi::SQLITE_NOMEM,
        ] {
            assert_eq!(classify(code), Class::Io, "{code}");
        }
    }

    #[test]
    fn every_flavour_of_a_held_lock_is_busy() {
        for code in [
            ffi::SQLITE_BUSY,
            ffi::SQLITE_BUSY_RECOVERY,
            ffi::SQLITE_BUSY_SNAPSHOT,
            ffi::SQLITE_LOCKED,
        ] {
            assert_eq!(classify(code), Class::Busy, "{code}");
        }
        assert_eq!(classify(ffi::SQLITE_READONLY_DBMOVED), Class::Moved);
    }

    #[test]
    fn only_unknown_writes_and_a_lost_file_are_final() {
        let source = || StorageError::FailedEarlier;

        assert!(JournalError::Sync { source: source() }.is_final());
        assert!(JournalError::LostOwnership.is_final());
        assert!(!JournalError::Full { source: source() }.is_final());
        assert!(!JournalError::Corrupt { source: source() }.is_final());
    }

    #[test]
    fn a_failed_sync_of_a_file_is_not_a_failed_open() {
        let failed = |kind: io::ErrorKind, wrote| JournalError::file("use", "x.db", kind.into(), wrote);

        assert!(matches!(
            failed(io::ErrorKind::Other, true),
            JournalError::Sync { .. }
        ));
        assert!(matches!(
            failed(io::ErrorKind::NotFound, false),
            JournalError::Io { .. }
        ));
        assert!(matches!(
            failed(io::ErrorKind::StorageFull, true),
            JournalError::Full { .. }
        ));
        assert!(matches!(
            failed(io::ErrorKind::StorageFull, false),
            JournalError::Full { .. }
        ));
    }

    #[test]
    fn the_cause_is_the_source_and_carries_the_code() {
        let error = JournalError::from(rusqlite::Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_IOERR_FSYNC),
            Some("disk I/O error".to_owned()),
        ));

        assert!(matches!(error, JournalError::Sync { .. }));
        assert_eq!(
            error.source().unwrap().to_string(),
            "disk I/O error (sqlite code 1034)"
        );
    }

    #[test]
    fn the_holder_is_named_when_it_is_known() {
        let locked = |holder: Option<&str>| {
            JournalError::Locked {
                path: "a.db".into(),
                holder: holder.map(str::to_owned),
            }
            .to_string()
        };

        assert!(locked(Some("process 7 on host h")).contains("a.db is in use by process 7 on host h;"));
        assert!(locked(None).contains("in use by another process;"));
    }
}
