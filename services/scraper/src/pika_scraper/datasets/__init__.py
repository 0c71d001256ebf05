"""Which pictures belong together: what was withdrawn, and sets that do not change."""
