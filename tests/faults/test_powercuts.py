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


@pytest.fixture(scope="module")
def found():
    """Exit status and counts of a run with syncs and of one without, which unmounts what it mounts."""
    command = [sys.executable, "-m", "tests.faults.powercuts", "--cuts", "15", "--control", "6"]
    run = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        out, errors = run.communicate(timeout=600)
    except subprocess.TimeoutExpired:
        run.terminate()  # it unmounts then
        out, errors = run.communicate(timeout=60)
    if "no FUSE file system can be mounted here" in errors:
        pytest.skip("no FUSE file system can be mounted here")
    assert out.count("\n") == 2, errors
    return run.returncode, *map(json.loads, out.splitlines())


def test_nothing_is_lost_half_or_wrong_after_power_cuts(found):
    status, counts, _ = found
    assert status == 0, counts
    assert counts["cuts"] >= 15


def test_without_syncs_cuts_leave_wrong_bytes(found):
    _, _, control = found
    assert control["wrong bytes"] + control.get("lost after it was done", 0) > 0, control
