"""Labels given by people: the log, archives, and what to label next."""
