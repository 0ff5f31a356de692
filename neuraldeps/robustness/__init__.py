"""A dependency cut off by fine-tuning (Table 3)."""
