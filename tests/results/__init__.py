"""Where results go: a queue, a bucket, a bus, a stream."""
