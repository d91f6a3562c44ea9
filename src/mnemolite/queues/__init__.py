"""What tells workers of tasks."""
