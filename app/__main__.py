"""``python -m app`` is ``gb28181``."""

from app.cli import main

if __name__ == "__main__":
    main()
