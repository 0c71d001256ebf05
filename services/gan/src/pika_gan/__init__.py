"""Trains a GAN on the pikachu bucket and serves POST /generate."""
