"""Serving a trained model."""
