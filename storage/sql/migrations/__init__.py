"""Alembic migrations of the schema; they run at every start."""
