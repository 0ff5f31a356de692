"""Images as people have them: modes, endings, folders, links and archives of all kinds."""

import io
import logging
import os
import re
import shutil
import tarfile
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from PIL import Image

from neuraldeps.errors import InputError
from neuraldeps.images.classes import categories_of
from neuraldeps.images.found import natural_key, number_classes
from neuraldeps.images.index import index_images
from neuraldeps.images.listing import check_there
from neuraldeps.images.photos import IndexedPhotos
from neuraldeps.images.pixels import eight_bits
from neuraldeps.networks.build import build_network
from neuraldeps.stores import write_store
from tests.cases.running import accepted, refused, run

NAMES = ["ant", "bee", "cat", "dog"]
N = len(NAMES)
TIMMS = {"input_size": (3, 16, 16), "mean": (0.5,) * 3, "std": (0.5,) * 3, "crop_pct": 1.0}
CONFIG = """
dataset:
  kind: photos
  n_categories: 4
  splits: {{fit: {fit}, test: {test}}}
models:
  net: {{architecture: test_resnet, img_size: 64, checkpoint: net.pth}}
covlasso: {{max_support: 3}}
tables: {{table1: {{support_size: [1, 3]}}}}
figures: {{correlation: {{n_targets: 2}}, chord: {{n_base: 2, n_targets: 2, support_size: 1}}}}
"""


def picture(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (18, 20, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def folders(root, names=NAMES, each=2, ending="jpg"):
    for i, name in enumerate(names):
        for k in range(each):
            picture(root / name / f"{k}.{ending}", seed=100 * i + k)


def index(data_dir="photos", categories=None, n=N, split="fit", of_fit=None, **spec):
    how = {"data_dir": data_dir, **spec}
    return index_images(split, how, categories=categories, n_categories=n, seed=0, of_fit=of_fit)


def refused_in_one_line(message, call, *arguments, **options):
    with pytest.raises(InputError, match=message) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    str(caught.value).encode()  # whatever it names can be printed


def warned(caplog, call, *arguments, **options):
    with caplog.at_level(logging.WARNING):
        result = call(*arguments, **options)
    return result, caplog.text


# ---- modes


GREY = np.array([[0, 300, 30000, 65535]], np.uint16)


def saved(image, ending, **how):
    file = io.BytesIO()
    image.save(file, ending, **how)
    return Image.open(file)


def pgm(maximum, values):
    head = f"P5\n{len(values)} 1\n{maximum}\n".encode()
    return Image.open(io.BytesIO(head + np.array(values, ">u2").tobytes()))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(
    "image",
    [
        saved(Image.fromarray(GREY), "PNG"),
        saved(Image.fromarray(GREY), "TIFF"),
        saved(Image.fromarray(GREY), "JPEG2000", irreversible=False),
        saved(Image.frombytes("I;16B", (4, 1), GREY.astype(">u2").tobytes()), "TIFF"),
        pgm(65535, GREY[0]),
        Image.fromarray(GREY),
    ],
    ids=["png", "tiff", "jpeg2000", "big-endian", "pgm", "memory"],
)
def test_sixteen_bits_are_scaled_to_eight(image, mode):
    pixels = np.asarray(eight_bits(image, mode)).reshape(4, -1)
    assert pixels.tolist() == [[value] * pixels.shape[1] for value in (0, 1, 117, 255)]


def test_twelve_bits_are_scaled_to_eight():
    pixels = eight_bits(pgm(4095, [0, 2048, 4095]), "L")
    assert np.asarray(pixels).tolist() == [[0, 128, 255]]


def test_sixteen_bits_whose_white_is_0_are_turned():
    image = saved(Image.fromarray(GREY), "TIFF", tiffinfo={262: 0})
    assert image.tag_v2[262] == 0
    assert np.asarray(eight_bits(image, "L")).tolist() == [[255, 254, 138, 0]]


@pytest.mark.parametrize("values", [GREY.astype(np.int32), GREY.astype(np.float32) / 65535])
def test_values_whose_white_is_unknown_are_refused_by_name(photos, values):
    Image.fromarray(values).save(photos / "cat/9.tif")
    write_store(index(), "index.zarr")
    images = IndexedPhotos("index.zarr", TIMMS)
    message = r"photos/cat/9\.tif: .* which value is white; save it with 8 or 16 bits"
    refused_in_one_line(message, list, images.stream([(0, len(images))], 3))


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"]
)
@pytest.mark.parametrize("to", ["RGB", "L"])
def test_images_of_every_mode_have_eight_bits(mode, to):
    colour = Image.new("RGB", (3, 2), (255, 255, 255))
    image = Image.new(mode, (3, 2), (255, 128, 128)) if mode == "LAB" else colour.convert(mode)
    pixels = np.asarray(eight_bits(image, to))
    assert pixels.shape == ((2, 3, 3) if to == "RGB" else (2, 3))
    assert pixels.min() >= 254  # white stays white, but for the rounding of LAB


def test_of_an_animation_the_first_image_is_taken():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ((200, 0, 0), (0, 200, 0))]
    for ending in "GIF", "WEBP", "PNG":
        image = saved(
            frames[0], ending, save_all=True, append_images=frames[1:], **{"duration": 100}
        )
        assert image.n_frames == 2
        red, green, _ = np.asarray(eight_bits(image, "RGB"))[0, 0]
        assert red > 190
        assert green < 10


def test_transparency_and_the_cameras_orientation_are_not_heeded():
    image = Image.new("RGBA", (4, 2), (10, 20, 30, 0))
    assert np.asarray(eight_bits(image, "RGB"))[0, 0].tolist() == [10, 20, 30]
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    assert eight_bits(saved(image.convert("L"), "JPEG", exif=exif), "RGB").size == (4, 2)


# ---- endings


@pytest.mark.parametrize("ending", ["webp", "tif", "TIFF", "gif", "bmp", "jfif", "ppm", "avif"])
def test_every_ending_that_pillow_reads_is_listed(photos, ending):
    folders(photos, ["dog"], 3, ending)
    assert np.bincount(index()["label"].values).tolist() == [2, 2, 2, 5]


def test_what_is_passed_over_is_counted_and_named(photos, caplog):
    for name in "a.heic", "b.heic", "notes.txt", "film.mpg", "values.h5", "README":
        (photos / "cat" / name).write_text("x")
    found, text = warned(caplog, index)
    assert found.sizes["sample"] == 8
    assert "2 .heic, 1 .h5, 1 .mpg, 1 .txt, 1 without an ending (photos/cat/" in text


def test_what_systems_leave_is_no_image_and_no_category(photos, caplog):
    for name in ".DS_Store", "Thumbs.db", "._0.jpg", ".ipynb_checkpoints/0-checkpoint.jpg":
        picture(photos / "cat/x.jpg")
        (photos / "cat" / name).parent.mkdir(exist_ok=True)
        os.replace(photos / "cat/x.jpg", photos / "cat" / name)
    picture(photos / "__MACOSX/cat/0.jpg")
    picture(photos / "@eaDir/0.jpg/thumb.jpg")
    found, text = warned(caplog, index)
    assert found.sizes["sample"] == 8
    assert "hidden, skipped: 4 (photos/@eaDir)" in text


def test_a_category_without_an_image_is_named(photos, caplog):
    for file in (photos / "dog").iterdir():
        file.rename(file.with_suffix(".heic"))
    (photos.parent / "own.csv").write_text(
        "code,name\n" + "".join(f"{n},{n}\n" for n in [*NAMES, "elk"])
    )
    refused_in_one_line(
        r"gives 3 categories \(photos/dog holds no image: 2 \.heic\), dataset\.n_categories is 4",
        index,
    )
    refused_in_one_line(
        r"photos/dog has no image that Pillow reads \(2 \.heic\); convert its files",
        *(index, "photos", "own.csv", 5),
    )
    (photos / "dog").rename(photos / "notes")
    found, text = warned(caplog, index, "photos", "own.csv", 5)
    assert found.sizes["sample"] == 6
    assert "categories without an image: 2 of 5 ('dog', 'elk')" in text
    assert "folders without an image: 1 (photos/notes: 2 .heic)" in text


def test_a_folder_without_any_image_is_refused_with_what_it_holds(photos):
    (photos.parent / "other").mkdir()
    (photos.parent / "other/a.heic").touch()
    refused_in_one_line(r"other has no image that Pillow reads \(1 \.heic\)", index, "other")


def test_empty_files_are_refused(photos):
    (photos / "cat/8.jpg").touch()
    (photos / "cat/9.jpg").touch()
    refused_in_one_line(r"fit: empty image files: 2 \(photos/cat/8\.jpg\)", index)


# ---- names


def test_names_that_are_no_utf8_are_refused(photos):
    os.rename(photos / "cat/0.jpg", os.fsencode(photos) + b"/cat/caf\xe9.jpg")
    refused_in_one_line(r"photos/cat/caf\\xe9\.jpg is not a name in UTF-8; rename it", index)
    with tarfile.open("all.tar", "w", errors="surrogateescape") as archive:
        archive.add(photos, "")
    refused_in_one_line(r"cat/caf\\xe9\.jpg is not a name in UTF-8", index, "all.tar")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_composed_and_decomposed_names_are_one_name(photos, form):
    (photos / "cat").rename(photos / unicodedata.normalize(form, "café"))
    other = unicodedata.normalize("NFD" if form == "NFC" else "NFC", "café")
    table = "".join(f"{name},{name}\n" for name in ["dog", other, "bee", "ant"])
    (photos.parent / "own.csv").write_text("code,name\n" + table)
    assert index(categories="own.csv")["label"].values.tolist() == [3, 3, 2, 2, 1, 1, 0, 0]


def test_two_folders_of_one_name_in_two_spellings_are_refused(photos):
    for form in "NFC", "NFD":
        picture(photos / unicodedata.normalize(form, "café") / "0.jpg")
    refused_in_one_line("two folders are called 'café'.*make them one", index, n=6)


def test_letters_that_differ_in_case_alone_are_categories_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders(tmp_path / "photos", ["A", "a", "B", "b"], 1)
    assert index()["category_code"].values.tolist() == ["A", "a", "B", "b"]
    (tmp_path / "own.csv").write_text("code,name\na,1\nb,2\nA,3\nB,4\n")
    assert index(categories="own.csv")["label"].values.tolist() == [2, 0, 3, 1]


def test_names_are_ordered_as_timm_does_and_ties_by_their_characters():
    names = ["b10", "B9", "a", "A", "01", "1", "²", "é"]
    assert list(number_classes(names)) == ["01", "1", "A", "a", "B9", "b10", "²", "é"]
    assert list(number_classes(reversed(names))) == list(number_classes(names))
    from timm.utils.misc import natural_key as theirs

    for name in ["b10", "n01440764/x_12.JPEG", "a/02/003", ""]:
        assert natural_key(name) == theirs(name)


def test_a_class_that_means_two_categories_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders(tmp_path / "words", ["tench", "hamster"], 1)
    words = index("words", "imagenet-1k", 1000)
    assert words["label"].values.tolist() == [333, 0]
    for name, codes in {
        "crane": "n02012849, n03126707",
        "maillot": "n03710637, n03710721",
    }.items():
        picture(tmp_path / "words" / name / "0.jpg")
        message = rf"1 of 3 class names mean several categories \('{name}': {codes}\); name the"
        refused_in_one_line(message, index, "words", "imagenet-1k", 1000)
        (tmp_path / "words" / name / "0.jpg").unlink()


# ---- folders and splits


def test_a_folder_that_is_called_like_a_split_is_a_category(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders(tmp_path / "photos", ["valid", "invalid", "unsure", "none"])
    assert index().sizes["sample"] == 8
    assert index(labels=False).sizes["sample"] == 8
    assert set(index()["category_code"].values) == {"valid", "invalid", "unsure", "none"}


def test_several_splits_and_none_that_is_named_are_refused(photos):
    for split in "train", "val":
        folders(photos.parent / "data/own" / split)
    message = (
        r"data/own holds train and val; give dataset\.splits\.fit\.origin_split: train or val$"
    )
    refused_in_one_line(message, index, "data/own")
    message = r"give dataset\.splits\.fit\.data_dir: data/own and origin_split: train or val$"
    refused_in_one_line(message, index, "data")
    with tarfile.open("data.tar", "w") as archive:
        archive.add("data/own", "")
    refused_in_one_line(
        r"data\.tar holds train and val; make a tar file of each", index, "data.tar"
    )
    spec = {"data_dir": "data/own", "origin_split": "validation"}
    found = index_images("fit", spec, categories=None, n_categories=4, seed=0)
    assert {path.split("/")[2] for path in found["path"].values} == {"val"}


def test_categories_in_folders_of_one_name_are_said(photos, caplog):
    for part in "a", "b":
        picture(photos / part / "cat/0.jpg")
    found, text = warned(caplog, index)
    assert np.bincount(found["label"].values).tolist() == [2, 2, 4, 2]
    assert "several folders of one name: 1 (cat: photos/a/cat, photos/b/cat, photos/cat)" in text


def test_images_beside_the_folders_are_refused_or_have_no_label(photos):
    picture(photos / "loose.jpg")
    refused_in_one_line(r"no folder that names .*: 1 \(photos/loose\.jpg\); move", index)
    assert index(labels=False)["label"].values.tolist() == [-1] * 9


def test_a_class_map_may_have_a_byte_order_mark(photos, caplog):
    table = "code,name\n" + "".join(f"{name},{name}\n" for name in NAMES)
    (photos.parent / "own.csv").write_text(table)
    (photos.parent / "map.txt").write_text("\ufeffant\nbee\ncat\n\n", encoding="utf-8")
    found, text = warned(caplog, index, "photos", "own.csv", class_map="map.txt")
    assert found["label"].values.tolist() == [0, 0, 1, 1, 2, 2]
    assert "fit.class_map: images in folders that it does not name, left out: 2 (dog)" in text
    refused_in_one_line("class_map: .*no.txt does not exist", index, class_map="no.txt")
    (photos.parent / "map.txt").write_text("ant\nant\n")
    refused_in_one_line("map.txt has 'ant' twice", index, class_map="map.txt")


def test_other_splits_have_the_categories_of_the_one_that_is_fitted_on(photos):
    fit = categories_of(index())
    folders(photos.parent / "test", ["ant", "dog"])
    test = index("test", split="test", of_fit=fit)
    assert test["label"].values.tolist() == [0, 0, 3, 3]
    assert categories_of(test) == fit
    assert categories_of(index("test", split="test", of_fit=fit, labels=False)) == fit
    folders(photos.parent / "test", ["elk"])
    message = r"splits\.test: 1 of 3 class names .* of the split that is fitted on \('elk'\)"
    refused_in_one_line(message, index, "test", split="test", of_fit=fit)


# ---- links


def test_each_image_is_listed_once_whatever_links_lead_to_it(photos, caplog):
    (photos / "ant/all").symlink_to("..")
    (photos / "ant/more").symlink_to("../..")
    (photos / "dogs").symlink_to("dog")
    (photos / "ant/best.jpg").symlink_to("0.jpg")
    found, text = warned(caplog, index)
    assert found["path"].values.tolist() == [f"photos/{n}/{k}.jpg" for n in NAMES for k in (0, 1)]
    assert "links to folders that are listed anyway, not followed: 3 (photos/ant/all)" in text
    assert "links to images that are listed anyway, left out: 1 (photos/ant/best.jpg)" in text


def test_links_to_what_lies_elsewhere_are_followed(photos, caplog):
    picture(photos.parent / "elsewhere/0.jpg")
    (photos / "elk").symlink_to("../elsewhere")
    (photos / "cat/9.jpg").symlink_to("../../elsewhere/0.jpg")
    found = index(n=5)
    assert np.bincount(found["label"].values).tolist() == [2, 2, 2, 2, 1]
    (photos / "elk").unlink()
    assert np.bincount(index()["label"].values).tolist() == [2, 2, 3, 2]


@pytest.mark.parametrize("target", ["nowhere.jpg", "9.jpg"])
def test_links_that_lead_nowhere_are_refused(photos, target):
    (photos / "cat/9.jpg").symlink_to(target)
    refused_in_one_line(r"broken links: 1 \(photos/cat/9\.jpg\); restore", index)


# ---- archives


# ---- as a user would run them


@pytest.fixture
def project(photos):
    network = build_network("net", {"architecture": "test_resnet", "img_size": 64}, 4, seed=0)
    torch.save(network.state_dict(), "net.pth")
    same = "{data_dir: photos}"
    Path("c.yaml").write_text(CONFIG.format(fit=same, test=same))
    return photos.parent


def test_other_test_folders_are_refused_before_any_network_runs(project):
    folders(project / "test", ["ant", "bee", "dog", "elk"])
    config = CONFIG.format(fit="{data_dir: photos}", test="{data_dir: test}")
    (project / "c.yaml").write_text(config)
    message = r"^Error: dataset\.splits\.test: 1 of 4 class names match no code or name .*\('elk'\)"
    refused(project, message, "results/dependencies/evaluation/net--net.zarr")
    assert not list(project.glob("results/logits/*"))


def test_a_dry_run_finds_what_is_not_there(project):
    config = CONFIG.format(fit="{data_dir: nowhere}", test="{data_dir: photos}")
    (project / "c.yaml").write_text(config)
    message = r"^Error: dataset\.splits\.fit\.data_dir: nowhere does not exist; correct the path$"
    refused(project, message, "", "c.yaml", "--dry-run")


@pytest.mark.parametrize(
    ("spec", "categories", "message"),
    [
        ({"csv": "no.csv"}, None, r"key\.csv: no\.csv does not exist"),
        ({"csv": "c.csv", "data_dir": "no"}, None, r"key\.data_dir: no does not exist"),
        (
            {"data_dir": "photos", "origin_split": "val"},
            None,
            r"key\.origin_split is 'val', but photos has no",
        ),
        ({"data_dir": "photos"}, "no.csv", r"dataset\.categories: no\.csv does not exist"),
    ],
)
def test_what_is_not_there_is_found_without_listing(photos, spec, categories, message):
    Path("c.csv").touch()
    refused_in_one_line(message, check_there, spec, "key", categories)
    check_there({"data_dir": "photos", "csv": "c.csv"}, "key", "imagenet-1k")
    check_there({"origin": "hfds/some/where", "data_dir": "cache", "origin_split": "val"}, "key")


def test_advice_on_an_image_that_is_gone_leads_on(project):
    logits, store = project / "results/logits/net/fit.zarr", project / "results/images/fit.zarr"
    write_store(index(), str(store))
    (project / "photos/cat/1.jpg").unlink()
    advice = (
        r"^Error: photos/cat/1\.jpg: is no longer there; .* remove results/images/fit\.zarr and run"
    )
    refused(project, advice, "results/logits/net/fit.zarr")
    shutil.rmtree(store)
    accepted(project, "results/logits/net/fit.zarr")
    assert xr.open_zarr(logits).sizes["sample"] == 7


def test_advice_on_an_image_that_is_damaged_names_its_index(photos):
    write_store(index(), "index.zarr")
    whole = (photos / "dog/1.jpg").read_bytes()
    (photos / "dog/1.jpg").write_bytes(whole[:300])
    images = IndexedPhotos("index.zarr", TIMMS)
    message = (
        r"photos/dog/1\.jpg: cannot be read .*; repair it, or remove it and index\.zarr, and run"
    )
    refused_in_one_line(message, list, images.stream([(0, 8)], 4))


def test_who_removes_an_index_has_it_made_again(project):
    _, text = run(project, "", "c.yaml", "--dry-run")
    wanted = re.search(r"^rule all:\n    input: (.*)$", text, flags=re.M)[1].split(", ")
    assert {"results/images/fit.zarr", "results/images/test.zarr"} <= set(wanted)
