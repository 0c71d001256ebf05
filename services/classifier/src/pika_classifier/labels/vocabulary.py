"""The words of a label, as the article's folders spell them."""

PIKACHU, OTHERS = "pikachu", "others"
LABELS = (PIKACHU, OTHERS)
TRAINS, VALIDS = "trains", "valids"
SPLITS = (TRAINS, VALIDS)
