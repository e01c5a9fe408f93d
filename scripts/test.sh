#!/usr/bin/env bash
# Runs every test. Works on a fresh Debian machine that has nothing but rustup's Rust: what is missing is installed.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v cargo >/dev/null; then
    echo "cargo is not installed: get Rust from https://rustup.rs" >&2
    exit 1
fi

# The linker, and the C compiler that TLS (ring) is built with.
if ! command -v cc >/dev/null; then
    echo "installing a C compiler"
    as_root=""
    if [ "$(id -u)" != 0 ]; then as_root="sudo"; fi
    $as_root apt-get update -qq
    $as_root apt-get install -y -qq gcc libc6-dev
fi

cargo test --workspace --all-features "$@"
