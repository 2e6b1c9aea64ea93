from app.platform import PlatformSettings


def test_the_domain_is_the_head_of_the_id_unless_set() -> None:
    assert PlatformSettings().sip_domain == "3402000000"
    assert PlatformSettings(domain="example.com").sip_domain == "example.com"
