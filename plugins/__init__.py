"""The built-in task types, one file each; a file imports `engine.task` and `engine.errors` and nothing else of ours."""
