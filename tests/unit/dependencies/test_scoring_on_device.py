"""The judgement by PyTorch, held against the compiled loops'."""

import numpy as np
import pytest
import torch

from neuraldeps.dependencies import scoring_on_device
from neuraldeps.dependencies.candidates import Candidates
from neuraldeps.dependencies.scoring import evaluate
from neuraldeps.errors import InputError, StoreError
from neuraldeps.logits.store import LogitsFile
from tests.unit.dependencies.test_scoring import ROWS, N, assert_as_by_hand, case
from tests.unit.devices import EVERY_DEVICE, NO_GPU
from tests.unit.test_moments import values_of, write_logits
from tests.unit.test_moments_on_device import MASKED, logits

__all__ = ["case", "logits"]  # fixtures of other tests

SUMS = ("error", "error_positive", "size", "size_positive")


def candidates_for(targets, n_sources, sizes=(0, 1, 2, 3, 5, 9)):
    """Predictors of several sizes, one of them none, of sources in any order."""
    rng = np.random.default_rng(1)
    support = np.full((len(targets), len(sizes), max(sizes)), -1, np.int32)
    for t, target in enumerate(targets):
        allowed = np.setdiff1d(np.arange(n_sources), [target, *MASKED])
        for m, size in enumerate(sizes):
            support[t, m, :size] = rng.permutation(allowed)[:size]
    coef = rng.normal(0, 0.4, support.shape) * (support >= 0)
    return Candidates.from_padded(np.asarray(targets), support, coef)


def assert_same(found, expected):
    """Counts to the last one; sums within 1e-12."""
    for name, mine in found.sums._asdict().items():
        theirs = getattr(expected.sums, name)
        assert mine.dtype == theirs.dtype, name
        assert mine.shape == theirs.shape, name
        if name in SUMS:
            np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=0, err_msg=name)
        else:
            np.testing.assert_array_equal(mine, theirs, err_msg=name)
    for name in ("original_correct", "n_samples", "n_labelled", "pseudo_positives"):
        assert getattr(found, name) == getattr(expected, name)


@EVERY_DEVICE
@pytest.mark.parametrize(("centering", "rows"), [("none", 4096), ("none", 64), ("per_image", 64)])
def test_the_sums_are_the_compiled_loops(logits, centering, rows, device, monkeypatch):
    monkeypatch.setattr(scoring_on_device, "ROWS", rows)
    monkeypatch.setattr(scoring_on_device, "BLOCK_BYTES", 8 * rows * 7)  # seven predictors at once
    f, g = (LogitsFile(path, centering) for path in logits)
    values = values_of(logits[1])
    label = np.where(np.arange(len(values)) % 5, values.argmax(1), np.arange(len(values)) % 30)
    label[::11] = -1
    scale = np.sqrt((np.delete(values, MASKED, axis=1) ** 2).mean()) * np.ones(29)
    candidates = candidates_for(np.r_[0:20, 21:30][::-1].copy(), 30)
    for source in f, g:
        given = (source, g, candidates, label)
        expected = evaluate(*given, scale=scale, n_threads=2)
        assert expected.sums.missed[..., 0].any()
        assert_same(evaluate(*given, scale=scale, device=device), expected)
        without = (*given[:3], np.full(len(label), -1))
        pseudo = evaluate(*without, device=device)
        assert pseudo.pseudo_positives
        assert_same(pseudo, evaluate(*without))


@EVERY_DEVICE
@pytest.mark.parametrize("within", [True, False])
def test_ties_are_decided_as_replacing_the_logit_decides_them(case, within, device):
    (f_path, g_path), label, support, coef = case
    source = LogitsFile(g_path if within else f_path)
    candidates = Candidates.from_padded(np.arange(N), support, coef)
    result = evaluate(source, LogitsFile(g_path), candidates, label, device=device)
    assert_as_by_hand(result, values_of(source.path), values_of(g_path), label, support, coef)


@EVERY_DEVICE
def test_no_number_of_threads_changes_a_byte(case, device):
    (f_path, g_path), label, _, _ = case
    given = (LogitsFile(f_path), LogitsFile(g_path), candidates_for(np.arange(N), N, (1, 4)), label)
    before, found = torch.get_num_threads(), []
    try:
        for torch_threads, threads in (1, 1), (2, 3), (4, 1):
            torch.set_num_threads(torch_threads)
            found.append(evaluate(*given, n_threads=threads, device=device).sums)
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        for one, same in zip(found[0], other, strict=True):
            assert one.tobytes() == same.tobytes()


def test_from_a_size_of_work_on_blocks_are_compiled(case, monkeypatch):
    """What `torch.compile` makes of a block is PyTorch's; that it is asked, and when, is ours."""
    (f_path, g_path), label, support, coef = case
    candidates = Candidates.from_padded(np.arange(N), support, coef)
    given = (LogitsFile(f_path), LogitsFile(g_path), candidates, label)
    asked = []

    def compiled():
        asked.append("once")
        return scoring_on_device._judge

    monkeypatch.setattr(scoring_on_device, "_compiled", compiled)
    expected = evaluate(*given, device="cpu")
    assert asked == []
    monkeypatch.setattr(scoring_on_device, "COMPILED_FROM", len(candidates.support) * ROWS)
    assert_same(evaluate(*given, device="cpu"), expected)
    assert asked == ["once"]


@NO_GPU
def test_compiled_blocks_give_the_same_sums(case, monkeypatch):
    (f_path, g_path), label, support, coef = case
    candidates = Candidates.from_padded(np.arange(N), support, coef)
    given = (LogitsFile(f_path), LogitsFile(g_path), candidates, label)
    expected = evaluate(*given)
    monkeypatch.setattr(scoring_on_device, "COMPILED_FROM", 0)
    assert_same(evaluate(*given, device="cuda"), expected)


@EVERY_DEVICE
def test_damage_and_a_device_too_small_are_one_line(tmp_path, device, monkeypatch):
    path = write_logits(tmp_path / "f.zarr", np.random.default_rng(0).standard_normal((200, N)))
    file, label = LogitsFile(path), np.full(200, -1)
    given = (file, file, candidates_for(np.arange(N), N), label)

    def refuse(device, needed):
        assert needed > 6 * 8 * scoring_on_device.ROWS * 2 * N
        raise InputError("too small")

    monkeypatch.setattr(scoring_on_device, "check_device", refuse)
    with pytest.raises(InputError, match="too small"):
        evaluate(*given, device=device)
    monkeypatch.undo()
    (tmp_path / "f.zarr/logits/c/2/0").unlink()
    with pytest.raises(StoreError, match=r"logits/c/2/0 is missing"):
        evaluate(*given, device=device)
