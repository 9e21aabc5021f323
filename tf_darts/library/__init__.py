"""What the functions of the library return."""
