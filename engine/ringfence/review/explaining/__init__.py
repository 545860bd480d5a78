"""One order explained, and what another size of it would need."""
