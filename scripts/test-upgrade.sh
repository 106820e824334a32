#!/usr/bin/env bash
# Shows one upgrade as a household has it: sample records in FROM, then TO on the same volume, in real containers.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: scripts/test-upgrade.sh [--keep] FROM TO

FROM and TO are each
  0.5.0          a release; if its image hearth:0.5.0 is not here, its programs are built from its commit
  . or this      this source; its programs are built
  NAME:TAG       any other image

  --keep         leave the container and the volume, and say how to look at them

It needs Docker (without sudo), curl and python3, and for what it builds Rust and the repository's history. It touches
nothing but what it makes itself, and removes that at its end.

  scripts/test-upgrade.sh 0.5.0 this
  scripts/test-upgrade.sh 0.3.0 ghcr.io/hearth-home/hearth:0.5.0
USAGE
}

fail() {
    echo "error: $1" >&2
    if [ $# -gt 1 ]; then
        echo "hint: $2" >&2
    fi
    exit 1
}

keep=false
names=()
for argument in "$@"; do
    case $argument in
    --keep) keep=true ;;
    -h | --help)
        usage
        exit
        ;;
    -*)
        usage >&2
        exit 2
        ;;
    *) names+=("$argument") ;;
    esac
done
if [ ${#names[@]} -ne 2 ]; then
    usage >&2
    exit 2
fi
top=$(cd "$(dirname "$0")/.." && pwd)
for program in docker curl python3; do
    command -v "$program" >/dev/null || fail "$program is not installed"
done
docker info >/dev/null 2>&1 || fail "docker does not answer" "start it, and let this user use it: docker info"

name=hearth-test-upgrade-$$
scratch=$(mktemp -d)
export EMAIL=owner@example.org PASSWORD=seven-green-bottles

finish() {
    if $keep; then
        echo "== Kept: the container $name and the volume $name, at $(address)"
        echo "   docker logs $name; docker exec $name supervisor status; sign in as $EMAIL with $PASSWORD"
        echo "   remove them with: docker rm --force $name && docker volume rm $name"
    else
        docker rm --force "$name" >/dev/null 2>&1 || true
        docker volume rm --force "$name" >/dev/null 2>&1 || true
    fi
    rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Prints the image of what the person named.
image() {
    case $1 in
    . | this)
        "$top/.ci/previous-image" this
        ;;
    [0-9]*.[0-9]*.[0-9]*)
        if docker image inspect "hearth:$1" >/dev/null 2>&1; then
            echo "hearth:$1"
        else
            "$top/.ci/previous-image" "$1"
        fi
        ;;
    *)
        docker image inspect "$1" >/dev/null 2>&1 || docker pull --quiet "$1" >/dev/null
        echo "$1"
        ;;
    esac
}

# Starts an image on the volume, in the place of the container before.
start() {
    docker rm --force "$name" >/dev/null 2>&1 || true
    local settings=()
    # Before 0.4.0 there were no accounts, and a setting that is not known ends the start.
    if ! [ "$(printf '%s\n' "$2" 0.4.0 | sort -V | head -n 1)" = "$2" ] || [ "$2" = 0.4.0 ]; then
        settings+=(--env "HEARTH_AUTH__ADMIN_EMAIL=$EMAIL" --env "HEARTH_AUTH__ADMIN_PASSWORD=$PASSWORD")
    fi
    docker run --detach --name "$name" --volume "$name:/app/data" --publish 127.0.0.1::3000 "${settings[@]}" "$1" >/dev/null
}

# Prints the version of an image's programs.
version() {
    docker run --rm "$1" --version | sed 's/.* v\{0,1\}//'
}

address() {
    docker port "$name" 3000/tcp 2>/dev/null | sed -n 's#^#http://#p' | head -n 1
}

phase() {
    docker exec "$name" supervisor status --json 2>/dev/null | sed -n 's/.*"phase":"\([a-z-]*\)".*/\1/p'
}

live() {
    docker exec "$name" supervisor status --json | sed -n 's/.*"live":\([0-9]*\).*/\1/p'
}

# Waits until it serves (0), is held (3) or has ended.
wait_for_it() {
    local _
    for _ in $(seq 600); do
        if curl --silent --fail "$(address)/health" >/dev/null; then
            return 0
        elif [ "$(phase)" = held ]; then
            return 3
        elif [ "$(docker inspect --format '{{.State.Running}}' "$name")" != true ]; then
            docker logs --tail 30 "$name" >&2
            fail "the container has ended"
        fi
        sleep 0.2
    done
    docker logs --tail 30 "$name" >&2
    fail "it does not serve within two minutes"
}

# Prints `serving` once the image's own version serves, or why the upgrade to it failed while the one before serves on.
outcome() {
    local said _
    for _ in $(seq 1500); do
        said=$(docker exec "$name" supervisor status --json | python3 -c '
import json, sys

status = json.load(sys.stdin)
fallback = status.get("fallback") or {}
if fallback.get("failure"):
    print("failed:", fallback["failure"]["message"])
elif not fallback and status["phase"] == "serving":
    print("serving")
')
        if [ -n "$said" ]; then
            echo "$said"
            return
        fi
        sleep 0.2
    done
    echo "failed: the upgrade has not come to an end within five minutes"
}

# What the programs said at this start.
show_log() {
    docker logs "$name" 2>&1 | grep -E '\[(Supervisor|Migrate|App)\]' | sed 's/^/   /'
}

# `fill` adds sample records by the API, `list` prints all records.
records() {
    python3 - "$1" "$(address)" <<'PYTHON'
import json, os, sys, urllib.error, urllib.request

what, address = sys.argv[1:]
cookie = ""


def ask(method, path, body=None):
    global cookie
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json", "sec-fetch-site": "same-origin", "cookie": cookie}
    try:
        with urllib.request.urlopen(urllib.request.Request(address + path, data, headers, method=method), timeout=30) as answer:
            cookie = (answer.headers.get("set-cookie") or cookie).split(";")[0]
            return json.load(answer)
    except urllib.error.HTTPError as error:
        # Before 0.4.0 nobody signs in.
        if path == "/api/v1/session" and error.code == 404:
            return None
        sys.exit(f"error: {method} {path}: {error.code} {error.read().decode()}")


ask("POST", "/api/v1/session", {"email": os.environ["EMAIL"], "password": os.environ["PASSWORD"]})
if what == "fill":
    titles = ["Boiler service", "Wartungsvertrag Heizung", "家庭用ボイラーの点検", "Техосмотр машины", "صيانة السخان", "Zahnarzt 🦷"]
    for number in range(60):
        record = {"title": f"{titles[number % 6]} {number}", "category": ["", "house", "健康"][number % 3], "notes": f"line one\nline {number}\n" * (number % 40)}
        if number % 4 == 0:
            record["due_date"] = f"20{20 + number % 20}-{1 + number % 12:02}-{1 + number % 28:02}"
        ask("POST", "/api/v1/records", record)
else:
    after = ""
    while after is not None:
        page = ask("GET", "/api/v1/records?limit=200" + (f"&after={after}" if after else ""))
        for record in page.get("items", page.get("records")):
            print(json.dumps({key: record.get(key) for key in ("id", "title", "category", "notes", "due_date")}, ensure_ascii=False, sort_keys=True))
        after = page.get("next")
PYTHON
}

# Compares the records with those before the upgrade.
compare() {
    records list | sort >"$scratch/now"
    if ! diff "$scratch/before" "$scratch/now" >"$scratch/difference"; then
        sed 's/^/   /' "$scratch/difference" | head -n 20
        fail "the records are not the same as before (< before, > now)"
    fi
    echo "   all $(wc -l <"$scratch/now") records are the same"
}

from=$(image "${names[0]}")
to=$(image "${names[1]}")
from_version=$(version "$from")
to_version=$(version "$to")
docker volume create "$name" >/dev/null

echo "== $from (v$from_version), with sample records"
start "$from" "$from_version"
wait_for_it || fail "v$from_version is held on an empty volume"
records fill
records list | sort >"$scratch/before"
echo "   $(wc -l <"$scratch/before") records"
was_live=$(live)
docker stop --time 10 "$name" >/dev/null

echo "== $to (v$to_version), on the same volume"
start "$to" "$to_version"
if ! wait_for_it; then
    show_log
    docker exec "$name" supervisor status | sed 's/^/   /'
    fail "v$to_version is held; the data of v$from_version is unchanged"
fi
said=$(outcome)
show_log
compare
if [ "$said" != serving ]; then
    fail "the upgrade $said; v$from_version serves on, and its data is unchanged"
fi
now_live=$(live)
echo "== The generations"
docker exec "$name" supervisor snapshot list | sed 's/^/   /'
docker stop --time 10 "$name" >/dev/null
if $keep; then
    docker start "$name" >/dev/null
    wait_for_it || true
    exit
fi

echo "== The way back: $from (v$from_version) again"
start "$from" "$from_version"
if wait_for_it; then
    echo "   it serves: between the two there is no migration"
else
    snapshot=$(printf '%04d' "$was_live")
    echo "   held, since generation $(printf '%04d' "$now_live") is newer; supervisor restore $snapshot"
    docker exec "$name" supervisor restore "$snapshot" --yes 2>&1 | sed 's/^/   /'
    wait_for_it || fail "v$from_version is still held after the restore"
fi
compare
echo "== Done"
