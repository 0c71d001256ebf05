"""Pictures → what the networks see of them."""
