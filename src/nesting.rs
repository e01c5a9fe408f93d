//! Stack for JSON that nests deeply: updates, and results of calls.
//!
//! The decoder gives up cleanly at 128 levels, but the types of the Bot API are so large that a debug build needs about
//! 100 KiB of stack per message within a message: some twenty replies inside one another overflow a thread of 2 MiB,
//! which ends the process, and again after every restart, since the update is still there. Telegram nests a message
//! once or twice and rich text somewhat deeper. So shallow payloads are decoded where they are, and the rare deep ones
//! on a thread with enough stack for everything the decoder accepts.

use std::{io, panic, thread};

/// Levels that are decoded on the caller's stack, deep enough for usual messages.
const SHALLOW: usize = 9;

/// Stack for deep payloads in bytes: over twice of what 128 levels were seen to need without optimisation. Only the part
/// that is touched takes memory.
const DEEP_STACK: usize = 32 * 1024 * 1024;

/// Runs the decoder of this well-formed JSON text on a stack that is large enough for it.
///
/// Fails only when a deep text needs a thread and the system gives none. A panic of the decoder is passed on.
pub(crate) fn with_enough_stack<T: Send>(json: &[u8], decode: impl FnOnce() -> T + Send) -> io::Result<T> {
    if levels(json) <= SHALLOW {
        return Ok(decode());
    }
    thread::scope(|scope| {
        let worker = thread::Builder::new()
            .name("deep json decoder".to_owned())
            .stack_size(DEEP_STACK)
            .spawn_scoped(scope, decode)?;
        worker.join().map_err(|panic| panic::resume_unwind(panic))
    })
}

/// Returns how many brackets are open at the deepest place.
fn levels(json: &[u8]) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    let mut bytes = json.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                open += 1;
                deepest = deepest.max(open);
            }
            b'}' | b']' => open = open.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => {
                            bytes.next();
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_are_no_levels() {
        for (json, expected) in [
            ("1", 0),
            ("{}", 1),
            (r#"{"a":[{"b":1},[[]]],"c":{}}"#, 4),
            (r#"{"a":"[[[[\"[[[[\\"}"#, 1),
            (r#"{"[[[":1}"#, 1),
        ] {
            assert_eq!(levels(json.as_bytes()), expected, "{json}");
        }
    }

    #[test]
    fn only_deep_text_leaves_the_thread_of_the_caller() {
        let here = thread::current().id();
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));

        let shallow = with_enough_stack(nested(SHALLOW).as_bytes(), || thread::current().id()).unwrap();
        let deep = with_enough_stack(nested(SHALLOW + 1).as_bytes(), || thread::current().id()).unwrap();

        assert_eq!(shallow, here);
        assert_ne!(deep, here);
    }

    #[test]
    fn a_panic_on_the_other_thread_reaches_the_caller() {
        let deep = "[".repeat(SHALLOW + 1);

        let caught = panic::catch_unwind(|| {
            with_enough_stack(deep.as_bytes(), || panic::resume_unwind(Box::new("reason")))
        });

        assert_eq!(
            caught
                .err()
                .and_then(|panic| panic.downcast::<&str>().ok())
                .as_deref(),
            Some(&"reason")
        );
    }
}
