"""Events that are no HTTP: one file a source, and the router that tells them apart by their exact shape."""
