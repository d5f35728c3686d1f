"""A small cluster on one machine, disturbed and measured; `make cluster-test` and `make cluster-bench`."""
