"""What is kept for a while: in the process, and in a Redis that servers share."""
