"""The whole pipeline at once, and its report."""
