"""Drawn pictures for the demo: cartoon Pikachus and look-alikes, to try the whole pipeline offline.

    pixels = draw_pikachu(np.random.default_rng([7, 0]))     # uint8 (256, 256, 3)
    truth = write_collection(folder, num_pikachu=600, num_others=600, seed=7)
    write_labels(other_folder, num_trains=60, num_valids=30, seed=7)

A figure is built from data (`anatomy`, `creatures`) into groups of parts (`figure`, `face`, `extras`,
`things`), which a `canvas` draws at three times the size and shrinks; `picture` adds a background.
"""

from pika_drawings.collection import Truth, write_collection, write_labels
from pika_drawings.picture import draw_other, draw_pikachu

__all__ = ["Truth", "draw_other", "draw_pikachu", "write_collection", "write_labels"]
