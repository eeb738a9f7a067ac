"""Predictions that are answered later: their states, where they are kept, who works on them, and who is told."""
