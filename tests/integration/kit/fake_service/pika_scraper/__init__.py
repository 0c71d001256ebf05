"""Shadows the real pika_scraper on a test worker's path: jobs whose arguments select their behaviour."""
