"""Arrays in, dependencies out: against sums by hand, and against the workflow's functions on stores."""

import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import jupytext
import nbclient
import numpy as np
import pytest
import xarray as xr

import neuraldeps
from neuraldeps import find_dependencies
from neuraldeps.dependencies.best_subset import solve_best_subset
from neuraldeps.dependencies.covlasso import solve_covlasso
from neuraldeps.dependencies.evaluation import evaluate_dependencies
from neuraldeps.errors import InputError
from neuraldeps.moments import reduce_second_moment
from neuraldeps.stores import provenance, write_store

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
N, SIZE = 9, 2


def made_up(seed, n_images):
    """Logits of two networks over the same images, in single precision, and labels; some have none."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(N, size=n_images)
    features = 3.0 * np.eye(N)[labels] + rng.standard_normal((n_images, N))
    mixing = np.random.default_rng(7).standard_normal((2, N, N)) / 2 + np.eye(N)
    labels[::20] = -1
    return [(features @ one).astype(np.float32) for one in mixing], labels


@pytest.fixture(scope="module")
def arrays():
    (f, g), labels = made_up(0, 600)
    (f_held, g_held), labels_held = made_up(1, 400)
    return {
        "within": {"logits": f, "held_out": f_held},
        "between": {
            "logits": f,
            "held_out": f_held,
            "target_logits": g,
            "held_out_target": g_held,
        },
        "labels": {"labels": labels, "held_out_labels": labels_held},
    }


def by_hand(f, g, f_held, g_held, labels, held_labels, i):
    """The best pair of sources of target i by trying all, and what Table 1 says of it."""
    f, g, f_held, g_held = (one.astype(float) for one in (f, g, f_held, g_held))
    fits = {}
    for pair in combinations([j for j in range(N) if j != i], SIZE):
        coef, (squared,), *_ = np.linalg.lstsq(f[:, pair], g[:, i])
        fits[pair] = squared, coef
    pair = min(fits, key=lambda one: fits[one][0])
    coef = fits[pair][1]
    errors = []
    for sources, truth, label in ((f, g, labels), (f_held, g_held, held_labels)):
        own = label == i
        missed = np.abs(truth[own, i] - sources[own][:, pair] @ coef)
        errors.append(missed.sum() / np.abs(truth[own, i]).sum())
    own = held_labels == i
    before = (g_held[own].argmax(1) == i).mean()
    g_held[:, i] = f_held[:, pair] @ coef
    return dict(zip(pair, coef, strict=True)), *errors, before, (g_held[own].argmax(1) == i).mean()


@pytest.mark.parametrize("networks", ["within", "between"])
def test_every_category_is_as_by_hand(arrays, networks):
    given, labels = arrays[networks], arrays["labels"]
    found = find_dependencies(**given, **labels, support_size=SIZE)
    f, f_held = given["logits"], given["held_out"]
    g, g_held = given.get("target_logits", f), given.get("held_out_target", f_held)
    assert found.table.index.tolist() == [str(i) for i in range(N)]
    for i, (_, row) in enumerate(found.table.iterrows()):
        terms, *numbers = by_hand(f, g, f_held, g_held, *labels.values(), i)
        assert dict(zip(map(int, row.sources), row.coefs, strict=True)) == pytest.approx(
            terms, rel=1e-9
        )
        assert np.abs(row.coefs).tolist() == sorted(np.abs(row.coefs), reverse=True)
        # sums of hundreds of errors in float64, of single-precision logits
        assert row[2:].tolist() == pytest.approx(numbers, rel=1e-12)


def stored(folder, arrays, networks, size, centering):
    """The evaluation by the functions that the workflow's scripts call, through stores."""
    given, labels = arrays[networks], arrays["labels"]
    keys = {
        "fitted": (given["logits"], given.get("target_logits"), labels["labels"]),
        "held out": (given["held_out"], given.get("held_out_target"), labels["held_out_labels"]),
    }
    logits = {}
    for split, (*sides, label) in keys.items():
        paths = []
        for name, values in zip("fg", sides, strict=True):
            if values is None:
                continue
            dataset = xr.Dataset(
                {"logits": (("sample", "category"), values)},
                {
                    "category": np.arange(N, dtype=np.int32),
                    "label": ("sample", label.astype(np.int32)),
                },
                provenance("test", "logits", config={"of": [split, name]}),
            )
            write_store(dataset, folder / split / f"{name}.zarr")
            paths.append(str(folder / split / f"{name}.zarr"))
        logits[split] = (paths[0], paths[-1])
    f, g = logits["fitted"]
    models = ("f", "f" if f == g else "g")
    moments = {}
    for role, sides in {"source": (f, f), "target": (g, g), "pair": (f, g)}.items():
        names = tuple(Path(side).stem for side in sides)
        moments[role] = str(folder / f"{'--'.join(names)}.zarr")
        if not Path(moments[role]).exists():
            dataset = reduce_second_moment(*sides, centering, names)
            write_store(dataset, moments[role], contiguous=["second_moment"])
    how = {"batch": 0, "batches": 1, "max_support": size, "exclude_own": True}
    paths = [*moments.values(), models]
    write_store(
        solve_covlasso(*paths, **how, alpha=[], relative_alpha=[]), folder / "covlasso.zarr"
    )
    write_store(solve_best_subset(*paths, **how, width=1, proven_size=None), folder / "subset.zarr")
    stores = [str(folder / f"{name}.zarr") for name in ("covlasso", "subset")]
    within_and_pair = moments["source"], moments["pair"]
    return evaluate_dependencies(*stores, *within_and_pair, logits, dataset="logits")


@pytest.mark.parametrize(
    ("networks", "centering"),
    [("within", "none"), ("between", "none"), ("between", "per_image")],
)
def test_the_evaluation_is_the_workflows(arrays, tmp_path, networks, centering):
    found = find_dependencies(
        **arrays[networks], **arrays["labels"], support_size=3, centering=centering
    )
    expected = stored(tmp_path, arrays, networks, 3, centering)
    assert set(found.evaluation.variables) == set(expected.variables)
    for name, variable in expected.variables.items():
        np.testing.assert_array_equal(found.evaluation[name].values, variable.values, name)
    assert found.evaluation.attrs["positives"] == expected.attrs["positives"]


@pytest.mark.parametrize("estimator", ["lasso", "refit", "subset"])
def test_the_table_shows_the_estimator_and_size_that_are_asked_for(arrays, estimator):
    found = find_dependencies(
        **arrays["within"], **arrays["labels"], support_size=3, estimator=estimator
    )
    at = found.evaluation.sel(estimator=estimator, support_size=3, split="held out")
    np.testing.assert_array_equal(found.table.error_held_out, at.relative_error_positive)
    np.testing.assert_array_equal(found.table.accuracy_kept, at.positive_accuracy)
    for sources, own in zip(found.table.sources, at.support.values, strict=True):
        assert {int(name) for name in sources} == {*own[own >= 0].tolist()}


def test_threads_change_nothing(arrays):
    one, three = (
        find_dependencies(**arrays["between"], **arrays["labels"], n_threads=n) for n in (1, 3)
    )
    xr.testing.assert_identical(one.evaluation, three.evaluation)


def test_without_labels_the_networks_own_winner_stands_in(arrays):
    f, f_held = arrays["within"].values()
    found = find_dependencies(f, held_out=f_held, support_size=SIZE)
    own = find_dependencies(
        f,
        held_out=f_held,
        labels=f.argmax(1),
        held_out_labels=f_held.argmax(1),
        support_size=SIZE,
    )
    xr.testing.assert_equal(found.evaluation, own.evaluation)
    assert (found.table.accuracy == 1).all()
    assert found.evaluation.attrs["positives"]["held out"].startswith("pseudo-positives")


def test_masked_categories_are_in_no_dependency(arrays):
    f, f_held = (one.copy() for one in arrays["within"].values())
    for one in (f, f_held):
        one[:, 4] = np.finfo(np.float32).min
    found = find_dependencies(f, held_out=f_held, **arrays["labels"], support_size=SIZE)
    assert found.table.loc["4"].sources == []
    assert not any("4" in sources for sources in found.table.sources)
    assert found.table.drop("4").error_held_out.notna().all()


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_the_star_shows_the_tables_row(arrays):
    names = [f"category {letter}" for letter in "ABCDEFGHI"]
    found = find_dependencies(
        **arrays["within"], **arrays["labels"], names=names, support_size=SIZE
    )
    row = found.table.loc["category C"]
    figure = found.star("category C")
    shown = texts(figure)
    assert {"category C", *row.sources} <= set(shown)
    assert {f"{abs(coef):.2f}" for coef in row.coefs} <= {
        text.lstrip("\N{MINUS SIGN}") for text in shown
    }
    accuracies = next(text for text in shown if text.startswith("acc"))
    assert f"pos {100 * row.accuracy_kept:.1f} ({100 * row.accuracy:.1f})" in accuracies
    assert texts(found.star(2)) == shown
    fitted = found.table.error_fitted.idxmin()
    assert found.case().category.name == fitted
    assert found.case("category A").metrics["held out"]["subset"][
        "relative_error_positive"
    ] == pytest.approx(found.table.error_held_out["category A"])


REFUSED = [
    ({"estimator": "ridge"}, "estimator is 'ridge'; give one of lasso, refit, subset"),
    ({"support_size": 9}, "support_size is 9; give a size from 1 to 8"),
    ({"names": ["a", "b"]}, "names are 2 where logits have 9 categories"),
    ({"target_logits": np.ones((600, 9))}, "target_logits and held_out_target go together"),
    ({"held_out": np.ones((400, 8))}, "held_out has 8 categories where logits has 9"),
    ({"held_out": np.ones(9)}, r"held_out has shape \(9,\)"),
    ({"labels": np.zeros(5, int)}, r"labels has shape \(5,\), its logits need \(600,\)"),
    ({"held_out_labels": np.full(400, 9)}, "held_out_labels: labels of type int64 go from 9 to 9"),
    ({"labels": np.zeros(600)}, "labels holds values of type float64; give each image's category"),
    ({"logits": np.full((600, 9), np.nan)}, "logits: the logit of image 0, category 0 is nan"),
]


@pytest.mark.parametrize(("change", "line"), REFUSED, ids=[line[:24] for _, line in REFUSED])
def test_what_does_not_fit_is_refused_in_a_line(arrays, change, line):
    with pytest.raises(InputError, match=line) as refused:
        find_dependencies(**{**arrays["within"], **arrays["labels"], **change})
    assert "\n" not in str(refused.value)


def test_an_unknown_category_is_refused(arrays):
    found = find_dependencies(**arrays["within"], names=list("abcdefghi"))
    with pytest.raises(InputError, match="category: no category named 'z'"):
        found.star("z")


def test_a_notebook_needs_no_workflow_and_no_torch():
    code = (
        "import sys, numpy as np, neuraldeps; print('pandas' in sys.modules)\n"
        "logits = np.random.default_rng(0).standard_normal((100, 6))\n"
        "neuraldeps.find_dependencies(logits, held_out=logits).star(0)\n"
        "print(sorted({'torch', 'snakemake', 'timm'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.split("\n")[:2] == ["False", "[]"], run.stderr


def test_all_that_users_import_is_there():
    for name in neuraldeps.__all__:
        assert getattr(neuraldeps, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        neuraldeps.nothing  # noqa: B018


@pytest.mark.parametrize("script", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_its_script(script):
    """`make notebooks` has put both sides of the pair in step."""
    ours, theirs = (jupytext.read(script.with_suffix(suffix)) for suffix in (".py", ".ipynb"))
    cells = [[(cell.cell_type, cell.source) for cell in one.cells] for one in (ours, theirs)]
    assert cells[0] == cells[1]
    assert any(cell.get("outputs") for cell in theirs.cells), "no outputs to look at"
    assert script.with_suffix(".ipynb").stat().st_size < 300_000


def test_the_notebook_of_arrays_runs():
    notebook = jupytext.read(ROOT / "notebooks/arrays.py")
    client = nbclient.NotebookClient(
        notebook, timeout=300, startup_timeout=300, resources={"metadata": {"path": str(ROOT)}}
    )
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    shown = [output["data"] for output in outputs if "data" in output]
    assert any("image/png" in data for data in shown)
    table = next(data["text/plain"] for data in shown if "error_held_out" in data["text/plain"])
    assert re.search(r"okapi +\[zebra, giraffe\] +\[0\.8, 0\.6\]", table)
