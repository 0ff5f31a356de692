"""The house keeps its own promises: names, pins, pictures and light imports."""

import ast
import json
import re
import subprocess
import sys
import tokenize
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml

from neuraldeps import __version__

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
STAGES = (
    "images",
    "networks",
    "logits",
    "moments",
    "dependencies",
    "theory",
    "stability",
    "controls",
    "cards",
)
STAGES += ("generalizability", "robustness")
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


def snakefiles():
    """Every file of the workflow, in the order in which Snakemake reads it."""
    included = re.findall(r'^include: "(.+)"$', (ROOT / "Snakefile").read_text(), flags=re.M)
    return [ROOT / name for name in included]


def names(file):
    """Line, name and whether it is defined there, for every name in a file that stands for a value."""
    with file.open("rb") as lines:
        tokens = list(tokenize.tokenize(lines.readline))
    for before, token, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
        line, column = token.start
        if token.type == tokenize.STRING and "f" in token.string.split(token.string[-1])[0]:
            inner = ast.walk(ast.parse(token.string))
            yield from ((line, node.id, False) for node in inner if isinstance(node, ast.Name))
        elif token.type == tokenize.NAME and before.string != ".":
            is_function = before.string == "def" and before.start[1] == 0
            is_constant = column == 0 and after.string == "="
            if is_function or is_constant or after.string != "=":  # else a keyword
                yield line, token.string, is_function or is_constant


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


def test_the_version_stands_in_one_place_and_is_the_latest_that_the_changelog_has():
    """`neuraldeps.__version__`: packages, stores and citations take theirs from it or agree with it."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert PROJECT["dynamic"] == ["version"]
    assert setuptools["dynamic"]["version"] == {"attr": "neuraldeps.__version__"}
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    released = re.findall(
        r"^## \[(\d.*)\] - (.+)$", (ROOT / "CHANGELOG.md").read_text(), flags=re.M
    )
    assert (citation["version"], citation["date-released"]) == released[0]
    assert citation["version"] == __version__


def test_the_development_container_is_set_up_by_make():
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    assert container["postCreateCommand"] == "make .venv/installed"
    version = container["image"].rpartition(":")[2]
    lowest = re.search(r"[\d.]+", PROJECT["requires-python"])[0]
    assert [int(part) for part in version.split(".")] >= [int(part) for part in lowest.split(".")]
    folder = "${containerWorkspaceFolder}/.venv/bin/python"
    settings = container["customizations"]["vscode"]["settings"]
    assert settings["python.defaultInterpreterPath"] == folder


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


def test_scripts_import_only_what_their_rules_need():
    """PyTorch where it is in the environment, Dask where something is reduced: each takes as long as many a job."""
    without = re.compile(r'conda:\n +(?:"../envs/cpu.yaml"|REDUCTION_ENV)\n')
    names = {name for name, text, _ in rules() if without.search(text)}
    reduce = {"reduce_second_moment", "measure_redundancy", "measure_robustness"}
    assert {"evaluate_dependencies", "tabulate_dependencies", *reduce} <= names
    assert not imported(names - reduce) & {"torch", "dask", "dask.array"}
    found = imported(reduce)
    assert "dask" in found
    assert "torch" not in found


def imported(names):
    """Modules that these scripts' imports have brought."""
    scripts = ", ".join(f"scripts.{name}" for name in sorted(names))
    code = f"import sys, {scripts}; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {*run.stdout.split()}


def test_the_rule_graph_shows_every_rule():
    picture = (ROOT / "docs/images/rulegraph.svg").read_text()
    shown = set(re.findall(r">(\w+)</text>", picture))
    optional = {"extract_logits_part", "import_logits", "index_images", "index_balanced"}
    optional |= {"compare_networks", "write_crate"}  # the latter is fed by all others, as `all` is
    assert {name for name, _, _ in rules()} - optional <= shown


def test_no_rule_refers_to_what_is_defined_later():
    places = [(n, *name) for n, file in enumerate(snakefiles()) for name in names(file)]
    defined = {}
    for file, line, name, is_definition in places:
        if is_definition:
            defined.setdefault(name, (file, line))
    assert {"SPLITS", "model_spec", "minutes"} <= set(defined)
    early = [
        (file, line, name) for file, line, name, _ in places if (file, line) < defined.get(name, ())
    ]
    assert not early, [f"{snakefiles()[file].name}:{line} {name}" for file, line, name in early]


def test_no_stage_waits_for_a_later_one():
    """Of the folders that a stage's rules name, themselves or by functions, all are an earlier one's."""
    texts = {file.stem: file.read_text() for file in snakefiles()}
    block = re.compile(r"^def (\w+)\(.*\n(?:(?: .*)?\n)*", flags=re.M)
    functions = {one[1]: one[0] for one in block.finditer(texts["settings"] + texts["inputs"])}
    for place, stage in enumerate(STAGES):
        used, text = set(), texts[stage]
        while more := set(re.findall(r"\w+", text)) & set(functions) - used:
            used |= more
            text += "".join(functions[name] for name in more)
        # diff: cards of two versions of one network
        folders = set(re.findall(r"results/(\w+)/", text)) - {"tables", "diff"}
        assert folders <= set(STAGES[: place + 1]), stage


def test_indexing_photos_imports_no_later_stage():
    code = "import sys, scripts.index_images; print('neuraldeps.robustness' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.strip() == "False", run.stderr


def test_settings_inputs_and_resources_are_apart_from_the_rules():
    files = {file.name: list(names(file)) for file in snakefiles()}
    assert set(files) == {file.name for file in (ROOT / "rules").glob("*.smk")}
    assert list(files)[:3] == ["settings.smk", "inputs.smk", "resources.smk"]
    constants = {
        file for file, found in files.items() for _, name, here in found if here and name.isupper()
    }
    functions = {
        file for file, found in files.items() for _, name, here in found if here and name.islower()
    }
    assert constants == {"settings.smk"}
    assert functions == {"settings.smk", "inputs.smk", "resources.smk"}
    assert len((ROOT / "Snakefile").read_text().splitlines()) <= 42


def test_the_names_of_estimators_stand_in_one_place():
    """A further estimator is an entry and a file: whoever needs the names reads the list."""
    lists = re.compile(r"""["']lasso["'],?\s*(:[^,]*,\s*)?["']refit["']""")
    files = [*(ROOT / "neuraldeps").rglob("*.py"), *(ROOT / "scripts").glob("*.py")]
    files += (ROOT / "rules").glob("*.smk")
    assert not [file.name for file in files if lists.search(file.read_text())]


def test_the_configuration_reads_the_estimators_without_a_compiler_or_a_picture():
    heavy = {"torch", "numba", "matplotlib", "sklearn"}
    code = f"import sys, neuraldeps.config; print(sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stderr


def test_import_is_light():
    code = "import sys, neuraldeps; print(sorted({'torch', 'numba', 'sklearn'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.strip() == "[]"


# Every room of the library, from the ground up: imports run down only.
FLOORS = [
    "errors",
    "devices",
    "palette",
    "seeds",
    "covlasso",
    "best_subset",
    "refit",
    "estimators",
    "weight_penalties",
    "arms",
    "config",
    "logs",
    "run_lock",
    "stores",
    "categories",
    "engines",
    "images",
    "networks",
    "logits",
    "moments",
    "dependencies",
    "theory",
    "stability",
    "controls",
    "cards",
    "generalizability",
    "robustness",
    "tables",
    "figures",
    "explorer",
    "notebook",
    "command",
]
# longer than 400 lines, and why
LONG = {
    "tables/claims.py": "one list: every claim of the paper, and how it is judged",
    "stores/layouts.py": "one table: every store of a run, and all that it holds",
    "covlasso/batch.py": "one batch from its first chunk to its last certificate",
    "covlasso/homotopy.py": "one loop along a path, with all that can happen at a knot",
}


def imports_of(file):
    """Modules of this library that a file imports, wherever it does."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("neuraldeps."):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                is_file = (ROOT / f"{inner.replace('.', '/')}.py").exists()
                yield inner if is_file else node.module


def library():
    return sorted((ROOT / "neuraldeps").rglob("*.py"))


def test_imports_run_down_only():
    for file in library():
        room = file.relative_to(ROOT / "neuraldeps").with_suffix("").parts[0]
        if room == "__init__":
            continue
        below = FLOORS[: FLOORS.index(room) + 1]
        assert {module.split(".")[1] for module in imports_of(file)} <= {*below}, file


def test_no_two_modules_import_each_other():
    names = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
        for file in library()
        if file.name != "__init__.py"  # a package's face only hands names on
    }
    below = {name: {*imports_of(file)} & {*names} for name, file in names.items()}
    while ground := {name for name, others in below.items() if not others}:
        below = {name: others - ground for name, others in below.items() if name not in ground}
    assert not below


def test_no_module_is_long_without_a_reason():
    for file in library():
        name = str(file.relative_to(ROOT / "neuraldeps"))
        assert len(file.read_text().splitlines()) <= 420 or name in LONG, name


@pytest.mark.parametrize(
    "modules",
    [
        "neuraldeps.config",
        "neuraldeps.covlasso",
        "neuraldeps.images.index",
        "neuraldeps.dependencies.covlasso, neuraldeps.dependencies.evaluation",
        "neuraldeps.logits.external, neuraldeps.logits.store",
        "neuraldeps.generalizability.learning",
        "neuraldeps.tables.dependencies, neuraldeps.tables.robustness, neuraldeps.figures.star",
    ],
)
def test_rooms_that_need_no_network_import_none(modules):
    code = f"import sys, {modules}; print(sorted({{'torch', 'timm'}} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.strip() == "[]", run.stderr


# rules whose script puts library calls together, and what of
ASSEMBLED = {
    "check_categories": "names in the configuration, found by find_category",
    "check_network": "building and describing a network",
    "extract_arm": "extract_logits with an arm's weights",
    "extract_base_logits": "extract_logits with a base network's weights",
    "extract_untrained": "extract_logits with random weights",
    "extract_logits_part": "extract_logits, of some images",
    "finetune_arm": "train_to with a penalty",
    "import_logits": "the pieces of logits/external.py",
    "train_backbone": "train_to on all categories",
    "train_base": "train_to on the base categories",
    "tabulate_controls": "two tables and their notes",
    "tabulate_dependencies": "two tables and their notes",
    "tabulate_generalizability": "two tables and their notes",
    "tabulate_networks": "a table and its notes",
    "tabulate_robustness": "a table and its notes",
    "tabulate_stability": "two tables and their notes",
    "tabulate_theory": "two tables and their notes",
    "tabulate_times": "files of times, one after the other",
}


def called(script):
    """Names that a script takes from the library."""
    found = set()
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("neuraldeps"):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
    return found


def test_a_script_calls_the_library_function_of_its_rules_name():
    without = {
        script.stem
        for script in (ROOT / "scripts").glob("*.py")
        if script.stem not in called(script)
    }
    assert without == set(ASSEMBLED)


# functions of more than 60 lines, docstring apart, and why
LONG_FUNCTIONS = {
    "covlasso/homotopy.py: _attempt": "one loop along a path, with all that can happen at a knot",
    "moments.py: second_moment": "the tasks, their order and the sums that depend on it, at once",
    "robustness/measures.py: measure_robustness": "one store, array by array",
}


def lengths():
    """Lines of every function of the library, docstring apart."""
    for file in sorted((ROOT / "neuraldeps").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                name = f"{file.relative_to(ROOT / 'neuraldeps')}: {node.name}"
                yield name, node.end_lineno - body[0].lineno + 1 if body else 0


def test_no_function_is_longer_than_60_lines_without_a_reason():
    assert {name for name, lines in lengths() if lines > 60} == set(LONG_FUNCTIONS)


def public_functions():
    """Functions and methods that another module may call, with their file.

    What Lightning calls by its own names, in subclasses of its module, it documents itself.
    """
    for file in library():
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                yield file, node
            elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                is_own = "LightningModule" not in " ".join(map(ast.unparse, node.bases))
                functions = [one for one in node.body if isinstance(one, ast.FunctionDef)]
                yield from ((file, one) for one in functions * is_own)


def test_every_public_function_says_what_it_takes_and_gives():
    lacking = []
    for file, function in public_functions():
        decorators = " ".join(map(ast.unparse, function.decorator_list))
        if function.name.startswith("_") or re.search("property|validator|njit", decorators):
            continue
        text = ast.get_docstring(function) or ""
        given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        names = [one.arg for one in given if one.arg not in ("self", "cls")]
        gives = ast.unparse(function.returns) if function.returns else "None"
        sections = set(re.findall(r"^(\w+)\n-+$", text, flags=re.M))
        where = f"{file.relative_to(ROOT)}: {function.name}"
        if names and "Parameters" not in sections:
            lacking.append(f"{where} has no Parameters")
        lacking += [f"{where}: {name}" for name in names if not re.search(rf"\b{name}\b", text)]
        if gives != "None" and not sections & {"Returns", "Yields"}:
            lacking.append(f"{where} has no Returns")
    assert lacking == []
