"""The policy set as a running thing."""
