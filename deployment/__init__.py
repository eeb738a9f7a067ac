"""Tools about a deployment: what is in the image, what it costs, how it hangs together."""
