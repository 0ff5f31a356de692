"""The real DAG on little data: complete, labelled, reproducible, and redone only where needed."""

import re
import warnings
import zipfile
from collections import Counter
from urllib.parse import unquote

import jupytext
import nbclient
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from rocrate.rocrate import ROCrate
from safetensors.numpy import load_file

from neuraldeps.stores.layouts import layout_of
from neuraldeps.stores.verify import verify_run
from tests.unit.tables.test_latex import WARNING, compile_latex
from tests.workflow.conftest import HERE, ROOT, snakemake


def planned(folder, config, *arguments):
    """Rules that a dry run would execute, and how often."""
    run = snakemake(folder, config, "--dry-run", *arguments)
    assert run.returncode == 0, run.stdout
    if "Nothing to be done" in run.stdout:
        return Counter()
    table = {name: int(n) for name, n in re.findall(r"^(\w+) +(\d+)$", run.stdout, flags=re.M)}
    assert table.pop("total") > 0
    return Counter(table)


def written(tmp_path, change):
    config = yaml.safe_load((HERE / "tiny.yaml").read_text())
    change(config)
    path = tmp_path / "changed.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def test_every_byte_is_what_was_published_and_made_from_what_is_there(tiny):
    verdicts = verify_run(tiny / "results")
    assert {verdict.path.suffix for verdict in verdicts} == {".zarr", ".safetensors"}
    assert [str(verdict) for verdict in verdicts if not verdict.is_whole] == []


def stores(folder):
    return sorted(path.parent for path in folder.glob("results/**/zarr.json") if is_root(path))


def is_root(document):
    return document.parent.suffix == ".zarr"


def test_every_store_opens_bare_without_a_warning_and_says_what_it_is(tiny):
    found = stores(tiny)
    assert len(found) >= 17
    for path in found:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            dataset = xr.open_zarr(path)
            dataset.load()
        assert dataset.attrs["title"], path
        assert dataset.attrs["made_by"], path
        assert dataset.attrs["versions"]["zarr"], path
        assert re.fullmatch("[0-9a-f]{64}", dataset.attrs["fingerprint"]), path
        for name, variable in dataset.data_vars.items():
            assert all(not dim.startswith("dim_") for dim in variable.dims), (path, name)


def test_every_store_is_as_declared(tiny):
    rules = set(re.findall(r"^rule (\w+):", rules_text(), flags=re.M))
    for path in stores(tiny):
        name, dataset = str(path.relative_to(tiny)), xr.open_zarr(path)
        layout = layout_of(name, dataset.attrs["made_by"])
        assert layout is not None, (name, dataset.attrs["made_by"])
        assert layout.differences(dataset) == [], name
        assert set(layout.made_by) <= rules
        for array, declared in {**layout.variables, **layout.coords}.items():
            if array in dataset.variables:
                assert dataset[array].attrs["long_name"] == declared.meaning, (name, array)
                assert dataset[array].attrs.get("units", "") == declared.units, (name, array)


def test_all_stores_are_one_tree(tiny, monkeypatch):
    """As docs/stores.md opens them."""
    monkeypatch.chdir(tiny)
    code = re.search(r"```python\n(.*?)```", (ROOT / "docs/stores.md").read_text(), flags=re.S)[1]
    names: dict = {}
    exec(code, names)
    tree = names["tree"]
    assert {str(path.relative_to(tiny / "results")) for path in stores(tiny)} <= {
        node.path.strip("/") for node in tree.leaves
    }
    assert tree["moments/resnet--resnet.zarr"].attrs["made_by"] == "reduce_second_moment"


def rules_text():
    return "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))


def test_no_work_in_progress_is_left(tiny):
    there = {".snakemake_timestamp", ".checksums.json"}
    assert [path for path in tiny.glob("results/**/.*") if path.name not in there] == []


def test_logits_carry_their_images_and_categories(tiny):
    logits = xr.open_zarr(tiny / "results/logits/resnet/test.zarr")
    assert dict(logits.sizes) == {"sample": 800, "category": 40}
    assert logits["logits"].dtype == np.float32
    assert logits["category_name"].values[0].isupper()
    assert logits["category_code"].values[0].startswith("U+")
    np.testing.assert_array_equal(np.bincount(logits["label"].values), np.full(40, 20))
    assert len(set(logits["path"].values)) == 800


def test_second_moments_are_numpys(tiny):
    f, g = (
        xr.open_zarr(tiny / f"results/logits/{model}/fit.zarr")["logits"].values.astype(float)
        for model in ("efficientnet", "resnet")
    )
    for names, left, right in (("efficientnet--resnet", f, g), ("resnet--resnet", g, g)):
        moment = xr.open_zarr(tiny / f"results/moments/{names}.zarr")["second_moment"].values
        oracle = left.T @ right / len(left)
        np.testing.assert_allclose(moment, oracle, rtol=0, atol=1e-12 * np.abs(oracle).max())


def test_the_crate_describes_every_store_and_file(tiny):
    crate = ROCrate(tiny / "results")
    # identifiers are URIs: resnet%40untrained is resnet@untrained
    parts = {unquote(part.id.rstrip("/")) for part in crate.root_dataset["hasPart"]}
    assert {str(path.relative_to(tiny / "results")) for path in stores(tiny)} <= parts
    assert {"findings.md", "tables/table1.md", "figures/figure1.png"} <= parts
    assert all((tiny / "results" / part).exists() for part in parts)
    made = {one["result"].id: one for one in crate.get_by_type("CreateAction")}
    evaluation = made["dependencies/evaluation/resnet--resnet.zarr/"]
    given = {one.id for one in evaluation["object"]}
    assert {"moments/resnet--resnet.zarr/", "logits/resnet/test.zarr/"} <= given


def test_the_notebook_of_a_run_runs(tiny):
    notebook, folder = jupytext.read(ROOT / "notebooks/run.py"), tiny / "notebooks"
    folder.mkdir()
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(
        notebook, timeout=300, startup_timeout=300, resources=resources
    ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = [output.get("data", {}) for output in outputs]
    assert sum("image/png" in data for data in shown) == 3
    assert not [output for output in outputs if output.get("name") == "stderr"]


def test_every_solution_is_certified(tiny):
    for path in (tiny / "results/dependencies/covlasso").glob("*.zarr"):
        solved = xr.open_zarr(path)
        assert solved.sizes["target_category"] == 40
        gap = (solved["dual_gap"] / solved["target_second_moment"]).max()
        assert float(gap) <= 1e-12
        own = solved["support"] == solved["target_category"]
        assert not bool(own.any())


@pytest.mark.long
def test_two_devices_learn_what_one_learns_from_batches_twice_as_large(tmp_path):
    """PyTorch's own distributed launch, in a job; a transformer, since batch norm sees one device's."""

    def on_devices(config):
        vit = {"architecture": "test_vit", "model_kwargs": {"img_size": 32}}
        own = {**config["models"]["resnet"]["train"], "epochs": 2, "optimizer": {"lr": 0.02}}
        trainer = {"devices": 2, "trainer_kwargs": {"accelerator": "cpu", "strategy": "ddp"}}
        two = {"batch_size": 32, "trainer": trainer}
        config["models"] = {"one": vit | {"train": own}, "two": vit | {"train": own | two}}
        config["robustness"]["models"] = config["generalizability"]["models"] = []
        del config["cards"]  # a diff of other networks

    names = ("one", "two")
    weights = [f"results/networks/{name}/model.safetensors" for name in names]
    run = snakemake(tmp_path, written(tmp_path, on_devices), *weights)
    assert run.returncode == 0, run.stdout
    one, two = (load_file(tmp_path / path) for path in weights)
    for name in one:
        # sums of float32 in another order, over twenty updates
        np.testing.assert_allclose(two[name], one[name], rtol=0, atol=1e-4, err_msg=name)
    curves = [pd.read_csv(tmp_path / f"results/networks/{name}/curve.csv") for name in names]
    np.testing.assert_allclose(curves[1], curves[0], rtol=1e-3)
    assert curves[0]["epoch"].tolist() == [1, 2]


def test_a_second_run_has_nothing_to_do(tiny):
    assert planned(tiny, HERE / "tiny.yaml") == {}


def test_keys_in_another_order_rerun_nothing(tiny, tmp_path):
    def turn(config):
        for section in (*config["models"].values(), config["robustness"]):
            turned = dict(reversed(section.items()))
            section.clear()
            section.update(turned)
        train = config["models"]["resnet"]["train"]
        config["models"]["resnet"]["train"] = dict(reversed(train.items()))

    assert planned(tiny, written(tmp_path, turn)) == {}


def test_another_case_is_tabulated_and_drawn(tiny, tmp_path):
    cases = {"resnet--resnet": "PLUS SIGN"}
    config = written(tmp_path, lambda c: c.update(tables={"table1": {"cases": cases}}))
    jobs = planned(tiny, config)
    assert {"check_categories", "tabulate_dependencies", "plot_star_panel"} <= set(jobs)
    assert not [rule for rule in jobs if rule.startswith("train_")]


def test_images_of_another_size_train_the_networks_again(tiny, tmp_path):
    jobs = planned(tiny, written(tmp_path, lambda c: c["dataset"].update(img_size=24)))
    assert jobs["train_backbone"] == 2
    assert {"train_base", "finetune_arm"} <= set(jobs)


def test_other_images_train_no_network_again(tiny, tmp_path):
    def more(config):
        config["dataset"]["splits"]["fit"]["samples_per_category"] = 31

    jobs = planned(tiny, written(tmp_path, more))
    assert "extract_base_logits" in jobs
    assert "train_backbone" not in jobs
    assert "train_base" not in jobs


def test_another_penalty_reruns_what_depends_on_it(tiny, tmp_path):
    config = written(tmp_path, lambda c: c["covlasso"].update(alpha=[0.5]))
    rules = set(planned(tiny, config)) - {"all"}
    assert {"solve_covlasso", "gather_covlasso", "evaluate_dependencies"} <= rules
    assert not rules & {
        "render_glyphs",
        "check_network",
        "train_backbone",
        "extract_logits",
        "extract_logits_part",
        "reduce_second_moment",
        "tabulate_networks",
    }


def test_another_model_adds_its_own_jobs_and_pairs(tiny, tmp_path):
    def add(config):
        config["models"] = {"convnext": config["models"]["resnet"], **config["models"]}
        config["controls"] = {"enabled": False}  # those of the first network, by default

    jobs = planned(tiny, written(tmp_path, add))
    assert jobs["train_backbone"] == 1
    assert jobs["extract_logits"] == 2
    assert jobs["reduce_second_moment"] == 3
    assert jobs["gather_covlasso"] == jobs["evaluate_dependencies"] == 5
    assert "render_glyphs" not in jobs


def test_report_needs_nothing_but_the_results(tiny):
    run = snakemake(tiny, HERE / "tiny.yaml", "--report", "report.html")
    assert run.returncode == 0, run.stdout
    text = (tiny / "report.html").read_text()
    assert "Table 1" in text
    assert len(text) < 10e6  # to mail; most of it is Snakemake's own page


def test_an_archived_report_has_the_explorer_where_asked_for(tiny):
    asked = ["--config", "explorer={in_report: true}", "--report", "report.zip"]
    run = snakemake(tiny, HERE / "tiny.yaml", *asked)
    assert run.returncode == 0, run.stdout
    with zipfile.ZipFile(tiny / "report.zip") as archive:
        names = archive.namelist()
    (page,) = (name for name in names if name.endswith("/index.html"))
    folder = page.removesuffix("index.html")
    packed = {name.removeprefix(folder) for name in names if name.startswith(folder)}
    explorer = tiny / "results/explorer"
    files = {str(file.relative_to(explorer)) for file in explorer.rglob("*") if file.is_file()}
    assert packed == files - {".snakemake_timestamp"}


@pytest.mark.parametrize("engine", ["pdflatex", "lualatex"])
def test_all_tables_compile_in_latex_without_a_warning(tiny, engine, tmp_path):
    files = sorted((tiny / "results/tables").glob("*.tex"))
    assert {f"table{number}_paper.tex" for number in range(1, 5)} < {file.name for file in files}
    assert len(files) == 16
    # floats fill the memory of an engine that may place none before the next page
    log = compile_latex(engine, r"\clearpage ".join(file.read_text() for file in files), tmp_path)
    assert WARNING.findall(log) == [], log
    assert re.search(r"Output written on document\.pdf", log), log[-500:]


def test_every_table_is_a_page_to_read_in_the_report(tiny):
    pages = {file.stem for file in (tiny / "results/tables").glob("*.html")}
    assert pages == {file.stem for file in (tiny / "results/tables").glob("*.csv")}
    for name in pages:
        text = (tiny / f"results/tables/{name}.html").read_text()
        assert "<table>" in text, name
        assert re.search(r"<td[^>]*>[^<]*[0-9a-z]", text), name


def test_the_readmes_code_runs(tiny, monkeypatch, capsys):
    monkeypatch.chdir(tiny)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.S)
    assert len(blocks) == 2
    for block in blocks:
        exec(block.replace("resnet18", "resnet"), {})
    assert re.search(r"missed by \d+%:\n  [+-]\d", capsys.readouterr().out)


WRONG = [
    (lambda c: c["models"]["resnet"].update(architecture="resnet19"), "models.resnet.architecture"),
    (lambda c: c["models"]["resnet"].update(colour=1), "unknown key models.resnet.colour"),
    (lambda c: c["dataset"].update(n_categories=0), "dataset.n_categories is 0"),
    (lambda c: c["covlasso"].update(alpha=[-1.0]), "covlasso.alpha[0] is -1.0"),
    (lambda c: c.pop("dataset"), "missing key dataset"),
]


@pytest.mark.parametrize(("change", "message"), WRONG, ids=[message for _, message in WRONG])
def test_wrong_configurations_end_with_one_line_before_any_work(tmp_path, change, message):
    run = snakemake(tmp_path, written(tmp_path, change))
    assert run.returncode != 0
    lines = [line for line in run.stdout.splitlines() if message in line]
    assert lines, run.stdout
    assert "Traceback" not in run.stdout
    assert not (tmp_path / "results/networks/resnet/model.safetensors").exists()
    assert not (tmp_path / "results/logits").exists()
