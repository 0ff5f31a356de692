import numpy as np
import pytest
import torch
from scipy import ndimage

from neuraldeps.images import poses
from neuraldeps.images.glyphs import draw_bitmaps, load_categories


@pytest.fixture(scope="module")
def bitmaps():
    return poses.bitmap_tensor(draw_bitmaps(load_categories(30, 0)[0]))


def test_bytes_do_not_depend_on_threads(bitmaps):
    threads = torch.get_num_threads()
    results = []
    for n in 1, 2:
        torch.set_num_threads(n)
        results.append(poses.pose_all(bitmaps, 50, 32, 0, "fit").images)
    torch.set_num_threads(threads)
    assert torch.equal(*results)


def test_a_block_does_not_depend_on_the_others(bitmaps):
    """A set that has further categories begins with the same images."""
    all_of_them = poses.pose_all(bitmaps, 100, 32, 0, "fit")
    first = poses.pose_all(bitmaps[:11], 100, 32, 0, "fit")
    assert torch.equal(all_of_them.images[: poses.BLOCK], first.images[: poses.BLOCK])
    assert torch.equal(all_of_them.faces[: len(first)], first.faces)


def test_blocks_draw_each_their_own(bitmaps):
    posed = poses.pose_all(bitmaps[:1], 2 * poses.BLOCK, 32, 0, "fit")
    assert len(np.unique(posed.images.reshape(len(posed), -1), axis=0)) == len(posed)


def test_streams_differ_and_seeds_too(bitmaps):
    streams = [(0, "fit"), (0, "test"), (1, "fit"), (0, "train", 0), (0, "train", 1)]
    images = [poses.pose_all(bitmaps, 3, 32, *stream).images for stream in streams]
    for i, one in enumerate(images):
        for other in images[:i]:
            assert not torch.equal(one, other)


def test_every_category_equally_often_in_all_faces(bitmaps):
    posed = poses.pose_all(bitmaps, 100, 16, 0, "fit")
    assert torch.bincount(posed.labels).tolist() == [100] * 30
    assert posed.images.shape == (3000, 16, 16)
    assert posed.images.dtype == torch.uint8
    faces = torch.bincount(posed.faces, minlength=12)
    # 3000 draws over 12 faces: 250 +- 15, five standard deviations
    assert (faces - 250).abs().max() < 75


def test_without_randomness_a_pose_is_the_glyph_made_smaller(bitmaps, monkeypatch):
    for name in "DEGREES", "LOG_SCALE", "SHEAR", "SHIFT", "BLUR", "GRADIENT", "NOISE":
        monkeypatch.setattr(poses, name, 0)
    monkeypatch.setattr(poses, "FADE", 1)
    glyphs = bitmaps[:, 0]
    posed = poses.pose(glyphs, 28, torch.Generator().manual_seed(0)).numpy() / 255
    # at half the size, bilinear sampling between four pixels is their mean
    expected = glyphs.numpy().reshape(-1, 28, 2, 28, 2).mean((2, 4)) / 255
    # one grey level of rounding
    np.testing.assert_allclose(posed, poses.GREY + poses.CONTRAST * expected, atol=1 / 255)


def test_rotation_agrees_with_scipy(bitmaps, monkeypatch):
    for name in "LOG_SCALE", "SHEAR", "SHIFT", "BLUR", "GRADIENT", "NOISE":
        monkeypatch.setattr(poses, name, 0)
    monkeypatch.setattr(poses, "FADE", 1)
    glyphs = bitmaps[:20, 0]
    posed = poses.pose(glyphs, 56, torch.Generator().manual_seed(0)).numpy() / 255
    uniform = torch.rand(20, generator=torch.Generator().manual_seed(0)).numpy()
    degrees = (2 * uniform - 1) * poses.DEGREES
    for image, angle, result in zip(glyphs.numpy() / 255, degrees, posed, strict=True):
        turned = ndimage.rotate(image, angle, reshape=False, order=1)
        np.testing.assert_allclose(result, poses.GREY + poses.CONTRAST * turned, atol=2 / 255)


def test_batches_come_put_together(bitmaps):
    data = poses.PosedGlyphs(bitmaps, 4, 2, 32, 0)
    epoch = data.epoch(0)
    assert len(data) == len(epoch) == 120
    images, labels = epoch.__getitems__([7, 3, 119])
    assert images.shape == (3, 1, 32, 32)
    assert labels.tolist() == [1, 0, 29]
    assert torch.equal(images[1], epoch[3][0])
    assert len(data.validation()) == 60
    assert not torch.equal(data.epoch(1).images, epoch.images)
    assert torch.equal(data.epoch(0).images, epoch.images)
