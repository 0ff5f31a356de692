"""Input that means harm, or looks as if it did."""

import struct
import zlib
from pathlib import Path

import pytest
import yaml
from PIL import Image

from neuraldeps.config import complete_config
from neuraldeps.errors import InputError
from neuraldeps.images.photos import IndexedPhotos
from neuraldeps.stores import write_store
from tests.cases.running import accepted
from tests.cases.test_arrays import N, arrays
from tests.cases.test_images import TIMMS, index, refused_in_one_line

SHELL = (
    """$(touch hacked) `touch hacked`; touch hacked & touch 'hacked' "hacked" | > hacked {} \\ *"""
)


def test_what_a_shell_would_run_is_text(tmp_path):
    """In names of files, of folders and of categories, from the configuration to Table 1."""
    arrays(tmp_path)
    folder = tmp_path / SHELL
    folder.mkdir()
    given = {"fit.npy": "logits", "fit_labels.npy": "labels"}
    given |= {name.replace("fit", "test"): part for name, part in given.items()}
    model: dict[str, dict[str, str]] = {"logits": {}, "labels": {}}
    for name, part in given.items():
        (tmp_path / name).rename(folder / f"{SHELL}{name}")
        model[part][name[:4].removesuffix(".").removesuffix("_")] = f"{SHELL}/{SHELL}{name}"
    names = [f"{SHELL} {i}" for i in range(N)]
    lines = [f'"{i}","{name.replace(chr(34), chr(34) * 2)}"' for i, name in enumerate(names)]
    (tmp_path / "names.csv").write_text("\n".join(["code,name", *lines]) + "\n")
    dataset = {"kind": "logits", "n_categories": N, "categories": "names.csv"}
    dataset |= {"splits": {"fit": {}, "test": {}}}
    config = {"dataset": dataset, "models": {"mine": model}}
    config["covlasso"] = {"max_support": 4, "alpha": [0.01], "relative_alpha": []}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    accepted(tmp_path, "results/tables/table1.csv")
    assert "$(touch hacked)" in (tmp_path / "results/tables/table1.csv").read_text()
    assert not list(tmp_path.rglob("hacked"))


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(
            ["x0: &x0 [a, a, a, a, a, a, a, a, a]"]
            + [f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9)}]" for i in range(1, 9)]
        ),
        "models: &models {again: *models}",
    ],
    ids=["a billion values", "itself"],
)
def test_aliases_that_stand_for_too_much_are_refused(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(text)
    config = yaml.safe_load(text)
    with pytest.raises(
        InputError, match=r"^c\.yaml: its aliases \(\*name\) stand for .*; write out"
    ):
        complete_config(config, ["c.yaml"], {})


def test_an_image_that_unpacks_to_gigabytes_is_refused(photos):
    """A PNG of a few bytes that claims 60 000 by 60 000 pixels."""
    write_store(index(), "index.zarr")
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    (photos / "dog/1.jpg").write_bytes(content)
    images = IndexedPhotos("index.zarr", TIMMS)
    message = r"photos/dog/1\.jpg: cannot be read .*; repair it, or remove it and index\.zarr"
    refused_in_one_line(message, list, images.stream([(0, 8)], 4))


@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1)])
def test_an_image_that_resizing_makes_gigabytes_of_is_refused(photos, size):
    """Of 300 bytes: with its shorter side made that of the network, 1 by 60 000 pixels are billions."""
    write_store(index(), "index.zarr")
    Image.new("RGB", size).save(photos / "dog/1.jpg", "PNG")
    images = IndexedPhotos("index.zarr", {**TIMMS, "input_size": (3, 64, 64)})
    message = r"photos/dog/1\.jpg: cannot be read .*60000.* pixels, of which resizing .*; crop it"
    refused_in_one_line(message, list, images.stream([(0, 8)], 4))
