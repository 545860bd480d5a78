"""How each part of the desk is opened from its settings."""
