"""Collects pictures: from uploads, folders, zips and URL lists into the raw bucket, and prepares them."""
