import pytest

from deploy.commands.options import masked


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        ("postgresql://ann:s3cret@db:5432/casino", "postgresql://ann:***@db:5432/casino"),
        ("postgresql://ann:p@ss:w/rd?@db/casino?a=b", "postgresql://ann:***@db/casino?a=b"),
        ("postgresql://:s3cret@db/casino", "postgresql://:***@db/casino"),
        ("postgresql://db/casino?user=ann&password=s3cret", "postgresql://db/casino?user=ann&password=***"),
        (
            "postgresql://db/casino?sslpassword=s3cret&sslmode=require",
            "postgresql://db/casino?sslpassword=***&sslmode=require",
        ),
        ("postgresql://ann@db:5432/casino", "postgresql://ann@db:5432/casino"),
        ("postgresql://db:5432/casino", "postgresql://db:5432/casino"),
        ("postgresql://casino@/casino?host=%2Ftmp%2Fx", "postgresql://casino@/casino?host=%2Ftmp%2Fx"),
    ],
)
def test_a_password_is_not_shown(dsn: str, shown: str) -> None:
    assert masked(dsn) == shown
