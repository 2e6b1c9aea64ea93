"""Digest: the vectors of GB/T 28181 practice and of RFC 7616, and the life of a nonce."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from sipserver.sip.auth import (
    NONCE_LIFETIME,
    DigestCredentials,
    NonceBook,
    NonceVerdict,
    answer_challenge,
    challenge_header,
    parse_authorization,
    verify,
)
from sipserver.sip.errors import LocalError, MalformedMessage
from sipserver.sip.message import parse_message

DEVICE = "34020000001180000001"
URI = "sip:34020000002000000001@3402000000"
PLAIN = (
    f'Digest username="{DEVICE}",realm="3402000000",nonce="8c1f0d5e7a2b4c63",uri="{URI}",'
    'response="%s",algorithm=%s'
)
QOP = PLAIN + ',qop=auth,nc=00000001,cnonce="0a4f113b"'

VECTORS = [
    ("MD5 without qop", PLAIN % ("f5b48c2454f96d8d32cb83af8c81816f", "MD5")),
    ("hex in upper case", PLAIN % ("F5B48C2454F96D8D32CB83AF8C81816F", "md5")),
    ("MD5 with qop", QOP % ("1bab12b273e26881ac67bc0ec3a24016", "MD5")),
    (
        "SHA-256 with qop",
        QOP % ("517dc1eb9dc67b39813d8f94e684ff39aedec5e4a9d52b9911e8118680f577eb", "SHA-256"),
    ),
    (
        "qop and nc in quotes",
        QOP.replace("qop=auth,nc=00000001", 'qop="auth",nc="00000001"')
        % ("1bab12b273e26881ac67bc0ec3a24016", "MD5"),
    ),
    (
        "no algorithm, blanks",
        PLAIN.replace(",algorithm=%s", "").replace(",", " , ") % "f5b48c2454f96d8d32cb83af8c81816f",
    ),
]


@pytest.mark.parametrize(("name", "value"), VECTORS, ids=[name for name, _ in VECTORS])
def test_vectors(name: str, value: str) -> None:
    credentials = parse_authorization(value.encode())
    assert verify(credentials, password="12345678", method="REGISTER")
    assert not verify(credentials, password="12345679", method="REGISTER")
    assert not verify(credentials, password="12345678", method="MESSAGE")


def test_rfc7616_example() -> None:
    """Section 3.9.1, with its SHA-256 and MD5 answers."""
    value = (
        'Digest username="Mufasa",realm="http-auth@example.org",uri="/dir/index.html",'
        'algorithm=%s,nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",nc=00000001,'
        'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",qop=auth,response="%s",'
        'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    answers = {
        "SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        "MD5": "8ca523f5e9506fed4657c9700eebdbec",
    }
    for algorithm, response in answers.items():
        credentials = parse_authorization((value % (algorithm, response)).encode())
        assert verify(credentials, password="Circle of Life", method="GET")


def test_the_fixture_is_right(wire: Callable[[str], bytes]) -> None:
    request = parse_message(wire("register_auth"))
    credentials = parse_authorization(request.first(b"authorization"))
    assert verify(credentials, password="12345678", method="REGISTER")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("Basic abc", "not the Digest scheme"),
        ("", "not the Digest scheme"),
        ('Digest username="a"', "digest without realm"),
        ('Digest username="a', "unbalanced quote"),
        ((PLAIN % ("0", "MD5")) + ",qop=auth", "no nc or cnonce"),
        ((PLAIN % ("0", "MD5")) + ",qop=auth,nc=xyz,cnonce=1", "no nc or cnonce"),
        ((PLAIN % ("0", "MD5")) + ",qop=auth,nc=000000001,cnonce=1", "no nc or cnonce"),
    ],
)
def test_malformed_credentials(value: str, reason: str) -> None:
    with pytest.raises(MalformedMessage, match=reason):
        parse_authorization(value.encode())


def test_unknown_algorithm_and_qop_verify_as_wrong() -> None:
    credentials = parse_authorization((PLAIN % ("0" * 32, "SHA3-9000")).encode())
    assert not verify(credentials, password="12345678", method="REGISTER")
    integrity = replace(credentials, algorithm="MD5", qop="auth-int", nc="1", cnonce="1")
    assert not verify(integrity, password="12345678", method="REGISTER")


def test_repr_keeps_the_proof_out() -> None:
    credentials = parse_authorization(
        (PLAIN % ("f5b48c2454f96d8d32cb83af8c81816f", "MD5")).encode()
    )
    assert "f5b48c" not in repr(credentials)
    assert "8c1f0d" not in repr(credentials)


def test_challenge_header() -> None:
    assert challenge_header("3402000000", "n1") == (
        'Digest realm="3402000000",nonce="n1",algorithm=MD5'
    )
    full = challenge_header("r", "n2", algorithm="SHA-256", qop=True, stale=True)
    assert full == 'Digest realm="r",nonce="n2",algorithm=SHA-256,qop="auth",stale=true'
    with pytest.raises(LocalError, match="no digest algorithm"):
        challenge_header("r", "n", algorithm="SM3")


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
@pytest.mark.parametrize("qop", [False, True])
def test_our_answer_to_our_challenge(
    algorithm: str, qop: bool, new_token: Callable[[], str]
) -> None:
    challenge = challenge_header("3402000000", "n1", algorithm=algorithm, qop=qop)
    answer = answer_challenge(
        challenge.encode(),
        username=DEVICE,
        password='p,"w',
        method="REGISTER",
        uri=URI,
        new_token=new_token,
    )
    credentials = parse_authorization(answer.encode())
    assert credentials.qop == ("auth" if qop else "")
    assert verify(credentials, password='p,"w', method="REGISTER")


def test_answer_repeats_opaque_and_takes_auth_out_of_a_list(new_token: Callable[[], str]) -> None:
    challenge = b'Digest realm="r", nonce="n", qop="auth-int, auth", opaque="o1"'
    answer = answer_challenge(
        challenge, username="u", password="p", method="REGISTER", uri=URI, new_token=new_token
    )
    assert 'opaque="o1"' in answer
    assert parse_authorization(answer.encode()).qop == "auth"


@pytest.mark.parametrize(
    "challenge",
    [b'Digest realm="r"', b'Digest nonce="n",algorithm=SM3', b'Digest nonce="n",qop="auth-int"'],
)
def test_challenges_we_cannot_answer(challenge: bytes, new_token: Callable[[], str]) -> None:
    with pytest.raises(MalformedMessage):
        answer_challenge(
            challenge, username="u", password="p", method="REGISTER", uri=URI, new_token=new_token
        )


def _credentials(nonce: str, **changes: str) -> DigestCredentials:
    plain = DigestCredentials(username=DEVICE, realm="r", nonce=nonce, uri=URI, response="")
    return replace(plain, **changes)


def test_a_nonce_is_bound_to_device_host_and_algorithm(new_token: Callable[[], str]) -> None:
    book = NonceBook(new_token=new_token)
    nonce = book.issue(DEVICE, "192.0.2.1", 0.0)
    right = _credentials(nonce)

    def judge(credentials: DigestCredentials, device: str, host: str) -> NonceVerdict:
        return book.judge(credentials, device_id=device, host=host, now=1.0)

    assert judge(_credentials("forged"), DEVICE, "192.0.2.1") is NonceVerdict.UNKNOWN
    assert judge(right, "34020000001180000002", "192.0.2.1") is NonceVerdict.UNKNOWN
    assert judge(right, DEVICE, "192.0.2.2") is NonceVerdict.UNKNOWN
    assert judge(replace(right, algorithm="SHA-256"), DEVICE, "192.0.2.1") is NonceVerdict.UNKNOWN
    assert judge(right, DEVICE, "192.0.2.1") is NonceVerdict.VALID


def test_a_nonce_expires_and_is_known_as_stale(new_token: Callable[[], str]) -> None:
    book = NonceBook(new_token=new_token)
    nonce = _credentials(book.issue(DEVICE, "h", 0.0))
    before = NONCE_LIFETIME - 0.01
    assert book.judge(nonce, device_id=DEVICE, host="h", now=before) is NonceVerdict.VALID
    late = book.judge(nonce, device_id=DEVICE, host="h", now=NONCE_LIFETIME)
    assert late is NonceVerdict.STALE
    assert len(book) == 0


def test_a_nonce_count_is_used_once(new_token: Callable[[], str]) -> None:
    book = NonceBook(new_token=new_token)
    nonce = book.issue(DEVICE, "h", 0.0)

    def use(nc: str, qop: str = "auth") -> NonceVerdict:
        credentials = _credentials(nonce, qop=qop, nc=nc, cnonce="c")
        verdict = book.judge(credentials, device_id=DEVICE, host="h", now=1.0)
        assert book.judge(credentials, device_id=DEVICE, host="h", now=1.0) is verdict
        if verdict is NonceVerdict.VALID:
            book.use_up(credentials)
        return verdict

    assert use("00000001") is NonceVerdict.VALID
    assert use("00000001") is NonceVerdict.REPLAYED
    assert use("0000000a") is NonceVerdict.VALID
    assert use("00000009") is NonceVerdict.REPLAYED
    assert use("", qop="") is NonceVerdict.REPLAYED


def test_a_nonce_without_counts_is_good_for_one_login(new_token: Callable[[], str]) -> None:
    book = NonceBook(new_token=new_token)
    credentials = _credentials(book.issue(DEVICE, "h", 0.0))
    for verdict in (NonceVerdict.VALID, NonceVerdict.STALE, NonceVerdict.STALE):
        assert book.judge(credentials, device_id=DEVICE, host="h", now=1.0) is verdict
        book.use_up(credentials)
    assert len(book) == 0


def test_the_book_is_bounded(new_token: Callable[[], str]) -> None:
    book = NonceBook(new_token=new_token, max_nonces=3)
    nonces = [book.issue(f"device-{number}", "h", 0.0) for number in range(5)]
    assert (len(book), book.evicted) == (3, 2)
    gone = book.judge(_credentials(nonces[0]), device_id="device-0", host="h", now=0.0)
    assert gone is NonceVerdict.STALE
    for number in range(5):
        book.issue(f"device-{number}", "h", 100.0 * number + 100)
    assert len(book) == 1


def test_the_memory_of_stale_nonces_is_bounded(new_token: Callable[[], str]) -> None:
    book = NonceBook(new_token=new_token, max_nonces=2)
    nonces = [book.issue(DEVICE, "h", 0.0) for _ in range(6)]
    verdicts = [
        book.judge(_credentials(nonce), device_id=DEVICE, host="h", now=0.0) for nonce in nonces
    ]
    unknown, stale, valid = NonceVerdict.UNKNOWN, NonceVerdict.STALE, NonceVerdict.VALID
    assert verdicts == [unknown, unknown, stale, stale, valid, valid]
