import logging

import pytest
import torch
from torch import nn

from neuraldeps.config.training import Schedule
from neuraldeps.errors import InputError
from neuraldeps.images.glyphs import data_config, draw_bitmaps, load_categories
from neuraldeps.images.poses import PosedGlyphs, bitmap_tensor
from neuraldeps.networks.build import build_network
from neuraldeps.networks.loop import TrainingOptions
from neuraldeps.networks.training import train
from tests.options import training_config, training_options

OPTIONS = training_options(
    epochs=3,
    batch_size=32,
    smoothing=0.1,
    optimizer={"lr": 0.1, "weight_decay": 5e-4, "clip_grad": 5.0},
    schedule={"warmup_epochs": 1},
)


@pytest.fixture(scope="module")
def data():
    bitmaps = bitmap_tensor(draw_bitmaps(load_categories(10, 0)[0]))
    return PosedGlyphs(bitmaps, 32, 4, 32, 0)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def fresh(seed=0, architecture="test_efficientnet", **model_kwargs):
    spec = {"architecture": architecture, "model_kwargs": model_kwargs}
    return build_network("net", spec, 10, data_config(32), seed=seed)


def assert_same(one: nn.Module, other: nn.Module) -> None:
    for (name, left), right in zip(
        one.state_dict().items(), other.state_dict().values(), strict=True
    ):
        assert torch.equal(left, right), name


def test_it_learns_and_draws_a_curve(data, tmp_path):
    network = fresh()
    curve = train(network, data, OPTIONS, seed=0, work_dir=tmp_path)
    assert [row["epoch"] for row in curve] == [1, 2, 3]
    assert curve[-1]["train_loss"] < curve[0]["train_loss"]
    assert curve[-1]["valid_top1"] > 50
    assert not network.training
    with torch.inference_mode():
        shown = data.validation()
        logits = network((shown.images[:, None].float() / 255 - 0.5) / 0.25)
    top1 = 100 * (logits.argmax(1) == shown.labels).float().mean().item()
    # percent of 40 images, summed in float32
    assert curve[-1]["valid_top1"] == pytest.approx(top1, abs=1e-4)


def test_the_schedule_is_timms_per_update(data, tmp_path):
    """Half a cosine over the updates, after a linear warm-up: timm's formula."""
    curve = train(fresh(), data, OPTIONS, seed=0, work_dir=tmp_path)
    updates = len(data) // OPTIONS.batch_size
    angles = [torch.tensor(torch.pi * epoch / OPTIONS.epochs) for epoch in (1, 2, 3)]
    expected = [0.05 * (1 + angle.cos().item()) for angle in angles]
    assert updates == 10
    assert [row["learning_rate"] for row in curve] == pytest.approx(expected, abs=1e-8)


def test_milestones_are_epochs(data, tmp_path):
    """The paper divides by ten at two epochs; the rate of a row is that of the next update."""
    kwargs = {"decay_milestones": [1, 2], "decay_rate": 0.1}
    schedule = Schedule(sched="multistep", sched_kwargs=kwargs)
    options = OPTIONS.model_copy(update={"schedule": schedule})
    curve = train(fresh(), data, options, seed=0, work_dir=tmp_path)
    assert [row["learning_rate"] for row in curve] == pytest.approx([0.01, 0.001, 0.001])


@pytest.mark.parametrize(("devices", "workers"), [(1, 8), (2, 3), ("auto", 8), (16, 0)])
def test_a_device_has_its_share_of_the_threads(devices, workers):
    options = training_config(trainer={"devices": devices})
    assert TrainingOptions.on_threads(options, 9).trainer.workers == workers


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(data, tmp_path):
    networks = [fresh() for _ in range(3)]
    for run, (network, seed) in enumerate(zip(networks, (0, 0, 1), strict=True)):
        train(network, data, OPTIONS, seed=seed, work_dir=tmp_path / str(run))
    assert_same(networks[0], networks[1])
    with pytest.raises(AssertionError):
        assert_same(networks[0], networks[2])


@pytest.mark.parametrize("drop_rate", [0.0, 0.3])
def test_resuming_gives_the_bytes_of_an_uninterrupted_run(data, tmp_path, drop_rate):
    whole = fresh(drop_rate=drop_rate)
    curve = train(whole, data, OPTIONS, seed=0, work_dir=tmp_path / "whole")
    part = tmp_path / "part"
    for epochs in 1, 2:
        train(fresh(drop_rate=drop_rate), data, OPTIONS, seed=0, work_dir=part, stop_after=epochs)
        assert len(list(part.glob("*.ckpt"))) == 1
    resumed = fresh(seed=5, drop_rate=drop_rate)
    resumed_curve = train(resumed, data, OPTIONS, seed=0, work_dir=part)
    assert_same(whole, resumed)
    assert curve == resumed_curve


def test_a_checkpoint_is_whole_or_the_one_before(data, tmp_path, monkeypatch):
    train(fresh(), data, OPTIONS, seed=0, work_dir=tmp_path, stop_after=1)

    def fill_the_disk(_, path):
        path.write_bytes(b"half")
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", fill_the_disk)
        with pytest.raises(OSError, match="no space"):
            train(fresh(), data, OPTIONS, seed=0, work_dir=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
    whole, resumed = fresh(), fresh(seed=5)
    train(whole, data, OPTIONS, seed=0, work_dir=tmp_path / "whole")
    train(resumed, data, OPTIONS, seed=0, work_dir=tmp_path)
    assert_same(whole, resumed)


class Killed(Exception):
    pass


def test_a_run_that_dies_inside_an_epoch_goes_on_from_its_beginning(data, tmp_path, caplog):
    whole = fresh()
    train(whole, data, OPTIONS, seed=0, work_dir=tmp_path / "whole")
    calls = []

    def die(logits, labels):
        calls.append(None)
        if len(calls) == 15:
            raise Killed
        return 0.0

    with pytest.raises(Killed):
        train(fresh(), data, OPTIONS, seed=0, work_dir=tmp_path / "part", extra_loss=die)
    resumed = fresh(seed=5)
    with caplog.at_level(logging.INFO, logger="neuraldeps.networks"):
        train(resumed, data, OPTIONS, seed=0, work_dir=tmp_path / "part")
    assert "resuming from" in caplog.text
    assert_same(whole, resumed)


def test_a_finished_run_is_not_trained_again(data, tmp_path):
    first, again = fresh(), fresh(seed=5)
    curve = train(first, data, OPTIONS, seed=0, work_dir=tmp_path)
    assert train(again, data, OPTIONS, seed=0, work_dir=tmp_path) == curve
    assert_same(first, again)


def test_an_extra_loss_is_minimised_too(data, tmp_path):
    """Fine-tuning: a term that pulls one logit to zero makes it small."""

    def size_of_first(logits, labels):
        return logits[:, 0].square().mean()

    sizes = []
    for term in None, size_of_first:
        network = fresh()
        train(network, data, OPTIONS, seed=0, work_dir=tmp_path / str(term), extra_loss=term)
        shown = data.validation().images[:, None].float()
        with torch.inference_mode():
            sizes.append(network((shown / 255 - 0.5) / 0.25)[:, 0].square().mean().item())
    assert sizes[1] < 0.3 * sizes[0]


def test_mixed_precision_trains(data, tmp_path):
    options = training_options(
        epochs=1, batch_size=32, optimizer={"lr": 0.1}, trainer={"precision": "bf16-mixed"}
    )
    network = fresh()
    curve = train(network, data, options, seed=0, work_dir=tmp_path)
    assert curve[0]["train_loss"] < 2.4
    assert all(value.dtype != torch.bfloat16 for value in network.state_dict().values())


def test_an_epoch_shows_its_own_images_once_each_in_an_order_of_its_own(tmp_path):
    seen = []
    data = PosedGlyphs(bitmap_tensor(draw_bitmaps(load_categories(10, 0)[0])), 32, 4, 32, 0)

    class Watching(nn.Module):
        def __init__(self, network):
            super().__init__()
            self.inner, self.pretrained_cfg = network, network.pretrained_cfg

        def forward(self, inputs):
            if self.training:
                seen.append((inputs * 0.25 + 0.5).mul(255).round().byte()[:, 0])
            return self.inner(inputs)

    options = training_options(epochs=2, batch_size=32, optimizer={"lr": 0.01})
    train(Watching(fresh()), data, options, seed=0, work_dir=tmp_path)
    orders = []
    for epoch in 0, 1:
        images = torch.cat(seen[10 * epoch : 10 * epoch + 10])
        place = {image.numpy().tobytes(): i for i, image in enumerate(data.epoch(epoch).images)}
        orders.append([place[image.numpy().tobytes()] for image in images])
        assert sorted(orders[-1]) == list(range(320))
    assert len({*map(tuple, orders), tuple(range(320))}) == 3


REFUSED = [
    ({"optimizer": {"opt": "sgdd"}}, r"net\.train\.optimizer: Optimizer sgdd not found in reg"),
    ({"optimizer": {"opt_kwargs": {"beta": 1}}}, r"net\.train\.optimizer: .*argument 'beta'"),
    ({"schedule": {"sched": "sine"}}, r"net\.train\.schedule: Unknown scheduler 'sine'"),
    ({"schedule": {"sched": "none"}}, r"net\.train\.schedule: timm has no schedule 'none'"),
    ({"schedule": {"sched_kwargs": {"decay": 1}}}, r"net\.train\.schedule: .*argument 'decay'"),
    ({"trainer": {"trainer_kwargs": {"logger": True}}}, r"net\.train\.trainer: .*'logger'"),
    ({"trainer": {"trainer_kwargs": {"strategy": "x"}}}, r"net\.train\.trainer: .*strategy"),
    ({"augmentation": {"reprob": 0.1, "erase_kwargs": {"area": 1}}}, r"erase_kwargs: .*'area'"),
    ({"augmentation": {"mixup": 0.1, "mixup_kwargs": {"alpha": 1}}}, r"mixup_kwargs: .*'alpha'"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_options_that_timm_or_lightning_refuses_are_named_in_one_line(
    data, tmp_path, given, message
):
    options = training_options(epochs=1, batch_size=32, **given)
    with pytest.raises(InputError, match=message) as caught:
        train(fresh(), data, options, seed=0, work_dir=tmp_path, key="models.net.train")
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("; correct its options, or remove them")
