#!/usr/bin/env bash
# Looks for bytes that break a property of tests/properties. Works on stable Rust; needs a C++ compiler and
# `cargo install cargo-fuzz`.
#
#   scripts/fuzz.sh                      every target, a million runs each
#   scripts/fuzz.sh envelope 10000000    one target, ten million runs
#   scripts/fuzz.sh form 10000000 600    the same, for at most 600 seconds
#
# What breaks a property is kept in fuzz/artifacts/<target>. Put it, made small with `cargo fuzz tmin --sanitizer none`,
# among the seeds in tests/corpus: from then on `cargo test` checks it.
set -euo pipefail
cd "$(dirname "$0")/.."

# Seeds of a target: folders in tests/corpus.
seeds() {
    case "$1" in
        envelope) echo kinds minimal full messages hostile refused ;;
        response) echo responses ;;
        address) echo addresses ;;
        form) echo forms ;;
        command) echo commands ;;
        webhook) echo posts kinds minimal messages hostile refused ;;
        *) echo "there is no target $1" >&2; return 1 ;;
    esac
}

fuzz() {
    local target=$1 runs=$2 seconds=$3 folders folder
    folders=$(seeds "$target")
    mkdir -p "fuzz/corpus/$target"
    # No sanitizer: the project has no unsafe code, and sanitizers need a nightly compiler.
    set -- "fuzz/corpus/$target"
    for folder in $folders; do set -- "$@" "tests/corpus/$folder"; done
    cargo fuzz run --sanitizer none "$target" "$@" -- \
        -runs="$runs" -max_total_time="$seconds" -dict="fuzz/dictionaries/$target.txt" -max_len=4096 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
}

if [ $# -gt 0 ]; then
    fuzz "$1" "${2:-1000000}" "${3:-0}"
else
    for target in envelope response address form command webhook; do fuzz "$target" 1000000 0; done
fi
