"""The library repeats no default of the configuration: what disagrees would train another network."""

from dataclasses import MISSING, fields

import pytest

from neuraldeps.config import OF_PHOTOS
from neuraldeps.extraction import ExtractionOptions
from neuraldeps.training import PhotoOptions, TrainingOptions
from tests.options import extraction_config, training_config

TRAINING = {*training_config(), "workers", "photos"} - {*OF_PHOTOS}
PHOTOS = {*OF_PHOTOS} - {"split"}


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (ExtractionOptions, {*extraction_config()}),
        (TrainingOptions, TRAINING),
        (PhotoOptions, PHOTOS),
    ],
)
def test_every_option_of_the_configuration_must_be_given(options, names):
    required = {
        one.name for one in fields(options) if one.default is one.default_factory is MISSING
    }
    assert required == names


def test_a_glyphs_training_has_no_options_of_photos():
    given = {name: value for name, value in training_config().items() if name not in OF_PHOTOS}
    assert TrainingOptions.on_threads(given, 1).photos is None
    with pytest.raises(TypeError, match="mixup_mode"):
        TrainingOptions.on_threads({**given, "mixup": 0.0}, 1)
