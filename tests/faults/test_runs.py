"""Runs that are killed, restarted too soon, or started twice: the same bytes, and nothing lost."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from neuraldeps.stores.checksums import LIST
from tests.workflow.conftest import ROOT, contents

CONFIG = ROOT / "tests/slurm/logits.yaml"
TARGET = "results/moments/f--g.zarr"


class Run:
    """Snakemake on two cores in a folder that holds the logits of the configuration."""

    def __init__(self, folder, *arguments, target=TARGET, log="snakemake.log"):
        self.folder, self.log = folder, folder / log
        write_logits(folder / "logits")
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        command += ["--directory", str(folder), "--configfile", str(CONFIG), "--cores", "2"]
        with open(self.log, "w") as out:
            self.process = subprocess.Popen(
                [*command, *arguments, target], stdout=out, stderr=subprocess.STDOUT
            )

    def job(self, rule, *, besides=()):
        """Process of a running job of this rule."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = set(processes(self.folder, rule)) - set(besides)
            if found:
                return found.pop()
            time.sleep(0.02)
        raise TimeoutError(f"no job of {rule}:\n{self.log.read_text()}")

    def ends_well(self):
        """Wait; fail with Snakemake's log if it failed."""
        assert self.process.wait(120) == 0, self.log.read_text()
        return contents(self.folder / "results")


def write_logits(folder):
    if folder.exists():
        return
    folder.mkdir()
    rng = np.random.default_rng(0)
    label = rng.integers(0, 12, 500)
    np.save(folder / "label.npy", label)
    for name in "fg":
        logits = rng.standard_normal((500, 12)) + 3 * np.eye(12)[label]
        np.save(folder / f"{name}.npy", logits.astype(np.float32))


def processes(folder, rule):
    """Processes of a rule's script that run in a folder."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            script = (entry / "cmdline").read_bytes().split(b"\0")[1:2]
            is_rule = script and script[0].endswith(f".{rule}.py".encode())
            if is_rule and (entry / "cwd").readlink() == folder:
                yield int(entry.name)


def leftovers(folder):
    """Work in progress under a folder."""
    known = {".snakemake_timestamp", LIST}
    return [path for path in folder.rglob(".*") if path.name not in known]


def published(results):
    """Every byte of the stores that stand under their names."""
    return {
        f"{document.parent.relative_to(results)}/{name}": content
        for document in results.glob("[!.]*/**/*.zarr/zarr.json")
        if not any(part.startswith(".") for part in document.relative_to(results).parts)
        for name, content in contents(document.parent).items()
    }


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return Run(tmp_path_factory.mktemp("whole")).ends_well()


def test_a_job_killed_with_9_leaves_nothing_half_and_the_next_run_ends_it(tmp_path, expected):
    run = Run(tmp_path)
    os.kill(run.job("reduce_second_moment"), signal.SIGKILL)
    assert run.process.wait(60) != 0
    assert "reduce_second_moment" in run.log.read_text()
    assert published(tmp_path / "results").items() <= expected.items()
    assert Run(tmp_path).ends_well() == expected
    assert leftovers(tmp_path / "results") == []


def test_a_killed_snakemake_is_gone_on_with_while_its_job_still_runs(tmp_path, expected):
    killed = Run(tmp_path, log="killed.log")
    old = []
    for _ in "fg":  # one that went on could publish its store before the next run looks
        old.append(killed.job("import_logits", besides=old))
        os.kill(old[-1], signal.SIGSTOP)
    killed.process.kill()
    killed.process.wait()
    run = Run(tmp_path)
    run.job("import_logits", besides=old)
    second = Run(tmp_path, log="second.log")  # beside one that lives: refused, as ever
    assert second.process.wait(60) != 0
    assert "--unlock" in second.log.read_text()
    for process in old:
        os.kill(process, signal.SIGCONT)  # from now on both runs write the same stores
    assert run.ends_well() == expected
    assert leftovers(tmp_path / "results") == []
    assert "its lock is lifted" in run.log.read_text()


def test_everything_killed_twice_is_ended_by_the_same_command(tmp_path, expected):
    for rule in ("import_logits", "reduce_second_moment"):
        run = Run(tmp_path)
        job = run.job(rule)
        for process in (run.process.pid, job):
            os.kill(process, signal.SIGKILL)
        run.process.wait()
    assert Run(tmp_path).ends_well() == expected
    assert leftovers(tmp_path / "results") == []


def test_two_runs_at_once(tmp_path, expected):
    # Without its lock, Snakemake removes what another run has made before it makes it again, and at its end empty
    # folders that another may remove first: a run may fail by that, but nothing is half, and the next run ends it.
    runs = [
        Run(tmp_path, "--nolock", "--retries", "3", log=f"{name}.log") for name in ("one", "other")
    ]
    for run in runs:
        run.process.wait(120)
    assert published(tmp_path / "results").items() <= expected.items()
    assert Run(tmp_path).ends_well() == expected
    assert leftovers(tmp_path / "results") == []
