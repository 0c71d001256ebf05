"""Learning from labels: networks, training, calibration, metrics. Only workers import it."""
