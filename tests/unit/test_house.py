"""The house keeps its own promises: names, pins, pictures and light imports."""

import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NETWORK_PACKAGES = {"torch", "torchvision", "timm", "lightning"}


def name_of(requirement):
    return re.match(r"[A-Za-z0-9-]+", requirement)[0].lower()


def locked():
    found = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if pin := re.match(r"([a-z0-9-]+)==([^\s;]+)", line):
            found.setdefault(pin[1], set()).add(pin[2])
    return found


def rules():
    """Name, text and file of every rule."""
    for file in sorted((ROOT / "rules").glob("*.smk")):
        for text in re.split(r"^(?=rule )", file.read_text(), flags=re.M)[1:]:
            yield re.match(r"rule (\w+):", text)[1], text, file


def test_lock_has_every_dependency():
    wanted = [*PROJECT["dependencies"], *chain(*PROJECT["optional-dependencies"].values())]
    assert {name_of(requirement) for requirement in wanted} <= set(locked())


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
def test_conda_environments_hold_the_locked_versions(kind):
    environment = yaml.safe_load((ROOT / f"envs/{kind}.yaml").read_text())
    pins = dict(pin.split("==") for pin in environment["dependencies"][-1]["pip"])
    pins = {name_of(name): version for name, version in pins.items()}
    wanted = {name_of(requirement) for requirement in PROJECT["dependencies"]} - {"snakemake"}
    assert set(pins) == (wanted if kind == "gpu" else wanted - NETWORK_PACKAGES)
    for name, version in pins.items():
        assert version in locked()[name], name


def test_the_container_is_built_from_the_lock_and_files_that_are_there():
    recipe = (ROOT / "envs/apptainer.def").read_text()
    files = re.search(r"^%files\n((?: .+\n)+)", recipe, flags=re.M)[1].splitlines()
    copied = {line.split()[0] for line in files}
    assert {"requirements.lock", "pyproject.toml", "neuraldeps", PROJECT["readme"]} <= copied
    assert all((ROOT / name).exists() for name in copied | set(PROJECT["license-files"]))
    assert "--constraint requirements.lock" in recipe


def test_rule_script_log_and_benchmark_share_one_name():
    for name, text, file in rules():
        assert f'"../scripts/{name}.py"' in text, file
        assert re.search(rf'"logs/{name}[./]', text), name
        assert re.search(rf'"logs/benchmarks/{name}[./]', text), name
        assert re.search(r'^    """.+\."""$', text, flags=re.M), name
    assert {name for name, _, _ in rules()} == {p.stem for p in (ROOT / "scripts").glob("*.py")}


def test_rules_without_torch_in_their_environment_import_none():
    names = [name for name, text, _ in rules() if '"../envs/cpu.yaml"' in text]
    code = f"import sys, {', '.join(f'scripts.{name}' for name in names)}; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.strip() == "False", run.stderr


def test_the_rule_graph_shows_every_rule():
    picture = (ROOT / "docs/images/rulegraph.svg").read_text()
    shown = set(re.findall(r">(\w+)</text>", picture))
    optional = {"extract_logits_part", "import_logits", "index_images", "index_balanced"}
    assert {name for name, _, _ in rules()} - optional <= shown


def test_import_is_light():
    code = "import sys, neuraldeps; print(sorted({'torch', 'numba', 'sklearn'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.strip() == "[]"
