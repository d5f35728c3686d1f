"""imagemill: a sheet of product pictures in, the same sheet with links to compressed pictures out."""

__version__ = "0.1.0"
