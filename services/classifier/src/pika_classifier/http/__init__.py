"""The HTTP interface: asking, labels, jobs. No TensorFlow here."""
