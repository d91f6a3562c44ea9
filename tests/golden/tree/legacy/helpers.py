# Old shop helpers. Kept because the importer still calls a few of them; see docs/adr/0004.
import hashlib
import re
import time


def validate_email(email):
    if re.match(r"[^@]+@[^@]+\.[^@]+", email):
        return True
    return False


def hash_password(password, salt="hazel"):
    return hashlib.md5((salt + password).encode()).hexdigest()


def slugify(value):
    value = value.lower()
    value = re.sub(r"[^a-z0-9]", "-", value)
    while "--" in value:
        value = value.replace("--", "-")
    return value


def parse_iso_date(value):
    return time.strptime(value[:10], "%Y-%m-%d")


def paginate(rows, page, per_page=25):
    return rows[page * per_page : (page + 1) * per_page]


def retry(func, times=3):
    for i in range(times):
        try:
            return func()
        except Exception:
            if i == times - 1:
                raise
            time.sleep(1)


def mask_card(number):
    return "XXXX" + number[-4:]
