//! A file that appears under its name when it is complete, and not at all when it is not.

use std::{
    fs::{self, File},
    io::{self, Write},
    mem,
    path::{Path, PathBuf},
};

use actix_rt::task::spawn_blocking;

use super::error::ApiError;

/// Bytes that are gathered for one write on a blocking thread.
const PIECE_LEN: usize = 256 * 1024;

/// A file that is written beside its target. Dropping it removes what was written.
pub(crate) struct PartFile {
    target: PathBuf,
    part: PathBuf,
    file: Option<File>,
    gathered: Vec<u8>,
}

impl PartFile {
    /// Creates the file beside `target`, whose folder must exist.
    pub(crate) async fn create(target: &Path) -> Result<Self, ApiError> {
        let target = target.to_owned();
        // Made on the blocking thread as a whole, so that it removes itself when nobody waits for it any more.
        on_disk(target.clone(), move || {
            let name = target
                .file_name()
                .ok_or(io::ErrorKind::InvalidInput)?
                .to_string_lossy();
            let part = target.with_file_name(format!(".{name}.{:016x}.part", fastrand::u64(..)));
            let file = File::options().write(true).create_new(true).open(&part)?;
            Ok(Self {
                target,
                part,
                file: Some(file),
                gathered: Vec::new(),
            })
        })
        .await
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), ApiError> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= PIECE_LEN {
            self.flush().await?;
        }
        Ok(())
    }

    /// Writes the rest and gives the file its name, replacing what was there.
    pub(crate) async fn finish(mut self) -> Result<(), ApiError> {
        self.flush().await?;
        on_disk(self.target.clone(), move || {
            if let Some(file) = self.file.take() {
                // Else a power cut could leave an empty file under the name.
                file.sync_all()?;
            }
            fs::rename(&self.part, &self.target)?;
            self.part.clear();
            Ok(())
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), ApiError> {
        let Some(mut file) = self.file.take() else {
            let lost = io::Error::other("an earlier write did not end");
            return Err(file_error(self.target.clone(), lost));
        };
        let mut gathered = mem::take(&mut self.gathered);
        let (file, gathered) = on_disk(self.target.clone(), move || {
            file.write_all(&gathered)?;
            gathered.clear();
            Ok((file, gathered))
        })
        .await?;
        self.file = Some(file);
        self.gathered = gathered;
        Ok(())
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.part.as_os_str().is_empty() {
            // Nobody is left to be told; the name says what the file is.
            let _ = fs::remove_file(&self.part);
        }
    }
}

/// Works on a file on a blocking thread.
pub(crate) async fn on_disk<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, ApiError> {
    let done = spawn_blocking(work).await;
    // The work does not panic, so a failure to join means that the runtime is going down.
    done.unwrap_or_else(|error| Err(io::Error::other(error)))
        .map_err(|source| file_error(path, source))
}

fn file_error(path: PathBuf, source: io::Error) -> ApiError {
    ApiError::File { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[actix::test]
    async fn a_finished_file_replaces_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.txt");
        fs::write(&target, "old and longer").unwrap();

        let mut file = PartFile::create(&target).await.unwrap();
        file.write(b"new").await.unwrap();
        assert_eq!(
            fs::read(&target).unwrap(),
            b"old and longer",
            "until it is complete"
        );
        file.finish().await.unwrap();

        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[actix::test]
    async fn a_dropped_file_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();

        let mut file = PartFile::create(&folder.path().join("a.txt")).await.unwrap();
        file.write(&vec![7; PIECE_LEN]).await.unwrap();
        assert_eq!(names(folder.path()).len(), 1);
        drop(file);

        assert!(names(folder.path()).is_empty());
    }

    #[actix::test]
    async fn a_folder_that_is_missing_and_a_target_without_a_name_are_errors() {
        let folder = tempfile::tempdir().unwrap();

        for wrong in [folder.path().join("missing/a.txt"), PathBuf::from("/")] {
            let error = PartFile::create(&wrong).await.err().unwrap();

            assert!(matches!(error, ApiError::File { path, .. } if path == wrong));
        }
    }
}
