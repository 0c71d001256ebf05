"""Withdrawn pictures, and immutable data sets."""
