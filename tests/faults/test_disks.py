"""Disks that are full, over quota, read-only or slow, clocks that go back, inputs that vanish: one line, then go on."""

import errno
import os
import shlex
import shutil
import signal
import subprocess

import pytest

from tests.faults.powercuts import Disk
from tests.faults.runs import TARGET, Run, leftovers, published
from tests.faults.test_powercuts import lacking
from tests.workflow.conftest import ROOT

needs_fuse = pytest.mark.skipif(lacking() is not None, reason=str(lacking()))


@pytest.fixture
def disk(tmp_path):
    """A disk of its own for the results of a run."""
    (tmp_path / "results").mkdir()
    mounted = Disk(tmp_path / "results")
    yield mounted
    mounted.close()


def refused(run):
    """The line with which a job ended that the machine refused something."""
    log = run.said()
    assert run.process.returncode != 0
    assert "Traceback" not in log
    return next(line for line in log.splitlines() if line.startswith("Error: "))


@needs_fuse
@pytest.mark.parametrize(
    ("number", "after", "message"),
    [
        (errno.ENOSPC, 60, "No space left on device; make room"),
        (errno.EDQUOT, 25, "Disk quota exceeded; make room"),
        (errno.EROFS, 40, "Read-only file system; mount it for writing"),
    ],
)
def test_a_disk_that_refuses_is_one_line_and_the_same_command_goes_on(
    tmp_path, expected, disk, number, after, message
):
    disk.tell("refuse", errno=number, after=after)
    # one job, which has written something: what Snakemake says when it cannot remove an empty folder is its own
    line = refused(Run(tmp_path, target="results/moments/f--f.zarr"))
    assert "results/" in line
    assert message in line
    assert published(disk.folder).items() <= expected.items()
    disk.tell("on")
    assert Run(tmp_path).ends_well() == expected
    assert leftovers(disk.folder) == []


@pytest.mark.long
@needs_fuse
def test_a_slow_disk_changes_no_byte(tmp_path, expected, disk):
    disk.tell("slow", seconds=0.0005)
    assert Run(tmp_path).ends_well() == expected


def test_an_input_that_vanishes_is_one_line(tmp_path, expected):
    run = Run(tmp_path)
    job = run.job("import_logits")
    os.kill(job, signal.SIGSTOP)  # before it has opened anything
    shutil.move(tmp_path / "logits", tmp_path / "away")
    os.kill(job, signal.SIGCONT)
    assert "logits/" in refused(run)
    shutil.move(tmp_path / "away", tmp_path / "logits")
    assert Run(tmp_path).ends_well() == expected


def test_a_clock_that_goes_back_is_one_line_and_what_is_dated_ahead_can_be_touched(
    tmp_path, expected
):
    Run(tmp_path).ends_well()
    tomorrow = os.stat(tmp_path).st_mtime + 86400
    for path in (tmp_path / "results").rglob("*"):  # made by a clock that was a day ahead
        os.utime(path, (tomorrow, tomorrow), follow_symlinks=False)
    shutil.rmtree(tmp_path / "results/moments")
    run = Run(tmp_path)
    assert "has older modification time" in run.said()
    assert run.process.returncode != 0
    assert not (tmp_path / TARGET).exists()
    command = "find results -newermt now -exec touch {} +"
    assert command in (ROOT / "docs/reliability.md").read_text()
    subprocess.run(shlex.split(command), cwd=tmp_path, check=True)
    assert Run(tmp_path).ends_well() == expected
    assert "Nothing to be done" in Run(tmp_path).said()
