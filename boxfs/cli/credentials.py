"""Which Auth a mount or command uses: a ready token, a token file, or what `boxfs login` has stored for the account."""

from __future__ import annotations

from boxfs.api.auth import AsUser, Auth, ChangingToken, StaticToken
from boxfs.base.config import Options
from boxfs.cli.exits import CliError, Exit
from boxfs.cli.preflight import check_token_file


def auth_for(account: str, options: Options) -> Auth:
    """Return the way into Box.  Raises CliError where there is none."""
    auth: Auth
    if options.token:
        auth = StaticToken(options.token)
    elif options.token_file is not None:
        path = options.token_file
        check_token_file(path)
        auth = ChangingToken(lambda: check_token_file(path))
    else:
        from boxfs.cli import accounts  # all ways to log in: not for who comes with a token

        stored = accounts.load(account)
        if stored is None:
            raise CliError(
                f"no way into Box for {account}: boxfs login {account}, or set BOXFS_TOKEN", Exit.NO_PERMISSION
            )
        auth = stored.auth()
    return AsUser(auth, options.as_user) if options.as_user else auth
