"""The whole way in one go, and what it tells of it."""
