"""The versions that are served, for all views."""

from __future__ import annotations

from flask import current_app

from pika_gan.serving import LoadedModel
from pika_kit.following import Follower

MODELS = "PIKA_GAN_MODELS"


def models() -> Follower[LoadedModel]:
    """The models of this service."""
    found: Follower[LoadedModel] = current_app.config[MODELS]
    return found
