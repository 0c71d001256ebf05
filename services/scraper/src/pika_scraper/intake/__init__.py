"""Bytes from anywhere → the raw bucket: verified in a child process, saved once, with every origin."""
