import pytest

from api.passwords import hash_password, random_password, verify_password


def test_the_right_password_is_right_and_no_other() -> None:
    stored = hash_password("密码 pass", cost=16)
    assert verify_password("密码 pass", stored)
    assert not verify_password("密码 Pass", stored)


def test_the_same_password_is_stored_differently_each_time() -> None:
    assert hash_password("x", cost=16) != hash_password("x", cost=16)


def test_the_default_costs_what_the_module_says() -> None:
    assert hash_password("x").startswith("scrypt$32768$8$1$")


@pytest.mark.parametrize(
    "stored", ["", "plain", "md5$1$1$1$AA==$AA==", "scrypt$x$8$1$AA==$AA==", "scrypt$16$8$1$*$*"]
)
def test_a_hash_of_another_form_is_never_right(stored: str) -> None:
    assert not verify_password("", stored)


def test_random_passwords_are_long_and_readable() -> None:
    one, other = random_password(), random_password()
    assert one != other
    assert len(one) == 16
    assert not set("0O1lI") & set(one + other)
