"""Watching a run go: what is known of it so far, and the two ways to show that, on a terminal and in a pipe."""
