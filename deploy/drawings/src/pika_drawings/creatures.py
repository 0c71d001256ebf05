"""Other creatures: hard look-alikes in Pikachu's colours or shape, and friendly strangers of every kind."""

from dataclasses import replace

import numpy as np

from pika_drawings.anatomy import BLACK, BROWN, CREAM, PIKACHU, POSES, RED, YELLOW, Anatomy, Paint, Pose

ORANGE = Paint((22, 34), (0.7, 0.9), (0.88, 0.98))
PINK = Paint((335, 350), (0.35, 0.55), (0.95, 1.0))
BLUE = Paint((190, 225), (0.35, 0.65), (0.75, 0.98))
GREEN = Paint((95, 170), (0.35, 0.6), (0.7, 0.9))
ANY = Paint((0, 360), (0.2, 0.8), (0.5, 1.0))
NOT_YELLOW = Paint((75, 395), (0.35, 0.75), (0.55, 0.98))

LOOKALIKES: dict[str, Anatomy] = {
    # Orange, big round brown-edged ears, a thin tail that ends in a bolt: what Pikachu evolves into.
    "raichu": Anatomy(
        ORANGE, "round", 0.62, (28, 62), (0.36, -0.3), ear_inside=BROWN, cheeks=YELLOW, tail="thin bolt",
        tail_paint=BROWN, stripes=BROWN, belly=CREAM, feet=BROWN,
    ),
    # What Pikachu evolves from: huge dark-edged ears, pink cheeks, a dark collar, a puff instead of a bolt.
    "pichu": Anatomy(
        Paint((48, 56), (0.45, 0.65), (0.97, 1.0)), "diamond", 0.72, (48, 68), (0.4, -0.24), ear_inside=BLACK,
        cheeks=PINK, tail="puff", head_size=(1.08, 1.0), extras=("collar",),
    ),
    "yellow bear": Anatomy(
        YELLOW, "round", 0.36, (30, 46), (0.36, -0.34), ear_inside=BROWN, belly=CREAM, tail="puff",
    ),
    "yellow rabbit": Anatomy(YELLOW, "rabbit", 0.95, (6, 24), (0.2, -0.34), ear_inside=PINK, tail="puff"),
    "yellow cat": Anatomy(
        YELLOW, "cat", 0.42, (18, 30), (0.32, -0.34), tail="curl", stripes=BROWN, mouth="cat",
        extras=("whiskers",),
    ),
    "chick": Anatomy(YELLOW, mouth="beak", head_size=(0.98, 1.0), feet=ORANGE, tail="puff", extras=("tuft",)),
    "orange fox": Anatomy(
        ORANGE, "cat", 0.6, (16, 30), (0.3, -0.3), ear_tip=BLACK, tail="curl", mouth="cat", belly=CREAM,
    ),
}  # fmt: skip

STRANGERS: dict[str, Anatomy] = {
    "cat": Anatomy(ANY, "cat", 0.42, (18, 30), (0.32, -0.34), ear_inside=PINK, tail="curl", mouth="cat",
                   extras=("whiskers",)),
    "bear": Anatomy(Paint((15, 40), (0.2, 0.7), (0.35, 0.85)), "round", 0.36, (30, 46), (0.36, -0.34),
                    ear_inside=CREAM, belly=CREAM),
    "rabbit": Anatomy(NOT_YELLOW, "rabbit", 0.95, (6, 24), (0.2, -0.34), ear_inside=PINK, tail="puff"),
    "turtle": Anatomy(BLUE, tail="curl", belly=Paint((40, 50), (0.4, 0.6), (0.85, 1.0)), mouth="plain",
                      extras=("shell",)),
    "bulb": Anatomy(GREEN, "cat", 0.26, (22, 34), (0.36, -0.36), mouth="plain", head_size=(1.1, 0.92),
                    extras=("bulb",)),
    "lizard": Anatomy(ORANGE, tail="curl", belly=CREAM, mouth="plain", extras=("flame",)),
    "mouse": Anatomy(NOT_YELLOW, "round", 0.5, (34, 60), (0.36, -0.3), ear_inside=PINK, tail="thin bolt",
                     tail_paint=PINK, belly=CREAM),
    "chick": Anatomy(NOT_YELLOW, mouth="beak", feet=ORANGE, tail="puff", extras=("tuft",)),
    "round one": Anatomy(PINK, "cat", 0.34, (20, 40), (0.34, -0.34), cheeks=RED, mouth="plain",
                         head_size=(1.15, 1.1), feet=RED),
}  # fmt: skip

# Pikachu in a wrong colour and without its typical features: bolt-shaped ears are not enough.
STRANGERS["blue hare"] = replace(
    PIKACHU, body=NOT_YELLOW, ears="rabbit", ear_tip=CREAM, cheeks=None, tail="puff", stripes=None
)


def pick_creature(rng: np.random.Generator, lookalike_share: float = 0.55) -> Anatomy:
    """Pick an anatomy: a look-alike or a stranger."""
    kinds = LOOKALIKES if rng.random() < lookalike_share else STRANGERS
    return kinds[list(kinds)[rng.integers(len(kinds))]]


def pick_pose(rng: np.random.Generator) -> Pose:
    """Pick a pose, common ones more often."""
    poses = list(POSES.values())
    weights = np.array([pose.weight for pose in poses])
    return poses[rng.choice(len(poses), p=weights / weights.sum())]
