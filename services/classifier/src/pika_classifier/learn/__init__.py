"""Learning from labels: networks, training, calibration, figures. Only workers import it."""
