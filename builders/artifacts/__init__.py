"""Files and folders that the kit writes and reads: whole or not at all, with provenance and hashes."""
