"""The daemon's own parts in simulated months: a seed draws what happens and what breaks; see tests/README.md."""
