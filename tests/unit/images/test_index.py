"""Photos: what is listed, in which order, of which categories, and with which pixels."""

import csv
import io
import logging
import tarfile

import numpy as np
import pytest
import torch
import xarray as xr
from PIL import Image
from timm.data import ImageNetInfo, create_dataset, create_transform

from neuraldeps.errors import InputError
from neuraldeps.images.classes import Categories, load_categories, match_classes
from neuraldeps.images.index import choose_images, index_images
from neuraldeps.images.photos import IndexedPhotos
from neuraldeps.networks.build import Standardise
from neuraldeps.stores import write_store

SYNSETS = ImageNetInfo().label_names()
CLASSES = [SYNSETS[i] for i in (3, 0, 700)]
EACH = 5
CONFIG = {
    "input_size": (3, 48, 48),
    "interpolation": "bicubic",
    "mean": (0.5, 0.4, 0.3),
    "std": (0.2, 0.3, 0.4),
    "crop_pct": 0.875,
    "crop_mode": "center",
}


def jpeg(rng):
    size = rng.integers(40, 90, 2)
    low = rng.integers(0, 256, (6, 6, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(low).resize(size.tolist(), Image.Resampling.BICUBIC).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photos in folders of synsets, the same in a tar file and behind a table."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    rows = []
    for synset in CLASSES:
        (folder / "tree/val" / synset).mkdir(parents=True)
        for i in range(EACH):
            (folder / f"tree/val/{synset}/{i:02d}.JPEG").write_bytes(jpeg(rng))
            rows.append((f"{synset}/{i:02d}.JPEG", synset if i else ""))
    with tarfile.open(folder / "all.tar", "w") as archive:
        archive.add(folder / "tree/val", "val")
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    return folder


def index(spec, n=1000, categories="imagenet-1k", seed=0, split="fit"):
    return index_images(split, spec, categories=categories, n_categories=n, seed=seed)


def opened(spec, path, workers=0, **kwargs):
    write_store(index(spec, **kwargs), path)
    return IndexedPhotos(str(path), CONFIG, workers)


def refused(message, call, *args, **kwargs):
    with pytest.raises(InputError, match=message) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)


def test_folders_of_synsets_are_the_categories_of_imagenet(folder):
    found = index({"data_dir": str(folder / "tree"), "origin_split": "validation"})
    expected = [SYNSETS.index(path.split("/")[-2]) for path in found["path"].values]
    assert found["label"].values.tolist() == expected
    assert sorted(set(expected)) == [0, 3, 700]
    assert found["category_code"].values[0] == "n01440764"
    assert found["category_name"].values[0] == "tench, Tinca tinca"
    assert found.attrs["access"] == "files"
    assert len(set(found["path"].values)) == 3 * EACH


def test_a_tar_file_is_the_same_data_set(folder):
    tree = index({"data_dir": str(folder / "tree"), "origin_split": "validation"})
    tar = index({"data_dir": str(folder / "all.tar")})
    assert tar["label"].values.tolist() == tree["label"].values.tolist()
    assert tar.attrs["access"] == "indexed"
    names = [path.split("val/")[1] for path in tree["path"].values]
    assert [path.split("val/")[1] for path in tar["path"].values] == names


def test_a_table_may_lack_labels(folder):
    found = index({"csv": str(folder / "table.csv"), "data_dir": str(folder / "tree/val")})
    labels = found["label"].values.reshape(3, EACH)
    assert (labels[:, 0] == -1).all()
    assert labels[:, 1].tolist() == [3, 0, 700]


def test_labels_may_be_numbers_codes_or_names(folder, tmp_path):
    path = f"{folder}/tree/val/{CLASSES[0]}/00.JPEG"
    for label, expected in (("17", 17), ("n01440764", 0), ("hamster", 333)):
        (tmp_path / "one.csv").write_text(f"path,label\n{path},{label}\n")
        assert index({"csv": str(tmp_path / "one.csv")})["label"].values == [expected]


def test_images_of_which_nothing_is_known_have_no_labels(folder):
    spec = {"data_dir": str(folder / "tree"), "origin_split": "validation", "labels": False}
    assert (index(spec)["label"] == -1).all()


def test_without_categories_the_folders_are_the_categories(folder):
    found = index({"data_dir": str(folder / "tree/val")}, n=3, categories=None)
    assert found["category_code"].values.tolist() == sorted(CLASSES)
    assert np.bincount(found["label"].values).tolist() == [EACH] * 3


def test_categories_from_a_file(folder, tmp_path):
    rows = [("code", "name"), *((code, f"name of {code}") for code in sorted(CLASSES)[::-1])]
    with (tmp_path / "own.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    found = index({"data_dir": str(folder / "tree")}, n=3, categories=str(tmp_path / "own.csv"))
    assert found["category_name"].values[0] == f"name of {max(CLASSES)}"
    assert found["label"].values[0] == 2


def test_too_few_images_are_warned_of(folder, caplog):
    with caplog.at_level(logging.WARNING):
        index({"data_dir": str(folder / "tree")})
    assert "15 images, fewer than the 1000 categories" in caplog.text


def test_what_cannot_be_the_data_set_is_refused_in_one_line(folder, tmp_path):
    tree = {"data_dir": str(folder / "tree/val")}
    refused("splits.fit.data_dir: .*nowhere does not exist", index, {"data_dir": "nowhere"})
    refused(
        "dataset.categories: timm knows no 'imagenet-2k'", index, tree, categories="imagenet-2k"
    )
    refused("gives 1000 categories, dataset.n_categories is 10", index, tree, n=10)
    refused("the images gives 3 categories", index, tree, n=4, categories=None)
    (tmp_path / "own.csv").write_text("code,name\na,A\nb,B\nc,C\n")
    own = str(tmp_path / "own.csv")
    refused(r"3 of 3 class names match no code or name", index, tree, n=3, categories=own)
    (tmp_path / "map.txt").write_text("\n".join(CLASSES))
    mapped = {**tree, "class_map": str(tmp_path / "map.txt")}
    refused(rf"class_map: '{CLASSES[0]}' is number 0, the categories have it at 3", index, mapped)
    refused("samples is 99; there are 15 images", index, {**tree, "samples": 99})
    refused("category 0 has 5 images", index, {**tree, "samples_per_category": 6})
    refused("wds/x needs a package|cannot be opened", index, {**tree, "origin": "wds/x"})
    (tmp_path / "t.csv").write_text(
        f"path,label\n{folder}/tree/val/{CLASSES[0]}/00.JPEG,lion king\n"
    )
    refused("line 2: 'lion king' is not a category", index, {"csv": str(tmp_path / "t.csv")})
    (tmp_path / "t.csv").write_text("path\nnowhere.jpg\n")
    refused("line 2: nowhere.jpg does not exist", index, {"csv": str(tmp_path / "t.csv")})
    (tmp_path / "t.csv").write_text("file\nnowhere.jpg\n")
    refused("has file; give the columns path and label", index, {"csv": str(tmp_path / "t.csv")})
    (tmp_path / "t.csv").write_text('path\n"two\nlines.jpg"\n')
    refused(r"line 3: two\\nlines.jpg does not exist", index, {"csv": str(tmp_path / "t.csv")})


def test_names_that_two_categories_share_are_told_apart_by_their_place():
    cranes = Categories(["n1", "n2", "n3"], ["crane", "gull", "crane"])
    classes = {"crane": 2, "gull": 1}
    assert match_classes(classes, cranes, "key") == {2: 2, 1: 1}
    refused("1 of 1 class names", match_classes, {"crane": 1}, cranes, "key")
    refused("two classes are both 'n2'", match_classes, {"n2": 0, "gull": 1}, cranes, "key")


def test_the_papers_categories_have_one_answer_each():
    from neuraldeps.categories import Category, find_category

    found = load_categories("imagenet-1k", 1000)
    known = [Category(name, code) for code, name in zip(*found, strict=True)]
    for name in "jellyfish", "American egret", "basketball", "komondor", "bustard", "hamster":
        assert known[find_category(known, name, "key")].short == name


def test_a_name_in_the_configuration_means_one_category():
    from neuraldeps.categories import Category, find_category

    names = ["crane", "Café", "crane", "large", "small"]
    codes = ["n1", "n2", "n3", "A", "a"]
    known = [Category(name, code) for name, code in zip(names, codes, strict=True)]
    for wanted, at in {"A": 3, "a": 4, "SMALL": 4, "cafe\N{COMBINING ACUTE ACCENT}": 1}.items():
        assert find_category(known, wanted, "key") == at
    refused(
        "2 categories named 'crane'; give a code, 'n1' or 'n3'", find_category, known, "crane", "k"
    )
    refused("no category named 'gull'; give a name or code", find_category, known, "gull", "k")


def test_samples_are_drawn_by_seed_and_keep_their_order():
    labels = np.repeat([2, 0, -1, 1], [10, 20, 5, 8])
    drawn = choose_images(labels, {"samples_per_category": 6}, 0, "fit")
    assert (np.diff(drawn) > 0).all()
    assert np.bincount(labels[drawn]).tolist() == [6, 6, 6]
    assert (drawn == choose_images(labels, {"samples_per_category": 6}, 0, "fit")).all()
    for seed, split in ((1, "fit"), (0, "test")):
        assert (drawn != choose_images(labels, {"samples_per_category": 6}, seed, split)).any()
    assert len(choose_images(labels, {"samples": 7}, 0, "fit")) == 7


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", ["tree", "tar"])
def test_pixels_are_those_of_timms_own_transform(folder, tmp_path, kind, workers):
    root = str(folder / ("tree/val" if kind == "tree" else "all.tar"))
    photos = opened({"data_dir": root}, tmp_path / "index.zarr", workers)
    theirs = create_dataset("", root)
    theirs.transform = create_transform(**CONFIG)
    standardise = Standardise(CONFIG)
    ranges = [(4, 11), (12, 15)]
    batches = list(photos.stream(ranges, 4))
    assert [(number, len(pixels)) for number, pixels in batches] == [(0, 4), (0, 3), (1, 3)]
    ours = torch.cat([standardise(torch.from_numpy(pixels)) for _, pixels in batches])
    rows = [row for first, last in ranges for row in range(first, last)]
    expected = torch.stack([theirs[row][0] for row in rows])
    # float32: timm divides by 255 first
    torch.testing.assert_close(ours, expected, atol=2e-6, rtol=1e-5)


def test_a_sample_reads_its_own_images(folder, tmp_path):
    spec = {"data_dir": str(folder / "all.tar"), "samples": 6}
    part = opened(spec, tmp_path / "part.zarr")
    whole = opened({"data_dir": str(folder / "all.tar")}, tmp_path / "whole.zarr")
    (_, some), (_, every) = next(part.stream([(0, 6)], 6)), next(whole.stream([(0, 15)], 15))
    np.testing.assert_array_equal(some, every[part.coords["position"].values])


@pytest.mark.parametrize("workers", [0, 2])
def test_views_are_the_image_and_augmented_ones_by_seed(folder, tmp_path, workers):
    spec = {"data_dir": str(folder / "tree/val"), "n_views": 3}
    photos = opened(spec, tmp_path / "index.zarr", workers)
    plain = opened({"data_dir": str(folder / "tree/val")}, tmp_path / "plain.zarr")
    pixels = np.concatenate([batch for _, batch in photos.stream([(0, 45)], 7)])
    assert photos.coords["view"].values.tolist() == [0, 1, 2] * 15
    np.testing.assert_array_equal(pixels[::3], next(plain.stream([(0, 15)], 15))[1])
    assert all((pixels[i] != pixels[i + 1]).any() for i in range(44))
    again = next(photos.stream([(4, 9)], 5))[1]
    np.testing.assert_array_equal(again, pixels[4:9])


def test_a_split_that_is_not_there_is_not_the_whole(folder):
    tree, tar = str(folder / "tree"), str(folder / "all.tar")
    refused(
        r"fit\.origin_split is 'test', but .*tree has no folder test; correct origin_split",
        index,
        {"data_dir": tree, "origin_split": "test"},
    )
    refused("has no folder train or training", index, {"data_dir": tree, "origin_split": "train"})
    refused("is one file; remove origin_split", index, {"data_dir": tar, "origin_split": "val"})


def test_a_tar_file_with_other_images_than_were_indexed_is_refused(folder, tmp_path):
    with tarfile.open(tmp_path / "own.tar", "w") as archive:
        archive.add(folder / "tree/val", "val")
    photos = opened({"data_dir": str(tmp_path / "own.tar")}, tmp_path / "index.zarr")
    assert len(list(photos.stream([(0, 3)], 2))) == 2
    with tarfile.open(tmp_path / "own.tar", "a") as archive:
        first = folder / "tree/val" / CLASSES[0] / "00.JPEG"
        archive.add(first, f"val/{CLASSES[0]}/000.JPEG")
    refused("fit: has different images than when it was indexed", photos.stream, [(0, 3)], 2)


def test_timms_order_of_folders_is_said_where_it_is_not_that_of_characters(caplog):
    with caplog.at_level(logging.WARNING):
        load_categories(None, 2, {"a": 0, "b": 1})
        assert not caplog.records
        load_categories(None, 3, {"1": 0, "2": 1, "10": 2})
    assert "timm's order (1, 2, 10, ...), not in character order (1, 10, 2" in caplog.text


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_cannot_be_read_is_named(folder, tmp_path, workers):
    good = folder / f"tree/val/{CLASSES[0]}/00.JPEG"
    (tmp_path / "broken.jpg").write_bytes(good.read_bytes()[:400])
    (tmp_path / "table.csv").write_text(f"path\n{good}\nbroken.jpg\n")
    spec = {"csv": str(tmp_path / "table.csv"), "data_dir": str(tmp_path)}
    photos = opened(spec, tmp_path / "index.zarr", workers)
    refused("broken.jpg: cannot be read as an image", list, photos.stream([(0, 2)], 2))


def test_the_index_opens_bare_and_changes_with_what_is_listed(folder, tmp_path):
    spec = {"csv": str(tmp_path / "t.csv")}
    prints = []
    for label in "1", "2":
        (tmp_path / "t.csv").write_text(
            f"path,label\n{folder}/tree/val/{CLASSES[0]}/00.JPEG,{label}\n"
        )
        write_store(index(spec), tmp_path / f"{label}.zarr")
        prints.append(xr.open_zarr(tmp_path / f"{label}.zarr").attrs["fingerprint"])
    assert prints[0] != prints[1]


def test_a_webdataset_is_read_through(folder, tmp_path):
    tree = index({"data_dir": str(folder / "tree/val")})
    for shard in range(3):
        with tarfile.open(tmp_path / f"fit-{shard:02d}.tar", "w") as archive:
            for row in range(5 * shard, 5 * shard + 5):
                archive.add(str(tree["path"].values[row]), f"{row:03d}.jpg")
                member = tarfile.TarInfo(f"{row:03d}.cls")
                text = str(int(tree["label"].values[row])).encode()
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text))
    spec = {"origin": "wds/own", "data_dir": str(tmp_path), "origin_split": "fit-{00..02}.tar"}
    photos = opened({**spec, "origin_kwargs": {"num_samples": 15}}, tmp_path / "index.zarr")
    assert photos.access == "streamed"
    assert photos.coords["label"].values.tolist() == tree["label"].values.tolist()
    plain = opened({"data_dir": str(folder / "tree/val")}, tmp_path / "plain.zarr")
    for ranges in ([(0, 15)], [(3, 6), (11, 15)]):
        ours, theirs = (
            np.concatenate([b for _, b in p.stream(ranges, 4)]) for p in (photos, plain)
        )
        np.testing.assert_array_equal(ours, theirs)
