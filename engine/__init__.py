"""Run workflow documents, as a library."""
