"""Configurations after public reports: what YAML and the command line read otherwise than was meant."""

import copy
import re
import textwrap

import numpy as np
import pytest
import xarray as xr
import yaml

from neuraldeps.config import check_config, complete_config
from neuraldeps.errors import InputError
from tests.cases.running import refused, run
from tests.workflow.conftest import ROOT
from tests.workflow.test_tiny import planned

N = 12


def logits(folder, name="mine", n_categories=str(N), alpha="[0.01]", further=""):
    """Imported logits of one network, with a name, a number and penalties as they are written."""
    folder.mkdir(exist_ok=True)
    text = f"""
        dataset: {{kind: logits, n_categories: {n_categories}, splits: {{fit: {{}}, test: {{}}}}}}
        models:
          {name}: {{logits: {{fit: fit.npy, test: test.npy}}}}
        covlasso: {{max_support: 4, alpha: {alpha}, relative_alpha: []}}
        figures:
          correlation: {{n_targets: 2}}
          chord: {{n_base: 8, n_targets: 2, support_size: 3}}
        """
    (folder / "c.yaml").write_text(textwrap.dedent(text) + textwrap.dedent(further))
    for seed, split in enumerate(("fit", "test")):
        rng = np.random.default_rng(seed)
        np.save(folder / f"{split}.npy", rng.standard_normal((400, N)).astype(np.float32))
    return folder


NUMBERS_AS_NAMES = [
    ({"name": "18"}, r'c\.yaml: models has the name 18 in line 4, .* a number; .* quotes: "18"$'),
    ({"name": "no"}, r'models has the name no in line 4, .* true or false; .* quotes: "no"$'),
    ({"n_categories": "12.0"}, r"dataset\.n_categories is 12\.0, .* an integer: write 12 "),
    ({"alpha": "[.inf]"}, r"covlasso\.alpha\[0\] is inf; it must be a finite number"),
]


@pytest.mark.parametrize(("written", "message"), NUMBERS_AS_NAMES)
def test_numbers_as_names_36(tmp_path, written, message):
    refused(logits(tmp_path, **written), message, "", "c.yaml", "-n")


def test_exponents_37(tmp_path):
    message = r"covlasso\.alpha\[0\] is '1e-2', of type str; it must be a number: write 1\.0e-2 "
    refused(logits(tmp_path, alpha="[1e-2]"), message, "", "c.yaml", "-n")


def test_values_of_the_command_line(tmp_path):
    path = "results/dependencies/covlasso/mine--mine.zarr"
    given = ["--config", "covlasso={max_support: 5, alpha: [1e-2]}"]
    status, text = run(logits(tmp_path), "", "c.yaml", path, *given)
    assert status == 0, text
    store = xr.open_zarr(tmp_path / path)
    assert store.sizes["slot"] == 5
    assert store["penalty_value"].values.tolist() == [0.01]
    message = (
        r"c\.yaml, --config: covlasso\.max_support is 'many', of type str; it must be an integer"
    )
    refused(tmp_path, message, "", "c.yaml", "-n", "--config", "covlasso={max_support: many}")


def test_an_overlay_plans_what_a_full_copy_plans(tmp_path):
    default, overlay = ROOT / "config.yaml", ROOT / "config/seeds.yaml"
    full = yaml.safe_load(default.read_text())
    for block in "robustness", "generalizability":
        full[block]["seeds"] = 5
    (tmp_path / "full.yaml").write_text(yaml.safe_dump(full, sort_keys=False))
    jobs = planned(tmp_path, default, "--configfile", default, overlay)
    assert jobs == planned(tmp_path, tmp_path / "full.yaml")
    assert (jobs["train_baseline"], jobs["finetune_arm"]) == (8, 30)


def problem(folder, text):
    """The line that a configuration file is refused with, as Snakemake's user sees it."""
    (folder / "c.yaml").write_text(textwrap.dedent(text))
    config = yaml.full_load((folder / "c.yaml").read_text())
    with pytest.raises(InputError) as caught:
        complete_config(config, [folder / "c.yaml"], {})
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{folder / 'c.yaml'}: ")


MISREAD = [
    ("seed: 1:30", "seed is 1:30 in line 1, which YAML reads in base 60; "),
    ("seed: 010", "seed is 010 in line 1, which YAML reads in base 8, as 8; "),
    ("seed: 1\nseed: 2", "seed stands twice, in lines 1 and 2; remove one"),
    ("dataset:\n  kind: a\n  kind: b", "dataset.kind stands twice, in lines 2 and 3; remove one"),
    ("models: {a: {}, a: {}}", "models.a stands twice, in lines 1 and 1; remove one"),
    ("models: {1.5: {}}", "models has the name 1.5 in line 1, which YAML reads as a number; "),
    ("models: {2024-01-01: {}}", "models has the name 2024-01-01 in line 1, .* no text; "),
    ("models: {~: {}}", "models has the name ~ in line 1, which YAML reads as null; "),
    (
        "robustness: {category_pair: {on: [a, b]}}",
        "robustness.category_pair has the name on .* true or false; ",
    ),
    ("tables: {table1: {cases: {a--b: 007}}}", "tables.table1.cases.a--b is 007 .* base 8"),
]


@pytest.mark.parametrize(("text", "message"), MISREAD)
def test_what_yaml_reads_otherwise(tmp_path, text, message):
    assert re.match(message, problem(tmp_path, text))


def test_an_alias_and_a_merged_key_are_no_second_key(tmp_path):
    text = """
        models:
          a: &a {logits: {fit: a.npy, test: b.npy}}
          b: {<<: *a, logits: {fit: c.npy, test: d.npy}}
          c: *a
        """
    config = yaml.safe_load(logits(tmp_path).joinpath("c.yaml").read_text())
    models = yaml.safe_load(textwrap.dedent(text))["models"]
    (tmp_path / "models.yaml").write_text(textwrap.dedent(text))
    complete_config(config | {"models": models}, [tmp_path / "models.yaml"], {})


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    folder = logits(tmp_path_factory.mktemp("configuration"))
    return yaml.safe_load((folder / "c.yaml").read_text())


def written(config, key, text):
    """A configuration in which a key has been written in YAML."""
    config = copy.deepcopy(config)
    *parents, last = key.split(".")
    at = config
    for parent in parents:
        at = at.setdefault(parent, {})
    at[last] = yaml.full_load(text)
    return config


WRONG = [
    ("covlasso.max_support", "1e1", r"is '1e1', of type str; .* integer or null: write 10 "),
    ("covlasso.max_support", '"4"', r"is '4', of type str; .* integer or null: write 4 "),
    ("covlasso.max_support", "4.5", r"is 4\.5, of type float; .* integer or null \("),
    ("covlasso.max_support", "yes", r"is True, of type bool; it must be an integer or null \("),
    ("covlasso.max_support", ".inf", r"is inf, of type float; it must be an integer or null \("),
    ("covlasso.alpha", "[1e5]", r"is '1e5', .* write 1\.0e\+5 "),
    ("covlasso.alpha", "[2.5e3]", r"is '2\.5e3', .* write 2\.5e\+3 "),
    ("covlasso.alpha", "[.nan]", r"alpha\[0\] is nan; it must be a finite number"),
    ("covlasso.alpha", "0.25", r"is 0\.25, of type float; it must be a list: write \[0\.25\] "),
    ("covlasso.alpha", "[2024-01-01]", r"is 2024-01-01, of type date; it must be a number"),
    ("covlasso.exclude_own", "1", r"is 1, of type int; it must be true or false: write true "),
    ("covlasso.exclude_own", '"no"', r"is 'no', of type str; .*: write false "),
    ("covlasso", "~", r"covlasso is empty; indent its keys below it, or write \{\} for the def"),
    ("models", "~", r"models is empty; indent what belongs to it below it"),
    ("dataset.splits.fit", "~", r"splits\.fit is empty; indent its keys .* \{\} for the defaults"),
    ("models.mine.train", "~", r"models\.mine\.train is empty; indent its keys below it, or"),
    ("max_support", "4", r"unknown key max_support; did you mean covlasso\.max_support\?"),
    ("roles.fit", "no", r'is False, of type bool; .* text: write "no", "off" or "false" in quo'),
    ("models.mine.architecture", "18", r'is 18, of type int; it must be text or null: write "18"'),
    ("models.mine.architecture", "2024-01-01", r'of type date; .* write "2024-01-01"'),
    ("models.mine.model_kwargs", "{a: {b: [.inf]}}", r"kwargs\.a\.b\[0\] is inf; it must be a fin"),
    ("models.mine.model_kwargs", "{a: 2024-01-01}", r'kwargs\.a is 2024-01-01, .*"2024-01-01"'),
    ("models.mine.logits", "{fit: a.npy}", r"missing key models\.mine\.logits\.test; add the path"),
    (
        "models.mine.labels",
        "{fti: a.npy}",
        r"labels names 'fti'; it must be one of dataset\.splits",
    ),
    (
        "models.mine.labels",
        "{fit: 3}",
        r'labels\.fit is 3, of type int; it must be text: write "3"',
    ),
    ("pairs", "[[mine, 18]]", r'pairs\[0\]\[1\] is 18, of type int; it must be text: write "18"'),
    ("pairs", "[[mine]]", r"pairs\[0\] has 1 entries; it needs at least 2"),
    ("pairs", "[[mine, mine, mine]]", r"pairs\[0\] has 3 entries; it takes 2"),
    ("pairs", "[]", r"pairs has 0 entries; it needs at least 1"),
    ("pairs", "4", r"pairs is 4, of type int; it must be all, or be spelled out"),
    ("tables.table1.cases", "{mine--mine: 7}", r'is 7, of type int; it must be text: write "7"'),
    ("seed", "-1", r"seed is -1; it must be at least 0"),
    ("seed", "~", r"seed is null; it must be an integer"),
]


@pytest.mark.parametrize(("key", "text", "message"), WRONG)
def test_says_what_to_write(right, key, text, message):
    with pytest.raises(InputError, match=message) as caught:
        check_config(written(right, key, text), "c.yaml")
    assert "\n" not in str(caught.value)


OF_THE_COMMAND_LINE = [
    (
        "covlasso",
        {"max_support": "5", "exclude_own": "False"},
        {"max_support": 5, "exclude_own": False},
    ),
    ("covlasso", {"alpha": ["1e-2", "1"]}, {"alpha": [0.01, 1]}),
    ("resources", {"rows_per_shard": "null"}, {"rows_per_shard": None}),
    ("extraction", {"torchcompile": "true"}, {"torchcompile": True}),
    ("robustness", {"category_pair": {"mine": ["18", "1e-2"]}}, None),
    ("tables", {"table1": {"cases": {"mine--mine": "007"}}}, {"cases": {"mine--mine": "007"}}),
]


@pytest.mark.parametrize(("block", "given", "wanted"), OF_THE_COMMAND_LINE)
def test_text_of_the_command_line_is_what_its_key_wants(right, block, given, wanted):
    config = copy.deepcopy(right)
    config[block] = config.get(block, {}) | given
    if wanted is None:
        with pytest.raises(InputError, match=r"--config: robustness\.category_pair names 'mine'"):
            complete_config(config, [], {block: given})
        return
    complete_config(config, [], {block: given})
    found = config[block].get("table1", config[block])
    assert {key: found[key] for key in wanted} == wanted
