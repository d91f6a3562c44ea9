import functools
from collections.abc import Callable, Iterable

ROLE_GRANTS: dict[str, set[str]] = {
    "customer": {"order:read_own", "order:place", "profile:edit_own"},
    "support": {"order:read_any", "order:refund", "profile:read_any"},
    "warehouse": {"stock:adjust", "order:read_any", "shipment:create"},
    "admin": {"*"},
}


class Forbidden(Exception):
    def __init__(self, permission: str) -> None:
        super().__init__(f"missing permission {permission}")
        self.permission = permission


def has_permission(roles: Iterable[str], permission: str) -> bool:
    for role in roles:
        grants = ROLE_GRANTS.get(role, set())
        if "*" in grants or permission in grants:
            return True
        area, _, action = permission.partition(":")
        if f"{area}:*" in grants and action:
            return True
    return False


def require_permission(permission: str) -> Callable:
    """Guard a request handler: callers whose roles lack `permission` get Forbidden instead of the result."""

    def decorate(handler: Callable) -> Callable:
        @functools.wraps(handler)
        def guarded(request, *args, **kwargs):
            if not has_permission(request.claims.get("roles", ()), permission):
                raise Forbidden(permission)
            return handler(request, *args, **kwargs)

        return guarded

    return decorate


def owns_resource(claims: dict, owner_id: str) -> bool:
    return claims.get("sub") == owner_id or has_permission(claims.get("roles", ()), "profile:read_any")
