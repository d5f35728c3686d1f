// The page Compare alone.
