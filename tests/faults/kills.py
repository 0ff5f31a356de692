"""Kill a run and its jobs at random moments, give the same command again, and look at what it ends with.

``python -m tests.faults.kills --kills 1000`` runs ``tests/workflow/tiny.yaml``, in which every rule has
jobs, once without a disturbance and then again and again until so many processes were killed. With SIGKILL goes
at a random moment Snakemake alone, so that its jobs live on beside the next run; one of its jobs; or
everything at once. Once in three times the next run is killed within seconds, too. After ``--minutes`` nothing
more is killed, and the last run comes to its end. What is printed as JSON counts the kills by kind and whatever
was wrong, and the exit status is 1 if anything was.
"""

import argparse
import contextlib
import itertools
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.faults.runs import leftovers, processes, published
from tests.workflow.conftest import ROOT, command, contents

KINDS = ("snakemake", "a job", "everything")


def start(folder, config):
    """The documented command, in a group of processes of its own."""
    with open(folder / "snakemake.log", "w") as log:
        return subprocess.Popen(
            command(folder, config), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )


def kill(run, folder, kind, rng):
    """Whether the run was still there to be killed."""
    if kind == "everything":
        os.killpg(run.pid, signal.SIGKILL)
        for job in processes(folder):  # of runs that were killed before
            with contextlib.suppress(ProcessLookupError):
                os.kill(job, signal.SIGKILL)
        return True
    if kind == "snakemake":
        run.kill()
        return True
    while run.poll() is None:  # until there is a job
        with contextlib.suppress(IndexError, ProcessLookupError):
            os.kill(rng.choice(sorted(processes(folder))), signal.SIGKILL)
            return True
        time.sleep(0.05)
    return False


def differences(folder, expected):
    """What is not as in a run that nothing disturbed."""
    found = contents(folder / "results")
    return sorted(
        name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)
    )


def disturb(run, folder, rng, left, longest, found):
    """Kill until the run is over or enough was killed; whether it, or a job of it, was killed.

    A job that was killed is done again by the run that began it, where the profile says so.
    """
    was_killed = False
    while next(left, None) is not None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(rng.uniform(0, longest))
        kind = rng.choice(KINDS)
        if run.poll() is not None or not kill(run, folder, kind, rng):
            return was_killed
        found[f"killed: {kind}"] += 1
        was_killed = True
        if kind != "a job":
            break
    run.wait()
    return was_killed


def one_run(folder, config, expected, rng, *, kills, within, found, until=math.inf):
    """Kill, and go on, until the run comes to its end, enough was killed or it is time to stop."""
    left = itertools.takewhile(lambda _: time.monotonic() < until, range(kills))
    longest = within
    while True:
        run = start(folder, config)
        was_killed = disturb(run, folder, rng, left, longest, found)
        longest = 4 if rng.random() < 1 / 3 else within
        # batches, which go when they are gathered, are in no whole run
        if any(
            expected.get(name, content) != content
            for name, content in published(folder / "results").items()
        ):
            found["wrong or half stores"] += 1
        if run.returncode == 0:
            break
        if not was_killed:
            found["runs that failed by themselves"] += 1
            print((folder / "snakemake.log").read_text()[-3000:], file=sys.stderr)
    while list(processes(folder)):  # of Snakemakes that were killed
        time.sleep(0.2)
    if different := differences(folder, expected):
        found["runs with other bytes"] += 1
        print(f"differ: {different}", file=sys.stderr)
    if over := leftovers(folder / "results"):
        found["runs with something left over"] += 1
        print(f"left over: {over}", file=sys.stderr)
    found["runs that came to their end"] += 1


def n_killed(found):
    """How many were killed, of every kind."""
    return sum(number for name, number in found.items() if name.startswith("killed"))


def wrong(found):
    """Whatever else was counted than kills and runs that came to their end."""
    return {name for name in found if not name.startswith(("killed", "runs that came"))}


def main(kills, seed, config, within, minutes):
    """Kill so many, and count."""
    found: Counter[str] = Counter()
    rng = random.Random(seed)
    began = time.monotonic()
    until = began + 60 * minutes
    with tempfile.TemporaryDirectory() as place:
        whole, folder = Path(place).resolve() / "whole", Path(place).resolve() / "killed"
        whole.mkdir()
        run = start(whole, config)
        if run.wait():
            raise SystemExit((whole / "snakemake.log").read_text())
        expected = contents(whole / "results")
        while (left := kills - n_killed(found)) > 0 and time.monotonic() < until:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            how = {"kills": left, "within": within, "found": found, "until": until}
            one_run(folder, config, expected, rng, **how)
            print(json.dumps(found), file=sys.stderr, flush=True)
    print(json.dumps({**found, "hours": round((time.monotonic() - began) / 3600, 2)}))
    return bool(wrong(found))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--config", type=Path, default=ROOT / "tests/workflow/tiny.yaml")
    parser.add_argument("--within", type=float, default=20, help="seconds until a kill at most")
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="after which none is killed"
    )
    options = vars(parser.parse_args())
    sys.exit(main(**options | {"config": options["config"].resolve()}))
