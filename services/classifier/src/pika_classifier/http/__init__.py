"""The HTTP interface: prediction, labels, jobs. No TensorFlow here."""
