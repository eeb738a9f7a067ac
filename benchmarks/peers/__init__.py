"""`make bench-peers`: this project's server beside other model servers, on the same machine, with the same model."""
