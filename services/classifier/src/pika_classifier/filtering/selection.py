"""Make the target bucket match a decision: it contains exactly the accepted pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pika_classifier.labels.vocabulary import CHOSEN_BY_CHANCE, OTHERS, PIKACHU
from pika_classifier.learn.threshold import audits_needed, lower_bound
from pika_kit.pictures import PictureBucket
from pika_kit.store_errors import ObjectMissing
from pika_kit.threads import in_threads

_CERTIFIED = (0.95, 0.98, 0.99)
_NUM_THREADS = 8
MANIFEST_KEY = "index/chosen.json"
"""In the target: id → `Decision.mark`, as the last filter left it."""


@dataclass(frozen=True)
class Decision:
    """Which pictures are accepted, and why.

    Attributes:
        version: of the model.
        threshold: a probability of at least this is accepted.
        probabilities: picture id → probability, None for an unreadable one.
        labels: picture id → "pikachu" or "others" by a person, which overrides the model.
    """

    version: str
    threshold: float
    probabilities: dict[str, float | None]
    labels: dict[str, str]

    def passes(self, picture_id: str) -> bool:
        """Return whether the picture belongs into the target."""
        if picture_id in self.labels:
            return self.labels[picture_id] == PIKACHU
        probability = self.probabilities[picture_id]
        return probability is not None and probability >= self.threshold

    def reason(self, picture_id: str) -> dict[str, Any]:
        """Return what the picture's provenance records about the decision."""
        return {
            "model_version": self.version,
            "probability": self.probabilities[picture_id],
            "labelled": self.labels.get(picture_id),
        }

    def mark(self, picture_id: str) -> str:
        """Return the reason in short: a picture accepted again for the same reason is left alone."""
        return f"{self.version} {self.probabilities[picture_id]} {self.labels.get(picture_id)}"

    def counts(self) -> dict[str, int]:
        """Count the decisions by who made them."""
        decided = [self.labels[picture_id] for picture_id in self.probabilities if picture_id in self.labels]
        passing = [picture_id for picture_id in self.probabilities if self.passes(picture_id)]
        return {
            "looked_at": len(self.probabilities),
            "chosen": len(passing),
            "unreadable": sum(value is None for value in self.probabilities.values()),
            "chosen_by_label": decided.count(PIKACHU),
            "left_out_by_label": decided.count(OTHERS),
        }

    def certainty(self, audited: dict[str, str]) -> dict[str, Any]:
        """Return the expected precision of the model's accepted pictures, and what labels certify about it.

        Args:
            audited: id → label of random accepted pictures that the model has not learned from.

        Returns:
            {"expected_precision": mean probability of the accepted, None without any;
            "audit": {"num", "right", "certified_lower_bound": with 95 % confidence, "needed": precision →
            how many audited pictures without an error certify it}}.
        """
        values = [value for value in self.probabilities.values() if value is not None]
        accepted = [value for value in values if value >= self.threshold]
        answers = [
            label == PIKACHU
            for picture_id, label in audited.items()
            if (value := self.probabilities.get(picture_id)) is not None and value >= self.threshold
        ]
        return {
            "expected_precision": sum(accepted) / len(accepted) if accepted else None,
            "audit": {
                "num": len(answers),
                "right": sum(answers),
                "certified_lower_bound": lower_bound(sum(answers), len(answers)),
                "needed": {str(value): audits_needed(value) for value in _CERTIFIED},
            },
        }


def audited(current: dict[str, dict[str, Any]], learned_from: set[str]) -> dict[str, str]:
    """Return id → label of the labels that can certify a model: chosen at random, and new to the model."""
    return {
        picture_id: label["label"]
        for picture_id, label in current.items()
        if label.get("why") in CHOSEN_BY_CHANCE and picture_id not in learned_from
    }


def apply(
    decision: Decision,
    source: PictureBucket,
    target: PictureBucket,
    on_progress: Callable[[int, int], None],
) -> dict[str, int]:
    """Copy accepted pictures to `target` with the reason; remove those no longer accepted.

    Only `target` changes. Repeating it changes nothing; an interruption leaves a mixture that the next run
    corrects. Pictures that came into the target in another way stay. Pictures that are there for the same
    reason, according to the manifest in `target`, cost no call.

    Returns:
        {"added", "kept", "removed"}.
    """
    there = set(target.ids())
    manifest: dict[str, str] = target.store.read_json(target.bucket, MANIFEST_KEY, {})[0]
    passing = [picture_id for picture_id in decision.probabilities if decision.passes(picture_id)]
    reasons = {picture_id: decision.mark(picture_id) for picture_id in passing}
    known = {
        picture_id
        for picture_id in passing
        if picture_id in there and manifest.get(picture_id) == reasons[picture_id]
    }
    changes = [(picture_id, True) for picture_id in passing if picture_id not in known]
    changes += [(picture_id, False) for picture_id in sorted(there.difference(passing))]
    counts = {"added": 0, "kept": len(known), "removed": 0}
    total = len(known) + len(changes)
    on_progress(len(known), total)
    work = in_threads(
        lambda change: _change(decision, source, target, change, change[0] in there), changes, _NUM_THREADS
    )
    for done, (_, outcome) in enumerate(work, start=len(known) + 1):
        if outcome:
            counts[outcome] += 1
        on_progress(done, total)
    if changes or manifest != reasons:
        target.store.put_json(target.bucket, MANIFEST_KEY, reasons)
    return counts


def _change(
    decision: Decision, source: PictureBucket, target: PictureBucket, change: tuple[str, bool], is_there: bool
) -> str | None:
    picture_id, passes = change
    try:
        if passes:
            return _take(decision, source, target, picture_id, is_there)
        return _leave(target, picture_id)
    except ObjectMissing:
        return None  # deleted since it was listed


def _take(
    decision: Decision, source: PictureBucket, target: PictureBucket, picture_id: str, is_there: bool
) -> str:
    entry = source.entry(picture_id)
    provenance = source.provenance(entry) | {"filter": decision.reason(picture_id)}
    if is_there:
        if target.provenance(picture_id) != provenance:
            target.set_provenance(picture_id, provenance)
        return "kept"
    target.add(picture_id, source.read(entry), entry.extension, provenance)
    return "added"


def _leave(target: PictureBucket, picture_id: str) -> str | None:
    if "filter" not in target.provenance(picture_id):
        return None
    target.delete(picture_id)
    return "removed"
