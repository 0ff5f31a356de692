"""Cards: what is known of every category's dependencies, one row each, for a spreadsheet."""

from neuraldeps.cards.cards import make_cards, write_cards

__all__ = ["make_cards", "write_cards"]
