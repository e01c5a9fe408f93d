#!/usr/bin/env bash
# Cuts the power under the journal, again and again, and checks that nothing was lost.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/power-cut.sh [--cuts N] [--seed N] [--red]

Runs the echo program against the simulator with its journal on an ext4 file system in a loop file, shuts that file
system down at random instants without writing anything more (EXT4_IOC_SHUTDOWN), mounts it again, goes on, and compares
what was issued with what was answered.

  --cuts N   how often (default 30)
  --seed N   repeats a run
  --red      control: syncs of the journal's log are skipped; the run must lose updates, or the method finds nothing

Needs Linux, root, loop devices, e2fsprogs, perl, and strace for --red. Everything is mounted in a namespace of its own.
TEXT
}

cuts=30
red=""
while [ $# -gt 0 ]; do
    case "$1" in
        --cuts) cuts="${2:?--cuts needs a number}"; shift 2 ;;
        --seed) export ACTOGRAM_SEED="${2:?--seed needs a number}"; shift 2 ;;
        --red) red=1; shift ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done

cd "$(dirname "$0")/.."
if [ "$(id -u)" != 0 ]; then echo "power cuts need root: file systems are mounted" >&2; exit 1; fi
for tool in cargo unshare mount umount mkfs.ext4 perl ${red:+strace}; do
    if ! command -v "$tool" >/dev/null; then echo "$tool is missing, install it" >&2; exit 1; fi
done

test=(cargo test --quiet --test power_cuts_lose_nothing -- --nocapture)
cargo test --quiet --no-run --test power_cuts_lose_nothing
export ACTOGRAM_POWER_CUTS="$cuts"
if [ -z "$red" ]; then exec unshare --mount "${test[@]}"; fi

log="$(mktemp)"
trap 'rm -f "$log"' EXIT
if ACTOGRAM_SKIP_FSYNC=1 unshare --mount "${test[@]}" >"$log" 2>&1; then
    cat "$log"
    echo "the control did not fail: power cuts find nothing here" >&2
    exit 1
fi
grep -E "^seed|updates, " "$log" || true
if ! grep -qE "lost: |is damaged|belongs to a database" "$log"; then
    cat "$log"
    echo "the control failed for another reason than lost updates" >&2
    exit 1
fi
echo "the control failed as it must: updates were lost without syncs"
