"""Controls: what the same analysis says where there is nothing learned to find, and where there is."""
