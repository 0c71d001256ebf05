"""Learn from a few labels which pictures show Pikachu, and serve POST /is-pikachu."""

from pika_kit.tensorflow_runtime import prefer_onednn as _prefer_onednn

_prefer_onednn()
