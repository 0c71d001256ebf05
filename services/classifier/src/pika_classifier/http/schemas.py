"""Request models of this service, validated by pydantic before a view runs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pika_classifier.config import DEFAULT_PRESET, PRESETS
from pika_classifier.labels.vocabulary import LABELS, SPLITS, TRAINS
from pika_kit.bodies import OneOf, OptionalBody

MAX_PICTURES = 1000
PictureId = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256, 64 hexadecimal digits")]
Annotator = Annotated[str, Field(min_length=1, max_length=64, description="Who says so")]
Threshold = Annotated[
    float | None,
    Field(
        gt=0,
        lt=1,
        description="Minimum probability; default: the operator's setting, or what the model card recommends",
    ),
]


LabelName = Annotated[str, OneOf(LABELS)]
SplitName = Annotated[str, OneOf(SPLITS)]
PresetName = Annotated[str, OneOf(PRESETS)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


Precision = Annotated[
    float | None,
    Field(
        gt=0,
        lt=1,
        description="Instead of a threshold: the expected share of accepted pictures that show Pikachu",
    ),
]


def _one_of(threshold: float | None, precision: float | None) -> None:
    if threshold is not None and precision is not None:
        raise ValueError("expected a threshold or a precision, received both")


class AskQuery(BaseModel):
    """The query of POST /is-pikachu."""

    threshold: Threshold = None
    precision: Precision = None

    @model_validator(mode="after")
    def _not_both(self) -> AskQuery:
        _one_of(self.threshold, self.precision)
        return self


class LabelItem(_Body):
    """One picture's label."""

    id: PictureId
    label: LabelName
    split: SplitName = Field(TRAINS)
    why: Literal["uncertain", "random", "audit"] | None = Field(
        None, description="Why the picture was shown, as GET /labels/next told"
    )


class LabelsRequest(_Body):
    """Labels for pictures of the images bucket, or new labels for labelled pictures."""

    labels: list[LabelItem] = Field(min_length=1, max_length=MAX_PICTURES)
    annotator: Annotator = "anonymous"


class AnnotatorQuery(BaseModel):
    """The annotator who imports or undoes."""

    annotator: Annotator = "anonymous"


class ImportQuery(AnnotatorQuery):
    """An import, or one part of it."""

    unit: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="A name shared by the parts of one import, which are then undone together",
    )


class RestoreRequest(_Body):
    """The undone labels to restore."""

    entry: str = Field(pattern=r"^[0-9]{20}-[0-9a-f]{8}$", description="An id from DELETE /labels/last")
    annotator: Annotator = "anonymous"


class LabelListQuery(BaseModel):
    """Selects a page of the labels."""

    cursor: str = Field("", pattern=r"^([0-9a-f]{64})?$", description="next_cursor of the previous page")
    limit: int = Field(100, ge=0, le=1000, description="Labels per page")


class NextQuery(BaseModel):
    """Selects pictures to label."""

    count: int = Field(10, ge=1, le=100, description="How many pictures")
    seed: int = Field(0, ge=0, description="Seed of the random choices")
    mode: Literal["learn", "audit"] = Field(
        "learn", description="learn: the most informative pictures; audit: random ones among those accepted"
    )
    threshold: Threshold = None
    annotator: Annotator | None = Field(
        None, description="Reserve the pictures for this annotator for 15 minutes"
    )


PLOT_NAMES = ("reliability.svg", "precision-recall.svg", "mistakes.png")


class PlotPath(BaseModel):
    """One picture of a version's card."""

    version: str = Field(pattern=r"^v[1-9][0-9]{0,8}$", description="Such as v2")
    name: Literal["reliability.svg", "precision-recall.svg", "mistakes.png"]


class CompareQuery(BaseModel):
    """The two versions to compare."""

    base: str = Field(pattern=r"^v[1-9][0-9]{0,8}$", description="Such as v1")
    other: str = Field(pattern=r"^v[1-9][0-9]{0,8}$", description="Such as v2")

    @model_validator(mode="after")
    def _two(self) -> CompareQuery:
        if self.base == self.other:
            raise ValueError("other: expected another version than base")
        return self


class ClassifierTrainRequest(OptionalBody):
    """A training run on all labels."""

    preset: PresetName = Field(DEFAULT_PRESET, description="The recipe")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Of weights, order and augmentation")
    activate: bool = Field(True, description="Make the result the current version")


class SheetPath(BaseModel):
    """A sheet of a filter's report."""

    job_id: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="The filter job's id")
    name: Literal["accepted.png", "left-out.png"]


class FilterRequest(OptionalBody):
    """Which pictures of images to accept into pikachu."""

    threshold: Threshold = None
    precision: Precision = None
    dry_run: bool = Field(False, description="Only tell what would be chosen")
    model_version: str | None = Field(
        None, pattern=r"^v[1-9][0-9]{0,8}$", description="The current one by default"
    )

    @model_validator(mode="after")
    def _not_both(self) -> FilterRequest:
        _one_of(self.threshold, self.precision)
        return self
