"""The views of a model's versions, the same in every service that serves one: list, activate, roll back."""

from collections.abc import Callable
from typing import Any

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pika_kit.following import Follower
from pika_kit.models import NoModel
from pika_kit.problems import Problem

VERSION_PATTERN = r"^v[1-9][0-9]{0,8}$"


class CurrentModelRequest(BaseModel):
    """Which version shall be in use: a named one, or the one before."""

    model_config = ConfigDict(extra="forbid")

    version: str | None = Field(None, pattern=VERSION_PATTERN, description="Such as v2")
    rollback: bool = Field(False, description="Back to the version that was current before")

    @model_validator(mode="after")
    def _one_of(self) -> "CurrentModelRequest":
        if (self.version is None) == (not self.rollback):
            raise ValueError('expected {"version": "v2"} or {"rollback": true}')
        return self


def model_views(
    name: str, follower: Callable[[], Follower[Any]], describe: Callable[[dict[str, Any]], dict[str, Any]]
) -> APIBlueprint:
    """`GET /<name>/models` and `PUT /<name>/models/current`.

    Args:
        follower: gives the current application's follower.
        describe: what is added to a card in the list: where its pictures are.
    """
    tag = Tag(name=f"{name} models", description="Training and versions")
    blueprint = APIBlueprint(f"{name}_models", __name__, abp_tags=[tag])

    @blueprint.get(f"/{name}/models")
    def list_models() -> Response:
        """All versions with their cards, oldest first."""
        cards = follower().registry.versions()
        current = next((card["version"] for card in cards if card["is_current"]), None)
        return jsonify({"current": current, "models": [card | describe(card) for card in cards]})

    @blueprint.put(f"/{name}/models/current")
    def set_current_model(body: CurrentModelRequest) -> Response:
        """Activate a version, or go back to the one before; front ends follow within seconds."""
        registry = follower().registry
        if body.rollback:
            try:
                version = registry.rollback()
            except NoModel as error:
                raise Problem(409, "no-earlier-version", "No earlier version", f"{error}.") from None
        else:
            version = str(body.version)
            registry.activate(version)
        # This process at once, so that who has asked for the version gets it.
        follower().refresh()
        return jsonify({"current": version, "card": registry.card(version)})

    return blueprint


def no_model_problem(title: str, what_to_do: str) -> Problem:
    """503 for a service that has nothing to serve yet."""
    return Problem(503, "model-missing", "No model yet", f"No {title} is published yet: {what_to_do}")
