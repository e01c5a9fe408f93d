//! The power is cut while the echo program works: its journal is on a file system of its own, which is shut down without
//! writing anything more. Everything is answered afterwards.
//!
//! Needs root, loop devices and a mount namespace of its own: `scripts/power-cut.sh` runs it. `ACTOGRAM_POWER_CUTS` says
//! how often, `ACTOGRAM_SEED` repeats a run. With `ACTOGRAM_SKIP_FSYNC=1` the log of the journal is never synced; then this
//! must fail.

#![cfg(all(feature = "journal", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "test code")]

mod oracle;
mod strace;
mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use actogram_simulator::Fault;
use oracle::{History, Keeping, all_answered};
use rustix::process::Signal;
use support::{PATIENCE, Program, Stage, until_blocking};

/// Shuts the file system down that a path is on, and throws away what is not on the disk yet: the ioctl
/// `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`.
const CUT: &str = r#"sysopen(my $d, $ARGV[0], 0) or die "open: $!"; my $flags = pack("L", 2); ioctl($d, 0x8004587d, $flags) or die "ioctl: $!";"#;

/// A file system in a file; unmounted when it is dropped.
struct Disk {
    image: PathBuf,
    root: PathBuf,
}

impl Disk {
    fn new(folder: &Path) -> Self {
        let disk = Self {
            image: folder.join("disk.img"),
            root: folder.join("disk"),
        };
        fs::create_dir(&disk.root).unwrap();
        let image = fs::File::create(&disk.image).unwrap();
        // Small, so that a log that grows from cut to cut is noticed.
        image.set_len(128 << 20).unwrap();
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&disk.image));
        disk.mount();
        disk
    }

    fn mount(&self) {
        run(Command::new("mount")
            .args(["-t", "ext4", "-o", "loop"])
            .args([&self.image, &self.root]));
    }

    fn unmount(&self) {
        run(Command::new("umount").arg(&self.root));
    }

    /// Takes the power away from the disk while a program is held in mid-air, so that no sync of it can race with the
    /// cut, and gives it back after the program is gone.
    fn cut(&self, program: Program) {
        program.signal(Signal::STOP);
        until_blocking("every thread stands still", || is_stopped(program.id()));
        run(Command::new("perl").args(["-e", CUT]).arg(&self.root));
        program.kill();
        self.unmount();
        self.mount();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whatever fails here has failed before.
        let _ = Command::new("umount").arg("-l").arg(&self.root).status();
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn is_stopped(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    threads.flatten().all(|thread| {
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        status.contains("State:\tT") || status.contains("State:\tt")
    })
}

#[test]
fn everything_is_answered_after_the_power_was_cut_again_and_again() {
    let Ok(cuts) = std::env::var("ACTOGRAM_POWER_CUTS") else {
        println!("skipped: scripts/power-cut.sh runs this as root");
        return;
    };
    let cuts: usize = cuts.parse().unwrap();
    let skip_fsync = std::env::var("ACTOGRAM_SKIP_FSYNC").is_ok_and(|value| value == "1");
    let seed: u64 =
        std::env::var("ACTOGRAM_SEED").map_or_else(|_| fastrand::u64(..), |text| text.parse().unwrap());
    println!("seed {seed}, {cuts} power cuts, syncs of the log skipped: {skip_fsync}");
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::new(folder.path());
    let journal = disk.root.join("bot.db");
    let stage = Stage::lenient();
    stage.bot.fault(
        Fault::DelayResponse(Duration::from_millis(3))
            .on("sendMessage")
            .forever(),
    );
    let stop = Arc::new(AtomicBool::new(false));
    let speakers = speak(&stage, &stop, random.fork());

    let mut cuts_with_work = 0;
    for _ in 0..cuts {
        let polls = stage.bot.polls().len();
        let mut echo = echo(&stage, &journal, skip_fsync);
        until_polls(&stage, &mut echo, polls);
        thread::sleep(Duration::from_millis(random.u64(20..600)));
        disk.cut(echo);
        cuts_with_work += usize::from(!stage.bot.view(all_answered));
    }
    stop.store(true, Ordering::Relaxed);
    speakers.join().unwrap();
    let last = echo(&stage, &journal, false);
    // What was lost is never answered; the judge says what it was.
    stage.bot.wait_for(Duration::from_secs(30), |view| {
        all_answered(view) && view.pending_count() == 0
    });
    last.kill();

    let history = History::of_echo(&stage.bot, Keeping::Journal, cuts, cuts_with_work);
    let broken = history.broken_laws();
    println!(
        "{} updates, {} copies, {cuts_with_work} cuts with work, {} broken laws",
        history.issued.len(),
        history.copies(),
        broken.len()
    );
    assert!(broken.is_empty(), "{:#?}", &broken[..broken.len().min(10)]);
    assert!(
        cuts_with_work * 2 > cuts,
        "the run is void: too few cuts met work"
    );
    assert!(
        history.issued.len() > 20 * cuts,
        "the run is void: too few updates"
    );
}

/// Waits for the next poll.
fn until_polls(stage: &Stage, echo: &mut Program, polls: usize) {
    let started = Instant::now();
    while stage.bot.polls().len() == polls {
        assert!(
            echo.runs() && started.elapsed() < PATIENCE,
            "it does not start after a power cut: {}",
            echo.printed()
        );
        thread::sleep(Duration::from_millis(5));
    }
}

/// Lets 25 users speak until they are told to stop, with a bounded backlog.
fn speak(stage: &Stage, stop: &Arc<AtomicBool>, mut random: fastrand::Rng) -> thread::JoinHandle<()> {
    let (bot, stop) = (stage.bot.clone(), Arc::clone(stop));
    thread::spawn(move || {
        let users: Vec<_> = (0..25).map(|n| bot.user(&format!("user {n}"))).collect();
        let mut said = 0;
        while !stop.load(Ordering::Relaxed) {
            if bot.view(|view| view.issued().len()) < bot.view(|view| view.sent().len()) + 400 {
                for _ in 0..20 {
                    users[random.usize(..users.len())].say(&format!("text {said}"));
                    said += 1;
                }
            }
            thread::sleep(Duration::from_millis(2));
        }
    })
}

fn echo(stage: &Stage, journal: &Path, skip_fsync: bool) -> Program {
    stage.run_example_with("echo", |command| {
        command.env("ACTOGRAM_JOURNAL", journal);
        if skip_fsync {
            *command = strace::skip_syncs_of(command, &journal.with_file_name("bot.db-wal"));
        }
    })
}
