"""Frozen ImageNet networks, with the weights that come inside packages of the package index. Needs Keras."""
