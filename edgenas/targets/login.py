"""Getting in: what ssh would try, in its order; nobody is asked for what another way gives."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field

import paramiko

from edgenas.core.errors import TargetError
from edgenas.targets.openssh.identities import ENCRYPTED, Identities
from edgenas.targets.remote.ssh_config import Endpoint

_ANSWER_S = 300.0  # that a person may take to answer a question of the board
_ANY = ("publickey", "keyboard-interactive", "password")
_MAX_STEPS = 10  # of a login that needs more than one thing
_MANY_KEYS = 3  # after so many that were refused, a server that hangs up has had enough


class LoginError(TargetError):
    """The board answers, and does not let us in."""


@dataclass
class Login:
    """How to get in. ask_password : returns a secret for a prompt; None if nobody can be asked.

    What was asked for is kept while the program runs, for when the link must be made again.
    silence_s : without an answer, after which the server counts as gone.
    """

    accept_new_host_key: bool = False
    ask_password: Callable[[str], str] | None = None
    told: Callable[[str], None] = lambda text: None
    silence_s: float = 20.0
    _secrets: dict[str, str] = field(default_factory=dict, repr=False)

    def secret(self, prompt: str, again: bool = False) -> str | None:
        if prompt not in self._secrets or again:
            if self.ask_password is None:
                return None
            self._secrets[prompt] = self.ask_password(prompt)
        return self._secrets[prompt]

    def knows(self, prompt: str) -> bool:
        return prompt in self._secrets

    def forget(self, prompt: str) -> None:
        self._secrets.pop(prompt, None)


class SshTransport(paramiko.Transport):
    """paramiko's, which also knows what host keys to ask for and why the server hung up."""

    host_key_algorithms: tuple[str, ...] = ()
    farewell = ""

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        return self.host_key_algorithms or super().preferred_keys

    def _parse_disconnect(self, message: paramiko.Message) -> None:
        message.get_int()
        self.farewell = message.get_text()
        message.rewind()
        super()._parse_disconnect(message)


def authenticate(
    transport: SshTransport, server: Endpoint, login: Login, passwords: bool = True
) -> None:
    """Log in; passwords : whether the server has proven who it is, so that it may be sent one.

    Raises
    ------
    LoginError : it refuses the user.
    """
    attempt = _Attempt(transport, server, login)
    try:
        attempt.run(passwords)
    except paramiko.AuthenticationException as problem:
        raise attempt.refusal() from problem
    except (OSError, EOFError, paramiko.SSHException) as problem:
        if attempt.had_enough():
            raise attempt.refusal() from problem
        raise
    finally:
        attempt.close()


class _Attempt:
    """One login. tried : what was offered, in words."""

    def __init__(self, transport: SshTransport, server: Endpoint, login: Login) -> None:
        self._transport = transport
        self._server = server
        self._login = login
        self._tried: list[str] = []
        self._refused_keys = 0
        identities = Identities(server, self._passphrase, login.forget, self._tried)
        self._offered = identities.offered()

    def run(self, passwords: bool) -> None:
        methods = self._server.methods
        if not passwords or self._server.batch:
            methods = tuple(method for method in methods if method == "publickey")
        allowed = self._nothing()
        for _ in range(_MAX_STEPS):
            if not allowed:
                return
            allowed = self._step([method for method in methods if method in allowed])
        raise paramiko.AuthenticationException

    def _step(self, methods: list[str]) -> tuple[str, ...]:
        """Do one thing that the server wants; return what it wants then, nothing if one is in."""
        for method in methods:
            after = self._keys() if method == "publickey" else self._secrets(method)
            if after is not None:
                return after
        raise paramiko.AuthenticationException

    def _nothing(self) -> tuple[str, ...]:
        """Ask to be let in as one is; return what is allowed instead, nothing if one is in."""
        try:
            return tuple(self._transport.auth_none(self._server.user))
        except paramiko.BadAuthenticationType as problem:
            return tuple(problem.allowed_types)
        except paramiko.AuthenticationException:
            self._check_link()
            return _ANY

    def _keys(self) -> tuple[str, ...] | None:
        """Offer keys, from where it was left; return what is wanted after one that is taken."""
        for name, key in self._offered:
            self._tried.append(name)
            try:
                return tuple(self._transport.auth_publickey(self._server.user, key))
            except paramiko.BadAuthenticationType:
                return None
            except paramiko.AuthenticationException:
                self._refused_keys += 1
                self._check_link()
        return None

    def _passphrase(self, prompt: str) -> str | None:
        return None if self._server.batch else self._login.secret(prompt)

    def _secrets(self, method: str) -> tuple[str, ...] | None:
        """Ask for a password, or what the board asks; return what is wanted after the answer."""
        for count in range(self._server.prompts):
            questions = _Questions(self._server, self._login, again=count > 0)
            if self._login.ask_password is None and not questions.known:
                return None
            self._tried.append(method)
            try:
                if method == "password":
                    answer = questions.password()
                    return tuple(
                        self._transport.auth_password(self._server.user, answer, fallback=False)
                    )
                return self._interactive(questions)
            except paramiko.BadAuthenticationType:
                questions.forget()
                return None
            except paramiko.AuthenticationException:
                questions.forget()
                self._check_link()
        return None

    def _interactive(self, questions: _Questions) -> tuple[str, ...]:
        patience, self._transport.auth_timeout = self._transport.auth_timeout, _ANSWER_S
        try:
            return tuple(self._transport.auth_interactive(self._server.user, questions.answers))
        finally:
            self._transport.auth_timeout = patience

    def close(self) -> None:
        self._offered.close()  # and with it the link to the agent

    def _check_link(self) -> None:
        """Raise where the server has hung up: what comes after would only fail."""
        if not self._transport.is_active():
            if self.had_enough():
                raise paramiko.AuthenticationException
            raise EOFError(self._transport.farewell)

    def had_enough(self) -> bool:
        """Whether the server hung up because of what it was offered."""
        if "too many" in self._transport.farewell.lower():
            return True
        return not self._transport.is_active() and self._refused_keys >= _MANY_KEYS

    def refusal(self) -> LoginError:
        server = self._server
        tried = ", ".join(self._tried) or "nothing"
        if self.had_enough():
            return LoginError(
                f"{server} hung up: too many keys were offered (tried: {tried}).",
                f"Name the right one in ~/.ssh/config: Host {server.alias}, with IdentityFile "
                "~/.ssh/YOUR_KEY and IdentitiesOnly yes.",
            )
        remedy = f"Put a key on the board: ssh-copy-id {server.for_ssh}"
        locked = [one for one in self._tried if one.endswith(ENCRYPTED)]
        if locked:
            file = shlex.quote(locked[0].removesuffix(ENCRYPTED))
            remedy = f"Let an agent hold the encrypted key: ssh-add {file}. Or: {remedy}"
        return LoginError(f"{server} refuses the user '{server.user}' (tried: {tried}).", remedy)


class _Questions:
    """What is asked in one attempt; a password that is known is not asked for again."""

    def __init__(self, server: Endpoint, login: Login, again: bool) -> None:
        self._server = server
        self._login = login
        self._again = again
        self._asked: list[str] = []
        self._password = f"Password of {server.user}@{server.host}: "

    @property
    def known(self) -> bool:
        return not self._again and self._login.knows(self._password)

    def password(self) -> str:
        return self._answer(self._password)

    def answers(self, title: str, instructions: str, fields: list[tuple[str, bool]]) -> list[str]:
        """Return the answers to what the board asks, which is shown as text only."""
        return [self._answer(self._prompt(text)) for text, _ in fields]

    def forget(self) -> None:
        for prompt in self._asked:
            self._login.forget(prompt)

    def _prompt(self, text: str) -> str:
        if "password" in text.lower():
            return self._password
        said = "".join(sign if sign.isprintable() else " " for sign in text[:200]).strip()
        return f"({self._server.user}@{self._server.host}) {said} "

    def _answer(self, prompt: str) -> str:
        again = self._again and prompt not in self._asked
        self._asked.append(prompt)
        return self._login.secret(prompt, again) or ""
