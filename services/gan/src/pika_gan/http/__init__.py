"""The views: requests and responses."""
