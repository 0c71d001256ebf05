"""Response models of the classifier, for its OpenAPI document."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pika_kit.contract import ProblemDetails, example
from pika_kit.model_views import CARD_EXAMPLE

_ID = "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c"
_OTHER_ID = "7d865e959b2466918c9863afca942d0fb89d7c9ac0c99bafc3749504ded97730"
_ENTRY = "01795673846580409000-3f2b8c1d"
_COUNTS: dict[str, Any] = {"trains": {"pikachu": 30, "others": 50}, "valids": {"pikachu": 12, "others": 20}}
_ANSWER: dict[str, Any] = {
    "is_pikachu": True,
    "probability": 0.973,
    "threshold": 0.61,
    "novelty": 0.2,
    "model_version": "v2",
    "request_id": "3f2b8c1d9a4e4f0b8c7d6e5f4a3b2c1d",
}
_LABEL: dict[str, Any] = {"id": _ID, "label": "pikachu", "split": "trains", "why": "uncertain"}


class IsPikachuAnswer(BaseModel):
    """Whether the picture shows Pikachu."""

    model_config = example(_ANSWER)

    is_pikachu: bool = Field(description="Whether `probability` reaches `threshold`")
    probability: float = Field(ge=0, le=1)
    threshold: float
    novelty: float | None = Field(
        description="How unlike all known pictures it is; above 1: more than most of them. Null where the "
        "model cannot tell"
    )
    model_version: str
    request_id: str


class PictureProblemAnswer(BaseModel):
    """A list entry for a picture without an answer, with the reason."""

    problem: ProblemDetails


class SplitCounts(BaseModel):
    """Labelled pictures of a split."""

    pikachu: int
    others: int


class LabelCounts(BaseModel):
    """How many pictures are labelled."""

    trains: SplitCounts
    valids: SplitCounts


class LabelOfPicture(BaseModel):
    """One picture's label."""

    id: str
    label: Literal["pikachu", "others"]
    split: Literal["trains", "valids"]
    why: str | None = Field(default=None, description="Why the picture was shown")


class LabelsAddedAnswer(LabelCounts):
    """The labelled pictures, and the number of labels now."""

    model_config = example({"entry": _ENTRY, "labels": [_LABEL], **_COUNTS})

    entry: str = Field(description="Of the log, for POST /labels/restore")
    labels: list[LabelOfPicture]


class RefusedFile(BaseModel):
    """A file that was rejected."""

    file: str
    reason: str
    detail: str


class ImportAnswer(BaseModel):
    """What became of every file."""

    model_config = example(
        {
            "files": 113,
            "imported": 112,
            "unchanged": 0,
            "duplicates": 0,
            "refused": 1,
            "refused_files": [{"file": "trains/pikachu/notes.txt", "reason": "not_a_picture", "detail": "…"}],
        }
    )

    files: int
    imported: int
    unchanged: int
    duplicates: int
    refused: int
    refused_files: list[RefusedFile]


class LogAnswer(BaseModel):
    """Entries of the log that were undone or restored."""

    model_config = ConfigDict(extra="allow")

    labels: list[LabelOfPicture]
    annotator: str


class UndoneAnswer(LabelCounts):
    """The undone labels."""

    model_config = example(
        {"undone": {"entries": [_ENTRY], "labels": [_LABEL], "annotator": "misty"}, **_COUNTS}
    )

    undone: LogAnswer


class RestoredAnswer(LabelCounts):
    """The restored labels."""

    model_config = example(
        {"restored": {"entries": [_ENTRY], "labels": [_LABEL], "annotator": "misty"}, **_COUNTS}
    )

    restored: LogAnswer


class RemovedAnswer(BaseModel):
    """Withdrawn pictures that were removed, by bucket."""

    model_config = example({"removed_from": {"labels": [_ID], "pikachu": []}})

    removed_from: dict[str, list[str]]


class LabelItemAnswer(BaseModel):
    """A current label."""

    model_config = ConfigDict(extra="allow")

    id: str
    label: Literal["pikachu", "others"]
    split: Literal["trains", "valids"]


class LabelListAnswer(LabelCounts):
    """One page of the labels."""

    model_config = example({**_COUNTS, "total": 112, "items": [_LABEL], "next_cursor": _ID})

    total: int
    items: list[LabelItemAnswer]
    next_cursor: str | None


class PictureToLabel(BaseModel):
    """A picture worth labelling."""

    id: str
    probability: float | None
    why: Literal["uncertain", "random", "audit"]


class NextLabelsAnswer(BaseModel):
    """Pictures to label next."""

    model_config = example(
        {
            "order": "uncertain",
            "unlabelled": 3127,
            "pictures": [{"id": _ID, "probability": 0.51, "why": "uncertain"}],
        }
    )

    order: Literal["uncertain", "random", "audit"]
    unlabelled: int
    pictures: list[PictureToLabel]


class Opinion(BaseModel):
    """One annotator's label."""

    label: Literal["pikachu", "others"]
    annotator: str
    at: str


class Disagreement(BaseModel):
    """A picture that annotators label differently; the latest label counts."""

    id: str
    labels: list[Opinion]


class DisagreementsAnswer(BaseModel):
    """Pictures that annotators label differently."""

    model_config = example(
        {
            "pictures": [
                {
                    "id": _ID,
                    "labels": [
                        {"label": "others", "annotator": "ash", "at": "2026-11-26T06:00:00+00:00"},
                        {"label": "pikachu", "annotator": "misty", "at": "2026-11-26T06:01:00+00:00"},
                    ],
                }
            ]
        }
    )

    pictures: list[Disagreement]


class ComparisonAnswer(BaseModel):
    """Two versions side by side."""

    model_config = example(
        {
            "base": CARD_EXAMPLE | {"version": "v1"},
            "other": CARD_EXAMPLE | {"version": "v2"},
            "labels_in_common": 32,
            "difference": {
                "roc_auc": {"value": 0.01, "interval": [-0.01, 0.03], "is_clear": False},
                "pr_auc": None,
            },
            "pictures": {
                "in_common": 3239,
                "accepted_by_both": 440,
                "accepted_by_base_only": [_ID],
                "accepted_by_other_only": [_OTHER_ID],
            },
        }
    )

    base: dict[str, Any]
    other: dict[str, Any]
    labels_in_common: int
    difference: dict[str, Any]
    pictures: dict[str, Any]
