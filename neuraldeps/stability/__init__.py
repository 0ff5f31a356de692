"""Stability: how much of a dependency's sources is the data's, and how much the sample's."""
