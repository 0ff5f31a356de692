"""Dependencies: solved for every pair of networks, and evaluated on images."""
