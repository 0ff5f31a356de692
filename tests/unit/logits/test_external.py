"""Logits from elsewhere in whatever they come: right, or refused in one line."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from neuraldeps.dependencies.candidates import Candidates
from neuraldeps.dependencies.scoring import evaluate
from neuraldeps.errors import InputError, StoreError
from neuraldeps.logits.arrays import check_headers, folder_state
from neuraldeps.logits.external import open_logits
from neuraldeps.logits.store import LogitsFile
from neuraldeps.moments import reduce_second_moment
from scripts.import_logits import main as import_logits

N, ROWS, KEY = 12, 400, "models.m.logits.fit"
LOGITS = np.random.default_rng(0).standard_normal((ROWS, N)).astype(np.float32)
LABEL = LOGITS.argmax(1)
LEAST = np.finfo(np.float32).min


def refused(message, call, *args, **kwargs):
    """The error of a call, which must be one line that names the key."""
    with pytest.raises(InputError, match=message) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(("models.", "key"))


def bring(source, out, labels=None, paths=None, model="m", n_categories=N, categories=None):
    """Import logits as the rule does; the store."""
    given = (None if path is None else str(path) for path in (source, labels, paths))
    import_logits(
        *(*given, None, str(out)),
        **{"model": model, "split": "fit", "n_categories": n_categories, "rows": 64},
        categories=categories,
    )
    return xr.open_zarr(out)


def bring_array(values, folder, **given):
    """Import an array, and columns by their names."""
    folder.mkdir(exist_ok=True)
    np.save(folder / "fit.npy", values)
    for name, column in given.items():
        np.save(folder / f"{name}.npy", column)
    columns = {name: folder / f"{name}.npy" for name in given}
    n_categories = values.shape[1]
    return bring(folder / "fit.npy", folder / "out.zarr", n_categories=n_categories, **columns)


def group(path, values=LOGITS, zarr_format=3, **members):
    made = zarr.open_group(str(path), mode="w", zarr_format=zarr_format)
    made.create_array("logits", data=values, chunks=(100, N))
    for name, member in members.items():
        made.create_array(name, data=member)
    return str(path)


# ------------------------------------------------------------------------------- types, containers


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8", ">f8", "g"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_floating_type_and_order_is_taken(tmp_path, dtype, order):
    values = np.array(LOGITS, dtype, order=order)
    out = bring_array(values, tmp_path)
    np.testing.assert_array_equal(out["logits"].values, values.astype(np.float32))


def containers(folder):
    yield group(folder / "v2.zarr", zarr_format=2)
    yield group(folder / "v3.zarr")
    zarr.consolidate_metadata(group(folder / "consolidated.zarr", zarr_format=2))
    yield folder / "consolidated.zarr"
    zarr.save_array(str(folder / "array.zarr"), LOGITS)
    yield folder / "array.zarr"
    yield folder / "v3.zarr/logits"
    big = zarr.create_array(
        str(folder / "sharded.zarr"), shape=(ROWS, N), chunks=(30, 5), shards=(90, 10), dtype=">f4"
    )
    big[:] = LOGITS
    yield folder / "sharded.zarr"
    with zarr.storage.ZipStore(folder / "zipped.zarr.zip", mode="w") as store:
        zarr.open_group(store, mode="w").create_array("outputs", data=LOGITS)
    yield folder / "zipped.zarr.zip"


def test_any_container_is_taken(tmp_path):
    for number, path in enumerate(containers(tmp_path)):
        out = bring(path, tmp_path / f"out{number}.zarr")
        np.testing.assert_array_equal(out["logits"].values, LOGITS)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((ROWS, N), int), "holds integers of type int64; give floating-point"),
        (np.zeros((ROWS, N), np.uint16), "perhaps the bits of bfloat16.*saved as float32"),
        (np.zeros((ROWS, N), "V2"), "bfloat16.*saved as float32"),
        (np.zeros((ROWS, N), bool), "truth values"),
        (np.zeros((ROWS, N), complex), "complex numbers"),
        (np.zeros((ROWS, N), "U3"), "words"),
        (np.zeros(ROWS, "f4,f4"), r"shape \(400,\)"),
        (np.zeros(ROWS), r"shape \(400,\).*\(sample, category\)"),
        (np.zeros((ROWS, N, 1)), r"shape \(400, 12, 1\)"),
        (np.zeros((0, N)), "no images"),
    ],
)
def test_what_cannot_be_logits_is_refused(tmp_path, values, message):
    np.save(tmp_path / "fit.npy", values)
    refused(message, open_logits, str(tmp_path / "fit.npy"), KEY)


def damaged_files(folder):
    np.save(folder / "whole.npy", LOGITS)
    whole = (folder / "whole.npy").read_bytes()
    np.savez(folder / "several.npz", logits=LOGITS)
    np.save(folder / "objects.npy", LOGITS.astype(object), allow_pickle=True)
    shutil.copy(folder / "several.npz", folder / "several.npy")
    for name, content in {
        "empty.npy": b"",
        "cut.npy": whole[:1000],
        "header.npy": whole[:20],
        "text.npy": b"0.1 0.2\n",
        "weights.pt": b"PK\x03\x04...",
        "table.csv": b"0.1,0.2\n",
        "cut.zip": b"PK\x03\x04...",
    }.items():
        (folder / name).write_bytes(content)
    yield "several.npz", "archive of several arrays"
    yield "several.npy", "archive of several arrays"
    yield "objects.npy", "cannot be opened .*Python objects"
    yield "empty.npy", "not a .npy file"
    yield "cut.npy", "cannot be opened"
    yield "header.npy", "cannot be opened"
    yield "text.npy", "not a .npy file"
    yield "weights.pt", "archive"
    yield "table.csv", "not a .npy file; save the array with numpy.save"
    yield "cut.zip", "cannot be opened"
    (folder / "nothing.zarr").mkdir()
    yield "nothing.zarr", "holds no Zarr array or group"
    yield "absent.zarr", "cannot be opened"
    yield "absent.npy", "cannot be opened"
    group(folder / "json.zarr")
    (folder / "json.zarr/logits/zarr.json").write_text("{cut")
    yield "json.zarr", "cannot be opened"
    group(folder / "bfloat16.zarr", LOGITS.view("u2")[:, ::2].copy())
    document = folder / "bfloat16.zarr/logits/zarr.json"
    document.write_text(json.dumps(json.loads(document.read_text()) | {"data_type": "bfloat16"}))
    yield "bfloat16.zarr", "bfloat16.*; give .* of float32"
    several = zarr.open_group(str(folder / "two.zarr"), mode="w")
    for name in ("a", "b"):
        several.create_array(name, data=LOGITS)
    yield "two.zarr", "no array `logits` but a, b"
    zarr.create_array(str(folder / "pickled.zarr"), data=LOGITS, zarr_format=2)
    document = folder / "pickled.zarr/.zarray"
    pickling = {"compressor": {"id": "pickle", "protocol": 5}}
    document.write_text(json.dumps(json.loads(document.read_text()) | pickling))
    yield "pickled.zarr", "pickle"
    packed = zarr.open_array(f"{group(folder / 'packed.zarr')}/logits", mode="r+")
    packed.attrs["scale_factor"] = 0.1
    yield "packed.zarr", "packed"


def test_what_cannot_be_opened_is_refused_in_one_line(tmp_path):
    for name, message in damaged_files(tmp_path):
        refused(message, open_logits, str(tmp_path / name), KEY)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_missing_chunks_are_counted_and_refused(tmp_path, zarr_format):
    made = zarr.create_array(
        str(tmp_path / "half.zarr"),
        shape=(ROWS, N),
        chunks=(100, N),
        dtype="f4",
        zarr_format=zarr_format,
    )
    made[:200] = LOGITS[:200]
    refused("lacks 2 of 4 chunks.*0.0", open_logits, str(tmp_path / "half.zarr"), KEY)
    made[200:] = LOGITS[200:]
    out = bring(tmp_path / "half.zarr", tmp_path / "out.zarr")
    np.testing.assert_array_equal(out["logits"], LOGITS)


def test_rows_missing_within_a_shard_are_refused(tmp_path):
    made = zarr.create_array(
        str(tmp_path / "half.zarr"), shape=(ROWS, N), chunks=(50, N), shards=(200, N), dtype="f4"
    )
    made[:350] = LOGITS[:350]  # the last chunk of the last shard
    with pytest.raises(InputError, match=r"logit of image 350, category 0 is nan.*never written"):
        bring(tmp_path / "half.zarr", tmp_path / "out.zarr")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_damaged_chunk_is_refused_in_one_line(tmp_path, zarr_format):
    path = group(tmp_path / "cut.zarr", zarr_format=zarr_format)
    chunk = Path(path) / ("logits/c/1/0" if zarr_format == 3 else "logits/1.0")
    chunk.write_bytes(chunk.read_bytes()[:30])
    refused("rows 64:128 cannot be read", bring, path, tmp_path / "out.zarr")


def test_logits_that_were_never_written_are_reported(tmp_path, caplog):
    values = LOGITS.copy()
    values[300:] = 0
    bring_array(values, tmp_path)
    assert "100 images have the same logit for all categories" in caplog.text


# ------------------------------------------------------------------------------------- precision


def test_logits_that_float32_cannot_hold_are_refused_and_the_advice_works(tmp_path):
    rng = np.random.default_rng(1)
    values = LOGITS + 1e8 * rng.standard_normal((ROWS, 1))
    assert (values.astype(np.float32).argmax(1) == LABEL).mean() < 0.9
    refused(
        r"move by up to .* as float32; subtract each image's mean", bring_array, values, tmp_path
    )
    advised = values - values.mean(axis=1, keepdims=True)
    out = bring_array(advised, tmp_path)
    assert (out["logits"].values.argmax(1) == advised.argmax(1)).all()


def test_ordinary_float64_logits_are_taken_without_a_word(tmp_path, caplog):
    values = 3 * np.random.default_rng(2).standard_normal((ROWS, N)) + 5
    out = bring_array(values, tmp_path, paths=np.arange(ROWS))
    np.testing.assert_array_equal(out["logits"], values.astype(np.float32))
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_what_float32_blurs_is_reported(tmp_path, caplog):
    values = LOGITS.astype(float)
    values[7, 5] = values[7].max() + 1
    values[7, 3] = values[7, 5] * (1 - 1e-12)  # a tie that float32 gives to the first
    values[20:23] += 1e4
    bring_array(values, tmp_path)
    assert "top-1 of 1 images changes by float32" in caplog.text
    assert "logits of 3 images are moved by float32" in caplog.text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-np.inf, r"image 70, category 9 is -inf, masked there and not for all"),
        (np.nan, r"image 70, category 9 is nan, not a number"),
        (np.inf, r"image 70, category 9 is inf, beyond float64"),
        (1e300, r"image 70, category 9 is 1e\+300, beyond float32"),
        (-1e300, r"image 70, category 9 is -1e\+300: masked for some images"),
    ],
)
def test_a_logit_that_is_no_float32_is_refused(tmp_path, value, message):
    values = LOGITS.astype(float)
    values[70, 9] = value
    refused(message, bring_array, values, tmp_path)


# ---------------------------------------------------------------------------------- masked classes


def test_infinite_masks_are_refused_by_what_they_are(tmp_path):
    values = LOGITS.copy()
    values[:, [2, 9]] = -np.inf
    refused(
        "category 2 is -inf, a masked class; give it numpy.finfo", bring_array, values, tmp_path
    )
    values = values.astype(float)
    values[:, [2, 9]] = np.finfo(float).min
    refused(r"beyond float32; .*finfo\('float32'\).min", bring_array, values, tmp_path)
    values[:, [2, 9]] = LEAST
    assert bring_array(values, tmp_path).attrs["masked_categories"] == [2, 9]


@pytest.mark.parametrize("least", [LEAST, -1e30, np.finfo(np.float16).min])
def test_least_floats_are_masks_if_all_images_have_them(tmp_path, least):
    values = LOGITS.copy()
    values[:, 2] = least
    assert bring_array(values, tmp_path / "all").attrs["masked_categories"] == [2]
    values[70, 2] = 1
    refused("image 70, category 2 is 1: masked for some images", bring_array, values, tmp_path)


def test_categories_that_are_constants_are_reported(tmp_path, caplog):
    values = LOGITS.copy()
    values[:, 2], values[:, 4] = -1e9, 0
    bring_array(values, tmp_path)
    assert "for an intercept: 2" in caplog.text.splitlines()[-1]


@pytest.fixture
def masked(tmp_path):
    """Imported logits with two masked categories, and the same without them."""
    values = LOGITS.copy()
    values[:, 0] = 0.5 * values[:, 3] - 0.25 * values[:, 7]
    kept = np.delete(values, [2, 9], axis=1)
    values[:, [2, 9]] = LEAST
    for name, logits in (("masked", values), ("kept", kept)):
        bring_array(logits, tmp_path / name)
    return [str(tmp_path / name / "out.zarr") for name in ("masked", "kept")]


def test_masked_categories_are_in_no_second_moment(masked):
    with_masks, kept = (reduce_second_moment(path, path, "none", ("m", "m")) for path in masked)
    others = np.delete(np.arange(N), [2, 9])
    moment = with_masks["second_moment"].values
    # the same products in another blocking of BLAS
    np.testing.assert_allclose(
        moment[np.ix_(others, others)], kept["second_moment"].values, rtol=1e-13
    )
    assert (moment[[2, 9]] == 0).all()
    assert (moment[:, [2, 9]] == 0).all()
    assert (with_masks["source_mean"].values[[2, 9]] == 0).all()


def test_masked_categories_swamp_the_mean_of_an_image(masked):
    with pytest.raises(StoreError, match=r"per_image, but .*masked categories, \[2, 9\].*use none"):
        reduce_second_moment(masked[0], masked[0], "per_image", ("m", "m"))


def test_masked_targets_have_no_error(masked):
    support = np.array([[[3, 7]], [[-1, -1]]], np.int32)
    candidates = Candidates.from_padded(
        np.array([0, 2]), support, np.array([[[0.5, -0.25]], [[0, 0]]])
    )
    file = LogitsFile(masked[0])
    result = evaluate(file, file, candidates, LABEL)
    # float32 holds the planted combination to about 1e-7 of each logit
    assert result.sums.error[0, 0] < 1e-6 * ROWS
    assert np.isnan(result.sums.error[1]).all()
    assert np.isnan(result.sums.size[1])
    assert result.sums.correct[1, 0] == result.original_correct


# ------------------------------------------------------------------------------- names and labels


# ------------------------------------------------------------------------------------- planning


WORDS = np.array([f"thing {i}" for i in LABEL])


def test_a_table_names_the_categories(tmp_path):
    table = tmp_path / "names.csv"
    table.write_text("name;code\n" + "".join(f"thing {i};c{i}\n" for i in range(N)))
    # it takes precedence over what lies beside the logits
    source = group(tmp_path / "fit.zarr", zarr_format=2, category_name=np.array(["x"] * N, "S1"))
    out = bring(source, tmp_path / "out.zarr", categories=str(table))
    assert out["category_name"].values.tolist() == [f"thing {i}" for i in range(N)]
    assert out["category_code"].values.tolist() == [f"c{i}" for i in range(N)]
    assert set(out.attrs["sources"]) == {"logits", "categories"}


def test_a_table_of_other_categories_is_refused_before_any_work(tmp_path):
    table = tmp_path / "names.csv"
    config = configuration(str(tmp_path / "absent.npy"))
    config["dataset"]["categories"] = str(table)
    check_headers(config)  # a missing file is Snakemake's to find
    table.write_text("code,name\na,A\n")
    with pytest.raises(
        InputError, match=r"names\.csv gives 1 categories, dataset\.n_categories is 12"
    ):
        check_headers(config)


def configuration(logits, labels=None, n_categories=N):
    spec = {"logits": {"fit": logits}} | ({"labels": {"fit": labels}} if labels else {})
    return {
        "dataset": {"kind": "logits", "n_categories": n_categories, "categories": None},
        "roles": {"fit": "fit", "test": "fit"},
        "models": {"m": spec, "other": {"architecture": "test_resnet"}},
    }


def test_headers_are_judged_before_any_work(tmp_path):
    fit, label = str(tmp_path / "fit.npy"), str(tmp_path / "label.npy")
    check_headers(configuration(fit, label))  # missing files are Snakemake's to find
    np.save(fit, LOGITS)
    np.save(label, LABEL)
    check_headers(configuration(fit, label))
    refused(
        "12 categories, dataset.n_categories is 10", check_headers, configuration(fit, None, 10)
    )
    for values, message in ((LABEL[:5], r"shape \(5,\)"), (WORDS, "holds words")):
        np.save(label, values)
        refused(f"models.m.labels.fit: .*{message}", check_headers, configuration(fit, label))
    two = configuration(fit)
    np.save(tmp_path / "short.npy", LOGITS[:7])
    two["models"]["second"] = {"logits": {"fit": str(tmp_path / "short.npy")}}
    refused("models.second.logits.fit: .* has 7 images where models.m has 400", check_headers, two)


def test_a_folder_has_another_state_when_a_chunk_is_written_over(tmp_path):
    path = group(tmp_path / "fit.zarr")
    before, again = folder_state(path), folder_state(path)
    (Path(path) / ".snakemake_timestamp").touch()
    assert before == again == folder_state(path) != ""
    chunk = Path(path) / "logits/c/3/0"
    chunk.write_bytes(chunk.read_bytes())  # the same bytes at another time
    assert folder_state(path) != before
    assert folder_state(str(chunk)) == folder_state(str(tmp_path / "absent")) == ""
