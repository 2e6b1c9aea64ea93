"""SQL storage of what must outlive the process."""
