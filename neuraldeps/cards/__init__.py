"""Cards: what is known of every category's dependencies, one row each, for a spreadsheet."""

from neuraldeps.cards.cards import make_cards, write_cards
from neuraldeps.cards.diff import compare_networks

__all__ = ["compare_networks", "make_cards", "write_cards"]
