"""Cards of networks that were not looked at."""

from dataclasses import replace
from typing import Any

from neuraldeps.networks.card import NetworkCard

CARD = NetworkCard(
    model="net",
    architecture="test_efficientnet",
    n_categories=12,
    param_count=2_500_000,
    feature_dimension=8,
    rank_bound=9,
    input_size=[1, 32, 32],
    interpolation="bilinear",
    mean=[0.5],
    std=[0.25],
    crop_pct=1.0,
    crop_mode="center",
)


def card_with(**changes: Any) -> NetworkCard:
    """A card of glyphs' networks, but for some of its fields."""
    return replace(CARD, **changes)
