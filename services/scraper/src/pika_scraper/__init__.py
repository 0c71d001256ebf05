"""Collect pictures from uploads, folders, zips, URL lists and searches, and prepare them."""
