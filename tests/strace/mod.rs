//! Programs under strace, which makes chosen system calls fail, or kill the program in front of them.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::{
    path::Path,
    process::{Command, Stdio},
};

/// System calls that change files, as patterns of strace: not every architecture has all of them.
pub(crate) const WRITES: &str =
    "pwrite64,fsync,fdatasync,ftruncate,?rename,?renameat,?renameat2,?unlink,?unlinkat";

/// Tells whether strace is there. A machine without it must be excused explicitly.
pub(crate) fn is_there() -> bool {
    let found = Command::new("strace")
        .arg("-V")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let excused = std::env::var("ACTOGRAM_WITHOUT_STRACE").is_ok_and(|value| value == "1");
    assert!(
        found || excused,
        "strace is missing, install it (or set ACTOGRAM_WITHOUT_STRACE=1 to do without this test)"
    );
    if !found {
        println!("skipped: ACTOGRAM_WITHOUT_STRACE=1 and no strace");
    }
    found
}

/// Returns the same command under strace, with an injection such as `fsync:signal=SIGKILL:when=3`; what it sees is written
/// to `log`. Each thread counts each call on its own; the journal is written by one thread.
pub(crate) fn inject(command: &Command, injection: &str, log: &Path) -> Command {
    // With -D the program stays the direct child: what kills the child kills the program.
    let mut traced = Command::new("strace");
    traced
        .args(["-D", "-f", "-qq", "-y", "-o"])
        .arg(log)
        .args(["-e", &format!("trace={WRITES}"), "-e"])
        .arg(format!("inject={injection}"))
        .arg(command.get_program())
        .args(command.get_args());
    adopt_environment(&mut traced, command);
    traced
}

/// Returns the command that joins a running program, injects, and writes down every call it sees; the injection ends with
/// this command.
pub(crate) fn join(pid: u32, calls: &str, injection: &str, log: &Path) -> Command {
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "-y", "-p", &pid.to_string(), "-o"])
        .arg(log)
        .args(["-e", &format!("trace={calls}"), "-e"])
        .arg(format!("inject={injection}"));
    strace
}

/// Returns the same command under strace, which answers each sync of one file with success and does nothing.
pub(crate) fn skip_syncs_of(command: &Command, file: &Path) -> Command {
    let mut traced = Command::new("strace");
    traced
        .args(["-D", "-f", "-qq", "-o", "/dev/null", "-P"])
        .arg(file)
        .args([
            "-e",
            "trace=fsync,fdatasync",
            "-e",
            "inject=fsync,fdatasync:retval=0",
        ])
        .arg(command.get_program())
        .args(command.get_args());
    adopt_environment(&mut traced, command);
    traced
}

fn adopt_environment(traced: &mut Command, of: &Command) {
    for (name, value) in of.get_envs() {
        match value {
            Some(value) => traced.env(name, value),
            None => traced.env_remove(name),
        };
    }
}
