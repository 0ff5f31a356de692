"""New categories learned from the logits of base categories (Tables 2 and 4)."""
