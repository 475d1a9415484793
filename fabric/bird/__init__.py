"""BIRD: what its control socket says, what its configuration is made of, what running one means."""
