import json

import numpy as np
import pytest
import xarray as xr
from sklearn.metrics import top_k_accuracy_score

from neuraldeps.errors import InputError
from tests.scripts.networks import EXTRACTION, SPEC, check, render, script, train


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    render(folder, {"test": 20, "ood": 4})
    check(folder)
    train(folder, folder)
    return folder


def extract(folder, split, out, checkpoint="model.safetensors", **changes):
    script("extract_logits")(
        f"{folder}/card.json",
        f"{folder}/{checkpoint}",
        f"{folder}/{split}.zarr",
        str(out),
        model="net",
        spec=SPEC,
        options={**EXTRACTION, **changes},
        rows=64,
        threads=1,
    )


def extract_part(folder, out, part, parts):
    script("extract_logits_part")(
        f"{folder}/card.json",
        f"{folder}/model.safetensors",
        f"{folder}/test.zarr",
        f"{out}.part{part}.done",
        model="net",
        spec=SPEC,
        options=EXTRACTION,
        rows=64,
        logits=str(out),
        part=part,
        parts=parts,
        threads=1,
    )


def test_logits_recognise_the_glyphs(folder, tmp_path):
    extract(folder, "test", tmp_path / "test.zarr")
    store = xr.open_zarr(tmp_path / "test.zarr")
    top1 = top_k_accuracy_score(store["label"], store["logits"], k=1, labels=np.arange(12))
    curve = (folder / "curve.csv").read_text().splitlines()
    column = curve[0].split(",").index("valid_top1")
    # 240 images against 48 of validation, in percent: five standard deviations
    assert abs(100 * top1 - float(curve[-1].split(",")[column])) < 40
    assert top1 > 2 / 12
    assert store.attrs["made_by"] == "extract_logits"
    assert store.attrs["config"]["architecture"] == "test_efficientnet"
    assert len(store.attrs["sources"]["weights"]) == 64
    assert [path.name for path in tmp_path.iterdir()] == ["test.zarr"]


def test_out_of_distribution_images_have_logits_and_no_label(folder, tmp_path):
    extract(folder, "ood", tmp_path / "ood.zarr")
    store = xr.open_zarr(tmp_path / "ood.zarr")
    assert (store["label"] == -1).all()
    assert store["logits"].shape == (20, 12)


def test_the_logits_of_an_arm_say_which_rule_made_them(folder, tmp_path):
    extract(folder, "ood", tmp_path / "own.zarr")
    script("extract_arm")(
        f"{folder}/card.json",
        f"{folder}/model.safetensors",
        [f"{folder}/ood.zarr"],
        [f"{tmp_path}/arm.zarr"],
        model="net",
        spec=SPEC,
        options=EXTRACTION,
        rows=64,
        workers=0,
    )
    own, arm = (xr.open_zarr(tmp_path / name) for name in ("own.zarr", "arm.zarr"))
    assert (own.attrs["made_by"], arm.attrs["made_by"]) == ("extract_logits", "extract_arm")
    assert own.attrs["sources"] == arm.attrs["sources"]
    np.testing.assert_array_equal(own["logits"], arm["logits"])


def test_parts_then_the_whole(folder, tmp_path):
    extract(folder, "test", tmp_path / "whole.zarr")
    for part in 1, 0:
        extract_part(folder, tmp_path / "test.zarr", part, 2)
        assert (tmp_path / f"test.zarr.part{part}.done").exists()
        assert not (tmp_path / "test.zarr").exists()
    extract(folder, "test", tmp_path / "test.zarr")
    for path in (tmp_path / "whole.zarr").rglob("*"):
        if path.is_file():
            twin = tmp_path / "test.zarr" / path.relative_to(tmp_path / "whole.zarr")
            assert path.read_bytes() == twin.read_bytes()


def test_a_network_of_another_number_of_categories_is_refused(folder, tmp_path):
    card = json.loads((folder / "card.json").read_text())
    for name in "model.safetensors", "test.zarr":
        (tmp_path / name).symlink_to(folder / name)
    (tmp_path / "card.json").write_text(json.dumps(card | {"n_categories": 10}))
    with pytest.raises(InputError, match=r"has 12 categories, .* 10; remove both") as caught:
        extract(tmp_path, "test", tmp_path / "out.zarr")
    assert "\n" not in str(caught.value)


def test_imported_logits_pass_for_a_network(folder, tmp_path):
    extract(folder, "test", tmp_path / "own.zarr")
    own = xr.open_zarr(tmp_path / "own.zarr")
    np.save(tmp_path / "other.npy", own["logits"].values.astype(np.float64))

    def bring(source, out, images=f"{folder}/test.zarr"):
        script("import_logits")(
            str(source),
            None,
            None,
            images,
            str(out),
            model="other",
            split="test",
            n_categories=12,
            rows=64,
        )

    bring(tmp_path / "other.npy", tmp_path / "other.zarr")
    other = xr.open_zarr(tmp_path / "other.zarr")
    np.testing.assert_array_equal(other["logits"], own["logits"])
    assert (other["path"].values == own["path"].values).all()
    bring(tmp_path / "own.zarr", tmp_path / "again.zarr", images=None)
    again = xr.open_zarr(tmp_path / "again.zarr")
    assert (again["label"].values == own["label"].values).all()
    assert (again["category_name"].values == own["category_name"].values).all()
