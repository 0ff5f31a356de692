"""Logits and labels from elsewhere: types, containers, names, masks, and files that change."""

import numpy as np
import pytest
import xarray as xr
import zarr

from tests.cases.running import accepted, refused, run

N, ROWS = 12, 400
FIT = "results/logits/mine/fit.zarr"
CONFIG = """dataset: {{kind: logits, n_categories: {n}, splits: {{fit: {{}}, test: {{}}}}}}
models:
{models}
covlasso: {{max_support: 4, alpha: [0.01], relative_alpha: []}}
figures: {{correlation: {{n_targets: 2}}, chord: {{n_base: 8, n_targets: 2, support_size: 3}}}}
"""


def configure(folder, *, name="c.yaml", n=N, **models):
    """Write a configuration of imported logits: for every model its parts, each (fit, test)."""
    lines = []
    for model, parts in models.items():
        given = [f"{part}: {{fit: {fit}, test: {test}}}" for part, (fit, test) in parts.items()]
        lines.append(f"  {model}: {{{', '.join(given)}}}")
    (folder / name).write_text(CONFIG.format(n=n, models="\n".join(lines)))


def arrays(folder):
    """Logits with a planted dependency, and labels, of both splits; they come back as well."""
    found = {}
    for split, seed in (("fit", 0), ("test", 1)):
        rng = np.random.default_rng(seed)
        label = rng.integers(0, N, ROWS)
        values = (rng.standard_normal((ROWS, N)) + 3 * np.eye(N)[label]).astype(np.float32)
        values[:, 0] = 0.8 * values[:, 3] - 0.5 * values[:, 7]
        np.save(folder / f"{split}.npy", values)
        np.save(folder / f"{split}_labels.npy", label)
        found[split] = values, label
    return found


LOGITS, LABELS = ("fit.npy", "test.npy"), ("fit_labels.npy", "test_labels.npy")


def test_a_half_written_array_is_refused(tmp_path):
    values = arrays(tmp_path)["fit"][0]
    group = zarr.open_group(tmp_path / "fit.zarr", mode="w")
    array = group.create_array("logits", shape=values.shape, chunks=(100, N), dtype="f4")
    array[:200] = values[:200]  # the job was killed here
    configure(tmp_path, mine={"logits": ("fit.zarr", "test.npy"), "labels": LABELS})
    refused(tmp_path, r"models\.mine\.logits\.fit: fit\.zarr lacks 2 of 4 chunks", FIT)


def test_names_in_bytes_and_labels_in_the_plural(tmp_path):
    values, label = arrays(tmp_path)["fit"]
    group = zarr.open_group(tmp_path / "fit.zarr", mode="w", zarr_format=2)
    group.create_array("logits", data=values)
    group.create_array("labels", data=label)
    names = [f"thing {i}" for i in range(N)]
    group.create_array("category_name", data=np.array([name.encode() for name in names]))
    configure(tmp_path, mine={"logits": ("fit.zarr", "test.npy")})
    accepted(tmp_path, FIT)
    out = xr.open_zarr(tmp_path / FIT)
    assert out["category_name"].values.tolist() == names
    assert (out["label"].values == label).all()


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory):
    """Logits, and labels in forms that are none."""
    folder = tmp_path_factory.mktemp("labels")
    label = arrays(folder)["fit"][1]
    words = np.array([f"thing {i}" for i in range(N)])[label]
    np.save(folder / "words.npy", words)
    np.save(folder / "objects.npy", words.astype(object), allow_pickle=True)
    np.save(folder / "floats.npy", label.astype(float))
    np.save(folder / "onehot.npy", np.eye(N, dtype=int)[label])
    np.savez(folder / "zipped.npz", label=label)
    (folder / "zipped.npz").rename(folder / "zipped.npy")
    (folder / "text.npy").write_text("\n".join(map(str, label)))
    return folder


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("words", "holds words"),
        ("objects", "Python objects"),
        ("floats", "type float64; give each image's category as an integer"),
        ("onehot", r"shape \(400, 12\)"),
        ("zipped", "archive of several arrays"),
        ("text", "not a .npy file"),
    ],
)
def test_labels_that_are_no_integers_are_refused_at_planning(unlabelled, file, message):
    labels = (f"{file}.npy", "test_labels.npy")
    configure(unlabelled, name=f"{file}.yaml", mine={"logits": LOGITS, "labels": labels})
    pattern = rf"models\.mine\.labels\.fit: {file}\.npy .*{message}"
    refused(unlabelled, pattern, FIT, f"{file}.yaml", "--dry-run")


def test_no_images_are_refused_at_planning(tmp_path):
    arrays(tmp_path)
    np.save(tmp_path / "none.npy", np.zeros((0, N), np.float32))
    configure(tmp_path, mine={"logits": ("none.npy", "test.npy")})
    refused(tmp_path, r"models\.mine\.logits\.fit: none\.npy has no images", FIT, "c.yaml", "-n")


def test_missing_files_are_found_at_planning(tmp_path):
    arrays(tmp_path)
    configure(tmp_path, mine={"logits": LOGITS, "paths": ("absent.txt", "absent.txt")})
    refused(tmp_path, r"absent\.txt", FIT, "c.yaml", "-n")


def test_infinite_masks_are_refused(tmp_path):
    for split, (values, _) in arrays(tmp_path).items():
        values[:, [2, 9]] = -np.inf
        np.save(tmp_path / f"{split}.npy", values)
    configure(tmp_path, mine={"logits": LOGITS, "labels": LABELS})
    refused(
        tmp_path, r"models\.mine\.logits\.fit: .*category 2 is -inf, a masked class; give it", FIT
    )


def test_the_rest_is_solved_where_classes_have_the_least_float(tmp_path):
    for split, (values, _) in arrays(tmp_path).items():
        values[:, [2, 9]] = np.finfo(np.float32).min
        np.save(tmp_path / f"{split}.npy", values)
    configure(tmp_path, mine={"logits": LOGITS, "labels": LABELS})
    target = "results/dependencies/evaluation/mine--mine.zarr"
    accepted(tmp_path, target)
    evaluation = xr.open_zarr(tmp_path / target).load().sel(split="test", estimator="refit")
    assert not np.isin(evaluation["support"], [2, 9]).any()
    planted = evaluation.sel(target_category=0, support_size=2)
    assert set(planted["support"].values[:2]) == {3, 7}
    assert float(planted["relative_error"]) < 1e-6
    assert np.isnan(evaluation["absolute_error"].sel(target_category=[2, 9])).all()


def test_a_chunk_written_over_is_imported_again(tmp_path):
    values = arrays(tmp_path)["fit"][0]
    array = zarr.create_array(tmp_path / "fit.zarr", data=values, chunks=(100, N), compressors=None)
    configure(tmp_path, mine={"logits": ("fit.zarr", "test.npy")})
    accepted(tmp_path, FIT)
    assert "Nothing to be done" in run(tmp_path, FIT, "c.yaml", "--dry-run")[1]
    before = (tmp_path / "fit.zarr").stat().st_mtime_ns
    array[300:] = values[:100]
    assert (tmp_path / "fit.zarr").stat().st_mtime_ns == before
    assert "Params have changed" in run(tmp_path, FIT, "c.yaml", "--dry-run")[1]
