"""Photos in tar files: as users pack them, and what is refused."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from neuraldeps.images.photos import IndexedPhotos
from neuraldeps.images.sources import open_indexed
from neuraldeps.stores import write_store
from tests.cases.test_images import (
    NAMES,
    TIMMS,
    folders,
    index,
    picture,
    refused_in_one_line,
    warned,
)


def archive_of(name, folder, mode="w", **how):
    with tarfile.open(name, mode, **how) as archive:
        archive.add(folder, "")
    return Path(name)


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_file_holds_what_its_folder_does(photos, format):
    folders(photos, ["dog"], 3, "webp")
    long = "é" * 30 + "/" + "x" * 60
    picture(photos / long / "cat/7.png")
    picture(photos / "cat/._7.png")
    archive_of("all.tar", photos, format=format)
    tree, tar = index(), index("all.tar")
    assert [f"photos/{path}" for path in tar["path"].values] == tree["path"].values.tolist()
    assert tar["label"].values.tolist() == tree["label"].values.tolist()
    for found, name in (tree, "tree"), (tar, "tar"):
        write_store(found, f"{name}.zarr")
    batches = [
        np.concatenate(
            [pixels for _, pixels in IndexedPhotos(name, TIMMS, workers).stream([(0, 12)], 5)]
        )
        for name, workers in (("tree.zarr", 0), ("tar.zarr", 2))
    ]
    np.testing.assert_array_equal(*batches)


@pytest.mark.parametrize(("mode", "kind"), [("w:gz", "gzip"), ("w:bz2", "bzip2"), ("w:xz", "xz")])
def test_a_compressed_tar_file_is_refused(photos, mode, kind):
    archive_of("all.tar", photos, mode)
    message = rf"all\.tar is compressed \({kind}\), .*; unpack it, and give the folder"
    refused_in_one_line(message, index, "all.tar")


def test_a_tar_file_that_is_cut_is_refused(photos, caplog):
    whole = archive_of("all.tar", photos).read_bytes()
    end = len(whole.rstrip(b"\0")) + 512 & ~511
    for length in (0, 100, 700, end - 600, end - 1024 - 300):
        Path("cut.tar").write_bytes(whole[:length])
        refused_in_one_line(r"cut\.tar is truncated, damaged or not a tar file", index, "cut.tar")
    Path("cut.tar").write_bytes(whole[:end])  # whole, but for the mark of its end
    _, text = warned(caplog, index, "cut.tar")
    assert "the tar file has no end-of-archive mark: it may be truncated" in text


def test_a_file_that_is_no_tar_file_is_refused(photos):
    Path("no.tar").write_bytes(b"photos" * 1000)
    refused_in_one_line(r"no\.tar is truncated, damaged or not a tar file", index, "no.tar")
    damaged = bytearray(archive_of("all.tar", photos).read_bytes())
    with tarfile.open("all.tar") as archive:
        at = archive.getmember("cat/1.jpg").offset
    damaged[at : at + 512] = b"x" * 512
    Path("damaged.tar").write_bytes(damaged)
    refused_in_one_line(rf"damaged .*no member begins at byte {at}", index, "damaged.tar")


def test_tar_files_one_after_another_are_refused(photos):
    whole = archive_of("all.tar", photos).read_bytes()
    Path("two.tar").write_bytes(whole + whole)
    refused_in_one_line(r"two\.tar continues after its end", index, "two.tar")


def add(archive, name, content=b"", **how):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in how.items():
        setattr(member, key, value)
    archive.addfile(member, io.BytesIO(content))


def test_odd_members_of_a_tar_file(photos, caplog):
    first, other = ((photos / f"cat/{k}.jpg").read_bytes() for k in (0, 1))
    with tarfile.open("odd.tar", "w") as archive:
        add(archive, "./ant/0.jpg", first)
        add(archive, "/abs/bee/0.jpg", first)
        add(archive, "../cat/0.jpg", first)
        add(archive, "dog/0.jpg", first)
        add(archive, "dog/0.jpg", other)  # added again: it takes the first one's place
        add(archive, "dog/1.jpg", type=tarfile.LNKTYPE, linkname="dog/0.jpg")
        add(archive, "dog/2.jpg", type=tarfile.SYMTYPE, linkname="0.jpg")
        add(archive, "dog/pipe.jpg", type=tarfile.FIFOTYPE)
        add(archive, "dog/notes.txt", b"x")
    found, text = warned(caplog, index, "odd.tar")
    assert found["path"].values.tolist() == [
        *("../cat/0.jpg", "./ant/0.jpg", "/abs/bee/0.jpg", "dog/0.jpg", "dog/1.jpg")
    ]
    assert found["label"].values.tolist() == [2, 0, 1, 3, 3]
    assert "left out: 1 (dog/2.jpg)" in text
    assert (
        "skipped, not images that Pillow reads by their extension: 1 .txt (dog/notes.txt)" in text
    )
    source = open_indexed(
        "indexed", {"data_dir": "odd.tar"}, "key", found["path"].values, np.arange(5)
    )
    assert [source.open(at).read() == other for at in range(5)] == [False, False, False, True, True]


def test_links_out_of_a_tar_file_and_empty_members_are_refused(photos):
    with tarfile.open("out.tar", "w") as archive:
        add(archive, "cat/0.jpg", b"x")
        add(archive, "cat/1.jpg", type=tarfile.SYMTYPE, linkname="/data/1.jpg")
    refused_in_one_line(
        r"links that point outside it: 1 \(cat/1\.jpg\); make it again", index, "out.tar"
    )
    with tarfile.open("empty.tar", "w") as archive:
        add(archive, "cat/0.jpg")
    refused_in_one_line(r"empty images: 1 \(cat/0\.jpg\)", index, "empty.tar")


def test_tar_files_in_a_tar_file_are_read(photos):
    for name in NAMES:
        archive_of(f"{name}.tar", photos / name)
    with tarfile.open("all.tar", "w") as archive:
        for name in NAMES:
            archive.add(f"{name}.tar")
    found = index("all.tar")
    assert np.bincount(found["label"].values).tolist() == [2] * 4
    where = found["path"].values, found["position"].values
    source = open_indexed("indexed", {"data_dir": "all.tar"}, "key", *where)
    content = {name: {(photos / name / f"{k}.jpg").read_bytes() for k in (0, 1)} for name in NAMES}
    for at, label in enumerate(found["label"].values):
        assert source.open(at).read() in content[NAMES[label]]
