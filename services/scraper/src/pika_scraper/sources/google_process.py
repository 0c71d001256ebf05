"""The process in which google-images-download runs, started with a JSON object as its argument.

Its working folder is a scratch folder, into which the program writes `logs/<query>.json`; it downloads
nothing.
"""

import json
import sys


def main() -> None:
    """Run one query."""
    # Imported here because it behaves like a program rather than a library.
    from google_images_download.google_images_download import googleimagesdownload  # type: ignore[import-untyped]

    words = json.loads(sys.argv[1])
    arguments = {
        "keywords": words["query"].replace(",", " "),  # a comma would split it into two queries
        "limit": words["limit"],
        "chromedriver": words["driver"],
        "no_download": True,
        "extract_metadata": True,
        # Otherwise it encodes the query in a way that fails for "é".
        "silent_mode": True,
    }
    if words["url"]:
        arguments["url"] = words["url"]
    googleimagesdownload().download(arguments)


if __name__ == "__main__":
    main()
