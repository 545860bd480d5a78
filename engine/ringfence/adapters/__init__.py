"""What the runtime needs, fulfilled by somebody else's systems; adapters do not know one another."""
