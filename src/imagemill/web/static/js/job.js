// The page Job alone.
