"""The fixture `slurm`: a real Slurm on this machine, for all the tests of a session; projects on it, and accidents."""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.faults.runs import write_logits
from tests.slurm.cluster import (
    ENDS_WITH_US,
    Cluster,
    missing_binaries,
    running_cluster,
    wait_until,
)
from tests.workflow.conftest import contents

# what replaces os.rename where it is imported: of jobs' processes, not of pytest's, which looks for examples in it
collect_ignore = ["at_rename"]
ROOT = Path(__file__).parents[2]
TARGET = "results/dependencies/evaluation/f--g.zarr"  # of the configuration CONFIG
CONFIG = Path(__file__).with_name("logits.yaml")
ATTENTIVE = Path(__file__).with_name("attentive_snakemake.py")


@contextlib.contextmanager
def started(settings=None):
    """Start a cluster; skip where Slurm is not installed, fail instead under REQUIRE_SLURM=1."""
    if missing := missing_binaries():
        message = f"Slurm is not installed (missing: {', '.join(missing)})"
        if os.environ.get("REQUIRE_SLURM") == "1":
            pytest.fail(message)
        pytest.skip(message)
    # a short path of its own: the name of a Unix socket has at most 107 characters
    with (
        tempfile.TemporaryDirectory(prefix="slurm") as root,
        running_cluster(Path(root), settings) as cluster,
    ):
        yield cluster


@pytest.fixture(scope="session")
def slurm():
    with started() as cluster:
        yield cluster


class Project:
    """A user's project folder: the code, a config.yaml, and a profile made for this cluster."""

    def __init__(self, folder: Path, cluster: Cluster, config: Path) -> None:
        self.folder, self.cluster = folder, cluster
        for name in ("neuraldeps", "reference", "report", "rules", "schemas", "scripts", "envs"):
            (folder / name).symlink_to(ROOT / name)
        (folder / "Snakefile").write_text((ROOT / "Snakefile").read_text())
        (folder / "config.yaml").write_text(config.read_text())
        # what a user does: uncomment the lines of the partitions, name one's own
        commented = re.compile(r"^( *)# ( *)(?=set-resources:|\w+:.*PARTITION)", re.MULTILINE)
        profile = commented.sub(r"\1\2", (ROOT / "slurm/config.yaml").read_text())
        profile = profile.replace("GPU_PARTITION", "gpu").replace("PARTITION", "cpu")
        (folder / "slurm").mkdir()
        (folder / "slurm/config.yaml").write_text(profile)

    def run_here(self, *targets: str, cores: int = 2) -> dict[str, bytes]:
        """The same workflow without Slurm: what it makes."""
        run = subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", str(cores), *targets],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert run.returncode == 0, run.stdout
        return contents(self.folder / "results")

    def start(
        self, *arguments: str, log: str = "snakemake.log", env: dict[str, str] | None = None
    ) -> subprocess.Popen:
        """`snakemake --profile slurm` in the project's root, but for how often it asks Slurm."""
        sooner = ["--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "20"]
        with open(self.folder / log, "w") as out:
            return subprocess.Popen(
                [
                    *ENDS_WITH_US,
                    sys.executable,
                    ATTENTIVE,
                    "--profile",
                    "slurm",
                    *sooner,
                    *arguments,
                ],
                cwd=self.folder,
                env=self.cluster.env | (env or {}),
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    def jobs(self, states: str = "all") -> list[dict[str, str]]:
        """This project's jobs in these states, the oldest first."""
        jobs = [job for job in self.cluster.jobs(states) if job["folder"] == str(self.folder)]
        return sorted(jobs, key=lambda job: int(job["id"]))

    def said(self, log: str = "snakemake.log") -> str:
        """What a run has printed."""
        return (self.folder / log).read_text()

    def ends_well(self, run: subprocess.Popen, log: str = "snakemake.log") -> None:
        """Wait for a run; fail with its log if it fails or takes ten minutes."""
        assert run.wait(600) == 0, self.said(log)


def logits_project(folder, slurm):
    """A project with the logits that the configuration names, the same in every folder."""
    made = Project(folder, slurm, CONFIG)
    write_logits(folder / "logits")
    return made


@pytest.fixture(scope="session")
def expected(slurm, tmp_path_factory):
    """Results of a run without Slurm and without faults."""
    return logits_project(tmp_path_factory.mktemp("local"), slurm).run_here(TARGET)


class Accidents:
    """Jobs of one project, met while they run."""

    def __init__(self, made):
        self.project, self.slurm, self.met = made, made.cluster, set()

    def next(self, rule):
        """A running job of this rule that was not met before, its node and its process."""

        def running():
            for job in self.project.jobs("R"):
                is_new = job["id"] not in self.met and job["rule"].startswith(rule)
                if is_new and (processes := self.slurm.payloads(job["id"])):
                    self.met.add(job["id"])
                    return job["id"], job["node"], processes[0]
            return None

        return wait_until(running, 300, f"a job of {rule} to run")

    def state(self, job):
        """State of a job."""
        return next(found["state"] for found in self.slurm.jobs() if found["id"] == job)
