class VaultError(Exception):
    """Anything the vault refuses to do."""


class Expired(VaultError):
    pass


class Unknown(VaultError, KeyError):
    pass
