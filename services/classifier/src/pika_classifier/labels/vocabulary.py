"""The words of a label, spelled as in the article's folders."""

PIKACHU, OTHERS = "pikachu", "others"
LABELS = (PIKACHU, OTHERS)
TRAINS, VALIDS = "trains", "valids"
SPLITS = (TRAINS, VALIDS)
UNCERTAIN, RANDOM, AUDIT = "uncertain", "random", "audit"
REASONS = (UNCERTAIN, RANDOM, AUDIT)
"""Why a picture was shown to be labelled."""
CHOSEN_BY_CHANCE = (RANDOM, AUDIT)
