"""User tokens: what is accepted, and what is not."""

import base64
import hmac
import json
import time
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from harken.config import Settings
from harken.errors import InvalidInput, InvalidSettings, Unauthorized
from harken.services.access import user_tokens
from harken.services.access.user_tokens import UserTokens

SECRET = "a secret of more than thirty-two bytes"
CLAIMS = {"sub": "ada", "aud": "harken", "iss": "harken"}
RSA = rsa.generate_private_key(65_537, 2_048)
EC = ec.generate_private_key(ec.SECP256R1())


def soon(minutes=5):
    return datetime.now(UTC) + timedelta(minutes=minutes)


def signed(key=SECRET, algorithm="HS256", headers=None, **claims):
    return jwt.encode(CLAIMS | {"exp": soon()} | claims, key, algorithm=algorithm, headers=headers)


def without(name):
    claims = {key: each for key, each in (CLAIMS | {"exp": soon()}).items() if key != name}
    return jwt.encode(claims, SECRET, algorithm="HS256")


def jwks(tmp_path, *keys):
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": keys}))
    return str(path)


def public(private, kid):
    algorithm = jwt.algorithms.RSAAlgorithm if private is RSA else jwt.algorithms.ECAlgorithm
    return json.loads(algorithm.to_jwk(private.public_key())) | {"kid": kid, "use": "sig"}


@pytest.fixture
def shared():
    return UserTokens.of(Settings(token_secret=SECRET))


@pytest.fixture
def both(tmp_path):
    path = jwks(tmp_path, public(RSA, "r"), public(EC, "e"))
    return UserTokens.of(Settings(token_secret=SECRET, token_jwks=path))


def test_a_token_names_its_reader(shared, both):
    assert shared.reader(signed()) == "ada"
    assert shared.reader(shared.sign("ada", timedelta(hours=1))) == "ada"
    assert both.reader(signed(RSA, "RS256", {"kid": "r"})) == "ada"
    assert both.reader(signed(EC, "ES256", {"kid": "e"})) == "ada"
    assert both.reader(signed()) == "ada"


@pytest.mark.parametrize(
    ("token", "why"),
    [
        (lambda: signed(exp=soon(-1)), "has expired"),
        (lambda: signed(nbf=soon(5)), "is not valid yet"),
        (lambda: signed(aud="shop"), "another audience"),
        (lambda: signed(iss="shop"), "another issuer"),
        (lambda: signed("another secret of more than 32 bytes"), "wrong signature"),
        (lambda: without("exp"), "needs the claims"),
        (lambda: without("sub"), "needs the claims"),
        (lambda: without("aud"), "needs the claims"),
        (lambda: without("iss"), "needs the claims"),
        (lambda: signed(sub="guest"), "no reader in particular"),
        (lambda: signed(sub="x" * 65), "not the id of a reader"),
        (lambda: signed(sub="two\nlines"), "not the id of a reader"),
        (lambda: signed(SECRET * 2, "HS384"), "not a token signed"),
        (lambda: jwt.encode(CLAIMS | {"exp": soon()}, "", algorithm="none"), "not a token"),
        (lambda: signed()[:-2], "not a token|wrong signature"),
        (lambda: ".".join(signed().split(".")[:2]) + ".", "not a token|wrong signature"),
        (lambda: "x" * 9_000, "longer than"),
        (lambda: "", "not a token"),
        (lambda: "a.b.c", "not a token"),
        (lambda: "é.é.é", "not a token"),
        (lambda: "\ud800.a.b", "not a token"),
        (lambda: signed(RSA, "RS256", {"kid": "r"}), "not a token"),
    ],
)
def test_a_bad_token_names_nobody(shared, token, why):
    given = token()
    with pytest.raises(Unauthorized, match=why) as raised:
        shared.reader(given)
    assert not given or given not in str(raised.value)


def test_a_public_key_is_no_shared_secret(tmp_path, both):
    """The confusion of algorithms: HS256 over the text of a public key, which everybody has."""
    spellings = [
        RSA.public_key().public_bytes(form, kind)
        for form, kind in [
            (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
            (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        ]
    ]
    body = CLAIMS | {"exp": int(soon().timestamp())}
    for spelling in [*spellings, json.dumps(public(RSA, "r")).encode()]:
        for header in ({"kid": "r"}, {}):
            # The library refuses to sign this, so it is signed by hand.
            token = by_hand({"alg": "HS256", "typ": "JWT"} | header, body, spelling)
            for tokens in (
                both,
                UserTokens.of(Settings(token_jwks=jwks(tmp_path, public(RSA, "r")))),
            ):
                with pytest.raises(Unauthorized):
                    tokens.reader(token)


def by_hand(header, claims, secret):
    parts = [
        base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=")
        for each in (header, claims)
    ]
    signature = hmac.digest(secret, b".".join(parts), "sha256")
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


@pytest.mark.parametrize(
    ("algorithm", "kid"),
    [("RS256", "e"), ("RS384", "r"), ("RS256", "x"), ("PS256", "r"), ("RS256", None)],
)
def test_a_key_is_used_with_its_own_algorithm_and_id(both, algorithm, kid):
    with pytest.raises(Unauthorized):
        both.reader(signed(RSA, algorithm, {"kid": kid} if kid else None))


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ([{"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}], "public keys only"),
        ([public(RSA, "a"), public(EC, "a")], "a `kid` of its own"),
        ([{"kty": "RSA"}], "cannot be used"),
        ([], "no keys"),
        ([public(RSA, "a") | {"alg": "HS256"}], "cannot be used|one of the algorithms"),
        ([public(RSA, "a") | {"use": "enc"}], "no keys"),
        (["x"], "is not a JWKS file"),
    ],
)
def test_a_file_of_keys_that_cannot_be_used_is_an_error_at_the_start(tmp_path, keys, why):
    with pytest.raises(InvalidSettings, match=why):
        UserTokens.of(Settings(token_jwks=jwks(tmp_path, *keys)))


def test_a_private_key_is_refused(tmp_path):
    private = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA))
    with pytest.raises(InvalidSettings, match="public keys only") as raised:
        UserTokens.of(Settings(token_jwks=jwks(tmp_path, private)))
    assert private["d"] not in str(raised.value)
    with pytest.raises(InvalidSettings, match="cannot be read"):
        UserTokens.of(Settings(token_jwks=str(tmp_path / "missing.json")))


def test_a_short_secret_is_an_error_at_the_start(monkeypatch):
    monkeypatch.setenv("HARKEN_TOKEN_SECRET", "x" * 31)
    with pytest.raises(InvalidSettings, match="at least 32 bytes") as raised:
        Settings.load()
    assert "x" * 31 not in str(raised.value)
    monkeypatch.setenv("HARKEN_TOKEN_SECRET", "x" * 32)
    assert Settings.load().token_secret is not None


def test_without_keys_no_token_is_accepted_or_signed():
    none = UserTokens.of(Settings())
    with pytest.raises(Unauthorized, match="not set up"):
        none.reader(signed())
    with pytest.raises(InvalidSettings, match="HARKEN_TOKEN_SECRET"):
        none.sign("ada", timedelta(hours=1))


def test_a_token_is_signed_for_readers_only(shared):
    for user_id in ("guest", "", "x" * 65):
        with pytest.raises(InvalidInput):
            shared.sign(user_id, timedelta(hours=1))


# A JWKS file that changes


@pytest.fixture
def watched(tmp_path):
    """Tokens with a file that has the key `r`, and a function that lets time pass."""
    now = [0.0]
    path = jwks(tmp_path, public(RSA, "r"))
    tokens = UserTokens.of(Settings(token_jwks=path), timer=lambda: now[0])
    return tokens, lambda: now.__setitem__(0, now[0] + 1.0)


def test_a_changed_file_is_used_within_a_second(watched, tmp_path):
    tokens, a_second_passes = watched
    old, new = signed(RSA, "RS256", {"kid": "r"}), signed(EC, "ES256", {"kid": "e"})
    jwks(tmp_path, public(EC, "e"))
    assert tokens.reader(old) == "ada"
    a_second_passes()
    assert tokens.reader(new) == "ada"
    with pytest.raises(Unauthorized):
        tokens.reader(old)


@pytest.mark.parametrize("wrong", ["{", '{"keys": []}', '{"keys": [{"kty": "oct", "k": "eA"}]}'])
def test_a_file_that_cannot_be_used_changes_nothing(watched, tmp_path, caplog, wrong):
    tokens, a_second_passes = watched
    path = tmp_path / "jwks.json"
    for change in (lambda: path.write_text(wrong), path.unlink):
        caplog.clear()
        change()
        for _ in range(3):
            a_second_passes()
            assert tokens.reader(signed(RSA, "RS256", {"kid": "r"})) == "ada"
        [said] = caplog.messages
        assert str(path) in said
        assert "stay in use" in said
    jwks(tmp_path, public(EC, "e"))
    a_second_passes()
    assert tokens.reader(signed(EC, "ES256", {"kid": "e"})) == "ada"


def test_a_known_token_expires(shared, monkeypatch):
    token = signed(exp=datetime.now(UTC) + timedelta(seconds=30))
    verified = []
    verify = shared._verified

    def counted(each):
        verified.append(each)
        return verify(each)

    monkeypatch.setattr(shared, "_verified", counted)
    for later, count in ((0, 1), (39, 1), (41, 2)):  # the clocks may differ by ten seconds
        monkeypatch.setattr(user_tokens, "time", lambda later=later: time.time() + later)
        assert shared.reader(token) == "ada"  # the library has a clock of its own
        assert len(verified) == count


def test_a_token_may_be_good_for_ever(shared):
    token = signed(exp=10**400)
    assert shared.reader(token) == shared.reader(token) == "ada"


def test_few_tokens_are_known(shared, monkeypatch):
    monkeypatch.setattr(user_tokens, "MOST_KNOWN", 3)
    tokens = [signed(sub=f"u{number}") for number in range(5)]
    for _ in range(2):
        assert [shared.reader(each) for each in tokens] == [f"u{number}" for number in range(5)]
    assert len(shared._known) == 3
