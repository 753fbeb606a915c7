"""The console command `qexpand`: it stands above the rooms and knows which of them does what."""
