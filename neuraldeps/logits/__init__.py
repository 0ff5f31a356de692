"""Logits: extracted or imported, stored and read."""
