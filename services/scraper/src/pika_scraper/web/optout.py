"""X-Robots-Tag: what an answer itself says about being collected."""

from pika_scraper.config import PRODUCT

_OPT_OUTS = {"noai", "noimageai", "noindex", "noimageindex", "noml", "none"}


def opted_out(tags: list[str]) -> bool:
    """Whether X-Robots-Tag headers forbid a collection: rules for all, or for us by our name.

    `noai, noimageai` is DeviantArt's convention and others', `noindex` and `none` are the search engines'.
    """
    for tag in tags:
        agent = None
        for rule in tag.lower().split(","):
            name, colon, rest = rule.strip().partition(":")
            # "name: rule" is for the robot of that name, as are the rules behind it; "max-snippet: 9" is not.
            if colon and rest.strip().split(" ")[0] in _OPT_OUTS | {"all", "nofollow"}:
                agent, name = name.strip(), rest.strip()
            if name in _OPT_OUTS and agent in (None, PRODUCT):
                return True
    return False
