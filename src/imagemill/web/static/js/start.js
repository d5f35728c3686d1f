// The page Start alone.
