"""The wheel, in an environment of its own outside the checkout: it brings the workflow and the command."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
NOT_BUILT = (
    ".*",
    "*.sif",
    "results",
    "logs",
    "data",
    "tests",
    "docs",
    "benchmarks",
    "build",
    "*.egg-info",
)
N, ROWS = 12, 300


def do(*words, folder, **environment):
    """Run a program outside the checkout; both streams come back."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run(
        [*map(str, words)],
        cwd=folder,
        env={**inherited, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    assert run.returncode == 0, run.stdout
    return run.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from the archive of the sources as an index would have them."""
    pytest.importorskip("setuptools", minversion="77", reason="setuptools builds the wheel")
    folder = tmp_path_factory.mktemp("wheel")
    source = shutil.copytree(ROOT, folder / "source", ignore=shutil.ignore_patterns(*NOT_BUILT))
    build = "from setuptools import build_meta; print(build_meta.build_sdist('..'))"
    do(sys.executable, "-c", build, folder=source)
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    do(*pip, *folder.glob("*.tar.gz"), folder=folder)
    return next(folder.glob("neuraldeps-*.whl"))


def share_compiled_code(package):
    """Give a package what is compiled in the checkout: how it was installed is what is tested here."""
    for source in (ROOT / "neuraldeps").rglob("*.py"):
        target = package / source.relative_to(ROOT / "neuraldeps")
        os.utime(target, ns=(source.stat().st_atime_ns, source.stat().st_mtime_ns))
    for compiled in (ROOT / "neuraldeps").rglob("*.nb[ic]"):
        target = package / compiled.relative_to(ROOT / "neuraldeps")
        target.parent.mkdir(exist_ok=True)
        shutil.copy2(compiled, target)


@pytest.fixture(scope="module")
def command(wheel):
    """The command in a fresh environment, which finds what the package needs in this one."""
    home = wheel.parent / "environment"
    venv.create(home, with_pip=False, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", home / "bin/python"]
    do(*pip, "install", "--no-deps", "--no-index", "--no-compile", wheel, folder=home)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    share_compiled_code(site / "neuraldeps")
    (site / "others.pth").write_text(sysconfig.get_path("purelib"))
    return home / "bin/neuraldeps"


def test_the_wheel_has_all_that_a_run_reads(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith("neuraldeps/workflow/")}
    folders = ["config", "envs", "profiles", "reference", "report", "rules", "schemas", "scripts"]
    files = [file for name in [*folders, "slurm"] for file in (ROOT / name).rglob("*")]
    files += [ROOT / "Snakefile", ROOT / "config.yaml"]
    wanted = {
        f"neuraldeps/workflow/{file.relative_to(ROOT)}"
        for file in files
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert names == wanted


def test_an_audit_outside_the_checkout(command, tmp_path):
    for split, seed in (("fit", 0), ("test", 1)):
        rng = np.random.default_rng(seed)
        label = rng.integers(0, N, ROWS)
        logits = (rng.standard_normal((ROWS, N)) + 3 * np.eye(N)[label]).astype(np.float32)
        logits[:, 0] = logits[:, [3, 5, 7]] @ np.float32([0.8, 0.3, -0.5])
        np.save(tmp_path / f"{split}.npy", logits)
        np.save(tmp_path / f"{split}_labels.npy", label)
    (tmp_path / "names.txt").write_text("\n".join(f"thing {number}" for number in range(N)))
    # a module of the user's that is called like one of Python's
    (tmp_path / "logging.py").write_text("raise SystemExit('not this one')")
    said = do(
        *(command, "audit", "--logits", "fit.npy", "--test", "test.npy", "--names", "names.txt"),
        *("--labels", "fit_labels.npy", "--test-labels", "test_labels.npy", "-o", "out"),
        *("--cores", 2, "results/tables/table1.csv"),
        folder=tmp_path,
    )
    assert "% of 12 categories are within 20 % of a combination of at most 4 others" in said
    assert "out/results/tables " in said
    table = pd.read_csv(tmp_path / "out/results/tables/table1.csv")
    subset = table.set_index("estimator").loc["subset"]
    # any of the four is a combination of the other three
    assert subset["category"] in [f"thing {number}" for number in (0, 3, 5, 7)]
    assert subset["support_size"] == 3
    assert subset["rel_err"] < 0.01
    assert str(command.parent.parent) in said  # the workflow is the installed one
    # nothing of the checkout but the environment that Snakemake is taken from
    assert str(ROOT) not in said.replace(sys.prefix, "")
