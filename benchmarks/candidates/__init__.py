"""The handlers ours is measured against, each written as a competent engineer would without this project."""
