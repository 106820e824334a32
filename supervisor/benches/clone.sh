#!/usr/bin/env bash
# How long does staging take, beside `cp` and an fsync of the same database?
#
#   cargo build --profile dist && supervisor/benches/clone.sh [MiB, 1024 if not given] [rounds, 5]
#
# On the file system of the scratch directory (TMPDIR), and, as root, on a loop-mounted btrfs with reflinks. Both by
# turns, so that a noisy machine is noisy for both; the figures are milliseconds.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
supervisor=${SUPERVISOR:-$root/target/dist/supervisor}
mib=${1:-1024} rounds=${2:-5}
scratch=$(mktemp -d)
trap 'umount "$scratch/btrfs" 2>/dev/null || true; rm -rf "$scratch"' EXIT

now() { date +%s%N; }

# One place: a data directory whose generation 0001 is a database of that size.
measure() {
    local place=$1 name=$2 data=$1/data
    mkdir -p "$data/generations/0001" "$data/files" "$data/supervisor"
    head -c "${mib}M" /dev/urandom >"$data/generations/0001/app.db"
    sync -f "$data"
    local cp=() staged=() from method
    for ((round = 0; round < rounds; round++)); do
        from=$(now)
        cp --reflink=never "$data/generations/0001/app.db" "$place/copy" && sync "$place/copy"
        cp+=($((($(now) - from) / 1000000)))
        rm "$place/copy"
        from=$(now)
        method=$("$supervisor" job "{\"data\":\"$data\",\"job\":{\"stage\":{\"target\":2,\"source\":1}}}" | tail -n 1)
        staged+=($((($(now) - from) / 1000000)))
        rm -r "$data/generations/0002"
    done
    printf '%s, %s MiB, %s rounds\n  cp + fsync  %s\n  staging     %s\n  %s\n' \
        "$name" "$mib" "$rounds" "$(ordered "${cp[@]}")" "$(ordered "${staged[@]}")" "$method"
}

ordered() { printf '%s\n' "$@" | sort -n | tr '\n' ' '; }

measure "$scratch" "$(stat -f -c %T "$scratch")"
if [[ $(id -u) == 0 ]] && command -v mkfs.btrfs >/dev/null; then
    truncate -s $((mib * 4 + 512))M "$scratch/image"
    mkfs.btrfs -q "$scratch/image" >/dev/null 2>&1
    mkdir "$scratch/btrfs"
    mount -o loop "$scratch/image" "$scratch/btrfs"
    measure "$scratch/btrfs" 'btrfs, loop-mounted'
else
    echo 'skipped: btrfs (needs root and btrfs-progs)'
fi
