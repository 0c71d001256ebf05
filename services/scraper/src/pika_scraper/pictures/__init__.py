"""What is derived from a picture: a square, its flags, its near duplicates."""
