"""The stack on one machine: what it starts, supervises and stops."""
