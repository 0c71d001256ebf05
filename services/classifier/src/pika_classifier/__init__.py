"""Learns from a few labels which pictures show Pikachu, and serves POST /is-pikachu."""
