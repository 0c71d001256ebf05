"""The served versions, for all views."""

from __future__ import annotations

from flask import current_app

from pika_gan.serving import LoadedModel
from pika_kit.following import Follower

MODELS = "PIKA_GAN_MODELS"


def models() -> Follower[LoadedModel]:
    """Return the follower of this service's models."""
    models: Follower[LoadedModel] = current_app.config[MODELS]
    return models
