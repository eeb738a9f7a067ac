"""Tests that need a Docker engine: the image, AWS's emulator in it, SAM."""
