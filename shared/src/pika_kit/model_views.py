"""The model endpoints, the same in every service with a model: list, show, activate, roll back."""

from collections.abc import Callable
from typing import Any

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pika_kit.bodies import OptionalBody
from pika_kit.contract import answers, api_blueprint, example
from pika_kit.following import Follower
from pika_kit.models import NoModel, UnknownVersion
from pika_kit.problems import Problem

VERSION_PATTERN = r"^v[1-9][0-9]{0,8}$"


CARD_EXAMPLE: dict[str, Any] = {
    "version": "v3",
    "published_at": "2026-11-26T06:30:00+00:00",
    "run_id": "0d9f3c3c5e8f4b0f9d5b8a6f2c1e7a44",
    "gate": {"passed": True, "faults": []},
    "is_current": True,
}


class VersionPath(BaseModel):
    """Path parameters of a published version."""

    version: str = Field(pattern=VERSION_PATTERN, description="Such as v2")


class GateAnswer(BaseModel):
    """Whether a version may be activated automatically."""

    passed: bool
    faults: list[str] = Field(description="Why not")


class CardAnswer(BaseModel):
    """A version's model card. Each kind of model adds fields of its own."""

    model_config = example(CARD_EXAMPLE, extra="allow")

    version: str
    published_at: str
    run_id: str
    gate: GateAnswer
    is_current: bool
    withdrawn: list[str] = Field(
        default=[], description="Pictures that it was trained on and that were withdrawn since"
    )


class ModelsAnswer(BaseModel):
    """All versions, oldest first."""

    model_config = example({"current": "v3", "models": [CARD_EXAMPLE]})

    current: str | None
    models: list[CardAnswer]


class CurrentModelAnswer(BaseModel):
    """The version that is served now."""

    model_config = example({"current": "v3", "card": CARD_EXAMPLE})

    current: str
    card: CardAnswer


class CurrentModelRequest(OptionalBody):
    """The version to activate: a named one, or the previous one."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["version"], "properties": {"version": {"type": "string"}}},
                {"required": ["rollback"], "properties": {"rollback": {"const": True}}},
            ],
            "examples": [{"version": "v2"}, {"rollback": True}],
        }
    )

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
    """Create `GET /<name>/models`, `…/models/<version>`, and `GET` and `PUT …/models/current`.

    Args:
        name: the service's name and path prefix.
        follower: returns the current application's follower.
        describe: returns what to add to a listed card, such as links to its pictures.
    """
    tag = Tag(name=f"{name} models", description="Training and versions")
    blueprint = api_blueprint(f"{name}_models", __name__, tag)

    def card_of(version: str) -> dict[str, Any]:
        card = next(
            (candidate for candidate in follower().registry.versions() if candidate["version"] == version),
            None,
        )
        if card is None:
            raise UnknownVersion(version)
        return {"withdrawn": [], **card, **describe(card)}

    @blueprint.get(f"/{name}/models", responses=answers(ModelsAnswer), operation_id=f"list_{name}_models")
    def list_models() -> Response:
        """List all versions with their cards, oldest first."""
        cards = follower().registry.versions()
        current = next((card["version"] for card in cards if card["is_current"]), None)
        listed = [{"withdrawn": [], **card, **describe(card)} for card in cards]
        return jsonify({"current": current, "models": listed})

    @blueprint.get(
        f"/{name}/models/current",
        responses=answers(CurrentModelAnswer, 503),
        operation_id=f"get_current_{name}_model",
    )
    def get_current_model() -> Response:
        """Show the current version and its card."""
        version = follower().registry.current()
        if version is None:
            raise no_model_problem(name, f"train one with `pikastack train {name}` or POST /{name}/train.")
        return jsonify({"current": version, "card": card_of(version)})

    @blueprint.get(
        f"/{name}/models/<version>", responses=answers(CardAnswer, 404), operation_id=f"get_{name}_model"
    )
    def get_model(path: VersionPath) -> Response:
        """Show one version's card."""
        return jsonify(card_of(path.version))

    @blueprint.put(
        f"/{name}/models/current",
        responses=answers(CurrentModelAnswer, 404, 409),
        operation_id=f"set_current_{name}_model",
    )
    def set_current_model(body: CurrentModelRequest) -> Response:
        """Activate a version, or roll back to the previous one.

        The services load it within seconds.
        """
        registry = follower().registry
        if body.rollback:
            try:
                version = registry.rollback()
            except NoModel as error:
                raise Problem(409, "no-earlier-version", "No earlier version", f"{error}.") from None
        else:
            version = str(body.version)
            registry.activate(version)
        # Switch this process immediately, so that a client that activates a version also gets it.
        follower().refresh()
        return jsonify({"current": version, "card": card_of(version)})

    return blueprint


def no_model_problem(title: str, what_to_do: str) -> Problem:
    """Build the 503 problem of a service without a model."""
    return Problem(503, "model-missing", "No model yet", f"No {title} is published yet: {what_to_do}")
