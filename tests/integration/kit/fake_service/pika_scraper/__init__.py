"""Stands before the real pika_scraper on a test worker's path: jobs whose behaviour the arguments choose."""
