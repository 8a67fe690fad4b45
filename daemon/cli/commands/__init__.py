"""One file a command, named like it; each holds `command`, and imports what it stands on when it is called."""
