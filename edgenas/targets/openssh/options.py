"""The options of OpenSSH's client that edgenas heeds, in the words of what `ssh -G` prints."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping

# option -> its values, as `ssh -G` prints them; one that has none, or is "none", is missing
Options = Mapping[str, tuple[str, ...]]

_YES_OR_NO = {"yes": "yes", "true": "yes", "no": "no", "false": "no"}
CHOICES: dict[str, dict[str, str]] = {
    "addressfamily": {"any": "any", "inet": "inet", "inet6": "inet6"},
    "batchmode": _YES_OR_NO,
    "canonicalizefallbacklocal": _YES_OR_NO,
    "canonicalizehostname": {**_YES_OR_NO, "always": "always"},
    "hashknownhosts": _YES_OR_NO,
    "identitiesonly": _YES_OR_NO,
    "kbdinteractiveauthentication": _YES_OR_NO,
    "nohostauthenticationforlocalhost": _YES_OR_NO,
    "passwordauthentication": _YES_OR_NO,
    "pubkeyauthentication": {**_YES_OR_NO, "unbound": "unbound", "host-bound": "host-bound"},
    "stricthostkeychecking": {
        **_YES_OR_NO,
        "off": "no",
        "ask": "ask",
        "accept-new": "accept-new",
    },
}
FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
ONE_WORD = (
    "bindaddress",
    "hostkeyalias",
    "hostname",
    "identityagent",
    "preferredauthentications",
    "user",
)
NUMBERS = ("canonicalizemaxdots", "numberofpasswordprompts")
TIMES = ("connecttimeout",)
FILE_LISTS = ("globalknownhostsfile", "userknownhostsfile")
LISTS = ("canonicaldomains", *FILE_LISTS)
REPEATED = ("certificatefile", "identityfile")
OTHER_NAMES = {
    "challengeresponseauthentication": "kbdinteractiveauthentication",
    "identityfile2": "identityfile",
    "skeyauthentication": "kbdinteractiveauthentication",
    "tisauthentication": "kbdinteractiveauthentication",
}
DEFAULTS: dict[str, tuple[str, ...]] = {
    "addressfamily": ("any",),
    "batchmode": ("no",),
    "globalknownhostsfile": ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"),
    "hashknownhosts": ("no",),
    "identitiesonly": ("no",),
    "kbdinteractiveauthentication": ("yes",),
    "nohostauthenticationforlocalhost": ("no",),
    "numberofpasswordprompts": ("3",),
    "passwordauthentication": ("yes",),
    "port": ("22",),
    "pubkeyauthentication": ("yes",),
    "stricthostkeychecking": ("ask",),
    "userknownhostsfile": ("~/.ssh/known_hosts", "~/.ssh/known_hosts2"),
}
COMMANDS = ("knownhostscommand", "proxycommand")
_NONE_IS_MISSING = ("connecttimeout", *COMMANDS, "proxyjump")
_HEEDED = (*sorted({*DEFAULTS, *ONE_WORD, *TIMES, *REPEATED}), *COMMANDS, "proxyjump")
# those that do not change whom edgenas connects to, or how
_OTHERS = """
    addkeystoagent afstokenpassing casignaturealgorithms canonicalizepermittedcnames
    channeltimeout checkhostip cipher ciphers clearallforwardings compression compressionlevel
    connectionattempts controlmaster controlpath controlpersist dsaauthentication dynamicforward
    enableescapecommandline enablesshkeysign escapechar exitonforwardfailure fallbacktorsh
    fingerprinthash forkafterauthentication forwardagent forwardx11 forwardx11timeout
    forwardx11trusted gatewayports globalknownhostsfile2 gssapiauthentication
    gssapiclientidentity gssapidelegatecredentials gssapikexalgorithms gssapikeyexchange
    gssapirenewalforcesrekey gssapiserveridentity gssapitrustdns hostbasedacceptedalgorithms
    hostbasedauthentication hostbasedkeytypes hostkeyalgorithms ignoreunknown bindinterface ipqos
    kbdinteractivedevices keepalive kerberosauthentication kerberostgtpassing kexalgorithms
    localcommand localforward loglevel logverbose macs obscurekeystroketiming
    permitlocalcommand permitremoteopen pkcs11provider protocol
    proxyusefdpass pubkeyacceptedalgorithms pubkeyacceptedkeytypes refuseconnection rekeylimit
    remotecommand remoteforward requesttty requiredrsasize revokedhostkeys rhostsauthentication
    rhostsrsaauthentication rsaauthentication securitykeyprovider sendenv serveralivecountmax
    serveraliveinterval sessiontype setenv smartcarddevice stdinnull streamlocalbindmask
    streamlocalbindunlink syslogfacility tag tcpkeepalive tunnel tunneldevice updatehostkeys
    useprivilegedport userknownhostsfile2 useroaming usersh verifyhostkeydns versionaddendum
    visualhostkey warnweakcrypto xauthlocation
"""
OTHERS = frozenset(_OTHERS.split())

_UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_TIME = re.compile(r"(\d+)([smhdw]?)", re.IGNORECASE)


def heeded(said: Options) -> Options:
    """Return those of the options that edgenas heeds, without those that are said to be none."""
    kept = {name: said[name] for name in _HEEDED if said.get(name)}
    for name in _NONE_IS_MISSING:
        if kept.get(name, ("",))[0].lower() == "none":
            del kept[name]
    for name in FILE_LISTS:
        if kept.get(name, ("none",))[0].lower() == "none":
            kept[name] = ()
    return kept


def port_number(text: str) -> int | None:
    """Return the port that a number or the name of a service means; None: it is neither."""
    if text.isascii() and text.isdigit():
        return int(text) if 0 < int(text) < 1 << 16 else None
    try:
        return socket.getservbyname(text, "tcp")
    except (OSError, ValueError):
        return None


def seconds(text: str) -> int | None:
    """Return a time such as `90` or `1m30s` in seconds; None: it is no time."""
    parts = _TIME.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(int(number) * _UNITS_S[unit.lower()] for number, unit in parts)
