"""The bucket of chosen pictures: what a model said of each, and who passes."""
