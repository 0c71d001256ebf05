"""Labels given by hand: the log, archives, and what to label next."""
