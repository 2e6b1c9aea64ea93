"""Each module with logic has a test: its mirror, one that imports it, or one of its door."""

import ast
from pathlib import Path

THROUGH = {
    "app/commands/devices.py": "tests/app/commands/test_commands.py",
    "app/commands/export.py": "tests/app/commands/test_commands.py",
    "app/commands/inspect.py": "tests/app/commands/test_commands.py",
    "app/commands/options.py": "tests/app/commands/test_commands.py",
    "app/commands/passwords.py": "tests/app/commands/test_commands.py",
    "simulators/answers.py": "tests/simulators/test_device.py",
    "simulators/glyphs.py": "tests/simulators/test_clock_picture.py",
    "simulators/live.py": "tests/simulators/test_device.py",
    "simulators/media.py": "tests/end_to_end/test_live_view.py",
    "simulators/registration.py": "tests/simulators/test_device.py",
    "simulators/cli.py": "tests/end_to_end/test_live_view.py",
    "sipserver/device/commands.py": "tests/sipserver/device/test_router.py",
    "sipserver/device/sessions/admission.py": "tests/sipserver/device/sessions/test_live.py",
    "sipserver/device/sessions/leg.py": "tests/sipserver/device/sessions/test_calls.py",
    "sipserver/device/sessions/media.py": "tests/sipserver/device/sessions/test_leases.py",
    "sipserver/device/sessions/session.py": "tests/sipserver/device/sessions/test_live.py",
    "sipserver/sip/rejection.py": "tests/sipserver/sip/test_endpoint.py",
    "sipserver/sip/stats.py": "tests/sipserver/sip/test_endpoint.py",
    "sipserver/sip/transaction_layer.py": "tests/sipserver/sip/test_endpoint.py",
    "sipserver/transport/local_address.py": "tests/sipserver/transport/test_service.py",
    "sipserver/transport/tcp.py": "tests/sipserver/transport/test_service.py",
    "sipserver/transport/udp.py": "tests/sipserver/transport/test_service.py",
}
"""Module -> the test of the door that it is a part of."""

REASONS = {
    "app/__main__.py": "one call; run by tests/app/commands/test_serve.py as python -m app",
    "app/cli.py": "run by tests/app/commands/test_serve.py as a process",
    "conformance/peer.py": "the conformance cases drive it; they grade a running server",
    "storage/sql/migrations/env.py": "executed by Alembic in tests/storage/sql/test_database.py",
    "storage/sql/migrations/versions/0001_first_schema.py": "executed by Alembic, as above",
}
"""Module -> why no test module of its package imports it."""

FEW_STATEMENTS = 3
"""A function of at most so many statements is no logic worth a test of its own."""


def has_logic(path: Path) -> bool:
    """Errors, constants, Protocols and plain values have none."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return any(
        sum(isinstance(part, ast.stmt) for part in ast.walk(function)) - 1 > FEW_STATEMENTS
        for function in functions
    )


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def dotted(module: Path) -> str:
    return ".".join(module.with_suffix("").parts)


def test_every_module_with_logic_is_tested(
    root: Path, modules: list[Path], test_modules: list[Path]
) -> None:
    names = {name for test in test_modules for name in imported(root / test)}
    untested = []
    for module in modules:
        mirror = Path("tests") / module.parent / f"test_{module.stem}.py"
        listed = str(module) in REASONS or str(module) in THROUGH
        if module.stem == "__init__" or mirror in test_modules or listed:
            continue
        if dotted(module) not in names and has_logic(root / module):
            untested.append(str(module))
    assert untested == []


def test_the_lists_name_what_exists(root: Path) -> None:
    names = [*REASONS, *THROUGH, *THROUGH.values()]
    assert [name for name in names if not (root / name).is_file()] == []


def test_every_test_module_mirrors_something(root: Path, test_modules: list[Path]) -> None:
    """A test's package exists; what it is named after may be a behaviour."""
    lost = [
        str(test)
        for test in test_modules
        if test.parts[1] not in ("architecture", "end_to_end", "wire", "conftest.py")
        and not (root / test.parts[1]).is_dir()
    ]
    assert lost == []
