"""Power cuts while things are published: nothing that was called done is lost, and no byte is wrong."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow.conftest import ROOT

FUSE = Path("/dev/fuse")


def lacking():
    """What this machine lacks for a file system of our own."""
    if not os.access(FUSE, os.R_OK | os.W_OK):
        return f"{FUSE} cannot be opened here"
    if os.getuid() and not shutil.which("fusermount"):
        return "fusermount is not installed (Debian's package fuse3)"
    try:
        import fuse  # noqa: F401
    except (ImportError, OSError) as error:
        return f"fusepy or libfuse2 is not installed ({error})"
    return None


pytestmark = pytest.mark.skipif(lacking() is not None, reason=str(lacking()))


def cut_power(cuts, *arguments):
    """Counts of a run, which unmounts what it has mounted when it ends or is ended."""
    run = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.powercuts", "--cuts", str(cuts), *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        out, errors = run.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        run.terminate()
        out, errors = run.communicate(timeout=60)
    if "no FUSE file system can be mounted here" in errors:
        pytest.skip("no FUSE file system can be mounted here")
    assert out, errors
    return run.returncode, json.loads(out)


def test_nothing_is_lost_half_or_wrong_after_power_cuts():
    status, found = cut_power(15)
    assert status == 0, found
    assert found["cuts"] >= 15


def test_without_syncs_the_same_cuts_leave_wrong_bytes():
    status, found = cut_power(8, "--without-sync")
    assert status == 1
    assert found["wrong bytes"] + found.get("lost after it was done", 0) > 0, found
