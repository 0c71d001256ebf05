"""All sources by name. A new one is a file in this folder and a line here."""

from pika_scraper.sources import bucket, commons, folder, google, openverse, url_list, zip_file
from pika_scraper.sources.base import Source

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        folder.SOURCE,
        zip_file.SOURCE,
        url_list.SOURCE,
        bucket.SOURCE,
        openverse.SOURCE,
        commons.SOURCE,
        google.SOURCE,
    )
}
