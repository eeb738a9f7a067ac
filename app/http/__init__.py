"""HTTP: one route table of plain functions, and thin shells around it (Lambda events, ASGI, FastAPI)."""
