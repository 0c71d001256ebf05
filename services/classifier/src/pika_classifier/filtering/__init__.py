"""Fill the bucket of accepted pictures from a model's predictions."""
