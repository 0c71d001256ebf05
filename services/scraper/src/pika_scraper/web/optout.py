"""X-Robots-Tag: what a response itself says about being collected."""

from pika_scraper.config import PRODUCT

_OPT_OUTS = {"noai", "noimageai", "noindex", "noimageindex", "noml", "none"}


def opted_out(tags: list[str]) -> bool:
    """Return whether X-Robots-Tag headers forbid collecting: rules for everybody, or for us by name.

    `noai, noimageai` is the convention of DeviantArt and others, `noindex` and `none` are the search
    engines'.
    """
    for tag in tags:
        agent = None
        for rule in tag.lower().split(","):
            name, colon, rest = rule.strip().partition(":")
            # "name: rule" applies to the robot of that name, and so do the rules after it; "max-snippet: 9"
            # does not.
            if colon and rest.strip().split(" ")[0] in _OPT_OUTS | {"all", "nofollow"}:
                agent, name = name.strip(), rest.strip()
            if name in _OPT_OUTS and agent in (None, PRODUCT):
                return True
    return False
