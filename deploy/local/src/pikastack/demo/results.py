"""The demo's results, step by step; a skipped step is None, and `shortfalls` says why."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Intake:
    """What became of the files. `ready`: usable squares."""

    looked_at: int
    taken: int
    already_there: int
    exact_duplicates: int
    near_duplicates: int
    refused: int
    refused_by_reason: dict[str, int]
    ready: int

    @classmethod
    def of(cls, scraped: dict[str, Any], prepared: dict[str, Any], buckets: dict[str, Any]) -> "Intake":
        """Create from the reports of the jobs scrape and prepare, and `GET /buckets`."""
        reasons: dict[str, int] = {}
        for report in (scraped, prepared):
            for reason, count in report["refused_by_reason"].items():
                reasons[reason] = reasons.get(reason, 0) + count
        return cls(
            looked_at=scraped["looked_at"],
            taken=scraped["taken"],
            already_there=scraped["already_there"],
            exact_duplicates=scraped["exact_duplicates"],
            near_duplicates=buckets["near_duplicates"],
            refused=scraped["refused"] + prepared["refused"],
            refused_by_reason=reasons,
            ready=buckets["buckets"]["images"],
        )


@dataclass(frozen=True)
class AtThreshold:
    """The classifier on the validation labels; a probability of at least `threshold` means Pikachu."""

    threshold: float
    accuracy: float | None
    precision: float | None
    recall: float | None


@dataclass(frozen=True)
class ClassifierRun:
    """A trained classifier; `recommended_threshold` is its card's and is used everywhere."""

    version: str
    roc_auc: float | None
    pr_auc: float | None
    calibration_error: float | None
    recommended_threshold: float
    at_thresholds: tuple[AtThreshold, ...]

    @classmethod
    def of(cls, result: dict[str, Any]) -> "ClassifierRun":
        """Create from the job's result."""
        validation = result["validation"]
        rows = tuple(
            AtThreshold(row["threshold"], row["accuracy"], row["precision"], row["recall"])
            for row in validation["at_thresholds"]
        )
        return cls(
            result["version"],
            result["roc_auc"],
            result["pr_auc"],
            validation["calibration_error"],
            result["recommended_threshold"],
            rows,
        )


@dataclass(frozen=True)
class Choice:
    """How many pictures were accepted at which threshold."""

    threshold: float
    chosen: int


@dataclass(frozen=True)
class BestOf:
    """What the generator's critic chooses among up to so many candidates for each seed, measured."""

    candidates: int
    kid: float
    likeness: float | None


@dataclass(frozen=True)
class GanRun:
    """A trained generator, measured against pictures it never saw."""

    version: str
    steps: int
    minutes: float
    num_pictures: int
    kid: float
    kid_interval: tuple[float, float] | None
    diversity: float
    collapsed: bool
    near_copy_rate: float
    recall: float
    likeness: float | None
    pictures: dict[str, Any]
    warnings: tuple[str, ...]
    is_served: bool
    """Whether it became the current version; one with faults does not."""
    best_of: BestOf | None = None
    """None without a critic."""

    @classmethod
    def of(cls, result: dict[str, Any]) -> "GanRun":
        """Create from the job's result."""
        interval = result["kid_interval"]
        return cls(
            result["model_version"],
            result["steps"],
            result["minutes"],
            result["num_pictures"],
            result["kid"],
            (interval[0], interval[1]) if interval else None,
            result["diversity"],
            result["collapsed"],
            result["near_copy_rate"],
            result["recall"],
            result["likeness"],
            result["pictures"],
            tuple(result["warnings"]),
            result["passed_gate"],
            BestOf(**result["best_of"]) if result.get("best_of") else None,
        )

    @property
    def candidates(self) -> int:
        """The number of candidates to draw for each picture that is shown."""
        return self.best_of.candidates if self.best_of else 1


@dataclass(frozen=True)
class Verdict:
    """The classifier's answer for one picture: a probability, or why there is none."""

    file: str
    probability: float | None
    is_pikachu: bool | None
    problem: str | None

    @classmethod
    def of(cls, file: str, answer: dict[str, Any]) -> "Verdict":
        """Create from a response of `/is-pikachu`, or from the problem instead."""
        if "probability" in answer:
            return cls(file, answer["probability"], answer["is_pikachu"], None)
        return cls(file, None, None, answer.get("title", "no answer"))


@dataclass
class Results:
    """One demo, as far as it got."""

    source: str
    url: str
    state: str
    intake: Intake | None = None
    labels: dict[str, dict[str, int]] = field(default_factory=dict)
    classifier: ClassifierRun | None = None
    at_recommended: Choice | None = None
    choice: Choice | None = None
    """The pictures that the GAN learned from; differs from the one before where that left too few."""
    gan: GanRun | None = None
    files: dict[str, Path] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    shortfalls: list[str] = field(default_factory=list)
    """What could not be done with these pictures, and what would help."""

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON-able data."""
        return asdict(self) | {"files": {name: str(path) for name, path in self.files.items()}}
