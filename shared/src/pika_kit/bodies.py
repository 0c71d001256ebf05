"""Request bodies that may be left out, because all their fields have defaults."""

from typing import Any

from flask import has_request_context, request
from pydantic import BaseModel, ConfigDict, model_validator

from pika_kit.problems import Problem


class OptionalBody(BaseModel):
    """No body is an empty object; one that cannot be read as JSON is an error, and does not pass for none."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_empty(cls, value: Any) -> Any:
        if value is not None:
            return value
        if has_request_context() and request.get_data():
            raise Problem(
                422,
                "request-invalid",
                "The request does not fit",
                "The body could not be read as JSON.",
                expected="a JSON object with Content-Type: application/json, or no body",
                received=request.content_type or "no Content-Type",
            )
        return {}
