from pathlib import Path

import pytest

from app.settings import (
    MASK,
    Settings,
    SettingsError,
    as_toml,
    effective,
    from_mapping,
    load,
    sections,
)


def mistakes(path: Path | None = None, **environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(path, environ)
    return caught.value.mistakes


def test_nothing_is_needed_for_a_first_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(None, {}) == Settings()


def test_the_default_file_is_read_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gb28181.toml").write_text('[http]\nport = 9000\nhost = "127.0.0.1"\n')
    settings = load(None, {"GB28181_HTTP__PORT": "9001", "OTHER_HTTP__PORT": "1"})
    assert (settings.http.port, settings.http.host) == (9001, "127.0.0.1")


def test_text_from_the_environment_becomes_the_type_of_its_key() -> None:
    settings = load(
        None,
        {
            "GB28181_HTTP__SECURE_COOKIE": "true",
            "GB28181_LIVENESS__KEEPALIVE_INTERVAL": "30.5",
            "GB28181_COMMON_PASSWORD__PREFIXES": "3402, 3403",
            "GB28181_COMMON_PASSWORD__PASSWORD": "12345678",
            "GB28181_SYNC__RETRIES": "1,2",
        },
    )
    assert settings.http.secure_cookie is True
    assert settings.liveness.keepalive_interval == 30.5
    assert settings.common_password.prefixes == ("3402", "3403")
    assert settings.common_password.password == "12345678"
    assert settings.sync.retries == (1.0, 2.0)


def test_an_unknown_key_names_the_nearest_right_one(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("[http]\nprot = 1\n[sipp]\nport = 5060\n[storage]\nzzz = 1\n")
    port, section, storage = mistakes(path)
    assert port == f"{path}: [http] has no key 'prot'; the nearest is 'port'."
    assert section == f"{path}: there is no section [sipp]; the nearest is 'sip'."
    assert "it may be one of path, queue_rows" in storage


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[http]\nport = 70000", "<= 65535"),
        ("[http]\nport = -1", ">= 0"),
        ('[http]\ntrusted_proxies = ["proxy.example"]', "trusted_proxies: 'proxy.example'"),
        ('[http]\nport = "8080"', "expected `int`"),
        ("[liveness]\nkeepalive_interval = 0", ">= 1"),
        ("[liveness]\nkeepalive_interval = nan", "not valid"),
        ("[sip]\nconnect_timeout = inf", "finite"),
        ("[sync]\nretries = [-1.0]", "not negative"),
        ('[authentication]\nalgorithm = "SHA-1"', "SHA-256"),
        ('[platform]\nid = "123"', "matching regex"),
        ('[log]\nlevel = "loud"', "invalid enum value"),
        ('[media_node]\ntoken = "short"', "at least 16"),
        ('[authentication]\nrealm = "x"', "has no key 'realm'"),
        ("port = 1", "outside of a section"),
        ("[http\n", "not valid TOML"),
    ],
)
def test_each_mistake_is_one_sentence(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    (sentence,) = mistakes(path)
    assert named in sentence
    assert sentence.endswith(".")


def test_a_missing_file_and_an_unreadable_one_say_what_to_do(tmp_path: Path) -> None:
    (sentence,) = mistakes(tmp_path / "none.toml")
    assert "--config" in sentence
    (sentence,) = mistakes(tmp_path)
    assert "cannot be read" in sentence


def test_all_mistakes_are_reported_at_once() -> None:
    found = mistakes(None, GB28181_HTTP__PORT="x", GB28181_NO__KEY="1", GB28181_LOG__LEVEL="x")
    assert len(found) == 3


def test_a_wrong_secret_is_not_repeated() -> None:
    (sentence,) = mistakes(None, GB28181_MEDIA_NODE__TOKEN="hunter2")
    assert "hunter2" not in sentence


def test_what_is_in_effect_masks_secrets_and_can_be_read_again() -> None:
    settings = from_mapping(
        {"common_password": {"password": "s3cret", "prefixes": ["34"]}, "http": {"port": 1}}
    )
    shown = effective(settings)
    assert shown["common_password"]["password"] == MASK
    assert shown["media_node"]["token"] == ""
    assert "realm" not in shown["authentication"]
    text = as_toml(shown)
    assert "s3cret" not in text
    assert 'prefixes = ["34"]' in text


def test_the_text_of_the_defaults_is_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(as_toml(effective(Settings())))
    assert load(path, {}) == Settings()


def test_every_key_is_explained() -> None:
    silent = [
        f"[{section.name}] {key.name}"
        for section in sections().values()
        for key in section.keys.values()
        if not key.text
    ]
    # Names that say it all, in groups of other packages.
    assert set(silent) <= {
        "[registration] strict",
        "[throttle] longest_block",
        "[throttle] challenges_per_second",
        "[sync] device_info",
    }
