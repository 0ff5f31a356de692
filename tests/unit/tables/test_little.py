"""Networks of which little can be said: every measure ends in a number or in words, and in no NaN."""

import numpy as np
import pandas as pd
import pytest

from neuraldeps.controls.evaluation import evaluate_controls
from neuraldeps.controls.logits import make_control_logits
from neuraldeps.controls.planting import plan
from neuraldeps.dependencies.evaluation import evaluate_dependencies
from neuraldeps.moments import reduce_second_moment
from neuraldeps.seeds import seed_of
from neuraldeps.stability.stability import measure_stability
from neuraldeps.stores import map_array, open_store, write_store
from neuraldeps.tables import controls, dependencies, stability, theory
from neuraldeps.tables.findings import write_findings
from neuraldeps.tables.writing import write_table
from neuraldeps.theory.redundancy import measure_redundancy
from neuraldeps.theory.sparsity import check_sparsity
from tests.unit.dependencies.test_covlasso import solved, subsets
from tests.unit.test_moments import write_logits

N, IMAGES = 10, 8  # fewer images than categories
PAIRS = [("f", "f"), ("g", "f"), ("f@gaussian", "f@gaussian"), ("f@planted", "f@planted")]
OWN = PAIRS[:2]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two identical networks of rank 4, without labels, with a constant and a dead category."""
    folder = tmp_path_factory.mktemp("little")
    mixing = np.random.default_rng(0).standard_normal((3, N))
    values = np.random.default_rng(1).standard_normal((IMAGES, 3)) @ mixing
    values[:, 4], values[:, 7] = 2.0, 0.0
    logits = {name: write_logits(folder / f"{name}.zarr", values, rows=4) for name in "fg"}
    moments = {}

    def reduce(one, other):
        path = str(folder / f"{one}--{other}.zarr")
        store = reduce_second_moment(logits[one], logits[other], "none", (one, other))
        write_store(store, path, contiguous=["second_moment"])
        moments[one, other] = path

    for one, other in (("f", "f"), ("f", "g"), ("g", "g")):
        reduce(one, other)
    for kind in ("gaussian", "planted"):
        name = f"f@{kind}"
        path = str(folder / f"{name}.logits.zarr")
        labelled = open_store(logits["f"]).load()
        labelled = labelled.assign_coords(label=("sample", np.full(IMAGES, -1, np.int32)))
        write_store(labelled, folder / f"{kind}.zarr")
        make_control_logits(
            *(str(folder / f"{kind}.zarr"), moments["f", "f"], path),
            kind=kind,
            seed=0,
            split="test",
            rows=4,
        )
        logits[name] = path
        reduce(name, name)
    write_store(measure_redundancy(logits["f"], "f", "none"), folder / "redundancy.zarr")
    found = {"redundancy": open_store(folder / "redundancy.zarr").load(), "moments": moments}
    given = (folder, logits, moments)
    for source, target in PAIRS:
        pair = moments[tuple(sorted((source, target)))]
        paths, best = solved(given, source, target)[0], subsets(given, source, target)
        sides, names = (logits[source], logits[target]), (source, target)
        within = moments[source, source]
        found["paths", source], found["best", source] = (
            open_store(path).load() for path in (paths, best)
        )
        found["evaluation", source] = evaluate_dependencies(
            paths, best, within, pair, {"test": sides}, dataset="logits"
        )
        if names not in OWN:
            continue
        found["sparsity", source] = check_sparsity(
            *(paths, within, pair, names),
            exclude_own=True,
            redundancy=str(folder / "redundancy.zarr") if source == target else None,
        )
        how = {"exclude_own": True, "seed": 0}
        found["stability", source] = measure_stability(
            *(best, within, pair, sides, names), sizes=[2, 4], n_splits=2, **how
        )
        found["controls", source] = evaluate_controls(
            *(best, within, pair, sides, names), sizes=[1, 2, 4], **how
        )
    return found


@pytest.fixture(scope="module")
def folder(results, tmp_path_factory):
    """All tables that the findings read, and the findings."""
    folder = tmp_path_factory.mktemp("tables")
    evaluations = [results["evaluation", source] for source, _ in PAIRS]
    own = [results["evaluation", source] for source, _ in OWN]
    moments = results["moments"]
    tables = {
        "networks": (pd.DataFrame({"n_categories": [N]}), {}),
        "table1_distribution": (
            dependencies.table1_distribution(own, [1, 4]),
            {**dependencies.DISTRIBUTION},
        ),
        "redundancy": (theory.redundancy_table([results["redundancy"]], {}), theory.REDUNDANCY),
        "sparsity": (
            theory.sparsity_table([results["sparsity", s] for s, _ in OWN], [2, 4]),
            theory.SPARSITY,
        ),
        "controls": (
            controls.controls_table(
                evaluations, [results["controls", s] for s, _ in OWN], [1, 4], split="test"
            ),
            controls.CONTROLS,
        ),
        "planted": (
            controls.planted_table(
                results["best", "f@planted"],
                results["paths", "f@planted"],
                map_array(moments["f@planted", "f@planted"], "second_moment"),
                plan(map_array(moments["f", "f"], "second_moment"), seed_of(0, "planted")),
            ),
            controls.PLANTED,
        ),
        "stability": (
            pd.concat(
                [
                    stability.stability_table([results["stability", s] for s, _ in OWN]),
                    stability.seeds_table(
                        {s: results["best", s] for s, _ in PAIRS}, [[OWN[0][0], PAIRS[-1][0]]], [2]
                    ),
                ]
            ),
            stability.STABILITY,
        ),
        "agreement": (
            stability.agreement_table([results["best", s] for s, _ in OWN], [2]),
            stability.AGREEMENT,
        ),
    }
    paths = {}
    for name, (frame, columns) in tables.items():
        outputs = {form: str(folder / f"{name}.{form}") for form in ("csv", "md", "tex")}
        write_table(frame, columns, outputs, caption=name, notes=[])
        paths[name] = outputs["csv"]
    write_findings(paths, str(folder / "findings.md"), about="Little.")
    return folder


def test_every_finding_is_in_words(folder):
    page = (folder / "findings.md").read_text()
    assert "nan" not in page.lower().replace("dominant", "")
    assert "not measured, because this run has no table2 (generalizability.models)" in page
    assert "f: rank 4 of 10 categories; err(0) is exactly 0 for 9 categories." in page


def test_no_table_has_a_nan(folder):
    for table in sorted(folder.glob("*")):
        assert "nan" not in table.read_text().lower().replace(",", " ").split(), table
    assert len(pd.read_csv(folder / "planted.csv")) == 2
    sparsity = pd.read_csv(folder / "sparsity.csv")
    assert (sparsity["violations"] == 0).all()


def test_identical_networks_predict_each_other_by_the_same_name(results):
    store = results["controls", "g"]
    own = store["relative_error"].values[:, store["predictor"].values.tolist().index("own")]
    np.testing.assert_allclose(np.delete(own, 7), 0, atol=1e-6)
    assert results["redundancy"].attrs["rank"] == 4  # three, and the constant category's
    assert np.flatnonzero(~results["redundancy"]["is_exact_zero"]).tolist() == [4]
