"""What is made of a picture: a square, what it looks like, what may be wrong with it."""
