"""The scraper's limits and thresholds, with their reasons; operators' settings are in pika_kit.settings."""

from dataclasses import dataclass

import urllib3

MAX_PICTURE_BYTES = 32 * 2**20
"""The largest single file that is taken for a picture; the pixels have their own limit in pika_kit.images."""

MAX_SAMPLES = 5
"""How many names a report shows for each reason, beside the full count."""

NUM_INTAKE_THREADS = 24
"""Pictures under way at once in a job; most of a picture's time is spent waiting for hosts and the store."""

LARGE_DOWNLOAD_BYTES = 4 * 2**20
NUM_LARGE_DOWNLOADS = 2
"""Of files above that size so many are in memory at once; the others under way wait for their turn."""

MAX_SPOOL_BYTES = 2 * 2**30
"""Squares that a scrape job keeps on its disk for `prepare`; never more than a quarter of what is free."""

LEDGER_SECONDS = 5.0
"""How often a running scrape job writes down what it has done, and so the most that a restart does twice."""


@dataclass(frozen=True)
class FetchLimits:
    """Limits for one download. Times in seconds."""

    max_bytes: int = MAX_PICTURE_BYTES
    max_redirects: int = 5
    max_attempts: int = 3
    connect_seconds: float = 5.0
    read_seconds: float = 15.0
    total_seconds: float = 60.0
    """From the first byte sent to the last received, so that a host cannot hold a thread by dripping."""
    max_retry_after_seconds: float = 30.0
    """A host that asks for a longer pause is left alone for this job."""
    backoff_seconds: float = 0.5
    user_agent: str = "pikastack/0.1 (picture collector)"


@dataclass(frozen=True)
class Politeness:
    """How one job treats one host."""

    at_once: int = 2
    """Requests under way; what Wikimedia's upload host asks for."""
    seconds_between: float = 0.1
    """From the beginning of one request to that of the next."""


@dataclass(frozen=True)
class RobotsLimits:
    """Limits for robots.txt (RFC 9309, 2.4 and 2.5)."""

    kept_seconds: float = 3600.0
    unreachable_seconds: float = 300.0
    """A host that did not tell its rules is asked again after so long."""
    max_bytes: int = 512 * 1024
    total_seconds: float = 15.0


PRODUCT = "pikastack"
"""The name that a robots.txt has rules for."""


def user_agent(contact: str | None) -> str:
    """Identify the scraper as name/version (contact) library/version, as Wikimedia asks.

    https://foundation.wikimedia.org/wiki/Policy:Wikimedia_Foundation_User-Agent_Policy
    """
    return f"{PRODUCT}/0.1 ({contact or 'picture collector'}) urllib3/{urllib3.__version__}"


@dataclass(frozen=True)
class InlineLimits:
    """Largest zip that `POST /images?prepare=false` processes at once; larger ones become jobs."""

    max_entries: int = 64
    max_total_bytes: int = 16 * 2**20


@dataclass(frozen=True)
class RequestLimits:
    """Limits for one `POST /images`; files beyond them are rejected by name and can be sent again."""

    max_files: int = 1000
    max_pixels: int = 500_000_000
    max_seconds: float = 60.0
    """Below the time after which proxies and clients give up."""


KEPT_UPLOAD_SECONDS = 7 * 86_400.0
"""An uploaded zip whose job never ran is deleted after so long; no job waits for half that time."""


@dataclass(frozen=True)
class DecodeLimits:
    """Limits for decoding one picture; a child process that exceeds them is killed."""

    cpu_seconds: int = 10
    """Beyond what any picture of `pika_kit.images.MAX_PIXELS` takes: some two seconds."""
    wall_seconds: float = 60.0
    """For a machine so busy that ten seconds of a core take a minute."""
    pictures_per_child: int = 2000
    """Then it makes room for a new one, whatever a decoder's library may have lost of its memory."""
    memory_bytes: int = 640 * 2**20
    """Address space of a child, libraries included; the largest picture that is decoded takes 320 MB."""


@dataclass(frozen=True)
class PrepareConfig:
    """How raw pictures become training pictures."""

    size: int = 256
    """Side of the squares, in pixels."""
    fit: str = "crop"
    """crop: the middle. pad: all of it where its ground is plain, on more of that ground; else the middle."""
    near_duplicate_bits: int = 6
    """Pictures whose 64-bit perceptual hashes differ in at most so many bits count as near duplicates."""
    tiny_side: int = 64
    """A picture whose shorter side has fewer pixels is flagged `tiny`."""
    extreme_aspect: float = 3.0
    """A picture whose sides differ by a larger factor is flagged `extreme_aspect`: most is cropped away."""
    blank_deviation: float = 2.0
    """Below this standard deviation of the grey values (0–255) a picture is flagged `blank`."""
    dark_mean: float = 40.0
    """Below this mean of the grey values (0–255) a picture is flagged `dark`."""
    sharp_edge: int = 60
    sharp_share: float = 0.002
    """`blurry`: fewer than `sharp_share` of the pixels have a Laplacian of at least `sharp_edge`."""
    plain_share: float = 0.8
    plain_distance: int = 16
    """`plain_background`: more than `plain_share` of the border is within `plain_distance` of its median."""
    busy_share: float = 0.15
    """`busy_background`: less than this share of the border is near its median."""
