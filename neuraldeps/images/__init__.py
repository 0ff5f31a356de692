"""Images: drawn or found, indexed, and read in batches."""
