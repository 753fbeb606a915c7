"""Console command `qexpand`, above the rooms: it knows which of them does what."""
