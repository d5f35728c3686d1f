// The page System alone.
