"""The files of the page under /label."""
