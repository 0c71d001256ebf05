"""START HERE: the path of one picture, as the names that everything else uses.

    sources ──scrape──▶ RAW ──prepare──▶ IMAGES ──filter──▶ PIKACHU ──gan-train──▶ MODELS ──▶ POST /generate
    (folders, zips,     bytes as         256×256    ▲       what the              versioned    new pictures
     URLs, uploads)     found +          squares    │       GAN learns            models       from latents
                        provenance               LABELS (trains|valids × pikachu|others)
                                                 also train the classifier, which filters

An arrow is a job on a queue. Buckets are the only thing that two services share. RUNS holds what a training
run leaves behind: curves, sample sheets, checkpoints.
"""

from dataclasses import dataclass
from enum import StrEnum


class Bucket(StrEnum):
    """The object store's buckets; `Settings.bucket_prefix` is prepended to each name."""

    RAW = "raw"
    IMAGES = "images"
    LABELS = "labels"
    PIKACHU = "pikachu"
    MODELS = "models"
    RUNS = "runs"


class QueueName(StrEnum):
    """One queue for each service's worker."""

    SCRAPER = "scraper"
    CLASSIFIER = "classifier"
    GAN = "gan"


@dataclass(frozen=True)
class JobKind:
    """A kind of job: its queue, its function and its time limit.

    The function is given by its dotted path and imported only in the worker, so that enqueuing a training job
    never imports TensorFlow.
    """

    name: str
    queue: QueueName
    function: str
    timeout_seconds: int


_HOUR = 3600
_DAY = 24 * _HOUR

JOBS: dict[str, JobKind] = {
    kind.name: kind
    for kind in (
        JobKind("scrape", QueueName.SCRAPER, "pika_scraper.jobs.scrape", _DAY),
        JobKind("prepare", QueueName.SCRAPER, "pika_scraper.jobs.prepare", _DAY),
        JobKind("dataset", QueueName.SCRAPER, "pika_scraper.jobs.dataset", _DAY),
        JobKind("classifier-train", QueueName.CLASSIFIER, "pika_classifier.jobs.train", _DAY),
        JobKind("classifier-features", QueueName.CLASSIFIER, "pika_classifier.jobs.compute_features", _DAY),
        JobKind("filter", QueueName.CLASSIFIER, "pika_classifier.jobs.filter_bucket", _DAY),
        JobKind("gan-train", QueueName.GAN, "pika_gan.jobs.train", 30 * _DAY),
    )
}
