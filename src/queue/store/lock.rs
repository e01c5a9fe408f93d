//! One owner at a time: a lock file beside the database, held for the life of the store.
//!
//! The operating system releases the lock when the process ends, however it ends, so a lock that is held always has a
//! living holder. The lock can be defeated (a deleted lock file, a second host on a shared disk); then the owner epoch in
//! the database still stops the older owner at its next transaction.

use std::{
    env,
    fs::{self, File, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
    process,
};

use super::{error::JournalError, files, time::Timestamp};

/// Longest text of a holder that is read back.
const MAX_HOLDER: u64 = 256;

/// Ownership of a database; given back when dropped.
#[derive(Debug)]
pub(crate) struct OwnerLock {
    file: File,
}

impl OwnerLock {
    /// Takes the ownership of a database, without waiting.
    ///
    /// # Errors
    ///
    /// [`JournalError::Locked`] with the text that the holder has left.
    pub(crate) fn acquire(database: &Path, now: Timestamp) -> Result<Self, JournalError> {
        let path = files::beside(database, ".lock");
        let failed = |action, error| JournalError::file(action, &path, error, false);
        let mut file = files::private()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| failed("open the lock file", error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(JournalError::Locked {
                    path: database.to_owned(),
                    holder: holder(&mut file),
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock", error)),
        }
        files::make_private(&path)?;
        let text = format!("process {} on host {} since {now}\n", process::id(), host());
        file.set_len(0)
            .and_then(|()| file.write_all(text.as_bytes()))
            .map_err(|error| failed("write to the lock file", error))?;
        Ok(Self { file })
    }
}

impl Drop for OwnerLock {
    fn drop(&mut self) {
        // Closing the file would release the lock only when nobody else has it open, and a program that another thread is
        // about to start has, until it runs.
        let _ = self.file.unlock();
    }
}

/// Returns what the holder of the lock has written, on one line and without control characters.
fn holder(file: &mut File) -> Option<String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(MAX_HOLDER).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line: String = text
        .lines()
        .next()?
        .chars()
        .filter(|letter| !letter.is_control())
        .collect();
    (!line.is_empty()).then_some(line)
}

/// Returns the name of this machine, or `unknown`.
fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| env::var("HOSTNAME").ok())
        .or_else(|| env::var("COMPUTERNAME").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_767_261_600_000);

    #[test]
    fn the_second_owner_learns_who_the_first_is() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        let _first = OwnerLock::acquire(&database, NOW).unwrap();

        let refused = OwnerLock::acquire(&database, NOW).unwrap_err();

        let JournalError::Locked { path, holder } = refused else {
            panic!("{refused}")
        };
        assert_eq!(path, database);
        assert_eq!(
            holder.unwrap(),
            format!(
                "process {} on host {} since 2026-01-01T10:00:00Z",
                process::id(),
                host()
            )
        );
    }

    #[test]
    fn a_lock_is_free_again_after_its_owner_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");

        drop(OwnerLock::acquire(&database, NOW).unwrap());

        OwnerLock::acquire(&database, NOW).unwrap();
    }

    /// As a program that is being started, between its fork and its exec.
    #[test]
    fn a_lock_is_free_again_although_somebody_else_still_has_the_file_open() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        let owner = OwnerLock::acquire(&database, NOW).unwrap();
        let _inherited = owner.file.try_clone().unwrap();
        OwnerLock::acquire(&database, NOW).unwrap_err();

        drop(owner);

        OwnerLock::acquire(&database, NOW).unwrap();
    }

    #[test]
    fn a_shorter_holder_leaves_nothing_of_a_longer_one() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        fs::write(files::beside(&database, ".lock"), "x".repeat(500)).unwrap();

        let _owner = OwnerLock::acquire(&database, NOW).unwrap();

        let text = fs::read_to_string(files::beside(&database, ".lock")).unwrap();
        assert!(text.starts_with("process ") && text.ends_with("Z\n"), "{text}");
    }

    #[test]
    fn a_holder_that_wrote_nonsense_spoils_no_terminal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let mut file = files::private()
            .read(true)
            .write(true)
            .create(true)
            .open(&path)
            .unwrap();

        file.write_all(b"\x1b[31mred\xff\nsecond line").unwrap();
        assert_eq!(holder(&mut file).unwrap(), "[31mred\u{fffd}");
        file.set_len(0).unwrap();
        assert_eq!(holder(&mut file), None);
    }
}
