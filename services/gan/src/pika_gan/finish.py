"""The end of a run: judge and measure the chosen generator, save its sheet, film, walk and neighbours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from pika_gan import judge, samples
from pika_gan.candidates import CANDIDATES, candidate_latents, preferred
from pika_gan.data import Dataset
from pika_gan.evaluate import Evaluation, Evaluator
from pika_gan.latents import latents_of
from pika_gan.networks.judge import build_features, build_judge
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
        judge: the network that chooses among candidates; None if the preset has none.
        of_preferred: of the first of CANDIDATES each that the judge accepts; None without a judge.
    """

    evaluation: Evaluation
    judge: keras.Model | None = None
    of_preferred: Evaluation | None = None


def measure(
    gan: GanState, evaluator: Evaluator, dataset: Dataset, folder: Path, *, say: Callable[[str], None]
) -> FinalMeasurement:
    """Measure the averaged generator on twice the usual number of pictures.

    Its judge, if the preset has one, is fitted first and saved.

    Args:
        gan: with the weights of the chosen step.
        evaluator: of the run's data set.
        dataset: the pictures of the run.
        folder: of the run.
        say: is told what is done next; may raise to end it.
    """
    preset = gan.preset
    seeds = list(range(FINAL_SEEDS, FINAL_SEEDS + 2 * preset.evaluation_pictures))
    say(f"measuring {len(seeds)} new pictures")
    evaluation = evaluator.evaluate(gan.draw(latents_of(seeds, preset.latent_dim)), interval=True)
    if not preset.judged:
        return FinalMeasurement(evaluation)
    say(f"measuring what the judge accepts among {CANDIDATES} for each seed")
    fitted = judge.fit(dataset)
    judge.save(fitted, folder)
    network = build_judge(fitted, build_features(preset.resolution))
    of_preferred = evaluator.evaluate(draw_preferred(gan, network, seeds), interval=True)
    return FinalMeasurement(evaluation, network, of_preferred)


def draw_preferred(gan: GanState, network: keras.Model, seeds: list[int]) -> np.ndarray:
    """Draw what /generate returns for these seeds with CANDIDATES candidates: uint8 (N, S, S, 3).

    `network`: the judge, see `build_judge`.
    """
    chosen = []
    for start in range(0, len(seeds), DRAWN_AT_ONCE):  # all of them at once would need much memory
        rows = [
            candidate_latents(seed, CANDIDATES, gan.preset.latent_dim)
            for seed in seeds[start : start + DRAWN_AT_ONCE]
        ]
        drawn = gan.draw(np.concatenate(rows))
        judged = [of_all.reshape(-1, CANDIDATES) for of_all in judge.judged_by(network, drawn)]
        best = [preferred(*of_seed) for of_seed in zip(*judged, strict=True)]
        chosen.append(drawn[np.arange(len(rows)) * CANDIDATES + best])
    return np.concatenate(chosen)


def save_pictures(
    gan: GanState,
    evaluator: Evaluator,
    dataset: Dataset,
    folder: Path,
    *,
    sheet_seeds: list[int],
    network: keras.Model | None,
) -> tuple[str, ...]:
    """Save best.png, film.webp, walk.webp and nearest.png.

    With a judge, preferred.png shows the first of CANDIDATES that it accepts for each seed of best.png.

    Returns:
        The ids of the training pictures on nearest.png, in order.
    """
    sheet_latents = latents_of(sheet_seeds, gan.preset.latent_dim)
    drawn = gan.draw(sheet_latents)
    samples.save_sheet(drawn, folder, 0).replace(folder / "best.png")
    if network is not None:
        accepted = draw_preferred(gan, network, sheet_seeds)
        samples.save_sheet(accepted, folder, 0).replace(folder / "preferred.png")
    samples.save_film(folder / "samples", folder / "film.webp")
    stops = samples.walk_latents(sheet_latents[:NUM_STOPS])
    samples.save_walk(gan.draw(stops), folder / "walk.webp")
    few = drawn[:NUM_NEIGHBOURS]
    rows = evaluator.nearest_training(few)
    samples.save_neighbours(few, dataset.train[rows], folder / "nearest.png")
    return tuple(dataset.train_ids[row] for row in rows)
