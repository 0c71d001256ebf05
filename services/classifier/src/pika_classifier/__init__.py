"""Learn from a few labels which pictures show Pikachu, and serve POST /is-pikachu."""
