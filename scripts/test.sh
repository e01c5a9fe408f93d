#!/usr/bin/env bash
# Runs every test. Works on a fresh Debian machine that has nothing but rustup's Rust: what is missing is installed.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v cargo >/dev/null; then
    echo "cargo is not installed: get Rust from https://rustup.rs" >&2
    exit 1
fi

install() {
    echo "installing: $*"
    as_root=""
    if [ "$(id -u)" != 0 ]; then as_root="sudo"; fi
    $as_root apt-get update -qq
    $as_root apt-get install -y -qq "$@" >/dev/null
}

# The linker, and the C compiler that TLS (ring) and SQLite are built with.
if ! command -v cc >/dev/null; then install gcc libc6-dev; fi
# Kills programs in front of chosen system calls, and makes calls fail.
if ! command -v strace >/dev/null; then install strace; fi
# Gives programs another wall clock.
if ! command -v faketime >/dev/null; then install faketime; fi
# Shows the live page of the monitor.
if ! command -v chromium >/dev/null; then install --no-install-recommends chromium; fi

# Most tests wait, for other programs or for time to pass.
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-6}"
cargo test --workspace --all-features "$@"
