"""Count what became of candidates, with sample names for each reason."""

from collections import Counter
from typing import Any

from pika_scraper.config import MAX_SAMPLES


class Tally:
    """Counts by outcome; one that starts with "refused:" is a reason for rejection."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.samples: dict[str, list[Any]] = {}

    def add(self, outcome: str, sample: Any = None) -> None:
        """Count one; the first few samples of each outcome are kept."""
        self.counts[outcome] += 1
        if sample is not None:
            kept = self.samples.setdefault(outcome.removeprefix("refused:"), [])
            if len(kept) < MAX_SAMPLES:
                kept.append(sample)

    @property
    def refused_by_reason(self) -> dict[str, int]:
        """Return reason → count, most frequent first."""
        return {
            outcome.removeprefix("refused:"): count
            for outcome, count in self.counts.most_common()
            if outcome.startswith("refused:")
        }

    @property
    def num_refused(self) -> int:
        """Return the number of rejected candidates."""
        return sum(self.refused_by_reason.values())
