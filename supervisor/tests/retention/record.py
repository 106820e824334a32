#!/usr/bin/env python3
"""Records what restic's `forget` keeps, into recorded.json beside this file.

Made-up histories are laid down in a repository with `restic backup --time`, in a time zone each, and judged by restic itself
with several policies. tests/retention.rs holds Hearth to the answers. To record anew (about ten minutes):

    python3 supervisor/tests/retention/record.py

It needs restic (Debian's 0.14 made what is there) and the time zones of the system. The histories are the same each time.
"""

import json
import os
import random
import struct
import subprocess
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

RULES = ["last", "daily", "weekly", "monthly", "yearly"]

POLICIES = [
    [3, 7, 4, 12, 3],
    [1, 0, 0, 0, 0],
    [0, 7, 0, 0, 0],
    [0, 0, 5, 0, 0],
    [0, 0, 0, 12, 2],
    [0, 0, 0, 0, 2],
    [2, 3, 2, 0, 0],
    [0, 100, 0, 0, 0],
    [0, 0, 100, 0, 100],
    [5, 14, 8, 6, 10],
]


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def steps(start, count, **step):
    return [utc(start) + number * timedelta(**step) for number in range(count)]


def scattered(seed, start, count, most_hours):
    chance = random.Random(seed)
    at, times = utc(start), []
    for _ in range(count):
        at += timedelta(seconds=chance.randint(1, most_hours * 3600))
        times.append(at)
    return times


def histories():
    """Zone, times, and every how many-th one was made by a person."""
    # Nights at 02:30 by the clock, for which there are two on 25 October.
    yield "Europe/Berlin", steps("2026-10-09 00:30", 17, days=1) + steps("2026-10-25 01:30", 20, days=1), 6
    # Around the hour that there is not, several in each hour, and around midnight.
    yield "Europe/Berlin", steps("2026-03-28 22:10", 40, minutes=17) + steps("2026-03-30 21:40", 8, minutes=10), 5
    # Before and after midnight across the end of a year with 53 weeks.
    yield "America/New_York", steps("2026-12-13 04:30", 44, hours=20), 7
    # The hour that comes twice, and the days around it.
    yield "America/New_York", steps("2026-10-31 03:45", 44, minutes=43) + steps("2026-11-03 04:15", 8, hours=9), 4
    # Half an hour back, and half an hour forth.
    yield "Australia/Lord_Howe", steps("2026-04-04 11:20", 24, minutes=41) + steps("2026-10-03 10:50", 24, minutes=41), 5
    # Months apart, years without any.
    sparse = ["2017-03-01 00:00", "2017-03-31 23:59", "2017-12-31 23:59", "2018-01-01 00:00", "2020-02-29 12:00"]
    yield "UTC", [utc(text) for text in sparse] + steps("2022-01-03 06:00", 40, days=47), 3
    # The end of a year whose last days are of the next one's first week.
    yield "UTC", steps("2024-12-22 23:30", 50, hours=7), 6
    # Weeks and days, by no plan, laid down in no order.
    yield "Europe/Berlin", scattered(1, "2025-01-01 00:00", 55, 300), 4
    yield "Australia/Lord_Howe", scattered(2, "2024-06-01 00:00", 55, 500), 5
    yield "America/New_York", scattered(3, "2023-11-01 00:00", 55, 1000), 3


def run(environment, *arguments):
    done = subprocess.run(["restic", "-q", *arguments], env=environment, check=True, capture_output=True, text=True)
    return done.stdout


def zone_for(directory, name, at):
    """What TZ must be for this time: of the two times of an hour that comes twice, restic would take one."""
    local = at.astimezone(ZoneInfo(name))
    if local.replace(fold=0).utcoffset() == local.replace(fold=1).utcoffset():
        return name
    # A zone of nothing but this offset, as tzfile(5) describes it.
    seconds = int(local.utcoffset().total_seconds())
    file = Path(directory, f"zone{seconds}")
    file.write_bytes(b"TZif" + bytes(16) + struct.pack(">6l", 0, 0, 0, 0, 1, 4) + struct.pack(">l2B", seconds, 0, 0) + b"XXX\0")
    return f":{file}"


def judged(directory, number, zone, times, every):
    environment = {**os.environ, "RESTIC_REPOSITORY": f"{directory}/{number}", "RESTIC_PASSWORD": "x", "TZ": zone}
    environment["RESTIC_CACHE_DIR"] = f"{directory}/cache"
    file = Path(directory, "file")
    file.write_text("x")
    run(environment, "init")
    backups = [(at, "manual" if place % every == every - 1 else "scheduled") for place, at in enumerate(sorted(times))]
    laid_down = list(backups)
    random.Random(number).shuffle(laid_down)
    for at, reason in laid_down:
        fixed = {**environment, "TZ": zone_for(directory, zone, at)}
        local = at.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S")
        run(fixed, "backup", "--time", local, "--host", "h", "--tag", reason, str(file))
    found = {datetime.fromisoformat(one["time"]) for one in json.loads(run(environment, "snapshots", "--json"))}
    assert found == {at for at, _ in backups}, "restic took another time than it was given"
    places = {at: place for place, (at, _) in enumerate(backups)}
    answers = []
    for policy in POLICIES:
        flags = [flag for rule, count in zip(RULES, policy) if count for flag in (f"--keep-{rule}", str(count))]
        groups = json.loads(run(environment, "forget", "--dry-run", "--json", "--group-by", "host,tags", *flags))
        kept = {}
        for reason in (reason for group in groups for reason in group["reasons"]):
            letters = "".join(match.removesuffix(" snapshot")[0] for match in reason["matches"])
            kept[places[datetime.fromisoformat(reason["snapshot"]["time"])]] = letters
        assert sorted(kept) == sorted(
            places[datetime.fromisoformat(one["time"])] for group in groups for one in group["keep"]
        )
        answers.append({"policy": policy, "kept": dict(sorted(kept.items()))})
    return {
        "zone": zone,
        "backups": [[at.strftime("%Y-%m-%dT%H:%M:%SZ"), reason] for at, reason in backups],
        "answers": answers,
    }


def main():
    version = subprocess.run(["restic", "version"], check=True, capture_output=True, text=True).stdout.split()[1]
    shared = "/dev/shm" if os.path.isdir("/dev/shm") else None
    recorded = []
    with tempfile.TemporaryDirectory(dir=shared) as directory:
        for number, (zone, times, every) in enumerate(histories()):
            recorded.append(judged(directory, number, zone, times, every))
            print(zone, len(times))
    lines = ",\n".join(json.dumps(history, separators=(",", ":")) for history in recorded)
    Path(__file__).with_name("recorded.json").write_text(f'{{"restic":"{version}","histories":[\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
