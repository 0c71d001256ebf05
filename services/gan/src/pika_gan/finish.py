"""The end of a run: measure the chosen generator, and save its sheet, film, walk and nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pika_gan import samples
from pika_gan.candidates import CANDIDATES, candidate_latents, preferred
from pika_gan.data import Dataset
from pika_gan.evaluate import Evaluation, Evaluator
from pika_gan.latents import latents_of
from pika_gan.state import DRAWN_AT_ONCE, GanState

FINAL_SEEDS = 1_500_000
"""The final measurement draws other seeds than those by which the generator was chosen."""
NUM_NEIGHBOURS = 16  # drawn pictures shown with their nearest training pictures
NUM_STOPS = 6  # of the latent walk


@dataclass(frozen=True)
class FinalMeasurement:
    """Measurements of the chosen generator, with intervals.

    Attributes:
        evaluation: of all its pictures.
        of_preferred: of those that the critic prefers among CANDIDATES each; None without a critic.
    """

    evaluation: Evaluation
    of_preferred: Evaluation | None


def measure(gan: GanState, evaluator: Evaluator, *, has_critic: bool) -> FinalMeasurement:
    """Measure the averaged generator on twice the usual number of pictures.

    Args:
        gan: with the weights of the chosen step.
        evaluator: of the run's data set.
        has_critic: whether the projected critic had been trained by then.
    """
    preset = gan.preset
    seeds = list(range(FINAL_SEEDS, FINAL_SEEDS + 2 * preset.evaluation_pictures))
    drawn = gan.draw(latents_of(seeds, preset.latent_dim))
    return FinalMeasurement(
        evaluator.evaluate(drawn, interval=True),
        evaluator.evaluate(draw_preferred(gan, seeds), interval=True) if has_critic else None,
    )


def draw_preferred(gan: GanState, seeds: list[int]) -> np.ndarray:
    """Draw what /generate returns for these seeds with CANDIDATES candidates: uint8 (N, S, S, 3)."""
    chosen = []
    for start in range(0, len(seeds), DRAWN_AT_ONCE):  # all of them at once would need much memory
        rows = [
            candidate_latents(seed, CANDIDATES, gan.preset.latent_dim)
            for seed in seeds[start : start + DRAWN_AT_ONCE]
        ]
        drawn = gan.draw(np.concatenate(rows))
        chosen.append(drawn[preferred(gan.realism(drawn), CANDIDATES)])
    return np.concatenate(chosen)


def save_pictures(
    gan: GanState, evaluator: Evaluator, dataset: Dataset, sheet_latents: np.ndarray, folder: Path
) -> tuple[str, ...]:
    """Save best.png, film.webp, walk.webp and nearest.png.

    Returns:
        The ids of the training pictures on nearest.png, in order.
    """
    drawn = gan.draw(sheet_latents)
    samples.save_sheet(drawn, folder, 0).replace(folder / "best.png")
    samples.save_film(folder / "samples", folder / "film.webp")
    stops = samples.walk_latents(sheet_latents[:NUM_STOPS])
    samples.save_walk(gan.draw(stops), folder / "walk.webp")
    few = drawn[:NUM_NEIGHBOURS]
    rows = evaluator.nearest_training(few)
    samples.save_neighbours(few, dataset.train[rows], folder / "nearest.png")
    return tuple(dataset.train_ids[row] for row in rows)
