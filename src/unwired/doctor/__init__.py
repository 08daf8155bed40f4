"""What a host lacks to be a home agent or a mobile node: looked at, tried out, and never changed."""
