//! The end of the write-ahead log: whether something was committed behind it.
//!
//! SQLite replays the log up to the first frame whose checksum is wrong and forgets the rest without a word. After a
//! kill or a power cut that is right: a transaction was being written. But a single damaged bit has the same effect on
//! everything that was committed behind it. The two look different: behind a torn end there is nothing, or the one
//! commit that was never acknowledged (and, after a power cut, those that need not survive one).
//!
//! Format: <https://sqlite.org/fileformat2.html#the_write_ahead_log>.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use super::{error::JournalError, files, time::Timestamp};

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// What lies behind the end of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LostTail {
    /// Transactions that were committed and are not replayed.
    pub(crate) commits: u64,
    /// Copy of the whole log, made before it is overwritten.
    pub(crate) copy: PathBuf,
    /// Copies of earlier logs that were removed, because only the newest [`COPIES`] are kept.
    pub(crate) removed: Vec<PathBuf>,
}

/// Copies of damaged logs that are kept. Each may be as large as a log gets, and a machine that damages one damages
/// more.
pub(crate) const COPIES: usize = 5;

/// Looks behind the end of the log beside a database. If there are commits, the log is copied.
pub(crate) fn lost_tail(database: &Path, now: Timestamp) -> Result<Option<LostTail>, JournalError> {
    let log = files::beside(database, "-wal");
    let file = match File::open(&log) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(JournalError::file("open", log, error, false)),
    };
    let page =
        database_page_size(database).map_err(|error| JournalError::file("read", database, error, false))?;
    let commits = commits_behind_end(BufReader::new(file), page)
        .map_err(|error| JournalError::file("read", &log, error, false))?;
    if commits == 0 {
        return Ok(None);
    }
    let copy = files::beside(&log, &format!("{MARK}{}", now.0));
    fs::copy(&log, &copy).map_err(|error| JournalError::file("copy", &log, error, false))?;
    files::make_private(&copy)?;
    let removed = remove_old_copies(&log, &copy);
    Ok(Some(LostTail {
        commits,
        copy,
        removed,
    }))
}

/// What stands between the name of a log and the time in the name of its copy.
const MARK: &str = ".lost-";

/// Removes all copies but `newest` and the others with the latest times in their names. One that cannot be removed is no
/// reason not to start.
fn remove_old_copies(log: &Path, newest: &Path) -> Vec<PathBuf> {
    let mut copies = files::numbered(log, MARK);
    copies.retain(|(_, path)| path != newest);
    copies.sort_unstable();
    copies.truncate(copies.len().saturating_sub(COPIES - 1));
    let paths = copies.into_iter().map(|(_, path)| path);
    paths.filter(|path| fs::remove_file(path).is_ok()).collect()
}

/// Counts the commits that SQLite does not replay.
fn commits_behind_end(mut log: impl Read, database_page: Option<usize>) -> io::Result<u64> {
    let mut header = [0; HEADER];
    if !fill(&mut log, &mut header)? {
        return Ok(0);
    }
    // The database knows it as well, in case that the header of the log is what is damaged.
    let Some(page) = database_page.or_else(|| page_size(&header)) else {
        return Ok(0); // Nothing is left to tell where a frame begins.
    };
    // The lowest bit of the magic number says how the words of the checksums are stored.
    let mut sums = Checksum {
        big_endian: word(&header, 0) & 1 == 1,
        state: (0, 0),
    };
    sums.add(&header[..24]);
    let mut valid = sums.state == (word(&header, 24), word(&header, 28));
    let mut salt = valid.then(|| (word(&header, 16), word(&header, 20)));
    let mut behind = 0;
    let mut frame = vec![0; FRAME_HEADER + page];
    while fill(&mut log, &mut frame)? {
        let own = (word(&frame, 8), word(&frame, 12));
        // With a damaged header, the first frame says which generation of the log this is.
        let same = own == *salt.get_or_insert(own);
        if valid {
            sums.add(&frame[..8]);
            sums.add(&frame[FRAME_HEADER..]);
            valid = same && sums.state == (word(&frame, 16), word(&frame, 20));
        }
        // Frames of an earlier generation, which the log has not yet overwritten, have other salts. That the very
        // frame of a commit is the damaged one must not hide it.
        if !valid && same && word(&frame, 4) != 0 {
            behind += 1;
        }
    }
    Ok(behind)
}

/// Returns the size of a page as the database says it; nothing while it is empty.
fn database_page_size(database: &Path) -> io::Result<Option<usize>> {
    let mut header = [0; 18];
    if !fill(&mut File::open(database)?, &mut header)? {
        return Ok(None);
    }
    let size = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        size => usize::from(size),
    };
    Ok((size.is_power_of_two() && size >= 512).then_some(size))
}

/// Returns the size of a page, if the header can be that of a log.
fn page_size(header: &[u8]) -> Option<usize> {
    let size = usize::try_from(word(header, 8)).ok()?;
    (size.is_power_of_two() && (512..=65_536).contains(&size)).then_some(size)
}

/// Fills the buffer; returns false at the end of the log, also in the middle of a frame.
fn fill(log: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at + 4)
        .and_then(|word| word.try_into().ok())
        .map_or(0, u32::from_be_bytes)
}

/// The running checksum of a log.
struct Checksum {
    big_endian: bool,
    state: (u32, u32),
}

impl Checksum {
    fn add(&mut self, bytes: &[u8]) {
        let (mut first, mut second) = self.state;
        for pair in bytes.chunks_exact(8) {
            let (mut left, mut right) = (word(pair, 0), word(pair, 4));
            if !self.big_endian {
                (left, right) = (left.swap_bytes(), right.swap_bytes());
            }
            first = first.wrapping_add(left).wrapping_add(second);
            second = second.wrapping_add(right).wrapping_add(first);
        }
        self.state = (first, second);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        CheckpointMode,
        testing::{NOW, Place, long_update, update},
    };
    use super::*;

    /// A journal whose log holds five commits, and the log's length after each of them.
    fn five_commits() -> (Place, Vec<u64>) {
        let before = Place::new();
        let mut store = before.open();
        store.checkpoint(CheckpointMode::Truncate).unwrap();
        let lengths = (1..=5)
            .map(|id| {
                store.push_new(&[long_update(id, id, 6000)]);
                store.totals().unwrap().wal_bytes
            })
            .collect();
        (Place::after_a_kill(store.path()), lengths)
    }

    fn flip(place: &Place, at: u64) {
        let mut log = fs::read(place.beside("-wal")).unwrap();
        log[usize::try_from(at).unwrap()] ^= 1;
        fs::write(place.beside("-wal"), log).unwrap();
    }

    #[test]
    fn a_whole_log_has_nothing_behind_its_end() {
        let (place, _) = five_commits();

        assert_eq!(lost_tail(&place.path(), NOW).unwrap(), None);
        let (store, recovered) = place.recover();
        assert_eq!(recovered.lost_tail, None);
        assert_eq!(store.ids(), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn every_commit_behind_a_damaged_frame_is_counted_and_kept_in_a_copy() {
        for (damaged, left) in [(0, 0), (1, 1), (3, 3), (4, 4)] {
            let (place, lengths) = five_commits();
            let start = if damaged == 0 { 32 } else { lengths[damaged - 1] };
            flip(&place, start + 100);
            let log = fs::read(place.beside("-wal")).unwrap();

            let (store, recovered) = place.recover();

            let lost = recovered.lost_tail.unwrap();
            assert_eq!(lost.commits, 5 - damaged as u64);
            assert_eq!(fs::read(&lost.copy).unwrap(), log);
            assert_eq!(store.ids().len(), left);
        }
    }

    #[test]
    fn only_the_newest_copies_of_damaged_logs_are_kept() {
        let (place, lengths) = five_commits();
        flip(&place, lengths[2] + 100);
        let copy = |millis: i64| place.beside(&format!("-wal.lost-{millis}"));
        // The clock may have been wrong: the one that is being made stays whatever its time.
        for millis in [1, 20, 300, 4000, NOW.0 + 1, NOW.0 + 2] {
            fs::write(copy(millis), "log").unwrap();
        }
        let bystanders = ["-wal.lost-", "-wal.lost-1.txt", "-wal.lost-one", "-wal.lost"];
        for suffix in bystanders {
            fs::write(place.beside(suffix), "not ours").unwrap();
        }

        let lost = lost_tail(&place.path(), NOW).unwrap().unwrap();

        assert_eq!(lost.removed, [copy(1), copy(20)]);
        for millis in [300, 4000, NOW.0, NOW.0 + 1, NOW.0 + 2] {
            assert!(copy(millis).exists(), "{millis}");
        }
        assert!(!copy(1).exists() && !copy(20).exists());
        for suffix in bystanders {
            assert!(place.beside(suffix).exists(), "{suffix}");
        }
        let again = lost_tail(&place.path(), Timestamp(2)).unwrap().unwrap();
        assert_eq!(
            again.removed,
            [copy(300)],
            "the new one is the oldest by its name"
        );
        assert!(again.copy.exists());
    }

    #[test]
    fn a_damaged_salt_or_commit_mark_hides_nothing() {
        let (_, lengths) = five_commits();
        for at in [8, 12, 16] {
            let (place, _) = five_commits();
            flip(&place, lengths[1] + at);
            assert_eq!(
                lost_tail(&place.path(), NOW).unwrap().unwrap().commits,
                3,
                "byte {at}"
            );
        }
    }

    #[test]
    fn a_damaged_header_hides_nothing() {
        for at in [9, 16, 20, 24, 28] {
            let (place, _) = five_commits();
            flip(&place, at);

            let (store, recovered) = place.recover();

            assert_eq!(recovered.lost_tail.unwrap().commits, 5, "byte {at}");
            assert_eq!(store.ids(), [0; 0]);
        }
    }

    #[test]
    fn a_torn_end_is_no_loss() {
        let (place, lengths) = five_commits();
        for length in [lengths[4] - 1, lengths[3] + 5000, lengths[3] + 1, lengths[3]] {
            File::options()
                .write(true)
                .open(place.beside("-wal"))
                .unwrap()
                .set_len(length)
                .unwrap();
            assert_eq!(
                lost_tail(&place.path(), NOW).unwrap(),
                None,
                "{length} of {lengths:?}"
            );
        }
        assert_eq!(place.open().ids(), [1, 2, 3, 4]);
    }

    #[test]
    fn what_an_earlier_generation_of_the_log_has_left_is_no_loss() {
        let before = Place::new();
        let mut store = before.open();
        store.push_new(&(1..=300).map(|id| update(id, 1)).collect::<Vec<_>>());
        store.checkpoint(CheckpointMode::Passive).unwrap();
        store.push_new(&[update(301, 1)]);
        let place = Place::after_a_kill(store.path());

        assert_eq!(lost_tail(&place.path(), NOW).unwrap(), None);
        assert_eq!(place.open().ids().len(), 301);
    }

    #[test]
    fn a_log_that_is_none_is_no_loss() {
        assert_eq!(commits_behind_end(&b""[..], None).unwrap(), 0);
        assert_eq!(commits_behind_end(&[7; 31][..], None).unwrap(), 0);
        assert_eq!(commits_behind_end(&[0xff; 100_000][..], None).unwrap(), 0);
        assert_eq!(commits_behind_end(&[0; 100_000][..], None).unwrap(), 0);
    }
}
