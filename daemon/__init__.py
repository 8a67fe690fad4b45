"""The process around the engine: inbox, schedules, intake, HTTP, command line. Nothing in `engine` imports it."""
