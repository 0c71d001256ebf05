"""Building blocks of request models: optional bodies, and strings restricted to known names."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import CoreSchema, core_schema


class OneOf:
    """Restrict a string field to given names: `Annotated[str, OneOf(PRESETS)]`; the schema lists them.

    Like `Literal`, for names that are only known at run time.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = list(names)

    def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> CoreSchema:
        return core_schema.literal_schema(self._names)


class OptionalBody(BaseModel):
    """A request model whose body may be omitted. Types are strict: "4" is not accepted for 4."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_empty(cls, value: Any) -> Any:
        return {} if value is None else value
