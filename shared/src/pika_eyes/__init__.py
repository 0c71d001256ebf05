"""Frozen ImageNet networks whose weights are installed from the package index, and heads for features."""
