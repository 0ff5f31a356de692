"""Training on photos: which are seen, as what, and to the same bytes whoever loads them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import create_transform
from timm.loss import SoftTargetCrossEntropy
from torch import nn

from neuraldeps.errors import InputError
from neuraldeps.generalizability.partition import read_split
from neuraldeps.images import photos as decoding
from neuraldeps.images.index import index_images
from neuraldeps.networks.build import build_network, describe_network
from neuraldeps.networks.training import open_training_data, train
from neuraldeps.stores import open_store, write_store
from scripts import split_categories, train_backbone, train_base
from tests.options import training_config, training_options

CODES, EACH, SIDE = ["ant", "bee", "cat", "dog"], 6, 40
SPEC = {"architecture": "test_resnet", "img_size": 32}
STRONG = {"aa": "rand-m9-mstd0.5-inc1", "reprob": 0.5, "mixup": 0.4, "cutmix": 1.0}
OPTIONS = {"epochs": 2, "batch_size": 8, "smoothing": 0.1, "optimizer": {"lr": 0.05}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photos of four categories, twice: indices to train on and to validate on."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for split in "train", "test":
        for code in CODES:
            (folder / split / code).mkdir(parents=True)
            for i in range(EACH):
                blobs = rng.integers(0, 256, (5, 5, 3), np.uint8)
                picture = Image.fromarray(blobs).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
                picture.save(folder / split / code / f"{i}.jpg")
        write_index(folder, split, {"data_dir": str(folder / split)})
    card().to_json(folder / "card.json")
    return folder


def write_index(folder, split, spec):
    index = index_images(split, spec, categories=None, n_categories=len(CODES), seed=0)
    write_store(index, folder / f"{split}.zarr")


def card(**more):
    network = build_network("net", SPEC, len(CODES))
    return replace(describe_network("net", SPEC, network, len(CODES)), **more)


def how(workers=0, batch_size=8, **augmentation):
    """Options of a training with strong augmentation, or with another one."""
    given = {**OPTIONS, "batch_size": batch_size, "trainer": {"workers": workers}}
    return training_options(**given, augmentation={**STRONG, **augmentation})


def opened(folder, described=None, seed=0, train_on="train", valid=2, **options):
    return open_training_data(
        str(folder / f"{train_on}.zarr"),
        str(folder / "test.zarr"),
        described or card(),
        how(**options),
        samples_per_category=1,
        valid_samples_per_category=valid,
        seed=seed,
    )


def trained(folder, work_dir, stop_after=None, seed=0, **options):
    network = build_network("net", SPEC, len(CODES), seed=seed)
    data = opened(folder, **options)
    train(network, data, how(**options), seed=0, work_dir=work_dir, stop_after=stop_after)
    return network.state_dict()


def assert_same(one, other):
    for name in one:
        assert torch.equal(one[name], other[name]), name


@pytest.fixture(scope="module")
def strong(folder, tmp_path_factory):
    """Weights after two epochs of strong augmentation, loaded by the training process itself."""
    return trained(folder, tmp_path_factory.mktemp("strong"))


def test_processes_that_load_images_do_not_change_the_bytes(folder, strong, tmp_path):
    assert_same(strong, trained(folder, tmp_path, workers=2))


def test_resuming_gives_the_bytes_of_an_uninterrupted_run(folder, strong, tmp_path):
    trained(folder, tmp_path, stop_after=1)
    assert_same(strong, trained(folder, tmp_path, seed=5))


@pytest.mark.parametrize("option", STRONG)
def test_every_augmentation_changes_what_is_learned(folder, strong, tmp_path, option):
    weaker = trained(folder, tmp_path, **{option: None if option == "aa" else 0.0})
    with pytest.raises(AssertionError):
        assert_same(strong, weaker)


def test_epochs_and_seeds_draw_each_their_own(folder):
    data = opened(folder)
    epochs = [data.epoch(0), data.epoch(1), opened(folder, seed=1).epoch(0), data.epoch(0)]
    pixels = [torch.stack([epoch[i][0] for i in range(len(data))]) for epoch in epochs]
    assert pixels[0].dtype == torch.uint8
    assert pixels[0].shape == (4 * EACH, 3, 32, 32)
    assert torch.equal(pixels[0], pixels[3])
    for other in pixels[1:3]:
        assert (pixels[0] != other).flatten(1).any(1).all()


def test_drawing_leaves_the_networks_own_randomness_alone(folder):
    data = opened(folder)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    data.epoch(0)[0]
    assert torch.equal(torch.rand(2), expected)


def test_without_randomness_an_image_is_the_whole_photo(folder):
    plain = {"scale": [1, 1], "ratio": [1, 1], "hflip": 0, "interpolation": "bicubic"}
    epoch = opened(folder, color_jitter=None, aa=None, transform_kwargs=plain).epoch(0)
    resized = create_transform(32, interpolation="bicubic", crop_pct=1.0, normalize=False)
    for row in 0, 13:
        path = folder / "train" / CODES[row // EACH] / f"{row % EACH}.jpg"
        assert torch.equal(epoch[row][0], resized(Image.open(path)))
        assert epoch[row][1] == row // EACH


def test_it_is_watched_with_the_first_photos_as_they_are_judged(folder):
    shown = opened(folder).validation()
    plain = decoding.IndexedPhotos(str(folder / "test.zarr"), card().data_config)
    rows = [EACH * category + i for category in range(4) for i in range(2)]
    expected = np.concatenate([p for _, p in plain.stream([(r, r + 1) for r in rows], 1)])
    np.testing.assert_array_equal(torch.stack([pixels for pixels, _ in shown]).numpy(), expected)
    assert [label for _, label in shown] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_mixed_labels_are_smoothed_as_timm_does(folder):
    """timm smooths one-hot labels before it mixes them; cross-entropy with smoothing comes to that."""
    from timm.data import Mixup

    logits, labels = torch.randn(8, 4), torch.arange(8) % 4
    losses = []
    for in_mixup, in_loss in (0.1, 0.0), (0.0, 0.1):
        np.random.seed(0)  # noqa: NPY002 - what timm draws from
        mix = Mixup(0.4, label_smoothing=in_mixup, num_classes=4)
        _, targets = mix(torch.zeros(8, 3, 4, 4), labels)
        losses.append(nn.CrossEntropyLoss(label_smoothing=in_loss)(logits, targets).item())
        if in_mixup:
            assert losses[0] == pytest.approx(SoftTargetCrossEntropy()(logits, targets).item())
    assert losses[0] == pytest.approx(losses[1])


def test_a_base_network_never_sees_a_new_category(folder, tmp_path, monkeypatch):
    """Of all files, those of base categories alone are opened."""
    categories = tmp_path / "categories.csv"
    split_categories.main(str(folder / "train.zarr"), str(categories), n_new=1, seed=0)
    split = read_split(str(categories))
    read, opened_photo = [], decoding._opened

    def watch(source, path, position):
        read.append(path)
        return opened_photo(source, path, position)

    monkeypatch.setattr(decoding, "_opened", watch)
    train_base.main(
        *map(str, (folder / "train.zarr", categories, folder / "card.json", tmp_path / "own.json")),
        *(str(tmp_path / name) for name in ("model.safetensors", "curve.csv")),
        model="net",
        spec=SPEC,
        options=training_config(**OPTIONS | {"batch_size": 3 * EACH, "augmentation": STRONG}),
        samples_per_category=1,
        valid_samples_per_category=2,
        seed=0,
        validation=str(folder / "test.zarr"),
    )
    expected = {
        str(folder / part / CODES[category] / f"{i}.jpg")
        for category in split.base
        for part, n in (("train", EACH), ("test", 2))
        for i in range(n)
    }
    assert set(read) == expected
    assert not any(f"/{CODES[split.new[0]]}/" in path for path in read)
    data = opened(folder, card(categories=split.base.tolist()))
    names = open_store(folder / "train.zarr")["label"].values
    labels = [label for _, label in data.epoch(0)]
    assert split.base[labels].tolist() == [n for n in names if n in split.base]


def test_the_strongest_policies_draw_no_image_that_cannot_be(folder):
    """Of ten levels the highest keeps 0 bits, which Pillow 13 refuses where others gave black."""
    for aa in "rand-m10-n9-inc1", "rand-m0-n9", "original", "augmix-m10":
        epoch = opened(folder, aa=aa).epoch(0)
        for row in range(len(epoch)):
            assert epoch[row][0].shape == (3, 32, 32)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_photo_that_cannot_be_read_is_named_in_one_line(folder, tmp_path, workers):
    rows = [f"{folder}/train/{code}/{i}.jpg,{n}" for n, code in enumerate(CODES) for i in range(3)]
    (tmp_path / "broken.jpg").write_bytes((folder / "train/ant/0.jpg").read_bytes()[:300])
    rows.append(f"{tmp_path}/broken.jpg,0")
    (tmp_path / "table.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    write_index(tmp_path, "train", {"csv": str(tmp_path / "table.csv")})
    with pytest.raises(InputError, match=r"broken\.jpg: cannot be read as an image") as caught:
        train_backbone.main(
            *map(str, (tmp_path / "train.zarr", folder / "card.json")),
            *(str(tmp_path / name) for name in ("model.safetensors", "curve.csv")),
            model="net",
            spec=SPEC,
            options=training_config(**OPTIONS | {"batch_size": 13}),
            samples_per_category=1,
            valid_samples_per_category=2,
            seed=0,
            validation=str(folder / "test.zarr"),
            threads=1 + workers,
        )
    assert "\n" not in str(caught.value)


def test_what_cannot_be_trained_on_is_refused_in_one_line(folder, tmp_path):
    def refused(message, call):
        with pytest.raises(InputError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)

    refused(
        r"models\.net\.train\.augmentation: timm cannot make this transform \(Unknown AA policy bold\)",
        lambda: opened(folder, aa="bold"),
    )
    refused(
        r"models\.net\.train\.augmentation: timm cannot make this transform \(.*'hflop'\); correct",
        lambda: opened(folder, transform_kwargs={"hflop": 0.5}),
    )
    refused(
        "batch_size is 99; there are 24 images", lambda: trained(folder, tmp_path, batch_size=99)
    )
    path = folder / "train/bee/0.jpg"
    (tmp_path / "table.csv").write_text(f"path,label\n{path},1\n{path},\n")
    write_index(tmp_path, "train", {"csv": str(tmp_path / "table.csv")})
    (tmp_path / "test.zarr").symlink_to(folder / "test.zarr")
    refused(
        r"splits\.train: 3 of 4 categories have no image with a label \('category 0'\)",
        lambda: opened(tmp_path),
    )
