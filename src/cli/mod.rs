//! The command line tool `actogram`: looks at a journal, retries or drops its dead letters, and shows what is left of
//! damaged rows. Cargo feature `cli`.
//!
//! ```text
//! actogram journal stats|list|show|compact|verify PATH
//! actogram journal dead list|show|retry|drop PATH
//! actogram journal set-aside list|show|drop PATH
//! actogram journal broadcasts list|show|drop PATH
//! ```
//!
//! Safe while a bot runs on the journal: reading uses a read-only connection, and everything that is written is written
//! in short transactions. [`run`] is the whole tool, so that a program can offer it under a name of its own.
//!
//! # Exit codes
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | nothing matched, something that was named is not there, or `verify` found damage |
//! | 2 | bad arguments, or the journal cannot be used |

mod arguments;
mod updates;
mod letters;
mod moves;
mod remains;
mod broadcasts;
mod listing;
mod dropping;
mod numbers;
mod upkeep;
mod output;
mod table;
mod failure;

use std::{
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;

use self::{
    arguments::{Arguments, BroadcastsCommand, DeadCommand, JournalCommand, SetAsideCommand, Topic},
    failure::Failure,
    output::Output,
};

/// Everything went as it was asked for.
const DONE: u8 = 0;

/// Nothing matched, or something is damaged.
const NOTHING: u8 = 1;

/// The arguments are wrong, or the journal cannot be used.
const FAILED: u8 = 2;

/// Runs the tool with these arguments, the first of which is the name of the program. Results go to `out`, errors to
/// `err`; when the reader of `out` has gone away, the tool ends quietly.
///
/// Blocks until it is done.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> ExitCode {
    ExitCode::from(exit_code(arguments, out, err))
}

fn exit_code(arguments: impl IntoIterator<Item = OsString>, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(words) => {
            let (place, code): (&mut dyn Write, u8) = if words.use_stderr() {
                (err, FAILED)
            } else {
                (out, DONE)
            };
            // There is nobody left to tell.
            let _ = write!(place, "{words}");
            return code;
        }
    };
    let Topic::Journal(command) = arguments.topic;
    match perform(&command, out).and_then(|code| Ok(out.flush().map(|()| code)?)) {
        Ok(code) => code,
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => DONE,
        Err(failure) => {
            // There is nobody left to tell.
            let _ = writeln!(err, "error: {}", failure.chain());
            FAILED
        }
    }
}

fn perform(command: &JournalCommand, out: &mut dyn Write) -> Result<u8, Failure> {
    match command {
        JournalCommand::Stats(journal) => numbers::stats(journal, &mut Output::new(out, journal.json)),
        JournalCommand::List(asked) => updates::list(asked, &mut Output::new(out, asked.journal.json)),
        JournalCommand::Show(asked) => updates::show(asked, &mut Output::new(out, asked.journal.json)),
        JournalCommand::Compact(journal) => upkeep::compact(journal, &mut Output::new(out, journal.json)),
        JournalCommand::Verify(journal) => upkeep::verify(journal, &mut Output::new(out, journal.json)),
        JournalCommand::Dead(command) => match command {
            DeadCommand::List(asked) => letters::list(asked, &mut Output::new(out, asked.journal.json)),
            DeadCommand::Show(asked) => letters::show(asked, &mut Output::new(out, asked.journal.json)),
            DeadCommand::Retry(asked) => moves::retry(asked, &mut Output::new(out, asked.journal.json)),
            DeadCommand::Drop(asked) => moves::drop(asked, &mut Output::new(out, asked.journal.json)),
        },
        JournalCommand::SetAside(command) => match command {
            SetAsideCommand::List(asked) => remains::list(asked, &mut Output::new(out, asked.journal.json)),
            SetAsideCommand::Show(asked) => remains::show(asked, &mut Output::new(out, asked.journal.json)),
            SetAsideCommand::Drop(asked) => remains::drop(asked, &mut Output::new(out, asked.journal.json)),
        },
        JournalCommand::Broadcasts(command) => match command {
            BroadcastsCommand::List(asked) => {
                broadcasts::list(asked, &mut Output::new(out, asked.journal.json))
            }
            BroadcastsCommand::Show(asked) => {
                broadcasts::show(asked, &mut Output::new(out, asked.journal.json))
            }
            BroadcastsCommand::Drop(asked) => {
                broadcasts::drop(asked, &mut Output::new(out, asked.journal.json))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::queue::store::{Store, StoreOptions, Timestamp};

    /// Somewhere nobody can write to.
    struct Closed(io::ErrorKind);

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn printed_to(place: io::ErrorKind, journal: &Path, rest: &[&str]) -> (u8, String) {
        let words = ["actogram", "journal", "stats"].map(OsString::from);
        let rest = rest.iter().map(OsString::from);
        let arguments = words.into_iter().chain([journal.into()]).chain(rest);
        let mut err = Vec::new();
        let code = exit_code(arguments, &mut Closed(place), &mut err);
        (code, String::from_utf8(err).unwrap())
    }

    #[test]
    fn a_reader_that_went_away_is_no_error_and_a_full_disk_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        drop(Store::open(&path, StoreOptions::default(), Timestamp::now()).unwrap());

        for rest in [&[][..], &["--json"][..]] {
            let (code, err) = printed_to(io::ErrorKind::BrokenPipe, &path, rest);
            assert_eq!((code, err.as_str()), (DONE, ""), "{rest:?}");
            let (code, err) = printed_to(io::ErrorKind::StorageFull, &path, rest);
            assert_eq!(code, FAILED, "{rest:?}");
            assert!(err.starts_with("error: the result cannot be printed: "), "{err}");
        }
    }
}
