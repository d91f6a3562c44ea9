"""The HTTP server. Routes stand in files named after what they are about."""
