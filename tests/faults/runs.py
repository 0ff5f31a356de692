"""Real runs of a configuration whose jobs are few and short, for faults to hit."""

import contextlib
import subprocess
import time
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from neuraldeps.stores.checksums import LIST
from tests.workflow.conftest import ROOT, command, contents

CONFIG = ROOT / "tests/slurm/logits.yaml"
TARGET = "results/moments/f--g.zarr"


class Run:
    """Snakemake on two cores in a folder that holds the logits of the configuration."""

    def __init__(self, folder, *arguments, target=TARGET, log="snakemake.log"):
        self.folder, self.log = folder, folder / log
        write_logits(folder / "logits")
        with open(self.log, "w") as out:
            self.process = subprocess.Popen(
                command(folder, CONFIG, *arguments, target), stdout=out, stderr=subprocess.STDOUT
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
        log = self.said()
        assert self.process.returncode == 0, log
        return contents(self.folder / "results")

    def said(self):
        """Wait, and give Snakemake's log."""
        self.process.wait(120)
        return self.log.read_text()


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


def processes(folder, rule="*"):
    """Processes of a rule's script, or of any, that run in a folder, whoever began them."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            script = b"".join((entry / "cmdline").read_bytes().split(b"\0")[1:2]).decode()
            is_rule = fnmatch(script, f"*/.snakemake/scripts/*.{rule}.py")
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
