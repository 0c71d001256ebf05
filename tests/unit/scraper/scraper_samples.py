"""Helper of the scraper's tests: take a picture within the test's own process."""

from pika_scraper.intake.take import Taken, take
from pika_scraper.pictures.pipeline import examine


def take_here(raw, data: bytes, origin: dict, known=None) -> Taken:
    """Call `take`, decoding in this process: the pictures are the test's own."""
    return take(raw, data, origin, known, examine=examine)
