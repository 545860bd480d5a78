"""What the runtime needs, fulfilled by foreign systems; adapters do not know one another."""
