"""What `unwired bench` runs."""
