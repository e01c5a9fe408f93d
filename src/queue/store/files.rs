//! The files of a journal: where they are, who may read them, and how a new one comes into being.
//!
//! Nothing here opens a database that SQLite has open in this process: closing such a file would release SQLite's own
//! locks on it.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use super::error::JournalError;

/// Returns the path with something appended to its last part.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Returns the files whose names are this path, a mark and a number, with the number. A folder that cannot be read has
/// none.
pub(crate) fn numbered(path: &Path, mark: &str) -> Vec<(i64, PathBuf)> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let Some(name) = beside(path, mark).file_name().map(OsString::from) else {
        return Vec::new();
    };
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let found = entry.file_name();
            let digits = found.as_encoded_bytes().strip_prefix(name.as_encoded_bytes())?;
            let number = str::from_utf8(digits).ok()?.parse().ok()?;
            Some((number, entry.path()))
        })
        .collect()
}

/// Returns the one path of a database, so that two names of the same file share one lock. The file need not exist.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf, JournalError> {
    let failed = |error| JournalError::file("find", path, error, false);
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return found.map_err(failed),
    }
    let Some(name) = path.file_name() else {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    Ok(folder
        .canonicalize()
        .map_err(|error| JournalError::file("find the folder", folder, error, false))?
        .join(name))
}

/// Returns options that create files only their owner may read.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Takes everybody else's rights to a file away. A file that does not exist is fine.
pub(crate) fn make_private(path: &Path) -> Result<(), JournalError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;

        let mode = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            found => {
                let found = found.map_err(|error| JournalError::file("look at", path, error, false))?;
                found.permissions().mode() & 0o777
            }
        };
        if mode != 0o600 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))
                .map_err(|error| JournalError::file("make private", path, error, false))?;
        }
    }
    #[cfg(not(unix))]
    let _ = path; // The access list of the folder decides.
    Ok(())
}

/// Returns the size of a file in bytes, 0 if there is none.
pub(crate) fn size(path: &Path) -> Result<u64, JournalError> {
    match fs::metadata(path) {
        Ok(found) => Ok(found.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(JournalError::file("look at", path, error, false)),
    }
}

/// Which file a path leads to. Where the system does not tell, all files are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId(#[cfg(unix)] (u64, u64));

impl FileId {
    /// Returns the file at a path, or `None` if there is none.
    pub(crate) fn of(path: &Path) -> Result<Option<Self>, JournalError> {
        match fs::metadata(path) {
            #[cfg(unix)]
            Ok(found) => {
                use std::os::unix::fs::MetadataExt;

                Ok(Some(Self((found.dev(), found.ino()))))
            }
            #[cfg(not(unix))]
            Ok(_) => Ok(Some(Self())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(JournalError::file("look at", path, error, false)),
        }
    }
}

/// Creates a database so that its path never leads to half of one: everything is done under another name and is on the
/// disk before the file gets its own. What an earlier try has left is removed.
///
/// `fill` writes the file; it must have closed it when it returns, with nothing left in files beside it.
pub(crate) fn create(
    database: &Path,
    fill: impl FnOnce(&Path) -> Result<(), JournalError>,
) -> Result<(), JournalError> {
    let draft = beside(database, ".new");
    for suffix in ["", "-journal", "-wal", "-shm"] {
        let leftover = beside(&draft, suffix);
        match fs::remove_file(&leftover) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(JournalError::file("remove", leftover, error, false));
            }
            _ => {}
        }
    }
    private()
        .write(true)
        .create_new(true)
        .open(&draft)
        .map_err(|error| JournalError::file("create", &draft, error, false))?;
    fill(&draft)?;
    sync(&draft)?;
    fs::rename(&draft, database).map_err(|error| JournalError::file("create", database, error, true))?;
    sync_folder(database)
}

/// Makes the contents of a file durable.
pub(crate) fn sync(path: &Path) -> Result<(), JournalError> {
    File::options()
        .write(true)
        .open(path)
        .and_then(|file| file.sync_all())
        .map_err(|error| JournalError::file("write", path, error, true))
}

/// Makes the names of files durable that were created beside this one.
pub(crate) fn sync_folder(path: &Path) -> Result<(), JournalError> {
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| JournalError::file("write", folder, error, true))?;
    }
    #[cfg(not(unix))]
    let _ = path; // Folders cannot be synced there.
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_of_a_file_lead_to_one_path() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap().join("a.db");

        assert_eq!(resolve(&folder.path().join("./a.db")).unwrap(), real);
        fs::write(&real, "").unwrap();
        assert_eq!(resolve(&folder.path().join("a.db")).unwrap(), real);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&real, folder.path().join("b.db")).unwrap();
            assert_eq!(resolve(&folder.path().join("b.db")).unwrap(), real);
        }
    }

    #[test]
    fn a_folder_that_does_not_exist_is_named() {
        let error = resolve(Path::new("/does/not/exist/a.db")).unwrap_err();

        let JournalError::Io { source } = error else {
            panic!("{error}")
        };
        assert_eq!(source.to_string(), "cannot find the folder /does/not/exist");
    }

    #[test]
    fn a_new_file_appears_when_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        fs::write(beside(&database, ".new"), "half of a file").unwrap();
        fs::write(beside(&database, ".new-journal"), "hot").unwrap();

        create(&database, |draft| {
            assert!(!database.exists());
            assert!(!beside(draft, "-journal").exists());
            assert_eq!(fs::read(draft).unwrap(), b"");
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;

                assert_eq!(fs::metadata(draft).unwrap().permissions().mode() & 0o777, 0o600);
            }
            fs::write(draft, "whole").unwrap();
            Ok(())
        })
        .unwrap();

        assert_eq!(fs::read(&database).unwrap(), b"whole");
        assert!(!beside(&database, ".new").exists());
    }

    #[test]
    fn a_file_that_could_not_be_filled_does_not_appear() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");

        create(&database, |_| Err(JournalError::contents("test"))).unwrap_err();

        assert!(!database.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_another_one_after_it_was_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "").unwrap();
        let first = FileId::of(&path).unwrap().unwrap();
        assert_eq!(FileId::of(&path).unwrap(), Some(first));

        fs::write(folder.path().join("b"), "").unwrap();
        fs::rename(folder.path().join("b"), &path).unwrap();

        assert_ne!(FileId::of(&path).unwrap(), Some(first));
        fs::remove_file(&path).unwrap();
        assert_eq!(FileId::of(&path).unwrap(), None);
    }
}
