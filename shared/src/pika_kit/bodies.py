"""What requests are made of: bodies that may be left out, and one of several names."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import CoreSchema, core_schema


class OneOf:
    """Of a string field: `Annotated[str, OneOf(PRESETS)]` takes these names only, and documents list them.

    As `Literal`, for names that are known only when the program runs.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = list(names)

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> CoreSchema:
        return core_schema.literal_schema(self._names)


class OptionalBody(BaseModel):
    """No body is an empty object. Values are taken as they are: no "4" for 4."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_empty(cls, value: Any) -> Any:
        return {} if value is None else value
