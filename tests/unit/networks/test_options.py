"""The library repeats no default of the configuration: what disagrees would train another network."""

import pytest

from neuraldeps.config.networks import Extraction
from neuraldeps.config.training import Train
from neuraldeps.logits.extraction import ExtractionOptions
from neuraldeps.networks.loop import TrainingOptions
from tests.options import training_config


@pytest.mark.parametrize(
    ("options", "block", "own"),
    [(ExtractionOptions, Extraction, {"device", "backend"}), (TrainingOptions, Train, set())],
)
def test_options_are_the_configurations_own(options, block, own):
    assert issubclass(options, block)
    declared = set(options.__annotations__)
    assert declared == {"channels_last", *own}
    assert options.model_fields["channels_last"].is_required()


def test_a_job_has_the_defaults_that_the_configuration_has():
    given = training_config(epochs=7)
    options = TrainingOptions.on_threads(given, 1)
    assert options.epochs == 7
    assert options.optimizer == Train().optimizer
    assert options.augmentation == Train().augmentation
    # a glyphs' training is given no options of photos
    del given["augmentation"]
    assert TrainingOptions.on_threads(given, 1).augmentation.mixup == 0
