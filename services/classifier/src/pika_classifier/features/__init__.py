"""Pictures → features of frozen networks."""
