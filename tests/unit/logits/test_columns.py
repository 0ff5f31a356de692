"""Names, labels and paths that come with imported logits."""

import numpy as np
import pytest
import xarray as xr

from neuraldeps.errors import StoreError
from neuraldeps.logits.external import Column, describe_logits, open_logits, read_labels, read_paths
from neuraldeps.moments import reduce_second_moment
from tests.unit.logits.test_external import (
    KEY,
    LABEL,
    LOGITS,
    ROWS,
    WORDS,
    N,
    bring,
    bring_array,
    group,
    refused,
)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_names_in_bytes_are_decoded(tmp_path, zarr_format):
    names = [f"chose n° {i}" for i in range(N)]
    path = group(
        tmp_path / "fit.zarr",
        zarr_format=zarr_format,
        category_name=np.array([name.encode() for name in names]),
        category_code=np.arange(100, 100 + N),
        label=LABEL,
    )
    out = bring(path, tmp_path / "out.zarr")
    assert out["category_name"].values.tolist() == names
    assert out["category_code"].values.tolist() == [str(code) for code in range(100, 100 + N)]
    assert (out["label"].values == LABEL).all()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (np.array([b"caf\xe9"] * N), "UTF-8"),
        (np.arange(float(N)), "value 0 is 0.0; give a word for each"),
        (np.array(["a", None] * (N // 2), object), "value 1 is None"),
        (np.array(["a", ""] * (N // 2)), "value 1 is ''"),
        (np.array(["a", "b"]), r"shape \(2,\), its logits need \(12,\)"),
        (np.array(["a"] * N), "categories 0 and 1 are both a"),
    ],
)
def test_what_cannot_be_codes_is_refused(names, message):
    carried = {"category_code": Column("key/category_code", names)}
    refused(message, describe_logits, LOGITS, carried, "key", n_categories=N)


def test_two_categories_may_have_one_name(tmp_path):
    path = group(tmp_path / "fit.zarr", category_name=np.array(["crane"] * 2 + ["x"] * (N - 2)))
    out = bring(path, tmp_path / "out.zarr")
    assert out["category_name"].values[:2].tolist() == ["crane", "crane"]
    assert "category_code" not in out.coords  # tables number them


@pytest.mark.parametrize(
    ("alias", "name"), [("labels", "label"), ("paths", "path"), ("ids", "path"), ("id", "path")]
)
def test_other_names_of_what_lies_next_to_logits_are_known(tmp_path, alias, name):
    path = group(tmp_path / "fit.zarr", **{alias: LABEL})
    out = bring(path, tmp_path / "out.zarr")
    assert out[name].values.astype(int).tolist() == LABEL.tolist()


def test_two_arrays_of_one_meaning_are_refused_and_others_named(tmp_path, caplog):
    path = group(tmp_path / "two.zarr", label=LABEL, labels=LABEL)
    refused("arrays label and labels; keep one", open_logits, path, KEY)
    open_logits(group(tmp_path / "other.zarr", y_true=LABEL), KEY)
    assert "arrays that are not used: y_true" in caplog.text


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (WORDS, "holds words or objects .*; give each image's category as an integer"),
        (LABEL.astype(float), "holds values of type float64"),
        (LABEL == 3, "holds truth values"),
        (np.eye(N)[LABEL], r"shape \(400, 12\), its logits need \(400,\)"),
        (np.eye(N, dtype=int)[LABEL], r"shape \(400, 12\), its logits need \(400,\)"),
        (LABEL[:-1], r"shape \(399,\), its logits need \(400,\)"),
        (LABEL + 1, "go from 1 to 12; give integers from 0 to 11"),
        (LABEL - 2, "go from -2 to"),
        (np.array(5), r"shape \(\), its logits need"),
    ],
)
def test_what_cannot_be_labels_is_refused(tmp_path, label, message):
    refused(f"models.m.labels.fit: .*{message}", bring_array, LOGITS, tmp_path, labels=label)


@pytest.mark.parametrize("dtype", ["i1", "u1", ">i8", "u8"])
def test_labels_of_any_integer_type_are_taken(tmp_path, dtype):
    out = bring_array(LOGITS, tmp_path, labels=LABEL.astype(dtype))
    assert (out["label"].values == LABEL).all()


def test_labels_that_are_no_npy_are_refused_by_their_key(tmp_path):
    key = "models.m.labels.fit"
    np.save(tmp_path / "objects.npy", WORDS.astype(object), allow_pickle=True)
    np.savez(tmp_path / "zipped.npz", label=LABEL)
    (tmp_path / "text.npy").write_text("\n".join(map(str, LABEL)))
    np.save(tmp_path / "header.npy", LABEL)
    damaged = (tmp_path / "header.npy").read_bytes().replace(b", }", b"  (")
    (tmp_path / "header.npy").write_bytes(damaged)
    for name, message in {
        "objects.npy": "Python objects",
        "zipped.npz": "archive of several arrays",
        "text.npy": "not a .npy file",
        "header.npy": "cannot be opened",
        "absent.npy": "cannot be opened",
    }.items():
        refused(f"{key}: .*{message}", read_labels, str(tmp_path / name), key)


# ----------------------------------------------------------------------------- the images' order


PATHS = [f"val/image, no. {i}.jpg" for i in range(ROWS)]


def path_files(folder):
    np.save(folder / "paths.npy", np.array(PATHS))
    yield "paths.npy"
    (folder / "plain.txt").write_text("\n".join(PATHS))
    yield "plain.txt"
    (folder / "bom.txt").write_bytes(b"\xef\xbb\xbf" + "\r\n".join([*PATHS, ""]).encode())
    yield "bom.txt"
    quoted = [f'"{path}"' for path in PATHS]
    (folder / "one.csv").write_text("\n".join(quoted) + "\n")
    yield "one.csv"
    (folder / "headed.csv").write_text("\n".join(["path", *quoted]) + "\n\n")
    yield "headed.csv"
    rows = [f"{label},{path}" for label, path in zip(LABEL, quoted, strict=True)]
    (folder / "table.csv").write_text("\n".join(["label, Path", *rows]) + "\n")
    yield "table.csv"


def test_paths_are_read_from_any_list(tmp_path):
    for name in path_files(tmp_path):
        column = read_paths(str(tmp_path / name), "models.m.paths.fit")
        assert column.values.tolist() == PATHS, name


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("two.csv", b"a,b\nc,d\n", "columns a, b; call one of them path"),
        ("both.csv", b"path,id\nc,d\n", "call one of them path"),
        ("short.csv", b"path,label\na,1\nb\n", "line 3 has 1 columns, the first 2"),
        ("empty.csv", b"", "call one of them path"),
        ("latin.txt", b"caf\xe9\n", "UTF-8"),
        ("absent.txt", None, "cannot be read"),
    ],
)
def test_what_is_no_list_of_paths_is_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    refused(message, read_paths, str(tmp_path / name), "models.m.paths.fit")


def test_paths_that_are_not_the_images_are_refused(tmp_path):
    refused("models.m.paths.fit.*399", bring_array, LOGITS, tmp_path, paths=np.arange(399))


def test_a_store_says_what_its_order_rests_on(tmp_path):
    bare = bring_array(LOGITS, tmp_path / "bare", labels=LABEL)
    assert bare.attrs["order"].startswith("the user's word")
    assert "path" not in bare.coords
    assert "category_code" not in bare.coords
    with_paths = bring_array(LOGITS, tmp_path / "paths", paths=np.array(PATHS))
    assert "user's word" not in with_paths.attrs["order"]
    assert with_paths["path"].values.tolist() == PATHS
    images = xr.Dataset(
        coords={
            "label": ("sample", LABEL.astype(np.int32)),
            "path": ("sample", np.array(PATHS, np.dtypes.StringDType())),
            "category": np.arange(N),
        }
    )
    carried = {"label": Column("key", LABEL)}
    described = describe_logits(LOGITS, carried, "key", n_categories=N, images=images)
    assert described.attrs["order"].startswith("the user's word, and labels")


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """An exact dependency between two networks; images of the second in their order, and in another."""
    folder = tmp_path_factory.mktemp("pair")
    g = LOGITS[:, ::-1].copy()
    g[:, 4] = 0.75 * LOGITS[:, 1]
    order = np.random.default_rng(3).permutation(ROWS)
    names = np.array(PATHS)
    return {
        name: str(folder / name / "out.zarr")
        for name, values, given in (
            ("f", LOGITS, {"labels": LABEL}),
            ("g", g, {"labels": LABEL}),
            ("permuted", g[order], {"labels": LABEL[order]}),
            ("f-paths", LOGITS, {"labels": LABEL, "paths": names}),
            ("g-paths", g[order], {"labels": LABEL[order], "paths": names[order]}),
            ("bare", g, {}),
            ("some", g, {"labels": np.where(np.arange(ROWS) % 2, LABEL, -1)}),
        )
        if bring_array(values, folder / name, **given)
    }


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("f", "permuted", r"the label of image \d+ is \d+ where .* has \d+; bring both"),
        ("f-paths", "g-paths", r"image \d+ is val/image, no. \d+.jpg where .* has val/image"),
        ("f-paths", "permuted", r"the label of image \d+ is"),
    ],
)
def test_images_in_another_order_are_refused(pair, source, target, message):
    with pytest.raises(StoreError, match=message) as caught:
        reduce_second_moment(pair[source], pair[target], "none", ("f", "g"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("target", ["g", "bare", "some"])
def test_images_in_one_order_are_taken(pair, target):
    for source in ("f", "f-paths"):
        moments = reduce_second_moment(pair[source], pair[target], "none", ("f", "g"))
        cross, own = moments["second_moment"].values[1, 4], (LOGITS[:, 1].astype(float) ** 2).mean()
        # float32 holds the planted multiple to about 1e-7
        assert cross == pytest.approx(0.75 * own, rel=1e-6)


def test_codes_that_nobody_gave_are_no_evidence(tmp_path, pair):
    codes = np.array([f"n{i:04d}" for i in range(N)])
    path = group(tmp_path / "coded.zarr", category_code=codes)
    bring(path, tmp_path / "out.zarr")
    reduce_second_moment(str(tmp_path / "out.zarr"), pair["f"], "none", ("c", "f"))
